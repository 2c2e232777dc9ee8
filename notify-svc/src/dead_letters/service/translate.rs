//! Translates between protobuf messages and this feature's types.

use sha2::{Digest as _, Sha256};
use slipway_bus::consumer::envelope::Cause;
use slipway_proto::{
    notify::v1::{
        DeadLetter, DeadLetterAct, DeadLetterFailure, DeadLetterFilter, DeadLetterHeader,
        DeadLetterState, DeadLetterSummary,
    },
    time::to_proto as timestamp,
};
use slipway_rpc::{access::principal, error::Fault, metadata::IDEMPOTENCY_KEY};
use slipway_runtime::text::is_blank;
use tonic::Status;

use crate::{
    dead_letters::{Act, DeadLetterId, Filed, Filter, State, Summary, replay::Replay},
    translate::{caller, period, user},
};

pub(super) fn id(text: &str) -> Result<DeadLetterId, Fault> {
    text.parse()
        .map_err(|error| Fault::invalid_field("id", format!("{error}")))
}

/// The replay that a request asks for, with its caller and the hash of its idempotency key.
pub(super) fn replay<T>(request: &tonic::Request<T>) -> Result<Replay, Status> {
    let key = request.metadata().get(IDEMPOTENCY_KEY);
    let hash = key.map(|key| {
        let digest = Sha256::digest(key.as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    });
    Ok(Replay {
        by: caller(&*principal(request)?),
        edited: None,
        request: hash,
    })
}

pub(super) fn filter(wanted: Option<DeadLetterFilter>) -> Result<Filter, Fault> {
    let wanted = wanted.unwrap_or_default();
    let state = match wanted.state() {
        DeadLetterState::Unspecified if wanted.state != 0 => {
            let message = "must be WAITING or REPLAYED";
            return Err(Fault::invalid_field("filter.state", message));
        }
        DeadLetterState::Unspecified => None,
        DeadLetterState::Waiting => Some(State::Waiting),
        DeadLetterState::Replayed => Some(State::Replayed),
    };
    let text = |text: String| Some(text).filter(|text| !is_blank(text));
    let cause = text(wanted.cause);
    let is = |cause: &String| Cause::ALL.iter().any(|known| known.as_str() == cause);
    if cause.as_ref().is_some_and(|cause| !is(cause)) {
        let message = "must be undecodable, poison, panic or exhausted";
        return Err(Fault::invalid_field("filter.cause", message));
    }
    let (from, to) = period(wanted.from, wanted.to)?;
    Ok(Filter {
        from,
        to,
        group: text(wanted.group),
        event_type: text(wanted.event_type),
        cause,
        reason: text(wanted.reason),
        state,
    })
}

/// The filter for a replay of many. To replay all, the request must say so: an empty filter is more
/// often a mistake.
pub(super) fn replayed(wanted: Option<DeadLetterFilter>, all: bool) -> Result<Filter, Fault> {
    let filter = Filter {
        state: None,
        ..filter(wanted)?
    };
    match (filter == Filter::default(), all) {
        (true, false) => Err(Fault::invalid_field(
            "filter",
            "must have a condition, or all must be true",
        )),
        (false, true) => Err(Fault::invalid_field(
            "all",
            "must not be true with a filter that has a condition",
        )),
        _ => Ok(filter),
    }
}

pub(super) fn summary(found: Summary) -> DeadLetterSummary {
    let state = match found.state {
        State::Waiting => DeadLetterState::Waiting,
        State::Replayed => DeadLetterState::Replayed,
    };
    DeadLetterSummary {
        id: found.id.to_string(),
        state: state.into(),
        received_at: Some(timestamp(found.received_at)),
        group: found.group,
        topic: found.topic,
        key: found.key,
        event_id: found.event_id.unwrap_or_default(),
        event_type: found.event_type.unwrap_or_default(),
        subject: found.subject.unwrap_or_default(),
        cause: found.cause,
        reason: found.reason,
        attempts: found.attempts,
        first_failure: found.first_failure.map(timestamp),
        replay_of: text(found.replay_of),
    }
}

pub(super) fn dead_letter(found: Filed) -> DeadLetter {
    let summary = summary(found.summary());
    let letter = found.letter;
    let headers = letter.record.headers.into_iter();
    let history = letter.history.into_iter();
    DeadLetter {
        summary: Some(summary),
        partition: letter.partition,
        offset: letter.offset,
        headers: headers
            .map(|(name, value)| DeadLetterHeader { name, value })
            .collect(),
        payload: letter.record.value.into(),
        history: history
            .map(|attempt| DeadLetterFailure {
                at: Some(timestamp(attempt.at)),
                error: attempt.error,
            })
            .collect(),
        acts: found.acts.into_iter().map(act).collect(),
        returned_as: text(found.returned_as),
    }
}

fn act(act: Act) -> DeadLetterAct {
    DeadLetterAct {
        by: Some(user(&act.by)),
        at: Some(timestamp(act.at)),
        edited_payload: act.edited,
    }
}

fn text(id: Option<DeadLetterId>) -> String {
    id.map_or_else(String::new, |id| id.to_string())
}
