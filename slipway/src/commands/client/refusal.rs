//! Turns the server's errors (`application/problem+json`) into messages for people.

use std::{fmt, time::Duration};

use reqwest::{
    StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};
use serde::Deserialize;

/// An answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// When it may be tried again, if the server says so.
    retry_after: Option<Duration>,
    /// Whether the answer to an earlier attempt of the same request was lost.
    pub(super) repeated: bool,
    problem: Problem,
}

/// The body. Every field is optional, because a proxy may answer in another format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Problem {
    code: Option<String>,
    title: Option<String>,
    detail: Option<String>,
    errors: Vec<FieldError>,
    omitted: Omitted,
}

/// The number of list elements that the body leaves out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Omitted {
    errors: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct FieldError {
    field: String,
    message: String,
}

impl Refusal {
    /// Reads an answer with an error status.
    pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        Self {
            status,
            retry_after: retry_after(headers),
            repeated: false,
            problem: serde_json::from_slice(body).unwrap_or_default(),
        }
    }

    /// Reads a problem that came within a stream.
    pub(in crate::commands) fn of_event(data: &str) -> Self {
        #[derive(Deserialize)]
        struct Status {
            status: u16,
        }
        let status = serde_json::from_str(data).unwrap_or(Status { status: 0 });
        let status = StatusCode::from_u16(status.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::read(status, &HeaderMap::new(), data.as_bytes())
    }

    /// Whether the server says that this is not possible in the present state, and may say so
    /// because an earlier attempt, whose answer was lost, has done it.
    pub(in crate::commands) fn may_be_done(&self) -> bool {
        self.repeated && self.problem.code.as_deref() == Some("INVALID_TRANSITION")
    }

    /// Whether the token is refused because it has expired.
    pub(super) fn is_expiry(&self) -> bool {
        self.problem.code.as_deref() == Some("TOKEN_EXPIRED")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem.code {
            Some(code) => f.write_str(code)?,
            None => write!(f, "HTTP {}", self.status.as_u16())?,
        }
        let reason = self.status.canonical_reason();
        let sentence = self
            .problem
            .detail
            .as_deref()
            .or(self.problem.title.as_deref())
            .or(reason);
        if let Some(sentence) = sentence {
            write!(f, ": {sentence}")?;
        }
        // The sentence about a single field says the same.
        let is_said = |error: &FieldError| {
            let FieldError { field, message } = error;
            sentence.is_some_and(|sentence| sentence.contains(&format!("{field} {message}")))
        };
        let errors = self.problem.errors.iter().filter(|error| !is_said(error));
        let mut details: Vec<_> = errors
            .map(|FieldError { field, message }| format!("{field}: {message}"))
            .collect();
        if self.problem.omitted.errors > 0 {
            details.push(format!("and {} more", self.problem.omitted.errors));
        }
        if !details.is_empty() {
            write!(f, " ({})", details.join("; "))?;
        }
        if self.problem.code.is_none() && self.status == StatusCode::NOT_FOUND {
            f.write_str("; the API of Slipway is not at this URL, but where http_addr says")?;
        }
        match self.retry_after {
            Some(wait) => write!(f, " (possible in {})", humantime::format_duration(wait)),
            None => Ok(()),
        }
    }
}

/// How long the server asks to wait, if it does.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(status: u16, body: &str) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        Refusal::read(status, &HeaderMap::new(), body.as_bytes()).to_string()
    }

    #[test]
    fn a_refusal_says_when_to_try_again() {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, "899".parse().unwrap())]);
        let body = br#"{"code": "TOO_MANY_ATTEMPTS", "detail": "Too many sign-ins failed."}"#;
        assert_eq!(
            Refusal::read(StatusCode::TOO_MANY_REQUESTS, &headers, body).to_string(),
            "TOO_MANY_ATTEMPTS: Too many sign-ins failed. (possible in 14m 59s)"
        );
    }

    #[test]
    fn a_problem_is_its_code_its_detail_and_its_fields() {
        let body = r#"{"type": "about:blank", "title": "Bad Request", "status": 400,
            "code": "INVALID_ARGUMENT", "detail": "The request is not valid.",
            "errors": [{"field": "tasks[0].title", "message": "is empty"},
                       {"field": "name", "message": "is too long"}]}"#;
        assert_eq!(
            shown(400, body),
            "INVALID_ARGUMENT: The request is not valid. \
             (tasks[0].title: is empty; name: is too long)"
        );
    }

    #[test]
    fn fields_that_the_body_leaves_out_are_counted() {
        let body = r#"{"code": "INVALID_ARGUMENT", "detail": "200 fields are invalid.",
            "errors": [{"field": "name", "message": "is blank"}], "omitted": {"errors": 199}}"#;
        assert_eq!(
            shown(400, body),
            "INVALID_ARGUMENT: 200 fields are invalid. (name: is blank; and 199 more)"
        );
    }

    #[test]
    fn an_answer_that_is_not_a_problem_is_shown_by_its_status() {
        assert_eq!(shown(502, "<html>"), "HTTP 502: Bad Gateway");
        assert_eq!(
            shown(404, "[]"),
            "HTTP 404: Not Found; the API of Slipway is not at this URL, but where http_addr says"
        );
    }

    #[test]
    fn a_field_that_the_sentence_names_is_not_repeated() {
        let body = r#"{"code": "INVALID_ARGUMENT", "detail": "state must be WAITING or REPLAYED.",
            "errors": [{"field": "state", "message": "must be WAITING or REPLAYED"}]}"#;
        assert_eq!(
            shown(400, body),
            "INVALID_ARGUMENT: state must be WAITING or REPLAYED."
        );
    }
}
