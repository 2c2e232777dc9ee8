//! Faults that administrators must know about.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `system.error`: a fault has occurred, or has ended. Its key is the service, its subject the
/// fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemErrorEvent {
    /// The service that detected it.
    pub service: String,
    /// The kind of fault, for example `unreachable`.
    pub kind: String,
    /// Reports with the same fingerprint belong to the same incident.
    pub fingerprint: String,
    /// One line for people, without secrets.
    pub summary: String,
    /// When it began, as far as the service knows.
    pub since: Timestamp,
    /// How often it occurred since the last report.
    pub count: u64,
    /// Whether it has ended.
    pub resolved: bool,
    /// Whether it lasts until a report says that it has ended. Otherwise it ends when it was not
    /// reported for a while.
    pub lasts: bool,
    /// A trace in which it occurred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}
