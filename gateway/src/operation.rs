//! What an operation takes beside its path and its body: the query parameters and the
//! conditions that its documentation lists.
//!
//! Anything else would be ignored in silence, and a client that misspells a parameter, or
//! guards a change where nothing is guarded, would not know. So it is refused, by this one
//! rule for all operations. The only one that takes everything is the hook for alerts: who
//! sends those does not repeat what is refused.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use axum::extract::MatchedPath;
use form_urlencoded::parse;
use http::{
    HeaderMap, Method,
    header::{IF_MATCH, IF_NONE_MATCH},
    request::Parts,
};
use slipway_rpc::error::Fault;
use slipway_runtime::text::{check_line, shortened, written_out};
use utoipa::openapi::{self, OpenApi, PathItem, RefOr, path::ParameterIn};

/// The operation that takes everything.
const LENIENT: &str = "/hooks/alerts";

/// Characters of an unknown parameter that are repeated to who sent it.
const LONGEST_NAME: usize = 200;

/// What each operation takes, by its path.
pub(crate) struct Operations(HashMap<String, Vec<(Method, Accepts)>>);

/// What one takes.
struct Accepts {
    parameters: BTreeSet<String>,
    if_match: bool,
}

impl Operations {
    /// As the document describes them.
    pub(crate) fn of(document: &OpenApi) -> Self {
        let paths = document.paths.paths.iter();
        let paths = paths.filter(|(path, _)| *path != LENIENT);
        Self(
            paths
                .map(|(path, item)| (path.clone(), takes(item)))
                .collect(),
        )
    }

    fn check(&self, parts: &Parts) -> Result<(), Fault> {
        let path = parts.extensions.get::<MatchedPath>();
        let path = path.map_or("", MatchedPath::as_str);
        let path = path.strip_prefix("/v1").unwrap_or(path);
        let method = match parts.method {
            Method::HEAD => &Method::GET,
            ref method => method,
        };
        let operation = self.0.get(path).and_then(|operations| {
            let mut operations = operations.iter();
            operations.find(|(of, _)| of == method)
        });
        let Some((method, takes)) = operation else {
            return Ok(());
        };
        takes.check_conditions(method, &parts.headers)?;
        takes.check_query(parts.uri.query().unwrap_or_default())
    }
}

/// Refuses what the operation that this request is for does not take. Whoever finds out who
/// sends a request calls it: nobody hears of an operation what it takes before they have shown
/// a token, where it wants one.
///
/// # Errors
/// What it does not take.
pub(crate) fn check(parts: &Parts) -> Result<(), Fault> {
    let operations = parts.extensions.get::<Arc<Operations>>();
    let operations = operations.ok_or_else(|| Fault::internal("an operation of no document"))?;
    operations.check(parts)
}

impl Accepts {
    /// A condition that is not looked at would seem to hold. `If-None-Match` on a read only
    /// asks for less: where it is not looked at, the answer is whole.
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

    /// A value with characters that nobody types is found nowhere: it is a mistake too.
    fn check_query(&self, query: &str) -> Result<(), Fault> {
        for (name, value) in parse(query.as_bytes()) {
            let refused = if !self.parameters.contains(&*name) {
                "is not known here"
            } else if value.contains(char::REPLACEMENT_CHARACTER) {
                "must be UTF-8, percent-encoded"
            } else if let Err(message) = check_line(&value) {
                message
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

fn takes(item: &PathItem) -> Vec<(Method, Accepts)> {
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
            let takes = Accepts {
                parameters: names(ParameterIn::Query),
                if_match: names(ParameterIn::Header).contains("If-Match"),
            };
            (method, takes)
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
