//! One address of a service. A background task connects to it, removes it as soon as it is
//! disconnected or silent, and adds it again when it has answered a probe.

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

/// Interval at which an address is checked for answers; one without any is probed. So an address
/// that becomes silent is probed after at most twice this time.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The first delay between connection attempts; each further one is twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// Whether an address accepts calls.
enum State {
    /// The first attempt to connect is in progress.
    Trying,
    Up(Sender),
    /// It does not accept calls, for this reason.
    Out(Arc<str>),
    /// No name resolves to it any more. Calls in flight may finish.
    Gone,
}

/// One address of a service.
pub(super) struct Address {
    pub(super) peer: SocketAddr,
    origin: Origin,
    circuit: Arc<Circuit>,
    state: watch::Sender<State>,
    in_flight: AtomicUsize,
    /// Whether it has answered anything since the last check.
    heard: AtomicBool,
    /// A call got no answer by its deadline.
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

    /// Whether it accepts calls.
    pub(super) fn is_up(&self) -> bool {
        matches!(*self.state.borrow(), State::Up(_))
    }

    /// Whether the first connection attempt is still in progress.
    pub(super) fn is_new(&self) -> bool {
        matches!(*self.state.borrow(), State::Trying)
    }

    /// Why it does not accept calls.
    pub(super) fn problem(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Out(cause) => Some(format!("{}: {cause}", self.peer)),
            State::Trying => Some(format!("{}: not connected yet", self.peer)),
            State::Up(_) | State::Gone => None,
        }
    }

    /// The number of calls in flight.
    pub(super) fn load(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// A call got no answer by its deadline: probe the address immediately.
    pub(super) fn suspect(&self) {
        self.suspected.notify_one();
    }

    /// Sends a call. Returns the answer to a [`Method::Read`] when it is complete, and others when
    /// their head has arrived.
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
            // The connection's own task will notice this too; until then no other call should try
            // it.
            Err(Failure::Unsent(_)) => self.leave("lost", "the connection has ended"),
            Err(Failure::Lost(_)) => {}
        }
        answer
    }

    /// Gives up a call without side effects when the address is taken out, because it can be sent
    /// to another address.
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

    /// Keeps the address connected, in an endless loop.
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

    /// Watches a connection until it ends; returns the reason. Each answer resets `delay`.
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
                    // It is too busy to answer the probe, but it answers other calls.
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
        // With TLS 1.3 a client learns late, or never, that the server refused its certificate.
        if answered || !self.origin.is_encrypted() {
            cause
        } else {
            format!("{cause} (it may not accept the certificate it was shown, or want one)")
        }
    }

    /// Waits until nothing was received for a while, or a call suspects the address.
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

    /// Marks the address as one that no name resolves to any more.
    pub(super) fn retire(&self) {
        let was = self.state.send_replace(State::Gone);
        if matches!(was, State::Up(_)) {
            self.circuit.left("no name stands for its address any more");
        }
    }
}

async fn pause(delay: &mut Duration) {
    // Jitter, so that many clients of one lost server do not reconnect at the same moment.
    tokio::time::sleep(delay.mul_f64(rand::random_range(0.5..=1.0))).await;
    *delay = (*delay * 2).min(LONGEST_DELAY);
}

/// Counts a call while it is in flight.
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
