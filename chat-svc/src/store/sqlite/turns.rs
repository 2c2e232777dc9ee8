//! Turns in SQLite. A change runs within the writer's transaction, which holds SQLite's
//! write lock: nothing happens between what it reads and what it writes.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use slipway_mesh::{
    bus::Event,
    outbox::sqlite::append,
    store::sqlite::{StorageError, from_column, to_column},
};
use uuid::Uuid;

use super::{rows, sessions::session};
use crate::{
    chat::{Reason, SessionId, Turn, TurnState},
    request_key::RequestKey,
    store::{Asking, BeginError, Begun, Lease, REQUEST_KEY_TTL, Settled},
};

pub(super) const FOLLOWING: &str =
    "SELECT * FROM turns WHERE session_id = ?1 AND number > ?2 ORDER BY number LIMIT ?3";

pub(super) const ANSWERED_BEFORE: &str = "SELECT * FROM turns
     WHERE session_id = ?1 AND number < ?2 AND state = 'ANSWERED' ORDER BY number DESC LIMIT ?3";

pub(super) const BY_REQUEST: &str = "SELECT * FROM turns
     WHERE session_id = ?1 AND request_key = ?2 AND asked_at > ?3 AND state <> 'UNANSWERED'";

pub(super) const OPEN: &str =
    "SELECT lease_until FROM turns WHERE session_id = ?1 AND state = 'ASKED'";

pub(super) const EXPIRE: &str = "UPDATE turns
     SET state = 'UNANSWERED', reason = ?1, lease_holder = NULL, lease_until = NULL
     WHERE (session_id, number) IN (
         SELECT session_id, number FROM turns WHERE state = 'ASKED' AND lease_until <= ?2 LIMIT ?3
     )";

pub(super) const RENEW: &str = "UPDATE turns SET lease_until = ?3
     WHERE session_id = ?1 AND state = 'ASKED' AND lease_holder = ?2";

pub(super) fn begin(c: &Connection, asking: &Asking) -> Result<Begun, BeginError> {
    let now = asking.question.asked_at;
    if session(c, asking.session, asking.owner)?.is_none() {
        return Err(BeginError::NotFound);
    }
    if let Some(request) = &asking.request
        && let Some(turn) = earlier(c, asking.session, request, now)?
    {
        return Ok(Begun::Earlier(Box::new(turn)));
    }
    if let Some(until) = open_until(c, asking.session)? {
        if until > now {
            return Err(BeginError::Busy);
        }
        interrupt(c, asking.session)?;
    }
    Ok(Begun::New(insert(c, asking)?))
}

/// When the lease on the open question runs out, if there is one.
fn open_until(c: &Connection, session: SessionId) -> Result<Option<Timestamp>, StorageError> {
    let until: Option<i64> = c
        .prepare_cached(OPEN)?
        .query_row([session.to_string()], |row| row.get(0))
        .optional()?;
    Ok(until.map(from_column).transpose()?)
}

fn interrupt(c: &Connection, session: SessionId) -> Result<(), StorageError> {
    c.prepare_cached(
        "UPDATE turns SET state = 'UNANSWERED', reason = ?2, lease_holder = NULL, lease_until = NULL
         WHERE session_id = ?1 AND state = 'ASKED'",
    )?
    .execute((session.to_string(), Reason::Interrupted.name()))?;
    Ok(())
}

fn insert(c: &Connection, asking: &Asking) -> Result<u64, StorageError> {
    let session = asking.session.to_string();
    let number: u64 = c
        .prepare_cached("SELECT coalesce(max(number), 0) + 1 FROM turns WHERE session_id = ?1")?
        .query_row([&session], |row| row.get(0))?;
    let request = asking.request.as_ref();
    c.prepare_cached(
        "INSERT INTO turns (session_id, number, question_id, question, asked_at, request_key,
             request_fingerprint, state, lease_holder, lease_until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'ASKED', ?8, ?9)",
    )?
    .execute(params![
        session,
        number,
        asking.question.id.to_string(),
        asking.question.content.as_str(),
        to_column(asking.question.asked_at),
        request.map(|request| &request.key),
        request.map(|request| &request.fingerprint),
        asking.lease.holder.to_string(),
        to_column(asking.lease.until),
    ])?;
    touch(c, asking.session, asking.question.asked_at)?;
    Ok(number)
}

fn touch(c: &Connection, session: SessionId, at: Timestamp) -> Result<(), StorageError> {
    c.prepare_cached("UPDATE sessions SET last_message_at = ?2 WHERE id = ?1")?
        .execute((session.to_string(), to_column(at)))?;
    Ok(())
}

pub(super) fn earlier(
    c: &Connection,
    session: SessionId,
    request: &RequestKey,
    now: Timestamp,
) -> Result<Option<Turn>, BeginError> {
    let found = c
        .prepare_cached(BY_REQUEST)
        .and_then(|mut query| {
            let since = to_column(now - REQUEST_KEY_TTL);
            let of = (session.to_string(), &request.key, since);
            query
                .query_row(of, |row| {
                    let fingerprint: String = row.get("request_fingerprint")?;
                    let until: Option<i64> = row.get("lease_until")?;
                    Ok((fingerprint, until, rows::turn(row)?))
                })
                .optional()
        })
        .map_err(StorageError::from)?;
    let Some((fingerprint, until, turn)) = found else {
        return Ok(None);
    };
    if fingerprint != request.fingerprint {
        return Err(BeginError::KeyReused);
    }
    match turn.state {
        // One whose lease has run out is as good as unanswered.
        TurnState::Asked if until.is_some_and(|until| until <= to_column(now)) => Ok(None),
        TurnState::Asked => Err(BeginError::Busy),
        _ => Ok(Some(turn)),
    }
}

pub(super) fn renew(
    c: &Connection,
    session: SessionId,
    lease: Lease,
) -> Result<bool, StorageError> {
    let renewed = c.prepare_cached(RENEW)?.execute((
        session.to_string(),
        lease.holder.to_string(),
        to_column(lease.until),
    ))?;
    Ok(renewed == 1)
}

pub(super) fn settle(
    c: &Connection,
    session: SessionId,
    holder: Uuid,
    state: &Settled,
    event: Option<&Event>,
) -> Result<bool, StorageError> {
    let under_lease = "WHERE session_id = ?1 AND state = 'ASKED' AND lease_holder = ?2";
    let (id, holder) = (session.to_string(), holder.to_string());
    let settled = match state {
        Settled::Unanswered(reason) => c
            .prepare_cached(&format!(
                "UPDATE turns SET state = 'UNANSWERED', reason = ?3, lease_holder = NULL,
                     lease_until = NULL {under_lease}"
            ))?
            .execute((id, holder, reason.name()))?,
        Settled::Answered(answer) => c
            .prepare_cached(&format!(
                "UPDATE turns SET state = 'ANSWERED', lease_holder = NULL, lease_until = NULL,
                     answer_id = ?3, answer = ?4, model = ?5, answered_at = ?6, latency_ms = ?7,
                     time_to_first_token_ms = ?8, prompt_tokens = ?9, answer_tokens = ?10,
                     context = ?11 {under_lease}"
            ))?
            .execute(params![
                id,
                holder,
                answer.id.to_string(),
                answer.content,
                answer.model,
                to_column(answer.answered_at),
                answer.latency_ms,
                answer.time_to_first_token_ms,
                answer.tokens.prompt,
                answer.tokens.answer,
                serde_json::to_string(&answer.context)
                    .map_err(|error| StorageError::Unusable(error.to_string()))?,
            ])?,
    };
    if settled == 0 {
        return Ok(false);
    }
    if let Settled::Answered(answer) = state {
        touch(c, session, answer.answered_at)?;
    }
    append(c, event.map_or(&[], std::slice::from_ref))?;
    Ok(true)
}

pub(super) fn settle_expired(
    c: &Connection,
    now: Timestamp,
    limit: u32,
) -> Result<u64, StorageError> {
    let settled =
        c.prepare_cached(EXPIRE)?
            .execute((Reason::Interrupted.name(), to_column(now), limit))?;
    Ok(settled as u64)
}

pub(super) fn following(
    c: &Connection,
    session: SessionId,
    after: u64,
    limit: u32,
) -> Result<Vec<Turn>, StorageError> {
    let mut query = c.prepare_cached(FOLLOWING)?;
    let found = query.query_map((session.to_string(), after, limit), rows::turn)?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn answered_before(
    c: &Connection,
    session: SessionId,
    before: u64,
    limit: u32,
) -> Result<Vec<Turn>, StorageError> {
    let mut query = c.prepare_cached(ANSWERED_BEFORE)?;
    let before = i64::try_from(before).unwrap_or(i64::MAX);
    let found = query.query_map((session.to_string(), before, limit), rows::turn)?;
    let mut turns: Vec<_> = found.collect::<Result<_, _>>()?;
    turns.reverse();
    Ok(turns)
}
