//! Refuses query parameters, conditional headers and bodies that an operation does not document.
//!
//! If they were ignored, a client would not notice a misspelt parameter, a condition that has no
//! effect, or a body for another operation. The rule is the same for all operations. The only
//! exception is the webhook for alerts, whose senders do not repeat refused requests.

use std::{
    collections::{BTreeSet, HashMap},
    mem,
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension,
    body::Body,
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use form_urlencoded::parse;
use http::{
    HeaderMap, Method,
    header::{IF_MATCH, IF_NONE_MATCH},
    request::Parts,
};
use http_body::Body as _;
use parking_lot::Mutex;
use slipway_rpc::error::Fault;
use slipway_runtime::{
    json::unknown_name,
    text::{check_line, shortened, written_out},
};
use utoipa::openapi::{self, OpenApi, PathItem, RefOr, path::ParameterIn};

use crate::{body, middleware::BodyState, problem::Problem};

/// The operation that accepts everything.
const LENIENT: &str = "/hooks/alerts";

/// Characters of an unknown parameter in the error message.
const LONGEST_NAME: usize = 200;

/// What each operation accepts, by its path.
pub(crate) struct Operations(HashMap<String, Vec<(Method, Accepts)>>);

/// What one operation accepts.
struct Accepts {
    parameters: BTreeSet<String>,
    if_match: bool,
    body: bool,
}

/// The body of a request for an operation that takes none, until the caller is authenticated.
#[derive(Clone)]
struct SetAside(Arc<Mutex<Body>>);

/// Sets the body of a request aside if the operation takes none, for [`check`].
pub(crate) async fn set_body_aside(
    Extension(operations): Extension<Arc<Operations>>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, mut body) = request.into_parts();
    let takes_none = || {
        let operation = operations.find(&parts);
        operation.is_some_and(|(_, accepts)| !accepts.body)
    };
    if !body.is_end_stream() && takes_none() {
        let unread = Arc::new(Mutex::new(mem::take(&mut body)));
        parts.extensions.insert(SetAside(unread));
    }
    next.run(Request::from_parts(parts, body)).await
}

impl Operations {
    /// The operations of an OpenAPI document.
    pub(crate) fn of(document: &OpenApi) -> Self {
        let paths = document.paths.paths.iter();
        let paths = paths.filter(|(path, _)| *path != LENIENT);
        Self(
            paths
                .map(|(path, item)| (path.clone(), accepts(item)))
                .collect(),
        )
    }

    /// The operation of a request, with its method.
    fn find(&self, parts: &Parts) -> Option<&(Method, Accepts)> {
        let path = parts.extensions.get::<MatchedPath>();
        let path = path.map_or("", MatchedPath::as_str);
        let path = path.strip_prefix("/v1").unwrap_or(path);
        let method = match parts.method {
            Method::HEAD => &Method::GET,
            ref method => method,
        };
        let mut operations = self.0.get(path)?.iter();
        operations.find(|(of, _)| of == method)
    }
}

/// Refuses parameters, conditions and a body that the operation of this request does not accept.
/// The extractors that authenticate the caller call it afterwards, so that an unauthenticated
/// client learns nothing about the operation. A body must arrive within `deadline`.
///
/// # Errors
/// `INVALID_ARGUMENT` for the first parameter or header that it does not accept, or the body; and
/// the errors of reading a body.
pub(crate) async fn check(parts: &mut Parts, deadline: Duration) -> Result<(), Problem> {
    let operations = parts.extensions.get::<Arc<Operations>>();
    let operations = operations.ok_or_else(|| Fault::internal("an operation of no document"))?;
    if let Some((method, accepts)) = operations.find(parts) {
        accepts.check_conditions(method, &parts.headers)?;
        accepts.check_query(parts.uri.query().unwrap_or_default())?;
    }
    let Some(SetAside(unread)) = parts.extensions.remove::<SetAside>() else {
        return Ok(());
    };
    let arrival = parts.extensions.get::<BodyState>();
    let arrival = arrival.ok_or_else(|| Fault::internal("a body that is not wrapped"))?;
    let unread = mem::take(&mut *unread.lock());
    let mut body = body::read(unread, arrival, deadline).await?;
    // Many clients send an empty object if there is nothing to send.
    body.retain(|byte| !byte.is_ascii_whitespace());
    match body.as_slice() {
        b"" | b"{}" => Ok(()),
        _ => {
            let message = "must be empty or {}: this operation takes none";
            Err(Fault::invalid_field("body", message).into())
        }
    }
}

impl Accepts {
    /// Refuses conditions that the operation would ignore. `If-None-Match` on a read may be
    /// ignored: the response is then complete.
    fn check_conditions(&self, method: &Method, headers: &HeaderMap) -> Result<(), Fault> {
        let refused = if headers.contains_key(IF_MATCH) && !self.if_match {
            "If-Match"
        } else if headers.contains_key(IF_NONE_MATCH) && method != Method::GET {
            "If-None-Match"
        } else {
            return Ok(());
        };
        let message = "is not looked at by this operation: leave it out";
        Err(Fault::invalid_field(refused, message))
    }

    /// Refuses unknown parameters, and values with characters that cannot occur in data.
    fn check_query(&self, query: &str) -> Result<(), Fault> {
        for (name, value) in parse(query.as_bytes()) {
            let refused = if !self.parameters.contains(&*name) {
                unknown_name(&name, self.parameters.iter().map(String::as_str))
            } else if value.contains(char::REPLACEMENT_CHARACTER) {
                "must be UTF-8, percent-encoded".to_owned()
            } else if let Err(message) = check_line(&value) {
                message.to_owned()
            } else {
                continue;
            };
            let name = match &*name {
                "" => "query",
                name => name,
            };
            let name = written_out(&shortened(name, LONGEST_NAME)).into_owned();
            return Err(Fault::invalid_field(name, refused));
        }
        Ok(())
    }
}

fn accepts(item: &PathItem) -> Vec<(Method, Accepts)> {
    let operations = [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    let operations = operations.into_iter();
    let documented =
        operations.filter_map(|(method, operation)| Some((method, operation.as_ref()?)));
    documented
        .map(|(method, operation)| {
            let names = |of: ParameterIn| names(operation, &of);
            let accepts = Accepts {
                parameters: names(ParameterIn::Query),
                if_match: names(ParameterIn::Header).contains("If-Match"),
                body: operation.request_body.is_some(),
            };
            (method, accepts)
        })
        .collect()
}

fn names(operation: &openapi::path::Operation, of: &ParameterIn) -> BTreeSet<String> {
    let parameters = operation.parameters.iter().flatten();
    let inline = parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    let wanted = inline.filter(|parameter| parameter.parameter_in == *of);
    wanted.map(|parameter| parameter.name.clone()).collect()
}
