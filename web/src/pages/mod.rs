//! The pages. Each asks the services for what it shows, and renders it.

pub(crate) mod accounts;
mod activity;
mod assistant;
pub(crate) mod dead_letters;
mod home;
mod incidents;
mod notifications;
mod overview;
pub(crate) mod password;
mod preferences;
pub(crate) mod profile;
mod release;
pub(crate) mod releases;
pub(crate) mod sign_in;
mod system;
pub(crate) mod task;
pub(crate) mod templates;
mod thread;

use std::sync::Arc;

use axum::{extract::State, response::Response};
use form_urlencoded::byte_serialize;
use http::{StatusCode, Uri};
use maud::{Markup, html};
use slipway_proto::{
    notify::v1::{GetReadPositionRequest, ReadPosition, Unread},
    release::v1::{ListMyTasksRequest, MyTask, Readiness, Task, TaskStatus},
};
use slipway_rpc::error::{Fault, Kind};
use uuid::Uuid;

use self::sign_in::SignIn;
use crate::{
    Visitor, Web,
    answer::{self, no_such, redirect, refusal_of, status, to_copy},
    fields::Fields,
    layout, parts,
    place::{Place, local},
    visit::{Again, Visit},
};

/// A page's title and content.
struct Page {
    title: String,
    content: Markup,
    /// Why the page does not show what its address asks for.
    fault: Option<Fault>,
}

impl Page {
    fn new(title: impl Into<String>, content: Markup) -> Result<Self, Fault> {
        Ok(Self {
            title: title.into(),
            content,
            fault: None,
        })
    }

    /// The same, with the reason why it is empty, if the address was refused.
    fn refused(self, fault: Option<Fault>) -> Self {
        Self { fault, ..self }
    }
}

/// What an address asks for; nothing, with the reason, if a part of its query is not valid.
fn asked<T: Default>(
    answer: Result<tonic::Response<T>, tonic::Status>,
) -> Result<(T, Option<Fault>), Fault> {
    match answer.map_err(Fault::from) {
        Ok(answer) => Ok((answer.into_inner(), None)),
        Err(fault) if fault.kind == Kind::Invalid => Ok((T::default(), Some(fault))),
        Err(fault) => Err(fault),
    }
}

/// Shows the page at the address of a request.
pub(crate) async fn show(State(web): State<Arc<Web>>, visitor: Visitor, uri: Uri) -> Response {
    let place = Place::of(uri.path());
    if let Some(place) = place.filter(|place| place.is_for_everybody()) {
        let query = Fields::parse(uri.query().unwrap_or_default().as_bytes());
        return password::page(place, &query);
    }
    let address = uri.path_and_query().map_or("/", |address| address.as_str());
    let is_public = place.is_some_and(Place::is_public);
    match (visitor.user.is_some(), is_public) {
        (true, true) => redirect("/"),
        (false, true) => {
            let query = Fields::parse(uri.query().unwrap_or_default().as_bytes());
            let next = local(query.get("next"));
            match uri.path() {
                "/sign-up" => {
                    let (outbound, empty) = (&visitor.outbound, Fields::default());
                    sign_in::sign_up(&web, outbound, StatusCode::OK, &empty, None).await
                }
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
        Ok(page) => {
            let shown = refused.as_ref().or(page.fault.as_ref());
            let status = shown.map_or(StatusCode::OK, status);
            let content = html! {
                (parts::refused(page.fault.as_ref()))
                @if visit.lost_its_form(&page.content.0) { (to_copy(&visit.typed_fields())) }
                (page.content)
            };
            let shown_page = layout::page(&visit, &page.title, &content);
            let page = answer::page(status, shown_page);
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
        Err(fault) => refusal_of(refused.as_ref().unwrap_or(&fault), &visit.typed_fields()),
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
        Ok(page) => (page.title, page.content),
        Err(_) => ("Done".to_owned(), html! {}),
    };
    let content = html! { (news) (content) };
    answer::page(StatusCode::OK, layout::page(&visit, &title, &content))
}

async fn page(visit: &Visit) -> Result<Page, Fault> {
    let place = Place::of(&visit.path);
    if let Some((id, thing)) = place.and_then(Place::thing)
        && Uuid::parse_str(id).is_err()
    {
        return Err(no_such(thing));
    }
    match place {
        Some(Place::Releases) => releases::page(visit).await,
        Some(Place::Release(id)) => release::page(visit, id).await,
        Some(Place::Task(id)) => task::page(visit, id).await,
        Some(Place::Activity) => activity::page(visit).await,
        Some(Place::Notifications) => notifications::page(visit).await,
        Some(Place::Notification(id)) => notifications::one(visit, id).await,
        Some(Place::AllNotifications) => notifications::all(visit).await,
        Some(Place::DeadLetters) => dead_letters::list(visit).await,
        Some(Place::DeadLetter(id)) => dead_letters::one(visit, id).await,
        Some(Place::Templates) => templates::list(visit).await,
        Some(Place::Template(kind)) => templates::one(visit, kind).await,
        Some(Place::Preferences) => preferences::page(visit).await,
        Some(Place::Assistant) => assistant::page(visit).await,
        Some(Place::Profile) => profile::page(visit).await,
        Some(Place::Overview) => overview::page(visit).await,
        Some(Place::System) => system::page(visit).await,
        Some(Place::Incidents) => incidents::page(visit).await,
        Some(Place::Accounts) => accounts::page(visit).await,
        Some(
            Place::Home
            | Place::SignIn
            | Place::SignUp
            | Place::ForgotPassword
            | Place::ResetPassword
            | Place::Invitation
            | Place::ConfirmEmail,
        )
        | None => home::page(visit).await,
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

/// How far the visitor has read.
async fn read_position(visit: &Visit) -> Result<ReadPosition, Fault> {
    let request = visit.request(GetReadPositionRequest {});
    let mut service = visit.services().reading.clone();
    let answer = service.get_read_position(request).await?.into_inner();
    Ok(answer.position.unwrap_or_default())
}

/// How much is unread.
fn counted(unread: Unread) -> String {
    let more = if unread.more { "+" } else { "" };
    format!("{}{more}", unread.count)
}

/// A part of a page that is there even if what it shows cannot be read: then it says why.
///
/// # Errors
/// If the visitor is not signed in any more, or may not read it.
fn part<T>(read: Result<T, Fault>, show: impl FnOnce(T) -> Markup) -> Result<Markup, Fault> {
    match read {
        Ok(read) => Ok(show(read)),
        Err(fault) if matches!(fault.kind, Kind::Unauthenticated | Kind::Forbidden) => Err(fault),
        Err(fault) => Ok(html! { p.card.refusal { (fault.detail) } }),
    }
}

/// A task with whether the visitor could start it.
fn mine(task: Task, readiness: Readiness) -> MyTask {
    MyTask {
        task: Some(task),
        can_start: readiness.can_start,
        blocked_by: readiness.blocked_by,
    }
}
