//! What is stored of a turn: within its session while it is the newest, then as a document
//! of its own.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_store::{Collection, Document, Entries, Index};

use super::{Lease, REQUEST_KEY_TTL};
use crate::{
    chat::{SessionId, Turn, TurnState},
    request_key::RequestKey,
};

/// A session's turns, in order.
pub(super) const BY_SESSION: Index = Index::list("by_session");
/// Those that are answered.
pub(super) const ANSWERED: Index = Index::list("answered");
/// Those of a request, see [`of_request`].
pub(super) const TURN_BY_REQUEST: Index = Index::list("turn_by_request");

/// A turn, with what is known of it as long as it matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredTurn {
    pub(super) turn: Turn,
    /// The request that asked.
    pub(super) request: Option<RequestKey>,
    /// Only while it is open.
    pub(super) lease: Option<Lease>,
}

impl StoredTurn {
    /// Whether a repetition of its request, at `now`, is answered by it.
    pub(super) fn counts(&self, now: Timestamp) -> bool {
        self.turn.question.asked_at > now - REQUEST_KEY_TTL
            && !matches!(self.turn.state, TurnState::Unanswered(_))
            // One whose lease has run out is as good as unanswered.
            && self.lease.is_none_or(|lease| lease.until > now)
    }
}

/// A turn that is not the newest any more. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EarlierTurn {
    pub(super) session: SessionId,
    pub(super) stored: StoredTurn,
}

/// The text that orders the turns of a session.
pub(super) fn place(number: u64) -> String {
    format!("{number:020}")
}

/// The key of a request in a session.
pub(super) fn of_request(session: SessionId, request: &RequestKey) -> String {
    format!("{session}/{}", request.key)
}

impl Document for EarlierTurn {
    const COLLECTION: Collection =
        Collection::new("turns", 1, &[BY_SESSION, ANSWERED, TURN_BY_REQUEST]);

    type Summary = ();

    /// A copy made twice is one.
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
