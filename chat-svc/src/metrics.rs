//! This crate's metrics: their names and help texts. All of them have the label `model`;
//! [`FAILURES`] has `reason`, [`TOKENS`] has `kind` (`prompt` or `answer`), and
//! [`REQUESTS`] has `outcome` (`answered` or `unanswered`).

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// Questions that were stored, by what became of them.
pub(crate) const REQUESTS: &str = "slipway_chat_requests_total";
/// Seconds from a question to the end of its answer.
pub(crate) const LATENCY_SECONDS: &str = "slipway_chat_latency_seconds";
/// Seconds from a question to the first text of its answer.
pub(crate) const FIRST_TOKEN_SECONDS: &str = "slipway_chat_time_to_first_token_seconds";
/// Tokens, as models count them.
pub(crate) const TOKENS: &str = "slipway_chat_tokens_total";
/// Questions without an answer.
pub(crate) const FAILURES: &str = "slipway_chat_failures_total";
/// Answers that are being written.
pub(crate) const GENERATING: &str = "slipway_chat_generating";
/// Questions that wait for their turn.
pub(crate) const QUEUED: &str = "slipway_chat_queued";
/// Questions that were refused because too many wait.
pub(crate) const REFUSED: &str = "slipway_chat_refused_total";

/// Describes them to the recorder.
pub(crate) fn describe() {
    describe_counter!(REQUESTS, "Questions, by what became of them");
    describe_histogram!(
        LATENCY_SECONDS,
        "Seconds from a question to the end of its answer"
    );
    describe_histogram!(
        FIRST_TOKEN_SECONDS,
        "Seconds from a question to the first text of its answer"
    );
    describe_counter!(
        TOKENS,
        "Tokens of prompts and answers, as models count them"
    );
    describe_counter!(FAILURES, "Questions without an answer, by reason");
    describe_gauge!(GENERATING, "Answers that are being written");
    describe_gauge!(QUEUED, "Questions that wait for their turn");
    describe_counter!(REFUSED, "Questions refused because too many wait");
}
