//! Faults that an administrator must know of.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `system.error`: something is wrong, or is not any more. Its key is the service, its
/// subject the fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemErrorEvent {
    /// The service that noticed it.
    pub service: String,
    /// The kind of fault, for example `unreachable`.
    pub kind: String,
    /// What makes two reports one incident.
    pub fingerprint: String,
    /// One line for a person. It holds no secret.
    pub summary: String,
    /// When it began, as far as the service knows.
    pub since: Timestamp,
    /// How often it happened since the last report.
    pub count: u64,
    /// Whether it is over.
    pub resolved: bool,
    /// Whether it lasts until it is said to be over; else it is over when it has not been
    /// reported for a while.
    pub lasts: bool,
    /// A trace in which it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}
