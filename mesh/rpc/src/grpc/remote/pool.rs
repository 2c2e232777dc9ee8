//! The addresses of one service: resolved again and again, and one of them picked for
//! each call.

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

/// How often at most, when addresses are lost.
const RESOLVE_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// A resolver that has not answered by then is away.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a call waits for what is tried for the first time.
const FIRST_ANSWER: Duration = Duration::from_secs(1);

/// What knows the addresses of hosts.
#[async_trait]
pub(super) trait Resolver: Send + Sync + 'static {
    /// All that the host of `origin` has now.
    async fn resolve(&self, origin: &Origin) -> io::Result<Vec<SocketAddr>>;
}

/// The system's.
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
    /// What is wrong with the names; `None` until they have been resolved once.
    unresolved: Mutex<Option<Vec<String>>>,
}

#[derive(Clone)]
struct Member {
    address: Arc<Address>,
    /// Ends the task that keeps it connected.
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

    /// An address that takes calls and is none of `but`: of two at random the one with
    /// less in hand. `None` if there is none. What is tried for the first time is waited
    /// for a moment, within the deadline; afterwards nobody waits.
    pub(super) async fn pick(
        &self,
        but: &[SocketAddr],
        deadline: Deadline,
    ) -> Option<Arc<Address>> {
        let found = async {
            loop {
                let mut changed = std::pin::pin!(self.circuit.changed.notified());
                // From here on no change is missed.
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

    /// The same, of what takes calls at this moment.
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

    /// How many addresses take calls.
    #[cfg(test)]
    pub(super) fn up(&self) -> usize {
        let members = self.members.load();
        members
            .iter()
            .filter(|member| member.address.is_up())
            .count()
    }

    /// What is wrong with the names.
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

    /// Why no address takes calls; `None` if one does.
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

    /// Keeps the addresses up to date for as long as somebody uses the pool.
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
            // Whichever comes first is the reason to look again.
            let _ = tokio::time::timeout(rest, circuit.lost.notified()).await;
        }
    }

    /// Takes in what is new, and lets go what is not there any more.
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
        let gone: Vec<_> = before
            .iter()
            .filter(|member| !stays(member))
            .cloned()
            .collect();
        self.members.store(Arc::new(after));
        for member in gone {
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
