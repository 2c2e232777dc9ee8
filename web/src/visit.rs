//! Who asks for a page, and what a page is rendered from.

use std::{convert::Infallible, sync::Arc};

use axum::extract::FromRequestParts;
use http::request::Parts;
use jiff::Timestamp;
use maud::{Markup, html};
use slipway_proto::identity::v1::LogoutRequest;
use slipway_rpc::{
    access::{Principal, Role},
    error::{Fault, Kind},
    grpc::Outbound,
};
use uuid::Uuid;

use crate::{Services, Web, fields::Fields};

/// Who sent a request, as the gateway found out.
#[derive(Clone, Default)]
pub struct Visitor {
    /// The user; `None`: not signed in.
    pub user: Option<Arc<Principal>>,
    /// Metadata for calls on the visitor's behalf.
    pub outbound: Outbound,
}

impl Visitor {
    /// Ends the visitor's session, if there is one.
    ///
    /// # Errors
    /// If it may not have ended.
    pub(crate) async fn end_session(&self, web: &Web) -> Result<(), Fault> {
        if self.user.is_none() {
            return Ok(());
        }
        let request = self.outbound.request(LogoutRequest {});
        let identity = web.services.identity.clone();
        match { identity }.logout(request).await.map_err(Fault::from) {
            // It has ended meanwhile.
            Err(fault) if fault.kind != Kind::Unauthenticated => Err(fault),
            _ => Ok(()),
        }
    }

    /// The same, after the visitor has signed in again: nobody would find that session any more. The
    /// new one counts anyway.
    pub(crate) async fn end_earlier_session(&self, web: &Web) {
        if let Err(Fault { code, .. }) = self.end_session(web).await {
            tracing::warn!(code = %code, "the earlier session of a browser has not ended");
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.remove().unwrap_or_default())
    }
}

/// A visit of a user who is signed in, to one page.
pub(crate) struct Visit {
    web: Arc<Web>,
    pub(crate) user: Arc<Principal>,
    outbound: Outbound,
    pub(crate) now: Timestamp,
    /// The path of the page.
    pub(crate) path: String,
    pub(crate) query: Fields,
    /// The form that was refused, if the page is shown because of it.
    again: Option<Again>,
}

/// A form that was refused.
pub(crate) struct Again {
    pub(crate) action: String,
    pub(crate) fields: Fields,
    pub(crate) fault: Fault,
}

impl Visit {
    /// A visit to the page at this address.
    pub(crate) fn to(
        address: &str,
        web: Arc<Web>,
        user: Arc<Principal>,
        outbound: Outbound,
    ) -> Self {
        let address = address.split('#').next().unwrap_or_default();
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        Self {
            now: web.clock.now(),
            web,
            user,
            outbound,
            path: path.to_owned(),
            query: Fields::parse(query.as_bytes()),
            again: None,
        }
    }

    /// The same, after a refused form.
    pub(crate) fn after(self, again: Again) -> Self {
        Self {
            again: Some(again),
            ..self
        }
    }

    /// What the pages need.
    pub(crate) fn web(&self) -> &Web {
        &self.web
    }

    /// Metadata for calls on the user's behalf.
    pub(crate) fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// The services.
    pub(crate) fn services(&self) -> &Services {
        &self.web.services
    }

    /// A request to a service on the user's behalf.
    pub(crate) fn request<T>(&self, message: T) -> tonic::Request<T> {
        self.outbound.request(message)
    }

    /// Whether the user may administer.
    pub(crate) fn is_admin(&self) -> bool {
        self.user.role == Role::Admin
    }

    /// Whether this is the id of the user.
    pub(crate) fn is_user(&self, id: &str) -> bool {
        self.user.user_id.to_string() == id
    }

    /// The address of the page.
    pub(crate) fn here(&self) -> String {
        let query = self.query.with("", "");
        format!("{}{query}", self.path)
    }

    /// Why the form was refused.
    pub(crate) fn fault(&self) -> Option<&Fault> {
        self.again.as_ref().map(|again| &again.fault)
    }

    /// Whether it was the form with this action that was refused.
    pub(crate) fn is_again(&self, action: &str) -> bool {
        self.again
            .as_ref()
            .is_some_and(|again| again.action == action)
    }

    /// What was typed into a field of the form with this action, if it was refused.
    pub(crate) fn typed<'a>(&'a self, action: &str, name: &str, otherwise: &'a str) -> &'a str {
        let again = self.again.as_ref().filter(|again| again.action == action);
        again.map_or(otherwise, |again| again.fields.get(name))
    }

    /// Whether the form that was refused is none of this content: its thing has changed meanwhile.
    pub(crate) fn lost_its_form(&self, content: &str) -> bool {
        let again = self.again.as_ref();
        again.is_some_and(|again| !content.contains(&format!("action=\"{}\"", again.action)))
    }

    /// What was typed into the form that was refused.
    pub(crate) fn typed_fields(&self) -> Fields {
        let fields = self.again.as_ref().map(|again| again.fields.clone());
        fields.unwrap_or_default()
    }

    /// Whether a box of the form with this action was ticked, if the form was refused.
    pub(crate) fn ticked(&self, action: &str, name: &str, value: &str, otherwise: bool) -> bool {
        let again = self.again.as_ref().filter(|again| again.action == action);
        again.map_or(otherwise, |again| {
            again.fields.all(name).any(|one| one == value)
        })
    }

    /// A form that leads back to this page.
    pub(crate) fn form(&self, action: &str, class: &str, content: &Markup) -> Markup {
        html! {
            form.(class) method="post" action=(action) {
                input type="hidden" name="back" value=(self.here());
                (content)
            }
        }
    }

    /// The same with a file.
    pub(crate) fn file_form(&self, action: &str, class: &str, content: &Markup) -> Markup {
        html! {
            form.(class) method="post" action=(action) enctype="multipart/form-data" {
                input type="hidden" name="back" value=(self.here());
                (content)
            }
        }
    }

    /// The field that makes a form have its effect once, even if it is sent twice. It stays the same
    /// after an answer that left open whether it had one.
    pub(crate) fn once(&self, action: &str) -> Markup {
        let again = self.again.as_ref().filter(|again| again.action == action);
        let open = |fault: &Fault| {
            matches!(
                fault.kind,
                Kind::Deadline | Kind::Unavailable | Kind::Internal
            )
        };
        let kept = again.filter(|again| open(&again.fault));
        let key = kept.map(|again| again.fields.get("key").to_owned());
        let key = key.unwrap_or_else(|| Uuid::new_v4().to_string());
        html! { input type="hidden" name="key" value=(key); }
    }
}
