//! Whether the server is known to be away, so that nobody waits for it in vain.
//!
//! The driver looks for a server for two seconds before an operation fails: long enough
//! for a short failover. Its monitors look every second on their own. Once they have seen
//! no server for those two seconds, operations are refused at once, and nothing is sent;
//! with the first server that they see, operations go on.
//!
//! While servers are there and none is their primary, they are electing one. That is given
//! longer, for it may be over in the next moment.
//!
//! An operation does not say which client it is of, and a process has one: what is known
//! is the process's. Where there are more, they are away when all of them are.

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

/// How long an election may take: a member waits for 10 seconds before it begins one.
const ELECTION: Duration = Duration::from_secs(15);

static CLIENTS: Mutex<Clients> = Mutex::new(Clients(Vec::new()));

/// What a client's monitors see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reachability {
    /// A server that takes writes.
    Writable,
    /// Servers, none of which takes writes.
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

    /// How long it must last to be an outage.
    fn tolerance(self) -> Duration {
        match self {
            Self::Writable => Duration::MAX,
            Self::Leaderless => ELECTION,
            Self::Unreachable => SELECTION_TIMEOUT,
        }
    }
}

/// What the clients that have seen a server see now, and since when.
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
            // The others wait for their first: see `connect`.
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

/// Hears what a client's monitors see.
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

/// Whether the server is known to be away.
pub(super) fn is_known() -> bool {
    CLIENTS.lock().is_away(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn an_outage_is_known_once_no_server_was_seen_for_as_long_as_an_operation_waits() {
        let (mut known, start, client) = (Clients(Vec::new()), Instant::now(), ObjectId::new());
        known.sees(client, Reachability::Unreachable, start);
        assert!(!known.is_away(start + ELECTION), "it is only starting");
        known.sees(client, Reachability::Writable, start);
        assert!(!known.is_away(start + ELECTION));
        let gone = start + ELECTION;
        known.sees(client, Reachability::Unreachable, gone);
        known.sees(client, Reachability::Unreachable, gone + MOMENT);
        assert!(!known.is_away(gone + SELECTION_TIMEOUT - MOMENT));
        assert!(known.is_away(gone + SELECTION_TIMEOUT));
        known.sees(client, Reachability::Writable, gone + SELECTION_TIMEOUT);
        assert!(!known.is_away(gone + ELECTION), "it is back");
    }

    #[test]
    fn an_election_is_waited_for() {
        let (mut known, start, client) = (Clients(Vec::new()), Instant::now(), ObjectId::new());
        known.sees(client, Reachability::Writable, start);
        known.sees(client, Reachability::Leaderless, start);
        assert!(!known.is_away(start + ELECTION - MOMENT));
        assert!(known.is_away(start + ELECTION));
    }

    #[test]
    fn where_one_client_sees_a_server_there_is_one() {
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
