//! Why a request of the client has no result.

use reqwest::Url;

use super::Refusal;

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server was not reached, or its answer was lost.
    #[error("{base} cannot be reached: {reason}")]
    Unreachable {
        /// The server.
        base: Url,
        /// The innermost cause.
        reason: String,
    },
    /// The server answered with an error.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The answer is not what the API describes: perhaps this is no Slipway server.
    #[error("the answer of {base} is not understood: {source}")]
    Malformed {
        /// The server.
        base: Url,
        /// What is wrong with the answer.
        source: serde_json::Error,
    },
}

/// The cause that says something: the outer ones repeat the URL.
pub(in crate::commands) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
