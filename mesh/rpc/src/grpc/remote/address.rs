//! One address of a service: connected in the background, out as soon as it is lost or
//! silent, in again when it has answered a probe.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};
use tonic::body::Body;

use super::{
    circuit::Circuit,
    connection::{self, Failure, Sender},
    origin::Origin,
};
use crate::grpc::{method::Method, tls::ClientTls};
use crate::metrics as m;

/// An address from which nothing was heard between two looks is probed: one that falls
/// silent, after twice this time at the latest.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The first delay before another try; each further one is twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// Whether an address takes calls.
enum State {
    /// The first try is under way.
    Trying,
    Up(Sender),
    /// It does not, and this is why.
    Out(Arc<str>),
    /// No name stands for it any more. What it has in hand it may finish.
    Gone,
}

/// One address of a service.
pub(super) struct Address {
    pub(super) peer: SocketAddr,
    origin: Origin,
    circuit: Arc<Circuit>,
    state: watch::Sender<State>,
    in_flight: AtomicUsize,
    /// Whether it has answered anything since this was last looked at.
    heard: AtomicBool,
    /// Somebody waited until the deadline and heard nothing.
    suspected: Notify,
}

impl Address {
    pub(super) fn new(peer: SocketAddr, origin: Origin, circuit: Arc<Circuit>) -> Self {
        Self {
            peer,
            origin,
            circuit,
            state: watch::Sender::new(State::Trying),
            in_flight: AtomicUsize::new(0),
            heard: AtomicBool::new(false),
            suspected: Notify::new(),
        }
    }

    /// Whether it takes calls.
    pub(super) fn is_up(&self) -> bool {
        matches!(*self.state.borrow(), State::Up(_))
    }

    /// Whether nothing is known of it yet.
    pub(super) fn is_new(&self) -> bool {
        matches!(*self.state.borrow(), State::Trying)
    }

    /// Why it does not take calls.
    pub(super) fn problem(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Out(cause) => Some(format!("{}: {cause}", self.peer)),
            State::Trying => Some(format!("{}: not connected yet", self.peer)),
            State::Up(_) | State::Gone => None,
        }
    }

    /// How many calls it has in hand.
    pub(super) fn load(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Somebody has waited for this address until the deadline: it is probed at once.
    pub(super) fn suspect(&self) {
        self.suspected.notify_one();
    }

    /// Sends a call. The answer to a [`Method::Read`] is returned when it is whole, others
    /// when their head is there.
    pub(super) async fn send(
        &self,
        method: Method,
        request: Request<Body>,
    ) -> Result<Response<Body>, Failure> {
        let sender = match &*self.state.borrow() {
            State::Up(sender) => sender.clone(),
            _ => return Err(Failure::Unsent(Box::new(request))),
        };
        let _in_hand = InFlightCall::new(&self.in_flight);
        let answer = match method {
            Method::Command => sender.head(request).await,
            Method::Watch => self.unless_out(sender.head(request)).await,
            Method::Read => self.unless_out(sender.whole(request)).await,
        };
        match &answer {
            Ok(_) => self.heard.store(true, Ordering::Relaxed),
            // Its task will hear of it too; until then nobody else should try.
            Err(Failure::Unsent(_)) => self.leave("lost", "the connection has ended"),
            Err(Failure::Lost(_)) => {}
        }
        answer
    }

    /// What has no effect is given up when the address falls silent: another can be asked.
    async fn unless_out<T>(
        &self,
        answer: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut state = self.state.subscribe();
        tokio::select! {
            biased;
            answer = answer => answer,
            _ = state.wait_for(|state| matches!(state, State::Out(_))) => {
                Err(Failure::Lost("it has fallen silent".to_owned()))
            }
        }
    }

    /// Keeps the address connected for ever.
    pub(super) async fn live(&self, tls: Option<&ClientTls>) {
        let mut delay = FIRST_DELAY;
        loop {
            match connection::open(self.peer, &self.origin, tls).await {
                Ok((sender, ended)) => {
                    let cause = self.keep(&sender, ended, &mut delay).await;
                    self.leave("lost", &cause);
                }
                Err(cause) => self.leave("refused", &cause),
            }
            pause(&mut delay).await;
        }
    }

    /// Watches over a connection until it ends; returns why. `delay` starts over whenever
    /// it answers.
    async fn keep(
        &self,
        sender: &Sender,
        mut ended: JoinHandle<String>,
        delay: &mut Duration,
    ) -> String {
        let mut answered = false;
        let watch = async {
            loop {
                self.heard.store(false, Ordering::Relaxed);
                match sender.probe().await {
                    Ok(()) => {
                        answered = true;
                        self.join(sender);
                        *delay = FIRST_DELAY;
                        self.silence().await;
                    }
                    // Too busy for the probe, but not for everything.
                    Err(_) if self.heard.load(Ordering::Relaxed) => {}
                    Err(cause) => {
                        self.leave("silent", &cause);
                        pause(delay).await;
                    }
                }
            }
        };
        let cause = tokio::select! {
            biased;
            cause = &mut ended => cause.unwrap_or_else(|error| error.to_string()),
            () = watch => unreachable!("it is watched until it ends"),
        };
        // With TLS 1.3 a client that is refused hears of it late, or not at all.
        if answered || !self.origin.is_encrypted() {
            cause
        } else {
            format!("{cause} (it may not accept the certificate it was shown, or want one)")
        }
    }

    /// Returns when nothing was heard for a while, or somebody has complained.
    async fn silence(&self) {
        self.heard.store(true, Ordering::Relaxed);
        while self.heard.swap(false, Ordering::Relaxed) {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.suspected.notified() => return,
            }
        }
    }

    fn join(&self, sender: &Sender) {
        let mut joined = false;
        self.state.send_modify(|state| {
            joined = !matches!(state, State::Up(_) | State::Gone);
            if joined {
                *state = State::Up(sender.clone());
            }
        });
        if joined {
            tracing::debug!(service = self.circuit.service, peer = %self.peer, "connected to a service address");
            self.circuit.joined();
        }
    }

    fn leave(&self, reason: &'static str, cause: &str) {
        let (mut was_up, mut was_new) = (false, false);
        self.state.send_if_modified(|state| {
            was_up = matches!(state, State::Up(_));
            was_new = matches!(state, State::Trying);
            if !matches!(state, State::Gone) {
                *state = State::Out(cause.into());
            }
            was_up || was_new
        });
        let service = self.circuit.service;
        if was_up {
            tracing::info!(service, peer = %self.peer, error = cause, "disconnected from a service address");
            metrics::counter!(m::LINK_EJECTIONS, "service" => service, "reason" => reason)
                .increment(1);
            self.circuit.left(cause);
        } else if was_new {
            tracing::info!(service, peer = %self.peer, error = cause, "cannot connect to a service address");
            self.circuit.changed.notify_waiters();
        }
    }

    /// No name stands for it any more.
    pub(super) fn retire(&self) {
        let was = self.state.send_replace(State::Gone);
        if matches!(was, State::Up(_)) {
            self.circuit.left("no name stands for its address any more");
        }
    }
}

async fn pause(delay: &mut Duration) {
    // Many clients that lost one server must not all come back at the same moment.
    tokio::time::sleep(delay.mul_f64(rand::random_range(0.5..=1.0))).await;
    *delay = (*delay * 2).min(LONGEST_DELAY);
}

/// Counts a call while it is in hand.
struct InFlightCall<'a>(&'a AtomicUsize);

impl<'a> InFlightCall<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for InFlightCall<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
