//! The stored form of a turn: part of its session while it is the newest turn, later its own
//! document.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_store::{Collection, Document, Entries, Index};

use super::{Lease, REQUEST_KEY_TTL};
use crate::{
    chat::{SessionId, Turn, TurnState},
    request_key::RequestKey,
};

/// The turns of a session, in order.
pub(super) const BY_SESSION: Index = Index::list("by_session");
/// Answered turns of a session, in order.
pub(super) const ANSWERED: Index = Index::list("answered");
/// Turns of a request, see [`of_request`].
pub(super) const TURN_BY_REQUEST: Index = Index::list("turn_by_request");

/// A turn with its request and its lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredTurn {
    pub(super) turn: Turn,
    /// The request that asked it.
    pub(super) request: Option<RequestKey>,
    /// Set while the question is open.
    pub(super) lease: Option<Lease>,
}

impl StoredTurn {
    /// Whether it answers a repetition of its request at `now`.
    pub(super) fn counts(&self, now: Timestamp) -> bool {
        self.turn.question.asked_at > now - REQUEST_KEY_TTL
            && !matches!(self.turn.state, TurnState::Unanswered(_))
            // A question with an expired lease counts as unanswered.
            && self.lease.is_none_or(|lease| lease.until > now)
    }
}

/// A turn that is no longer the newest. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EarlierTurn {
    pub(super) session: SessionId,
    pub(super) stored: StoredTurn,
}

/// Sort key of a turn in its session.
pub(super) fn place(number: u64) -> String {
    format!("{number:020}")
}

/// The index key of a request in a session.
pub(super) fn of_request(session: SessionId, request: &RequestKey) -> String {
    format!("{session}/{}", request.key)
}

impl Document for EarlierTurn {
    const COLLECTION: Collection =
        Collection::new("turns", 1, &[BY_SESSION, ANSWERED, TURN_BY_REQUEST]);

    type Summary = ();

    /// The same for each copy of a turn.
    fn id(&self) -> String {
        format!("{}/{}", self.session, self.stored.turn.number)
    }

    fn revision(&self) -> u64 {
        1
    }

    fn entries(&self, entries: &mut Entries) {
        let turn = &self.stored.turn;
        let place = place(turn.number);
        entries.list(&BY_SESSION, self.session, &place);
        if turn.answer().is_some() {
            entries.list(&ANSWERED, self.session, &place);
        }
        if let Some(request) = &self.stored.request {
            entries.list(&TURN_BY_REQUEST, of_request(self.session, request), &place);
        }
    }

    fn summary(&self) {}
}
