//! What is stored of a session: a document with its newest turn. Pure: what follows from
//! what is asked, answered and deleted.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_store::{Collection, Document, Entries, Index, by_time};
use uuid::Uuid;

use super::{Lease, NewQuestion, Settled, earlier::StoredTurn};
use crate::{
    chat::{Reason, Session, SessionId, Title, Turn, TurnState, UserId},
    request_key::RequestKey,
};

/// How long a question that began before a deletion may take to copy a turn: longer than
/// any operation.
pub(super) const LATE: Duration = Duration::from_secs(30);

/// An owner's sessions that are not deleted.
pub(super) const BY_OWNER: Index = Index::list("by_owner");
/// A request makes one session.
pub(super) const BY_REQUEST: Index = Index::unique("by_request");
/// Those with an open question, by when its lease runs out.
pub(super) const BY_LEASE: Index = Index::list("by_lease");
/// Deleted ones whose turns are to be erased once more, by when.
pub(super) const BY_ERASURE: Index = Index::list("by_erasure");

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredSession {
    /// Grows with every change.
    version: u64,
    /// The request that made it, as long as it is remembered.
    made_by: Option<RequestKey>,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum State {
    Alive(Box<Conversation>),
    Deleted(Trace),
}

/// A session that is not deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Conversation {
    pub(super) session: Session,
    pub(super) newest: Option<StoredTurn>,
}

/// What is kept of a deleted session: its owner can delete it again, and the request that
/// made it makes no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Trace {
    id: SessionId,
    owner: UserId,
    created_at: Timestamp,
    deleted_at: Timestamp,
    /// When its turns are erased once more, until that is done.
    erase_again_at: Option<Timestamp>,
}

impl StoredSession {
    pub(super) fn new(session: Session, made_by: Option<RequestKey>) -> Self {
        let newest = None;
        Self {
            version: 1,
            made_by,
            state: State::Alive(Box::new(Conversation { session, newest })),
        }
    }

    /// The session and its newest turn, unless it is deleted.
    pub(super) fn alive(&self) -> Option<&Conversation> {
        match &self.state {
            State::Alive(conversation) => Some(conversation),
            State::Deleted(_) => None,
        }
    }

    /// The same, of this owner.
    pub(super) fn alive_of(&self, owner: UserId) -> Option<&Conversation> {
        let alive = self.alive();
        alive.filter(|conversation| conversation.session.owner == owner)
    }

    /// The same, as a value.
    pub(super) fn into_alive(self) -> Option<Conversation> {
        match self.state {
            State::Alive(conversation) => Some(*conversation),
            State::Deleted(_) => None,
        }
    }

    pub(super) fn session_id(&self) -> SessionId {
        match &self.state {
            State::Alive(conversation) => conversation.session.id,
            State::Deleted(trace) => trace.id,
        }
    }

    pub(super) fn owner(&self) -> UserId {
        match &self.state {
            State::Alive(conversation) => conversation.session.owner,
            State::Deleted(trace) => trace.owner,
        }
    }

    pub(super) fn created_at(&self) -> Timestamp {
        match &self.state {
            State::Alive(conversation) => conversation.session.created_at,
            State::Deleted(trace) => trace.created_at,
        }
    }

    pub(super) fn made_by(&self) -> Option<&RequestKey> {
        self.made_by.as_ref()
    }

    fn next(&self, made_by: Option<RequestKey>, state: State) -> Self {
        Self {
            version: self.version + 1,
            made_by,
            state,
        }
    }

    /// With the conversation as it is now.
    pub(super) fn with(&self, conversation: Conversation) -> Self {
        self.next(self.made_by.clone(), State::Alive(Box::new(conversation)))
    }

    /// Without the request that made it: another may have its key.
    pub(super) fn forgetting_request(&self) -> Self {
        self.next(None, self.state.clone())
    }

    /// Without all that was said. Every other change comes too late after that.
    pub(super) fn deleted(&self, now: Timestamp) -> Self {
        let trace = Trace {
            id: self.session_id(),
            owner: self.owner(),
            created_at: self.created_at(),
            deleted_at: now,
            erase_again_at: Some(now.checked_add(LATE).unwrap_or(Timestamp::MAX)),
        };
        self.next(self.made_by.clone(), State::Deleted(trace))
    }

    /// After its turns were erased once more; `None` if that is not due.
    pub(super) fn erased(&self, now: Timestamp) -> Option<Self> {
        let State::Deleted(trace) = &self.state else {
            return None;
        };
        trace.erase_again_at.filter(|due| *due <= now)?;
        let mut trace = trace.clone();
        trace.erase_again_at = None;
        Some(self.next(self.made_by.clone(), State::Deleted(trace)))
    }
}

impl Conversation {
    pub(super) fn renamed(&self, title: Title) -> Self {
        let mut after = self.clone();
        after.session.title = title;
        after.session.revision += 1;
        after
    }

    /// With another question behind the newest turn, which is settled.
    pub(super) fn asked(&self, asking: &NewQuestion) -> Self {
        let before = self.newest.as_ref().map_or(0, |newest| newest.turn.number);
        let mut session = self.session.clone();
        session.last_message_at = Some(asking.question.asked_at);
        let turn = Turn {
            number: before + 1,
            question: asking.question.clone(),
            state: TurnState::Asked,
        };
        let newest = Some(StoredTurn {
            turn,
            request: asking.request.clone(),
            lease: Some(asking.lease),
        });
        Self { session, newest }
    }

    /// The lease on the open question, if there is one.
    fn lease(&self) -> Option<&Lease> {
        self.newest.as_ref()?.lease.as_ref()
    }

    /// With the open question's lease until a later time; `None` if it is another's.
    pub(super) fn renewed(&self, lease: Lease) -> Option<Self> {
        self.lease().filter(|held| held.holder == lease.holder)?;
        let mut after = self.clone();
        after.newest.as_mut()?.lease = Some(lease);
        Some(after)
    }

    /// With the open question settled; `None` if its lease is another's.
    pub(super) fn settled(&self, holder: Uuid, state: &Settled) -> Option<Self> {
        self.lease().filter(|lease| lease.holder == holder)?;
        let mut after = self.clone();
        let newest = after.newest.as_mut()?;
        newest.lease = None;
        newest.turn.state = state.clone().into();
        if let Settled::Answered(answer) = state {
            after.session.last_message_at = Some(answer.answered_at);
        }
        Some(after)
    }

    /// With the open question settled as interrupted; `None` if its lease has not run out.
    pub(super) fn interrupted(&self, now: Timestamp) -> Option<Self> {
        let lease = self.lease().filter(|lease| lease.until <= now)?;
        self.settled(lease.holder, &Settled::Unanswered(Reason::Interrupted))
    }
}

impl Document for StoredSession {
    const COLLECTION: Collection =
        Collection::new("sessions", 1, &[BY_OWNER, BY_REQUEST, BY_LEASE, BY_ERASURE]).with_events();

    /// `None` of a deleted one.
    type Summary = Option<Session>;

    fn id(&self) -> String {
        self.session_id().to_string()
    }

    fn revision(&self) -> u64 {
        self.version
    }

    fn entries(&self, entries: &mut Entries) {
        if let Some(request) = &self.made_by {
            entries.unique(&BY_REQUEST, &request.key);
        }
        let id = self.session_id();
        match &self.state {
            State::Alive(conversation) => {
                entries.list(&BY_OWNER, conversation.session.owner, id);
                if let Some(lease) = conversation.lease() {
                    entries.list(&BY_LEASE, "", by_time(lease.until, id));
                }
            }
            State::Deleted(trace) => {
                if let Some(due) = trace.erase_again_at {
                    entries.list(&BY_ERASURE, "", by_time(due, id));
                }
            }
        }
    }

    fn summary(&self) -> Option<Session> {
        Some(self.alive()?.session.clone())
    }
}
