//! The open connections of a process, and the limits on them.
//!
//! Every connection costs a file descriptor and memory, and anyone who can reach the port can open
//! one. So there are limits on connections and on requests in flight, in total and per client
//! network. At the limit of connections, a new one takes the place of those that have been idle
//! longest: HTTP allows a server to close an idle connection at any time, and a client that is
//! about to send a request has rarely been idle that long. A new connection is refused only when
//! all others are busy.
//!
//! A connection holds its place until its file descriptor is closed, shortly after the decision to
//! close it; the new connection waits for that. Otherwise a process that accepts faster than it
//! closes would run out of file descriptors.
//!
//! A connection is *busy* from the head of a request to the end of its answer, so a stream keeps
//! its connection busy. A request counts until the head of its answer is sent.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
};

use http::HeaderMap;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::TrustedProxies;
use crate::metrics as m;
pub(super) use permit::Permit;
pub(super) use unread::Unread;
use usage::Load;
use wait_queue::WaitQueue;

mod permit;
mod unread;
mod usage;
mod wait_queue;

/// Limits of one process on what it serves at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// Requests being processed; the same number of requests may also wait for their bodies.
    pub requests: usize,
    /// Bytes of complete answers that are not sent yet, counting only answers of at least
    /// [`LARGE_ANSWER`].
    pub answer_bytes: usize,
    /// Bytes of request bodies that are being received or processed.
    pub body_bytes: usize,
    /// The share of each limit that one client network may use, in percent.
    pub per_client_percent: usize,
}

/// How long a client is barred from new connections, in milliseconds, after its connection was
/// closed for opening streams without regard to the limit. Without this, the client would reconnect
/// at once and keep the server busy.
const BARRED_MS: u64 = 1_000;

/// Clients without connections whose bar has ended are forgotten each time after this many
/// connections.
const FORGET_EVERY: u64 = 1_024;

/// Answers below this size are not counted; they fit into the memory that each connection may use.
pub(super) const LARGE_ANSWER: usize = 16 * 1024;

impl Client {
    /// How much of a limit it may use.
    fn share(&self, limits: &Limits, limit: usize) -> usize {
        match self.is_proxy {
            true => limit,
            false => (limit * limits.per_client_percent / 100).max(1),
        }
    }
}

/// The open connections of one process, from one or more listeners.
#[derive(Debug, Clone)]
pub struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    proxies: TrustedProxies,
    open: Mutex<Open>,
    totals: Load,
    /// Requests whose bodies are incomplete.
    arriving: WaitQueue<permit::Held>,
    /// Complete answers that are not sent yet.
    unread: WaitQueue<Unread>,
    started: Instant,
    /// Notified whenever a place becomes free.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    /// Includes the connections that are being closed.
    slots: HashMap<u64, Arc<Slot>>,
    /// The number of connections that are being closed.
    closing: usize,
    clients: HashMap<Network, Arc<Client>>,
    next: u64,
}

#[derive(Debug)]
struct Client {
    network: Network,
    /// Whether it is a trusted reverse proxy, which brings many clients.
    is_proxy: bool,
    /// Excludes the connections that are being closed. Changed only under the lock on [`Open`].
    connections: AtomicUsize,
    load: Load,
    /// No new connection is accepted until this time, in milliseconds since the start.
    barred_until: AtomicU64,
}

/// The unit by which connections are counted per client: an IPv4 address, or the /64 of an IPv6
/// address, which belongs to one subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Network(u64, bool);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(u64::from(v4.to_bits()), false),
            IpAddr::V6(v6) => Self((v6.to_bits() >> 64) as u64, true),
        }
    }
}

/// Value of [`Slot::uses`] when the connection is being closed.
const CLOSED: u32 = u32::MAX;

#[derive(Debug)]
struct Slot {
    client: Arc<Client>,
    /// Requests whose answers have not ended; [`CLOSED`] if the connection is being closed.
    uses: AtomicU32,
    /// Whether a request has begun on it.
    requested: AtomicBool,
    /// When it was opened or its last answer ended, in milliseconds since the start.
    idle_since: AtomicU64,
    close: Notify,
}

/// The decision on a new connection.
enum Admission {
    Admitted(Connection),
    Refused,
    /// Another connection is being closed to make room for it.
    Later,
}

/// The limit is reached; the request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overloaded;

impl Connections {
    /// Creates an empty set of connections.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::behind(TrustedProxies::default(), limits)
    }

    /// The same behind reverse proxies. As each of them brings many clients, it is not limited to a
    /// share, and its requests come from the clients that it names.
    #[must_use]
    pub fn behind(proxies: TrustedProxies, limits: Limits) -> Self {
        Self(Arc::new(Shared {
            limits,
            proxies,
            open: Mutex::default(),
            totals: Load::default(),
            arriving: WaitQueue::default(),
            unread: WaitQueue::default(),
            started: Instant::now(),
            freed: Notify::new(),
        }))
    }

    /// Counts a new connection from `peer`, once there is a place for it. `None`: all other
    /// connections are busy, and this one must be closed.
    pub(super) async fn admit(&self, peer: IpAddr) -> Option<Connection> {
        loop {
            let freed = self.0.freed.notified();
            match self.try_admit(peer) {
                Admission::Admitted(connection) => return Some(connection),
                Admission::Refused => return None,
                Admission::Later => freed.await,
            }
        }
    }

    fn try_admit(&self, peer: IpAddr) -> Admission {
        let shared = &self.0;
        let network = Network::from(peer);
        let mut open = shared.open.lock();
        let client = open.clients.get(&network).cloned().unwrap_or_else(|| {
            Arc::new(Client {
                network,
                is_proxy: shared.proxies.trusts(peer),
                connections: AtomicUsize::new(0),
                load: Load::default(),
                barred_until: AtomicU64::new(0),
            })
        });
        if client.barred_until.load(Ordering::Relaxed) > shared.now() {
            return Admission::Refused;
        }
        let limit = client.share(&shared.limits, shared.limits.connections);
        if client.connections.load(Ordering::Relaxed) >= limit
            && !shared.make_room(&mut open, Some(&client))
        {
            return Admission::Refused;
        }
        if open.slots.len() >= shared.limits.connections {
            return match open.closing > 0 || shared.make_room(&mut open, None) {
                true => Admission::Later,
                false => Admission::Refused,
            };
        }
        let id = open.next;
        open.next += 1;
        if id.is_multiple_of(FORGET_EVERY) {
            open.forget_barred(shared.now());
        }
        client.connections.fetch_add(1, Ordering::Relaxed);
        open.clients.insert(network, Arc::clone(&client));
        let slot = Arc::new(Slot {
            client,
            uses: AtomicU32::new(0),
            requested: AtomicBool::new(false),
            idle_since: AtomicU64::new(shared.now()),
            close: Notify::new(),
        });
        open.slots.insert(id, Arc::clone(&slot));
        Admission::Admitted(Connection {
            id,
            slot,
            shared: Arc::clone(shared),
        })
    }

    /// Refuses the requests whose bodies are incomplete.
    pub(super) fn refuse_arriving(&self) {
        self.0.arriving.revoke_all();
    }

    /// The number of connections, including those that are being closed.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.open.lock().slots.len()
    }
}

impl Shared {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Closes the connections that have been idle longest, of one client or of all; `false` if none
    /// is idle. Finding them requires a walk over all connections, so one in 64 is closed at a
    /// time.
    fn make_room(&self, open: &mut Open, client: Option<&Arc<Client>>) -> bool {
        let (busy, count) = match client {
            Some(client) => (
                &client.load.busy,
                client.connections.load(Ordering::Relaxed),
            ),
            None => (&self.totals.busy, open.slots.len() - open.closing),
        };
        if busy.load(Ordering::Relaxed) >= count {
            return false;
        }
        let mut idle: Vec<(u64, u64)> = open
            .slots
            .iter()
            .filter(|(_, slot)| client.is_none_or(|client| Arc::ptr_eq(client, &slot.client)))
            .filter(|(_, slot)| slot.uses.load(Ordering::Acquire) == 0)
            .map(|(id, slot)| (slot.idle_since.load(Ordering::Relaxed), *id))
            .collect();
        if idle.is_empty() {
            return false;
        }
        let closed = (idle.len() / 64).max(1);
        idle.select_nth_unstable(closed - 1);
        let mut made = false;
        for (_, id) in &idle[..closed] {
            if open.close(*id, self.now()) {
                metrics::counter!(m::CONNECTIONS_CLOSED, "reason" => "idle").increment(1);
                made = true;
            }
        }
        made
    }
}

impl Open {
    /// Starts closing an idle connection: it no longer counts for its client, and keeps its place
    /// until it is removed. `false` if it is not idle any more.
    fn close(&mut self, id: u64, now: u64) -> bool {
        let idle = self.slots.get(&id).filter(|slot| slot.close());
        let Some(slot) = idle.cloned() else {
            return false;
        };
        self.closing += 1;
        self.leave(&slot.client, now);
        true
    }

    fn remove(&mut self, id: u64, now: u64) {
        let Some(slot) = self.slots.remove(&id) else {
            return;
        };
        match slot.uses.load(Ordering::Acquire) {
            CLOSED => self.closing -= 1,
            _ => self.leave(&slot.client, now),
        }
    }

    /// Counts one connection of this client fewer.
    fn leave(&mut self, client: &Client, now: u64) {
        let was_last = client.connections.fetch_sub(1, Ordering::Relaxed) == 1;
        if was_last && client.barred_until.load(Ordering::Relaxed) <= now {
            self.clients.remove(&client.network);
        }
    }

    /// Forgets clients without connections whose bar has ended.
    fn forget_barred(&mut self, now: u64) {
        self.clients.retain(|_, client| {
            client.connections.load(Ordering::Relaxed) > 0
                || client.barred_until.load(Ordering::Relaxed) > now
        });
    }
}

impl Slot {
    /// Marks the connection as closed, unless it has a request.
    fn close(&self) -> bool {
        let closed = self
            .uses
            .compare_exchange(0, CLOSED, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if closed {
            self.close.notify_one();
        }
        closed
    }
}

/// One open connection. It counts until it is dropped, which happens after its socket is closed.
#[derive(Debug)]
pub(super) struct Connection {
    id: u64,
    slot: Arc<Slot>,
    shared: Arc<Shared>,
}

impl Connection {
    /// Waits until the connection must be closed to make room for others.
    pub(super) async fn closed(&self) {
        self.slot.close.notified().await;
    }

    /// Whether a request has begun on it.
    pub(super) fn has_requested(&self) -> bool {
        self.slot.requested.load(Ordering::Relaxed)
    }

    /// The address of the client whose request came with these headers over this connection. The
    /// port is the peer's.
    pub(super) fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        let client = self.shared.proxies.client(peer.ip(), headers);
        SocketAddr::new(client, peer.port())
    }

    /// Refuses new connections of this client for [`BARRED_MS`], but not of a trusted proxy, which
    /// would keep out all its clients.
    pub(super) fn bar_client(&self) {
        if self.slot.client.is_proxy {
            return;
        }
        let until = self.shared.now().saturating_add(BARRED_MS);
        let client = &self.slot.client;
        client.barred_until.fetch_max(until, Ordering::Relaxed);
    }

    /// Begins a request: the connection is busy until the returned value is dropped at the end of
    /// the answer.
    ///
    /// # Errors
    /// If the connection is being closed.
    pub(super) fn begin(&self) -> Result<Use, Overloaded> {
        let (slot, shared) = (&self.slot, &self.shared);
        slot.requested.store(true, Ordering::Relaxed);
        let begun = slot
            .uses
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |uses| {
                // `CLOSED` is the greatest number, so this refuses it.
                uses.checked_add(1)
            });
        let Ok(before) = begun else {
            return Err(Overloaded);
        };
        if before == 0 {
            shared.totals.busy.fetch_add(1, Ordering::Relaxed);
            slot.client.load.busy.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Use {
            slot: Arc::clone(slot),
            shared: Arc::clone(shared),
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let now = self.shared.now();
        self.shared.open.lock().remove(self.id, now);
        self.shared.freed.notify_waiters();
    }
}

/// Keeps its connection busy until it is dropped.
#[derive(Debug)]
pub(super) struct Use {
    slot: Arc<Slot>,
    shared: Arc<Shared>,
}

impl Drop for Use {
    fn drop(&mut self) {
        let now = self.shared.now();
        self.slot.idle_since.store(now, Ordering::Relaxed);
        if self.slot.uses.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.totals.busy.fetch_sub(1, Ordering::Relaxed);
            self.slot.client.load.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
