//! This crate's metrics.

use metrics::{counter, gauge, histogram};

slipway_runtime::metrics! {
    pub fn describe;
    counter REQUESTS {model, outcome} = "slipway_chat_requests_total",
        "Questions, by model and outcome (answered or unanswered)";
    histogram LATENCY_SECONDS {model} = "slipway_chat_latency_seconds",
        "Seconds from a question to the end of its answer, by model";
    histogram FIRST_TOKEN_SECONDS {model} = "slipway_chat_time_to_first_token_seconds",
        "Seconds from a question to the first text of its answer, by model";
    counter TOKENS {model, kind} = "slipway_chat_tokens_total",
        "Tokens of prompts and answers, as models count them, by model and kind (prompt or answer)";
    counter FAILURES {model, reason} = "slipway_chat_failures_total",
        "Questions without an answer, by model and reason";
    gauge GENERATING = "slipway_chat_generating", "Answers being generated";
    gauge QUEUED = "slipway_chat_queued", "Questions in the queue";
    counter REFUSED = "slipway_chat_refused_total", "Questions refused because the queue was full";
}

/// Begins the metrics of questions to `model` at zero.
pub(crate) fn begin(model: &str) {
    let model = model.to_owned();
    for outcome in ["answered", "unanswered"] {
        counter!(REQUESTS, "model" => model.clone(), "outcome" => outcome).increment(0);
    }
    for kind in ["prompt", "answer"] {
        counter!(TOKENS, "model" => model.clone(), "kind" => kind).increment(0);
    }
    for latency in [LATENCY_SECONDS, FIRST_TOKEN_SECONDS] {
        drop(histogram!(latency, "model" => model.clone()));
    }
    for level in [GENERATING, QUEUED] {
        gauge!(level).increment(0);
    }
}
