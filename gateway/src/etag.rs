//! Entity tags (RFC 9110, 8.8.3): the revision of a resource in quotes; and the conditions
//! `If-Match` and `If-None-Match` of requests.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderName,
    header::{ETAG, IF_MATCH, IF_NONE_MATCH},
};
use serde::Serialize;
use slipway_rpc::error::Fault;
use tonic::Status;

use crate::problem::Problem;

/// Maximum number of tags in a condition: each may cause a call of a service.
const TAGS: usize = 10;

/// A revision that no resource has: greater than any revision that a store can save.
const NEVER: u64 = i64::MAX as u64;

/// The entity tag of this revision.
pub(crate) fn etag(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// The entity tag of this revision as a caller sees it. `view` is what depends on the caller, and may
/// change without a new revision; empty if nothing does. `If-Match` reads only the revision.
pub(crate) fn etag_for(revision: u64, view: &str) -> String {
    if view.is_empty() {
        return etag(revision);
    }
    let mut hasher = DefaultHasher::new();
    view.hash(&mut hasher);
    format!("\"{revision}.{:016x}\"", hasher.finish())
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

/// A tag as a client writes it.
#[derive(Debug, PartialEq, Eq)]
struct Tag<'a> {
    weak: bool,
    /// The text between the quotes.
    opaque: &'a [u8],
}

/// The tags of a list; `None` if it is malformed. A tag may contain a comma; an element may be
/// empty (5.6.1.2).
fn tags(list: &[u8]) -> Option<Vec<Tag<'_>>> {
    let mut found = Vec::new();
    let mut rest = next_element(list);
    while !rest.is_empty() {
        let (weak, quoted) = match rest.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let inner = quoted.strip_prefix(b"\"")?;
        let end = inner.iter().position(|byte| *byte == b'"')?;
        let (opaque, behind) = (&inner[..end], inner[end + 1..].trim_ascii_start());
        if opaque
            .iter()
            .any(|byte| byte.is_ascii_control() || *byte == b' ')
        {
            return None;
        }
        found.push(Tag { weak, opaque });
        if !behind.is_empty() && !behind.starts_with(b",") {
            return None;
        }
        rest = next_element(behind);
    }
    Some(found)
}

/// The list without the commas and blanks at its beginning.
fn next_element(list: &[u8]) -> &[u8] {
    let separates = |byte: &u8| matches!(byte, b',' | b' ' | b'\t');
    let start = list.iter().position(|byte| !separates(byte));
    start.map_or(&[], |start| &list[start..])
}

/// All lines of a header as one list; `None` if the header is missing.
fn whole(headers: &HeaderMap, name: HeaderName) -> Option<Vec<u8>> {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    let lines = lines.iter().map(|line| line.as_bytes()).collect::<Vec<_>>();
    (!lines.is_empty()).then(|| lines.join(&b", "[..]))
}

/// Whether `If-None-Match` names this tag (13.1.2: weak comparison).
pub(crate) fn has_tag(headers: &HeaderMap, tag: &str) -> bool {
    let Some(list) = whole(headers, IF_NONE_MATCH) else {
        return false;
    };
    if list.trim_ascii() == b"*" {
        return true;
    }
    let own = tag.trim_matches('"').as_bytes();
    let known = tags(&list).unwrap_or_default();
    known.iter().any(|known| known.opaque == own)
}

/// The condition of `If-Match`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// No condition: the header is missing.
    None,
    /// `*`: the resource exists, at any revision.
    There,
    /// The resource is at one of these revisions, the greatest first. Never empty: if no tag is
    /// one of ours, the list has a revision that no resource has.
    At(Vec<u64>),
}

/// Reads `If-Match` (13.1.1), for a resource with revisions from `least` on. The comparison is
/// strong: weak tags, and tags that we did not issue, match nothing.
///
/// # Errors
/// If it is not a list of tags. An empty list is an error too: the client wants to guard a change,
/// and an empty list would guard nothing.
pub(crate) fn if_match(headers: &HeaderMap, least: u64) -> Result<Condition, Fault> {
    let Some(list) = whole(headers, IF_MATCH) else {
        return Ok(Condition::None);
    };
    if list.trim_ascii() == b"*" {
        return Ok(Condition::There);
    }
    let tags = tags(&list)
        .filter(|tags| (1..=TAGS).contains(&tags.len()))
        .ok_or_else(|| {
            let message =
                format!("must be the ETag of what is changed, up to {TAGS} of them, or *");
            Fault::invalid_field("If-Match", message)
        })?;
    let strong = tags.iter().filter(|tag| !tag.weak);
    let revisions = strong.filter_map(|tag| revision(tag.opaque));
    let mut revisions: Vec<u64> = revisions.filter(|revision| *revision >= least).collect();
    revisions.sort_unstable_by(|a, b| b.cmp(a));
    revisions.dedup();
    if revisions.is_empty() {
        revisions.push(NEVER);
    }
    Ok(Condition::At(revisions))
}

/// The revision in a tag that we issued, without the view of its caller. Only the exact spelling of
/// the number counts.
fn revision(opaque: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(opaque).ok()?;
    let text = match text.split_once('.') {
        Some((text, view)) if view.len() == 16 => text,
        _ => text,
    };
    let revision: u64 = text.parse().ok()?;
    (revision < NEVER && revision.to_string() == text).then_some(revision)
}

impl Condition {
    /// Calls a service under this condition. Use it for resources that are answered with 404 if
    /// they do not exist; `*` then needs no check of its own. `call` takes the required revision;
    /// `changed` is the error code of the service for another revision. Each revision is tried; the
    /// service changes nothing at a wrong revision, so at most one call has an effect.
    ///
    /// # Errors
    /// The error of the service; 412 if the resource is at none of the revisions.
    pub(crate) async fn guard<T, F>(
        &self,
        changed: &str,
        mut call: impl FnMut(Option<u64>) -> F,
    ) -> Result<T, Problem>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let (last, others) = match self {
            Self::None | Self::There => (None, &[][..]),
            Self::At(revisions) => match revisions.split_last() {
                Some((last, others)) => (Some(*last), others),
                None => (Some(NEVER), &[][..]),
            },
        };
        for revision in others {
            match call(Some(*revision)).await.map_err(Fault::from) {
                Ok(done) => return Ok(done),
                Err(fault) if fault.code == changed => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        call(last)
            .await
            .map_err(|status| Problem::of_condition(status, changed))
    }
}

#[cfg(test)]
mod tests {
    use slipway_rpc::error::Kind;

    use super::*;

    fn headers(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        let lines = lines.iter().map(|line| line.parse().unwrap());
        lines.map(|line| (name.clone(), line)).collect()
    }

    fn condition(lines: &[&str]) -> Result<Condition, Fault> {
        if_match(&headers(&IF_MATCH, lines), 0)
    }

    #[test]
    fn no_condition_is_none_and_a_star_is_any_revision() {
        assert_eq!(condition(&[]).unwrap(), Condition::None);
        assert_eq!(condition(&["*"]).unwrap(), Condition::There);
        assert_eq!(condition(&[" * "]).unwrap(), Condition::There);
    }

    #[test]
    fn strong_tags_of_ours_are_revisions() {
        for (lines, revisions) in [
            (&["\"7\""][..], &[7][..]),
            (&["\"0\""], &[0]),
            (&["\"7\", \"8\""], &[8, 7]),
            (&["\"8\",\"7\" ,\"8\""], &[8, 7]),
            (&["\"7\"", "\"9\""], &[9, 7]),
            (&["W/\"6\", \"7\""], &[7]),
            (&["\"a,b\", \"7\""], &[7]),
            (&[", \"7\", , \"8\" ,,"], &[8, 7]),
            (&[&*etag_for(7, "free")], &[7]),
            (&["", "\"7\""], &[7]),
        ] {
            let expected = Condition::At(revisions.to_vec());
            assert_eq!(condition(lines).unwrap(), expected, "{lines:?}");
        }
    }

    #[test]
    fn weak_and_foreign_tags_match_nothing() {
        for line in [
            "W/\"7\"",
            "\"-1\"",
            "\"+7\"",
            "\"07\"",
            "\"\"",
            "\"0190c2b8\"",
            "\"7.\"",
            "\"7.1\"",
            "\"99999999999999999999\"",
            "W/\"7\", \"x\"",
        ] {
            let expected = Condition::At(vec![NEVER]);
            assert_eq!(condition(&[line]).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn the_view_of_a_caller_makes_another_tag_of_the_same_revision() {
        assert_eq!(etag_for(7, ""), etag(7));
        let tags = [etag_for(7, ""), etag_for(7, "a"), etag_for(7, "b")];
        assert!(tags[0] != tags[1] && tags[1] != tags[2]);
        assert_eq!(etag_for(7, "a"), tags[1]);
    }

    #[test]
    fn a_revision_below_the_first_matches_nothing() {
        // Some services take 0 as "any revision".
        let headers = headers(&IF_MATCH, &["\"0\""]);
        let expected = Condition::At(vec![NEVER]);
        assert_eq!(if_match(&headers, 1).unwrap(), expected);
    }

    #[test]
    fn malformed_lists_of_tags_are_refused() {
        let many = ["\"1\""; TAGS + 1].join(",");
        for bad in [
            "",
            " ",
            "7",
            "\"7",
            "7\"",
            "'7'",
            "w/\"7\"",
            "\"7\" \"8\"",
            "\"7\"; \"8\"",
            "*, \"7\"",
            ", ,",
            "\"7 8\"",
            &many,
        ] {
            let fault = condition(&[bad]).unwrap_err();
            assert_eq!(fault.fields[0].field, "If-Match", "{bad}");
        }
    }

    #[test]
    fn a_known_version_is_found_by_a_weak_comparison() {
        for (lines, known) in [
            (&[][..], false),
            (&[""], false),
            (&["\"8\""], false),
            (&["7"], false),
            (&["\"7\""], true),
            (&["W/\"7\""], true),
            (&["\"8\", \"7\""], true),
            (&["\"8\"", "W/\"7\""], true),
            (&["*"], true),
        ] {
            let headers = headers(&IF_NONE_MATCH, lines);
            assert_eq!(has_tag(&headers, "\"7\""), known, "{lines:?}");
        }
    }

    #[tokio::test]
    async fn each_revision_is_tried_until_one_matches() {
        let condition = condition(&["\"3\", \"5\", \"4\""]).unwrap();
        for (there, tried, done) in [(4, vec![5, 4], true), (9, vec![5, 4, 3], false)] {
            let mut asked = Vec::new();
            let answer = condition.guard("CHANGED", |revision| {
                asked.extend(revision);
                let changed = || Fault::new(Kind::Contended, "CHANGED", "It changed.").into();
                let answer = (revision == Some(there)).then_some(()).ok_or_else(changed);
                std::future::ready(answer)
            });
            assert_eq!(answer.await.is_ok(), done);
            assert_eq!(asked, tried);
        }
    }
}
