//! The sessions that have ended while tokens of them may still be valid.
//!
//! A token is verified without a call, so it would stay valid until it expires although its session
//! has ended. Each process therefore knows the few sessions that ended within the lifetime of a
//! token. A process that stores sessions adds those that end; the others follow it.

use std::{
    collections::{HashMap, VecDeque},
    future::pending,
    sync::Arc,
};

use jiff::Timestamp;
use parking_lot::RwLock;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Ends that a follower may be behind. A slower one starts over with all of them.
const FOLLOWER_BOUND: usize = 1024;

/// A session that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedSession {
    /// Its id.
    pub id: Uuid,
    /// From then on no token of it can be valid.
    pub until: Timestamp,
}

/// The ended sessions that this process knows. Cheap to clone: all clones are the same set.
#[derive(Debug, Clone)]
pub struct EndedSessions(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: RwLock<State>,
    /// Sent to while `state` is locked, so that a follower misses nothing.
    live: broadcast::Sender<EndedSession>,
}

#[derive(Debug, Default)]
struct State {
    ended: HashMap<Uuid, Timestamp>,
    /// The same in the order in which they were added, to forget the oldest ones.
    order: VecDeque<EndedSession>,
    /// The sessions of open streams, with the number of them.
    watched: HashMap<Uuid, (CancellationToken, usize)>,
}

impl Default for EndedSessions {
    fn default() -> Self {
        Self(Arc::new(Shared {
            state: RwLock::default(),
            live: broadcast::channel(FOLLOWER_BOUND).0,
        }))
    }
}

impl EndedSessions {
    /// Adds a session, and ends its open streams. At `now` it forgets sessions without valid tokens.
    pub fn add(&self, session: EndedSession, now: Timestamp) {
        let mut state = self.0.state.write();
        while state
            .order
            .front()
            .is_some_and(|oldest| oldest.until <= now)
        {
            if let Some(oldest) = state.order.pop_front() {
                state.ended.remove(&oldest.id);
            }
        }
        if session.until <= now || state.ended.insert(session.id, session.until).is_some() {
            return;
        }
        state.order.push_back(session);
        if let Some((watched, _)) = state.watched.get(&session.id) {
            watched.cancel();
        }
        // There may be no followers.
        drop(self.0.live.send(session));
    }

    /// Whether this session has ended.
    #[must_use]
    pub fn contains(&self, session: Uuid) -> bool {
        self.0.state.read().ended.contains_key(&session)
    }

    /// Watches the end of a session; `None`: of a token without one.
    #[must_use]
    pub fn watch(&self, session: Option<Uuid>) -> SessionWatch {
        SessionWatch(session.map(|id| {
            let mut state = self.0.state.write();
            let has_ended = state.ended.contains_key(&id);
            let (end, count) = state.watched.entry(id).or_default();
            *count += 1;
            if has_ended {
                end.cancel();
            }
            Watched {
                id,
                end: end.clone(),
                sessions: self.clone(),
            }
        }))
    }

    /// All known sessions, oldest first, and those that are added later, in order.
    #[must_use]
    pub fn follow(&self) -> (Vec<EndedSession>, broadcast::Receiver<EndedSession>) {
        let state = self.0.state.read();
        let known = state.order.iter().copied().collect();
        (known, self.0.live.subscribe())
    }
}

/// Watches the end of the session of an open stream.
#[derive(Debug)]
pub struct SessionWatch(Option<Watched>);

#[derive(Debug)]
struct Watched {
    id: Uuid,
    end: CancellationToken,
    sessions: EndedSessions,
}

impl SessionWatch {
    /// Waits until the session has ended; forever for a token without a session.
    pub fn ended(&self) -> impl Future<Output = ()> + use<> {
        let end = self.end();
        async move {
            match end {
                Some(end) => end.cancelled_owned().await,
                None => pending().await,
            }
        }
    }

    /// The same, for polling.
    pub(super) fn end(&self) -> Option<CancellationToken> {
        self.0.as_ref().map(|watched| watched.end.clone())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut state = self.sessions.0.state.write();
        if let Some((_, count)) = state.watched.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                state.watched.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use jiff::SignedDuration;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn ended(id: u128, seconds: i64) -> EndedSession {
        EndedSession {
            id: Uuid::from_u128(id),
            until: NOW + SignedDuration::from_secs(seconds),
        }
    }

    #[test]
    fn a_session_is_forgotten_when_no_token_of_it_can_be_valid() {
        let sessions = EndedSessions::default();
        sessions.add(ended(1, 10), NOW);
        sessions.add(ended(2, 20), NOW);
        assert!(sessions.contains(Uuid::from_u128(1)));
        sessions.add(ended(3, 30), NOW + SignedDuration::from_secs(15));
        assert!(!sessions.contains(Uuid::from_u128(1)));
        assert_eq!(sessions.follow().0, [ended(2, 20), ended(3, 30)]);
        let late = NOW + SignedDuration::from_secs(60);
        sessions.add(ended(4, 50), late);
        assert_eq!(sessions.follow().0, []);
    }

    #[test]
    fn a_follower_gets_every_session_once() {
        let sessions = EndedSessions::default();
        sessions.add(ended(1, 10), NOW);
        let (known, mut live) = sessions.follow();
        assert_eq!(known, [ended(1, 10)]);
        for id in [1, 2, 2] {
            sessions.add(ended(id, 10), NOW);
        }
        assert_eq!(live.try_recv().unwrap(), ended(2, 10));
        assert!(live.try_recv().is_err());
    }

    #[test]
    fn a_stream_learns_of_the_end_of_its_session_only() {
        let sessions = EndedSessions::default();
        let [one, two] = [1, 2].map(|id| sessions.watch(Some(Uuid::from_u128(id))));
        let none = sessions.watch(None);
        sessions.add(ended(1, 10), NOW);
        assert!(one.ended().now_or_never().is_some());
        assert!(two.ended().now_or_never().is_none());
        assert!(none.ended().now_or_never().is_none());
        // A stream that opens after the end must not miss it.
        let late = sessions.watch(Some(Uuid::from_u128(1)));
        assert!(late.ended().now_or_never().is_some());
        drop((one, two, none, late));
        assert!(sessions.0.state.read().watched.is_empty());
    }
}
