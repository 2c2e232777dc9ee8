//! Entity tags (RFC 9110, 8.8.3): the revision of what is answered, in quotes, and what a
//! request makes of it.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap,
    header::{ETAG, IF_MATCH, IF_NONE_MATCH},
};
use serde::Serialize;
use slipway_mesh::error::Fault;

/// The entity tag of this revision.
pub(crate) fn etag(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// An answer with its `ETag`.
pub(crate) struct Tagged<T> {
    pub(crate) revision: u64,
    pub(crate) body: T,
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        ([(ETAG, etag(self.revision))], Json(self.body)).into_response()
    }
}

/// Whether the client has this version already (13.1.2: compared weakly).
pub(crate) fn has_tag(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// The revision that `If-Match` names, `least` or above; `None` if it is not there, or is
/// `*`.
///
/// # Errors
/// If it is no `ETag` of ours.
pub(crate) fn if_match(headers: &HeaderMap, least: u64) -> Result<Option<u64>, Fault> {
    let Some(value) = headers.get(IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let revision = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .and_then(|text| text.parse().ok())
        .filter(|revision| *revision >= least);
    revision.map(Some).ok_or_else(|| {
        Fault::invalid_field("If-Match", "must be the ETag of what is changed, or *")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(text: &'static str, least: u64) -> Result<Option<u64>, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, text.parse().unwrap());
        if_match(&headers, least)
    }

    #[test]
    fn an_etag_of_ours_is_a_revision_in_quotes() {
        assert_eq!(if_match(&HeaderMap::new(), 0).unwrap(), None);
        assert_eq!(revision("*", 0).unwrap(), None);
        assert_eq!(revision("\"7\"", 1).unwrap(), Some(7));
        assert_eq!(revision("\"0\"", 0).unwrap(), Some(0));
        for bad in ["7", "\"-1\"", "W/\"7\"", "\"7\", \"8\"", "\"0\""] {
            let fault = revision(bad, 1).unwrap_err();
            assert_eq!(fault.fields[0].field, "If-Match", "{bad}");
        }
    }
}
