//! The addresses of one service: resolves them periodically, and picks one for each call.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Duration,
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::{
    address::Address,
    circuit::Circuit,
    origin::{Origin, Origins},
};
use crate::grpc::{deadline::Deadline, tls::ClientTls};

/// How often the names are resolved.
const RESOLVE_EVERY: Duration = Duration::from_secs(5);

/// Minimum interval between two resolutions when addresses are lost.
const RESOLVE_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// After this time a resolver counts as unavailable.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a call waits for the first resolution and connections.
const FIRST_ANSWER: Duration = Duration::from_secs(1);

/// Resolves host names.
#[async_trait]
pub(super) trait Resolver: Send + Sync + 'static {
    /// All current addresses of the host of `origin`.
    async fn resolve(&self, origin: &Origin) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver.
pub(super) struct System;

#[async_trait]
impl Resolver for System {
    async fn resolve(&self, origin: &Origin) -> io::Result<Vec<SocketAddr>> {
        origin.resolve().await
    }
}

/// The addresses of one service.
pub(super) struct Pool {
    pub(super) circuit: Arc<Circuit>,
    tls: Option<ClientTls>,
    members: ArcSwap<Vec<Member>>,
    /// Why names could not be resolved; `None` until the first resolution.
    unresolved: Mutex<Option<Vec<String>>>,
}

#[derive(Clone)]
struct Member {
    address: Arc<Address>,
    /// The task that keeps it connected.
    task: AbortHandle,
}

impl Pool {
    pub(super) fn new(service: &'static str, tls: Option<ClientTls>) -> Self {
        Self {
            circuit: Arc::new(Circuit::new(service)),
            tls,
            members: ArcSwap::default(),
            unresolved: Mutex::default(),
        }
    }

    /// Picks an address that accepts calls and is not in `but`: of two random ones the one with
    /// fewer calls in flight. `None` if there is none. During the first resolution and connections
    /// it waits briefly, within the deadline; afterwards it never waits.
    pub(super) async fn pick(
        &self,
        but: &[SocketAddr],
        deadline: Deadline,
    ) -> Option<Arc<Address>> {
        let found = async {
            loop {
                let mut changed = std::pin::pin!(self.circuit.changed.notified());
                // Changes after this point are not missed.
                changed.as_mut().enable();
                let picked = self.pick_now(but);
                if picked.is_some() || self.is_settled() {
                    return picked;
                }
                changed.await;
            }
        };
        let timeout = FIRST_ANSWER.min(deadline.remaining());
        tokio::time::timeout(timeout, found).await.ok().flatten()
    }

    /// The same, without waiting.
    pub(super) fn pick_now(&self, but: &[SocketAddr]) -> Option<Arc<Address>> {
        let members = self.members.load();
        let up: Vec<_> = members
            .iter()
            .map(|member| &member.address)
            .filter(|address| !but.contains(&address.peer) && address.is_up())
            .collect();
        let picked = match *up {
            [] => return None,
            [one] => one,
            _ => {
                let one = rand::random_range(0..up.len());
                let other = (one + rand::random_range(1..up.len())) % up.len();
                if up[other].load() < up[one].load() {
                    up[other]
                } else {
                    up[one]
                }
            }
        };
        Some(Arc::clone(picked))
    }

    /// The number of addresses that accept calls.
    #[cfg(test)]
    pub(super) fn up(&self) -> usize {
        let members = self.members.load();
        members
            .iter()
            .filter(|member| member.address.is_up())
            .count()
    }

    /// Why names could not be resolved.
    #[cfg(test)]
    pub(super) fn unresolved(&self) -> Vec<String> {
        self.unresolved.lock().clone().unwrap_or_default()
    }

    /// Whether everything was tried at least once.
    fn is_settled(&self) -> bool {
        let resolved = self.unresolved.lock().is_some();
        resolved
            && !self
                .members
                .load()
                .iter()
                .any(|member| member.address.is_new())
    }

    /// Why no address accepts calls; `None` if one does.
    pub(super) fn problem(&self) -> Option<String> {
        let members = self.members.load();
        if members.iter().any(|member| member.address.is_up()) {
            return None;
        }
        let mut problems = self.unresolved.lock().clone().unwrap_or_default();
        problems.extend(members.iter().filter_map(|member| member.address.problem()));
        if problems.is_empty() {
            problems.push("not connected yet".to_owned());
        }
        Some(problems.join("; "))
    }

    /// Keeps the addresses up to date until the pool is dropped.
    pub(super) async fn resolve(pool: Weak<Self>, origins: Origins, resolver: impl Resolver) {
        let mut known: Vec<Option<Vec<SocketAddr>>> = origins.iter().map(|_| None).collect();
        loop {
            let mut problems = Vec::new();
            for (origin, known) in origins.iter().zip(&mut known) {
                match look_up(&resolver, origin).await {
                    Ok(addresses) => *known = Some(addresses),
                    Err(problem) => problems.push(problem),
                }
            }
            let Some(pool) = pool.upgrade() else { return };
            let circuit = Arc::clone(&pool.circuit);
            let found = origins.iter().zip(&known).flat_map(|(origin, known)| {
                known.iter().flatten().map(move |peer| (*peer, origin))
            });
            pool.update(found);
            pool.note(problems);
            drop(pool);
            tokio::time::sleep(RESOLVE_AT_MOST_EVERY).await;
            let rest = RESOLVE_EVERY - RESOLVE_AT_MOST_EVERY;
            // Resolves again after the interval or when an address is lost, whichever is first.
            let _ = tokio::time::timeout(rest, circuit.lost.notified()).await;
        }
    }

    /// Adds new addresses and retires those that are no longer resolved.
    pub(super) fn update<'a>(&self, found: impl Iterator<Item = (SocketAddr, &'a Origin)>) {
        let before = self.members.load_full();
        let mut after: Vec<Member> = Vec::with_capacity(before.len());
        for (peer, origin) in found {
            if after.iter().any(|member| member.address.peer == peer) {
                continue;
            }
            let known = before.iter().find(|member| member.address.peer == peer);
            after.push(known.cloned().unwrap_or_else(|| self.member(peer, origin)));
        }
        let stays = |one: &Member| {
            after
                .iter()
                .any(|other| other.address.peer == one.address.peer)
        };
        let retired: Vec<_> = before
            .iter()
            .filter(|member| !stays(member))
            .cloned()
            .collect();
        self.members.store(Arc::new(after));
        for member in retired {
            member.end();
        }
    }

    fn member(&self, peer: SocketAddr, origin: &Origin) -> Member {
        let circuit = Arc::clone(&self.circuit);
        let address = Arc::new(Address::new(peer, origin.clone(), circuit));
        let (tls, lives) = (self.tls.clone(), Arc::clone(&address));
        let task = tokio::spawn(async move { lives.live(tls.as_ref()).await });
        Member {
            address,
            task: task.abort_handle(),
        }
    }

    fn note(&self, problems: Vec<String>) {
        let mut unresolved = self.unresolved.lock();
        if unresolved.as_deref().unwrap_or_default() != problems {
            for problem in &problems {
                tracing::warn!(service = self.circuit.service, "{problem}");
            }
        }
        *unresolved = Some(problems);
        drop(unresolved);
        self.circuit.changed.notify_waiters();
    }
}

impl Member {
    fn end(&self) {
        self.task.abort();
        self.address.retire();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for member in self.members.load().iter() {
            member.end();
        }
    }
}

async fn look_up(resolver: &impl Resolver, origin: &Origin) -> Result<Vec<SocketAddr>, String> {
    match tokio::time::timeout(RESOLVE_TIMEOUT, resolver.resolve(origin)).await {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(format!("{} cannot be resolved: {error}", origin.host())),
        Err(_) => Err(format!("{} is not resolved in time", origin.host())),
    }
}
