//! The pages. Each asks the services for what it shows, and renders it.

pub(crate) mod accounts;
mod activity;
mod assistant;
mod home;
mod incidents;
mod notifications;
mod preferences;
pub(crate) mod profile;
mod release;
mod releases;
pub(crate) mod sign_in;
mod task;
mod thread;

use std::{collections::HashMap, sync::Arc};

use axum::{extract::State, response::Response};
use form_urlencoded::byte_serialize;
use http::{StatusCode, Uri};
use maud::{Markup, html};
use slipway_proto::release::v1::{ListMyTasksRequest, MyTask, TaskStatus};
use slipway_rpc::error::{Fault, Kind};

use self::sign_in::SignIn;
use crate::{
    Visitor, Web,
    answer::{self, redirect, refusal, status},
    fields::Fields,
    layout,
    place::{Place, local},
    visit::{Again, Visit},
};

/// A page's title and content.
struct Page {
    title: String,
    content: Markup,
}

impl Page {
    fn new(title: impl Into<String>, content: Markup) -> Result<Self, Fault> {
        Ok(Self {
            title: title.into(),
            content,
        })
    }
}

/// Shows the page at the address of a request.
pub(crate) async fn show(State(web): State<Arc<Web>>, visitor: Visitor, uri: Uri) -> Response {
    let address = uri.path_and_query().map_or("/", |address| address.as_str());
    let is_public = Place::of(uri.path()).is_some_and(Place::is_public);
    match (visitor.user.is_some(), is_public) {
        (true, true) => redirect("/"),
        (false, true) => {
            let query = Fields::parse(uri.query().unwrap_or_default().as_bytes());
            let next = local(query.get("next"));
            match uri.path() {
                "/sign-up" => sign_in::sign_up(StatusCode::OK, &Fields::default(), None),
                _ => {
                    let first = SignIn::to(StatusCode::OK, next);
                    sign_in::sign_in(&web, &visitor.outbound, first).await
                }
            }
        }
        (false, false) if address == "/" => redirect("/sign-in"),
        (false, false) => {
            let next: String = byte_serialize(address.as_bytes()).collect();
            redirect(&format!("/sign-in?next={next}"))
        }
        (true, false) => at(address, web, visitor, None).await,
    }
}

/// The page at this address; after a refused form, with its status.
pub(crate) async fn at(
    address: &str,
    web: Arc<Web>,
    visitor: Visitor,
    again: Option<Again>,
) -> Response {
    let refused = again.as_ref().map(|again| again.fault.clone());
    let expired = refused
        .as_ref()
        .is_some_and(|fault| fault.kind == Kind::Unauthenticated);
    let Some(user) = visitor.user.filter(|_| !expired) else {
        let draft = again.as_ref().and_then(sign_in::Draft::of);
        let again = SignIn {
            fault: refused.as_ref(),
            draft: draft.as_ref(),
            ..SignIn::to(StatusCode::UNAUTHORIZED, address)
        };
        return sign_in::sign_in(&web, &visitor.outbound, again).await;
    };
    let mut visit = Visit::to(address, web, user, visitor.outbound);
    if let Some(again) = again {
        visit = visit.after(again);
    }
    match page(&visit).await {
        Ok(Page { title, content }) => {
            let status = refused.as_ref().map_or(StatusCode::OK, status);
            let page = answer::page(status, layout::page(&visit, &title, &content));
            match &refused {
                Some(fault) => answer::refused(fault, page),
                None => page,
            }
        }
        Err(fault) if fault.kind == Kind::Unauthenticated => {
            let again = SignIn {
                fault: Some(&fault),
                ..SignIn::to(StatusCode::UNAUTHORIZED, address)
            };
            sign_in::sign_in(visit.web(), visit.outbound(), again).await
        }
        // What was asked for matters more than where it was asked.
        Err(fault) => refusal(refused.as_ref().unwrap_or(&fault)),
    }
}

/// The page at this address, with something in front of it that is shown only once.
pub(crate) async fn with_news(
    address: &str,
    web: Arc<Web>,
    visitor: Visitor,
    news: &Markup,
) -> Response {
    let Some(user) = visitor.user else {
        return redirect("/sign-in");
    };
    let visit = Visit::to(address, web, user, visitor.outbound);
    // The news are gone with this answer, so they are shown also if the page cannot be.
    let (title, content) = match page(&visit).await {
        Ok(Page { title, content }) => (title, content),
        Err(_) => ("Done".to_owned(), html! {}),
    };
    let content = html! { (news) (content) };
    answer::page(StatusCode::OK, layout::page(&visit, &title, &content))
}

async fn page(visit: &Visit) -> Result<Page, Fault> {
    match Place::of(&visit.path) {
        Some(Place::Releases) => releases::page(visit).await,
        Some(Place::Release(id)) => release::page(visit, id).await,
        Some(Place::Task(id)) => task::page(visit, id).await,
        Some(Place::Activity) => activity::page(visit).await,
        Some(Place::Notifications) => notifications::page(visit).await,
        Some(Place::Preferences) => preferences::page(visit).await,
        Some(Place::Assistant) => assistant::page(visit).await,
        Some(Place::Profile) => profile::page(visit).await,
        Some(Place::Incidents) => incidents::page(visit).await,
        Some(Place::Accounts) => accounts::page(visit).await,
        Some(Place::Home | Place::SignIn | Place::SignUp) | None => home::page(visit).await,
    }
}

/// The visitor's tasks that are in this state, with what blocks them. As many as a page has.
async fn my_tasks(visit: &Visit, status: TaskStatus) -> Result<Vec<MyTask>, Fault> {
    let request = visit.request(ListMyTasksRequest {
        status: status.into(),
        page_size: 200,
        ..ListMyTasksRequest::default()
    });
    let answer = visit
        .services()
        .tasks
        .clone()
        .list_my_tasks(request)
        .await?;
    Ok(answer.into_inner().tasks)
}

/// What blocks the visitor's tasks that are to do, by their ids.
async fn blockers(visit: &Visit) -> Result<HashMap<String, MyTask>, Fault> {
    let tasks = my_tasks(visit, TaskStatus::Todo).await?.into_iter();
    let by_id = tasks.filter_map(|mine| Some((mine.task.as_ref()?.id.clone(), mine)));
    Ok(by_id.collect())
}
