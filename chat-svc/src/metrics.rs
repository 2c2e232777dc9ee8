//! This crate's metrics. All of them have the label `model`; [`FAILURES`] has `reason`, [`TOKENS`]
//! has `kind` (`prompt` or `answer`), and [`REQUESTS`] has `outcome` (`answered` or `unanswered`).

slipway_runtime::metrics! {
    pub(crate) fn describe;
    counter REQUESTS = "slipway_chat_requests_total", "Questions, by what became of them";
    histogram LATENCY_SECONDS = "slipway_chat_latency_seconds",
        "Seconds from a question to the end of its answer";
    histogram FIRST_TOKEN_SECONDS = "slipway_chat_time_to_first_token_seconds",
        "Seconds from a question to the first text of its answer";
    counter TOKENS = "slipway_chat_tokens_total",
        "Tokens of prompts and answers, as models count them";
    counter FAILURES = "slipway_chat_failures_total", "Questions without an answer, by reason";
    gauge GENERATING = "slipway_chat_generating", "Answers that are being written";
    gauge QUEUED = "slipway_chat_queued", "Questions that wait for their turn";
    counter REFUSED = "slipway_chat_refused_total", "Questions refused because too many wait";
}
