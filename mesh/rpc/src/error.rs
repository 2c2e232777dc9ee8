//! The error type that leaves a service.
//!
//! A service's errors become a [`Fault`]: a kind, a stable code for programs, a sentence for
//! people, and facts. A fault becomes a gRPC status with `google.rpc.ErrorInfo` (and `BadRequest`,
//! `RetryInfo` where they apply), and can be read back from one; `status` does this translation,
//! and limits the size of a status. Internal details stay in the process: [`Fault::internal`] logs
//! the cause, together with the trace id that the client receives, and sends a fault without it.

mod room;
mod status;

use std::{collections::BTreeMap, fmt::Display, time::Duration};

use serde::Serialize;
use serde_json::Value;
use tonic::{Code, Status};

pub use self::room::OMITTED;

/// The domain of every `ErrorInfo` that Slipway sends.
pub const DOMAIN: &str = "slipway";

/// The kind of an error. It determines the gRPC code and the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request is malformed or breaks a limit.
    Invalid,
    /// The token is missing or invalid.
    Unauthenticated,
    /// The caller has no permission.
    Forbidden,
    /// It does not exist, or it is private and not the caller's.
    NotFound,
    /// It exists already, or the name is taken.
    AlreadyExists,
    /// A rule forbids it in the current state.
    Conflict,
    /// Other callers changed the same object at the same time, in every attempt.
    Contended,
    /// Too many requests.
    RateLimited,
    /// A dependency is unavailable.
    Unavailable,
    /// It took too long.
    Deadline,
    /// The method does not exist.
    Unimplemented,
    /// An error of the service itself.
    Internal,
}

/// The single table of kinds: gRPC code, HTTP status, title. A code that occurs twice is read back
/// as its first kind.
const TABLE: &[(Kind, Code, u16, &str)] = &[
    (Kind::Invalid, Code::InvalidArgument, 400, "Invalid request"),
    (Kind::Invalid, Code::OutOfRange, 400, "Invalid request"),
    (
        Kind::Unauthenticated,
        Code::Unauthenticated,
        401,
        "Not signed in",
    ),
    (Kind::Forbidden, Code::PermissionDenied, 403, "Not allowed"),
    (Kind::NotFound, Code::NotFound, 404, "Not found"),
    (Kind::Unimplemented, Code::Unimplemented, 404, "Not found"),
    (
        Kind::AlreadyExists,
        Code::AlreadyExists,
        409,
        "Already exists",
    ),
    (
        Kind::Conflict,
        Code::FailedPrecondition,
        409,
        "Refused by a rule",
    ),
    (Kind::Contended, Code::Aborted, 409, "Changed by others"),
    (
        Kind::RateLimited,
        Code::ResourceExhausted,
        429,
        "Too many requests",
    ),
    (
        Kind::Unavailable,
        Code::Unavailable,
        503,
        "Temporarily unavailable",
    ),
    (Kind::Deadline, Code::DeadlineExceeded, 504, "Took too long"),
    (Kind::Deadline, Code::Cancelled, 504, "Took too long"),
    (Kind::Internal, Code::Internal, 500, "Internal error"),
];

impl Kind {
    fn row(self) -> &'static (Kind, Code, u16, &'static str) {
        TABLE
            .iter()
            .find(|row| row.0 == self)
            .expect("every kind has a row: a test walks them")
    }

    /// The gRPC code.
    #[must_use]
    pub fn grpc_code(self) -> Code {
        self.row().1
    }

    /// The HTTP status.
    #[must_use]
    pub fn http_status(self) -> u16 {
        self.row().2
    }

    /// A title for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.row().3
    }

    fn from_grpc(code: Code) -> Self {
        TABLE
            .iter()
            .find(|row| row.1 == code)
            .map_or(Kind::Internal, |row| row.0)
    }
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Path of the field in the request's message, as in `tasks[2].order_index`. The gateway
    /// translates it into the name that REST has for it.
    pub field: String,
    /// What the value must be.
    pub message: String,
}

/// An error as a service returns it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The kind of error.
    pub kind: Kind,
    /// The stable code for programs, in `SCREAMING_SNAKE_CASE`.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
    /// Details that a program can use, under the names that the API documents. Sorted by name, and
    /// so are the members of objects within, so that the order does not depend on the features of
    /// `serde_json`.
    pub facts: BTreeMap<String, Value>,
    /// For [`Kind::Invalid`]: the invalid fields.
    pub fields: Vec<FieldError>,
    /// How long to wait before another try.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// A fault with its code and its sentence.
    pub fn new(kind: Kind, code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            detail: detail.into(),
            facts: BTreeMap::new(),
            fields: Vec::new(),
            retry_after: None,
        }
    }

    /// An invalid request: several invalid fields.
    #[must_use]
    pub fn invalid(fields: Vec<FieldError>) -> Self {
        let detail = match fields.as_slice() {
            [one] => format!("{} {}.", one.field, one.message),
            many => format!("{} fields are invalid.", many.len()),
        };
        Self {
            fields,
            ..Self::new(Kind::Invalid, "INVALID_ARGUMENT", detail)
        }
    }

    /// An invalid request: one invalid field. `message` continues a sentence that begins with the
    /// field: "must not be empty".
    pub fn invalid_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError {
            field: field.into(),
            message: message.into(),
        }])
    }

    /// The same with its fields under other names: for a caller that knows the request in another
    /// form.
    #[must_use]
    pub fn with_names(mut self, name: impl Fn(&str) -> String) -> Self {
        for error in &mut self.fields {
            let renamed = name(&error.field);
            // The sentence about a single field begins with its name.
            if let Some(rest) = self.detail.strip_prefix(&error.field)
                && rest.starts_with(' ')
            {
                self.detail = format!("{renamed}{rest}");
            }
            error.field = renamed;
        }
        self
    }

    /// An internal error. `cause` goes to the log, not to the client.
    pub fn internal(cause: impl Display) -> Self {
        tracing::error!(error = %cause, "internal error");
        Self::new(
            Kind::Internal,
            "INTERNAL",
            "Something went wrong on our side. The trace id leads to the log.",
        )
    }

    /// The server is at its limit of requests.
    #[must_use]
    pub fn overloaded() -> Self {
        Self::new(
            Kind::Unavailable,
            "OVERLOADED",
            "The server has too many requests at once. Try again in a moment.",
        )
        .retry_after(Duration::from_secs(1))
    }

    /// The process is stopping and has not processed the request.
    #[must_use]
    pub fn stopping() -> Self {
        Self::new(
            Kind::Unavailable,
            "UNAVAILABLE",
            "The server is stopping and did not take this request. Send it again.",
        )
        .retry_after(Duration::from_secs(1))
    }

    /// Other callers changed the object in every attempt; `what` names it, for instance "release".
    #[must_use]
    pub fn contended(what: &str) -> Self {
        let detail = format!("Others keep changing this {what}. Nothing was done; try again.");
        Self::new(Kind::Contended, "CONTENDED", detail).retry_after(Duration::from_secs(1))
    }

    /// A dependency is unavailable. `cause` goes to the log, not to the client.
    pub fn unavailable(what: &str, cause: impl Display) -> Self {
        tracing::warn!(error = %cause, "{what} is unavailable");
        Self::away(what)
    }

    /// Another service of the mesh is unavailable. Its name and the `cause` go to the log, not to
    /// the client.
    pub fn unreachable(service: &str, cause: impl Display) -> Self {
        tracing::warn!(service, error = %cause, "service unreachable");
        Self::away("A service")
    }

    fn away(what: &str) -> Self {
        Self::new(
            Kind::Unavailable,
            "UNAVAILABLE",
            format!("{what} cannot be reached at the moment."),
        )
        .retry_after(Duration::from_secs(1))
    }

    /// Adds a fact for programs.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Serialize) -> Self {
        let mut value = serde_json::to_value(value).unwrap_or(Value::Null);
        value.sort_all_objects();
        self.facts.insert(name.to_owned(), value);
        self
    }

    /// Adds the time to wait before another try.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }
}

impl Fault {
    /// Reads a status that was not made by a Slipway service: a lost connection, a deadline, a bug.
    fn from_transport(kind: Kind, status: &Status) -> Self {
        match kind {
            Kind::Unavailable => Self::unavailable("A service", status.message()),
            Kind::Deadline => Self::deadline(),
            Kind::Internal => {
                Self::internal(format_args!("{:?}: {}", status.code(), status.message()))
            }
            Kind::Invalid => Self::new(kind, "INVALID_ARGUMENT", "The request is not valid."),
            _ => Self::new(kind, "REFUSED", kind.title()),
        }
    }

    /// The request's deadline has passed.
    #[must_use]
    pub fn deadline() -> Self {
        Self::new(
            Kind::Deadline,
            "DEADLINE_EXCEEDED",
            "The request took too long. What it asked for may or may not have been done.",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: &[Kind] = &[
        Kind::Invalid,
        Kind::Unauthenticated,
        Kind::Forbidden,
        Kind::NotFound,
        Kind::AlreadyExists,
        Kind::Conflict,
        Kind::Contended,
        Kind::RateLimited,
        Kind::Unavailable,
        Kind::Deadline,
        Kind::Unimplemented,
        Kind::Internal,
    ];

    #[test]
    fn every_kind_is_the_same_after_a_grpc_round_trip() {
        for kind in KINDS {
            let fault = Fault::new(*kind, "SOME_CODE", "A sentence.")
                .fact("activeTask", serde_json::json!({"id": "7", "n": 3}))
                .fact("text", "17")
                .retry_after(Duration::from_secs(3));
            assert_eq!(Fault::from(Status::from(fault.clone())), fault);
        }
    }

    #[test]
    fn field_errors_are_the_same_after_a_grpc_round_trip() {
        let fault = Fault::invalid_field("tasks[1].title", "must not be empty");
        assert_eq!(fault.detail, "tasks[1].title must not be empty.");
        assert_eq!(Fault::from(Status::from(fault.clone())), fault);
    }

    #[test]
    fn the_sentence_about_a_field_has_its_new_name() {
        let fault = Fault::invalid_field("page_size", "must be from 1 to 200");
        let renamed = fault.with_names(|_| "limit".to_owned());
        assert_eq!(
            renamed,
            Fault::invalid_field("limit", "must be from 1 to 200")
        );
        let names = ["name", "task"].map(|field| FieldError {
            field: field.to_owned(),
            message: "is required".to_owned(),
        });
        let renamed = Fault::invalid(names.to_vec()).with_names(str::to_uppercase);
        let fields: Vec<_> = renamed.fields.iter().map(|error| &*error.field).collect();
        assert_eq!(fields, ["NAME", "TASK"]);
        assert_eq!(renamed.detail, "2 fields are invalid.");
    }

    #[test]
    fn internal_causes_are_not_sent_to_the_client() {
        let status = Status::from(Fault::internal("no such column: password_hash"));
        assert!(!format!("{status:?}").contains("password_hash"));
        let fault = Fault::from(Status::unknown("h2 protocol error at 10.0.0.7"));
        assert_eq!(fault.kind, Kind::Internal);
        assert!(!fault.detail.contains("10.0.0.7"));
    }
}
