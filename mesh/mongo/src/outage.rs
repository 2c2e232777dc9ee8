//! Detects outages of the server, so that operations fail at once instead of waiting in vain.
//!
//! The driver looks for a server for two seconds before an operation fails: long enough for a short
//! failover. Its monitors check the servers every second on their own. When they have seen no
//! server for two seconds, operations are refused at once, and nothing is sent; when they see a
//! server again, operations continue.
//!
//! When there are servers but no primary, the servers are electing one. This has a longer timeout,
//! because it may be over at any moment.
//!
//! An operation does not know its client, and a process normally has one: the state is shared by
//! the whole process. If there are several clients, an outage means that all of them see no server.

use std::time::Duration;

use mongodb::{
    ServerInfo, ServerType,
    bson::oid::ObjectId,
    event::{
        EventHandler,
        sdam::{SdamEvent, TopologyDescription},
    },
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::SELECTION_TIMEOUT;

/// How long an election may take: a member waits for 10 seconds before it starts one.
const ELECTION: Duration = Duration::from_secs(15);

static CLIENTS: Mutex<Clients> = Mutex::new(Clients(Vec::new()));

/// What a client's monitors see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reachability {
    /// A server that accepts writes.
    Writable,
    /// Servers, but none that accepts writes.
    Leaderless,
    /// No server.
    Unreachable,
}

impl Reachability {
    fn of(topology: &TopologyDescription) -> Self {
        let servers = topology.servers();
        let mut types = servers.values().map(ServerInfo::server_type);
        if topology.has_writable_server() {
            Self::Writable
        } else if types.any(|server| server != ServerType::Unknown) {
            Self::Leaderless
        } else {
            Self::Unreachable
        }
    }

    /// How long this state must last to count as an outage.
    fn tolerance(self) -> Duration {
        match self {
            Self::Writable => Duration::MAX,
            Self::Leaderless => ELECTION,
            Self::Unreachable => SELECTION_TIMEOUT,
        }
    }
}

/// What each client that has seen a server sees now, and since when.
#[derive(Debug)]
struct Clients(Vec<(ObjectId, Reachability, Instant)>);

impl Clients {
    fn sees(&mut self, client: ObjectId, reachability: Reachability, now: Instant) {
        match self.0.iter_mut().find(|known| known.0 == client) {
            Some(known) if known.1 == reachability => {}
            Some(known) => {
                tracing::info!(before = ?known.1, now = ?reachability, "MongoDB topology changed");
                *known = (client, reachability, now);
            }
            // Clients that have not seen a server yet wait in `connect`.
            None if reachability == Reachability::Writable => {
                self.0.push((client, reachability, now));
            }
            None => {}
        }
    }

    fn is_away(&self, now: Instant) -> bool {
        let away = |reachability: Reachability, since| {
            now.duration_since(since) >= reachability.tolerance()
        };
        !self.0.is_empty() && self.0.iter().all(|known| away(known.1, known.2))
    }
}

/// Receives what a client's monitors see.
pub(super) fn observer() -> EventHandler<SdamEvent> {
    EventHandler::callback(|event| match event {
        SdamEvent::TopologyDescriptionChanged(event) => {
            let reachability = Reachability::of(&event.new_description);
            CLIENTS
                .lock()
                .sees(event.topology_id, reachability, Instant::now());
        }
        SdamEvent::TopologyClosed(event) => {
            CLIENTS
                .lock()
                .0
                .retain(|known| known.0 != event.topology_id);
        }
        _ => {}
    })
}

/// Whether there is an outage.
pub(super) fn is_known() -> bool {
    CLIENTS.lock().is_away(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn an_outage_is_detected_after_the_time_that_an_operation_waits() {
        let (mut known, start, client) = (Clients(Vec::new()), Instant::now(), ObjectId::new());
        known.sees(client, Reachability::Unreachable, start);
        assert!(!known.is_away(start + ELECTION), "it is only starting");
        known.sees(client, Reachability::Writable, start);
        assert!(!known.is_away(start + ELECTION));
        let lost_at = start + ELECTION;
        known.sees(client, Reachability::Unreachable, lost_at);
        known.sees(client, Reachability::Unreachable, lost_at + MOMENT);
        assert!(!known.is_away(lost_at + SELECTION_TIMEOUT - MOMENT));
        assert!(known.is_away(lost_at + SELECTION_TIMEOUT));
        known.sees(client, Reachability::Writable, lost_at + SELECTION_TIMEOUT);
        assert!(!known.is_away(lost_at + ELECTION), "it is back");
    }

    #[test]
    fn an_election_has_a_longer_timeout() {
        let (mut known, start, client) = (Clients(Vec::new()), Instant::now(), ObjectId::new());
        known.sees(client, Reachability::Writable, start);
        known.sees(client, Reachability::Leaderless, start);
        assert!(!known.is_away(start + ELECTION - MOMENT));
        assert!(known.is_away(start + ELECTION));
    }

    #[test]
    fn one_client_that_sees_a_server_is_enough() {
        let (mut known, start) = (Clients(Vec::new()), Instant::now());
        let (one, other) = (ObjectId::new(), ObjectId::new());
        for client in [one, other] {
            known.sees(client, Reachability::Writable, start);
        }
        known.sees(one, Reachability::Unreachable, start);
        assert!(!known.is_away(start + ELECTION));
        known.sees(other, Reachability::Unreachable, start);
        assert!(known.is_away(start + ELECTION));
    }
}
