//! Calls to a service in other processes: load balancing, circuit breaking and safe retries.
//!
//! - **Balancing.** [`pool`]: all names of the service are resolved periodically; each call goes to
//!   the one with fewer calls in flight of two random addresses.
//! - **Circuit breaker.** [`address`]: an address is taken out at once when its connection is
//!   refused or ends, or when it answers nothing, not even a probe (a paused process accepts
//!   connections and never answers). A background task reconnects and probes it, never a call. When
//!   no address is left, calls are answered UNAVAILABLE without waiting.
//! - **Retries.** Only methods without side effects by their contract ([`super::method`]), only on
//!   UNAVAILABLE, within a budget and the caller's deadline. A request that was never sent is sent
//!   to another address, whatever its method.
//!
//! This does not use `tower::balance` or tonic's balanced channel: they keep connections behind a
//! queue, in which calls wait when no address is ready, and they cannot exclude an address that was
//! tried before.

mod address;
mod circuit;
mod connection;
mod origin;
mod pool;

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, request};
use http_body_util::{BodyExt as _, Full};
use tonic::{Code, Status, body::Body};
use tower::retry::budget::{Budget as _, TpsBudget};

pub use self::origin::{MalformedOrigin, Origin, Origins};
use self::{
    address::Address,
    connection::Failure,
    pool::{Pool, Resolver},
};
use super::{deadline::Deadline, method::Method, tls::ClientTls};
use crate::error::Fault;
use crate::metrics as m;

/// A healthy service answers at the deadline itself. An address that is silent even this much
/// longer is suspected.
const GRACE: Duration = Duration::from_millis(250);

/// Maximum attempts per call.
const ATTEMPTS: usize = 3;

/// Pause before the next attempt when there is no other address, for a reconnection to complete.
const PAUSE: Duration = Duration::from_millis(20);

/// The retry budget: a share of the calls of the last seconds, and a minimum for callers with few
/// calls.
const BUDGET_SECONDS: Duration = Duration::from_secs(10);
const BUDGET_SHARE: f32 = 0.2;
const BUDGET_PER_SECOND: u32 = 10;

/// A service in other processes.
pub(super) struct Remote {
    service: &'static str,
    pool: Arc<Pool>,
    budget: TpsBudget,
}

impl Remote {
    /// Starts to connect to the service at `origins`.
    pub(super) fn new(service: &'static str, origins: Origins, tls: Option<ClientTls>) -> Self {
        Self::found_by(pool::System, service, origins, tls)
    }

    /// The same, with another resolver.
    fn found_by(
        resolver: impl Resolver,
        service: &'static str,
        origins: Origins,
        tls: Option<ClientTls>,
    ) -> Self {
        let pool = Arc::new(Pool::new(service, tls));
        tokio::spawn(Pool::resolve(Arc::downgrade(&pool), origins, resolver));
        Self {
            service,
            pool,
            budget: TpsBudget::new(BUDGET_SECONDS, BUDGET_PER_SECOND, BUDGET_SHARE),
        }
    }

    /// Why the service is unreachable, for operators; `None` if it is reachable.
    pub(super) fn problem(&self) -> Option<String> {
        self.pool.problem()
    }

    /// Sends a call and returns its answer, or an error status made here.
    pub(super) async fn call(&self, request: Request<Body>) -> Response<Body> {
        let method = Method::at(request.uri().path());
        let deadline = Deadline::of(request.headers());
        let answer = match method {
            Method::Command => self.send(request, deadline).await,
            Method::Read | Method::Watch => self.repeat(method, request, deadline).await,
        };
        let response = answer.unwrap_or_else(|failure| self.status(failure).into_http());
        let code = format!("{:?}", code(&response));
        metrics::counter!(m::LINK_CALLS, "service" => self.service, "code" => code).increment(1);
        response
    }

    /// Sends a command once, to the first address that accepts it.
    async fn send(&self, mut request: Request<Body>, deadline: Deadline) -> Answer {
        let mut tried = Vec::new();
        loop {
            let address = self
                .pool
                .pick(&tried, deadline)
                .await
                .ok_or(Unanswered::Away)?;
            match within(deadline, &address, Method::Command, request).await? {
                Ok(response) => return Ok(response),
                Err(Failure::Lost(cause)) => return Err(Unanswered::Lost(cause)),
                Err(Failure::Unsent(back)) => request = *back,
            }
            tried.push(address.peer);
        }
    }

    /// Sends a call without side effects, with retries.
    async fn repeat(&self, method: Method, request: Request<Body>, deadline: Deadline) -> Answer {
        let copy = Copy::of(request).await.map_err(Unanswered::Lost)?;
        self.budget.deposit();
        let mut tried = Vec::new();
        let mut address = self
            .pool
            .pick(&tried, deadline)
            .await
            .ok_or(Unanswered::Away)?;
        loop {
            let answer = match within(deadline, &address, method, copy.request()).await? {
                Ok(response) if code(&response) != Code::Unavailable => return Ok(response),
                Ok(response) => Ok(response),
                Err(Failure::Lost(cause)) => Err(Unanswered::Lost(cause)),
                Err(Failure::Unsent(_)) => {
                    Err(Unanswered::Lost("the connection has ended".to_owned()))
                }
            };
            tried.push(address.peer);
            if tried.len() == ATTEMPTS || !self.budget.withdraw() {
                return answer;
            }
            let Some(next) = self.next(&tried, answer.is_err()).await else {
                return answer;
            };
            metrics::counter!(m::LINK_RETRIES, "service" => self.service).increment(1);
            address = next;
        }
    }

    /// Chooses the next address: another one if possible. After a lost connection, otherwise the
    /// same one a moment later: several processes may be behind one address.
    async fn next(&self, tried: &[SocketAddr], lost: bool) -> Option<Arc<Address>> {
        let elsewhere = self.pool.pick_now(tried);
        if elsewhere.is_some() || !lost {
            return elsewhere;
        }
        tokio::time::sleep(PAUSE).await;
        self.pool.pick_now(&[])
    }

    fn status(&self, failure: Unanswered) -> Status {
        let cause = match failure {
            Unanswered::Late => return Fault::deadline().into(),
            Unanswered::Lost(cause) => cause,
            Unanswered::Away => self.problem().unwrap_or_else(|| "it was away".to_owned()),
        };
        Fault::unreachable(self.service, cause).into()
    }
}

type Answer = Result<Response<Body>, Unanswered>;

/// Why a call has no answer.
enum Unanswered {
    /// No address accepts calls.
    Away,
    /// The connection ended before the answer.
    Lost(String),
    /// The deadline passed.
    Late,
}

/// Sends a call to `address`, which is suspected if it is still silent after the deadline.
async fn within(
    deadline: Deadline,
    address: &Address,
    method: Method,
    request: Request<Body>,
) -> Result<Result<Response<Body>, Failure>, Unanswered> {
    let answer = address.send(method, request);
    tokio::time::timeout_at(deadline.at() + GRACE, answer)
        .await
        .map_err(|_| {
            address.suspect();
            Unanswered::Late
        })
}

/// The code in the head of an answer; OK if the answer has not ended.
fn code(response: &Response<Body>) -> Code {
    Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code())
}

/// A request that can be sent again.
struct Copy {
    parts: request::Parts,
    body: Bytes,
}

impl Copy {
    async fn of(request: Request<Body>) -> Result<Self, String> {
        let (parts, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|status| status.message().to_owned())?;
        let body = body.to_bytes();
        Ok(Self { parts, body })
    }

    fn request(&self) -> Request<Body> {
        Request::from_parts(self.parts.clone(), Body::new(Full::new(self.body.clone())))
    }
}
