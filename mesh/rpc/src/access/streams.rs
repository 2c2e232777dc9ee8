//! Limits the number of open streams per account, and ends each stream when its token expires or
//! its session ends.
//!
//! A streamed answer can stay open for hours, and each takes memory. The limits on requests do not
//! cover streams, because a request counts only until the head of its answer is sent.

use std::{
    collections::HashMap,
    future::Future as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Response};
use hyper::body::{Frame, SizeHint};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Status, body::Body};
use uuid::Uuid;

use super::{Principal, Role, SessionWatch, TokenError};
use crate::error::{Fault, Kind};

/// Divisor of all streams for the part that anonymous callers may have: those of health and
/// reflection.
const ANONYMOUS_PART: usize = 16;

/// Counts open streams.
#[derive(Debug, Clone)]
pub struct StreamLimits(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    per_account: usize,
    in_all: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    count: usize,
    anonymous: usize,
    accounts: HashMap<Uuid, usize>,
}

/// An open stream; it counts until it is dropped.
#[derive(Debug)]
pub struct OpenStream {
    limits: StreamLimits,
    owner: Owner,
}

#[derive(Debug, Clone, Copy)]
enum Owner {
    Account(Uuid),
    /// Another process of the mesh: not limited per caller.
    Service,
    Nobody,
}

impl StreamLimits {
    /// At most `per_account` streams of one account, and `in_all` in total.
    #[must_use]
    pub fn new(per_account: usize, in_all: usize) -> Self {
        Self(Arc::new(Shared {
            per_account,
            in_all,
            open: Mutex::default(),
        }))
    }

    /// Counts another stream of `principal`, or of an anonymous caller.
    ///
    /// # Errors
    /// `TOO_MANY_STREAMS` at the limit of the account, `OVERLOADED` at the limit in total.
    pub fn open(&self, principal: Option<&Principal>) -> Result<OpenStream, Fault> {
        let shared = &self.0;
        let owner = match principal {
            None => Owner::Nobody,
            Some(principal) if principal.role == Role::Service => Owner::Service,
            Some(principal) => Owner::Account(principal.user_id),
        };
        let mut open = shared.open.lock();
        if open.count >= shared.in_all {
            return Err(Fault::overloaded());
        }
        match owner {
            Owner::Service => {}
            Owner::Nobody if open.anonymous >= shared.in_all.div_ceil(ANONYMOUS_PART) => {
                return Err(Fault::overloaded());
            }
            Owner::Nobody => open.anonymous += 1,
            Owner::Account(id) => {
                let own = open.accounts.entry(id).or_default();
                if *own >= shared.per_account {
                    return Err(too_many(shared.per_account));
                }
                *own += 1;
            }
        }
        open.count += 1;
        Ok(OpenStream {
            limits: self.clone(),
            owner,
        })
    }
}

fn too_many(limit: usize) -> Fault {
    Fault::new(
        Kind::RateLimited,
        "TOO_MANY_STREAMS",
        format!("Your account has {limit} streams open, which is the limit. Close one first."),
    )
    .fact("limit", limit)
    .retry_after(Duration::from_secs(1))
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut open = self.limits.0.open.lock();
        open.count -= 1;
        match self.owner {
            Owner::Service => {}
            Owner::Nobody => open.anonymous -= 1,
            Owner::Account(id) => {
                if let Some(own) = open.accounts.get_mut(&id) {
                    *own -= 1;
                    if *own == 0 {
                        open.accounts.remove(&id);
                    }
                }
            }
        }
    }
}

/// How long a stream may last: until its caller's token expires or its session ends.
pub(super) struct StreamLife {
    expiry: Option<Pin<Box<Sleep>>>,
    end: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    _watch: SessionWatch,
}

impl StreamLife {
    /// The life of a stream of `principal`, whose session `watch` watches.
    pub(super) fn new(principal: Option<&Principal>, now: Timestamp, watch: SessionWatch) -> Self {
        let expiry = principal.map(|principal| {
            let left = Duration::try_from(principal.expires_at.duration_since(now));
            Box::pin(tokio::time::sleep(left.unwrap_or_default()))
        });
        Self {
            expiry,
            end: watch.end().map(|end| Box::pin(end.cancelled_owned())),
            _watch: watch,
        }
    }

    /// Why it is over, as soon as it is.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Option<TokenError> {
        if let Some(end) = &mut self.end
            && end.as_mut().poll(cx).is_ready()
        {
            return Some(TokenError::SessionEnded);
        }
        let expiry = self.expiry.as_mut()?;
        let expired = expiry.as_mut().poll(cx).is_ready();
        expired.then_some(TokenError::Expired)
    }
}

/// The body of a streamed answer: it is counted, and ends with its life.
struct Streamed {
    body: Body,
    _open: OpenStream,
    life: StreamLife,
    ended: bool,
}

/// Wraps `response` as a stream, which ends with `TOKEN_EXPIRED` or `SESSION_ENDED` with its life.
pub(super) fn bounded(
    response: Response<Body>,
    open: OpenStream,
    life: StreamLife,
) -> Response<Body> {
    response.map(|body| {
        Body::new(Streamed {
            body,
            _open: open,
            life,
            ended: false,
        })
    })
}

impl hyper::body::Body for Streamed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(why) = self.life.poll_over(cx) {
            self.ended = true;
            let status = Status::from(Fault::from(why));
            let mut trailers = HeaderMap::new();
            return Poll::Ready(Some(match status.add_header(&mut trailers) {
                Ok(()) => Ok(Frame::trailers(trailers)),
                Err(status) => Err(status),
            }));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::access::{EndedSession, EndedSessions};

    fn principal(id: u128, role: Role) -> Principal {
        Principal {
            user_id: Uuid::from_u128(id),
            username: "ada".into(),
            role,
            session_id: None,
            scope: None,
            expires_at: Timestamp::MAX,
        }
    }

    #[test]
    fn each_account_has_its_own_stream_limit() {
        let limits = StreamLimits::new(2, 100);
        let (ada, grace) = (principal(1, Role::Developer), principal(2, Role::Admin));
        let one = limits.open(Some(&ada)).unwrap();
        let _two = limits.open(Some(&ada)).unwrap();
        assert_eq!(
            limits.open(Some(&ada)).unwrap_err().code,
            "TOO_MANY_STREAMS"
        );
        let _others = limits.open(Some(&grace)).unwrap();
        drop(one);
        assert!(limits.open(Some(&ada)).is_ok());
    }

    #[test]
    fn services_have_no_own_limit_and_anonymous_callers_a_small_one() {
        let limits = StreamLimits::new(1, 32);
        let service = principal(0, Role::Service);
        let _two = [(), ()].map(|()| limits.open(None).unwrap());
        assert_eq!(limits.open(None).unwrap_err().code, "OVERLOADED");
        let _thirty: Vec<_> = (0..30)
            .map(|_| limits.open(Some(&service)).unwrap())
            .collect();
        assert_eq!(limits.open(Some(&service)).unwrap_err().code, "OVERLOADED");
    }

    #[test]
    fn ended_streams_do_not_count() {
        let limits = StreamLimits::new(1, 2);
        for id in 0..100 {
            let account = principal(id, Role::Developer);
            drop((
                limits.open(Some(&account)).unwrap(),
                limits.open(None).unwrap(),
            ));
        }
        let open = limits.0.open.lock();
        assert_eq!((open.count, open.anonymous), (0, 0));
        assert!(open.accounts.is_empty());
    }

    fn endless() -> Response<Body> {
        let nothing = futures::stream::pending::<Result<Frame<Bytes>, Status>>();
        Response::new(Body::new(http_body_util::StreamBody::new(nothing)))
    }

    #[tokio::test]
    async fn a_stream_ends_when_its_session_ends() {
        let now = Timestamp::UNIX_EPOCH;
        let session = Uuid::from_u128(7);
        let ada = principal(1, Role::Developer);
        let sessions = EndedSessions::default();
        let open = StreamLimits::new(1, 1).open(Some(&ada)).unwrap();
        let life = StreamLife::new(Some(&ada), now, sessions.watch(Some(session)));
        let mut body = bounded(endless(), open, life).into_body();
        assert!(body.frame().now_or_never().is_none());
        let ended = EndedSession {
            id: session,
            until: Timestamp::MAX,
        };
        sessions.add(ended, now);
        let frame = body.frame().await.unwrap().unwrap();
        let status = Status::from_header_map(frame.trailers_ref().unwrap()).unwrap();
        assert_eq!(Fault::from(status).code, "SESSION_ENDED");
        assert!(body.frame().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_when_its_token_expires() {
        let now = Timestamp::UNIX_EPOCH;
        let ada = Principal {
            expires_at: now + jiff::SignedDuration::from_secs(60),
            ..principal(1, Role::Developer)
        };
        let limits = StreamLimits::new(1, 1);
        let open = limits.open(Some(&ada)).unwrap();
        let begun = tokio::time::Instant::now();
        let life = StreamLife::new(Some(&ada), now, EndedSessions::default().watch(None));
        let mut body = bounded(endless(), open, life).into_body();
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(begun.elapsed().as_secs(), 60);
        let status = Status::from_header_map(frame.trailers_ref().unwrap()).unwrap();
        assert_eq!(status.code(), tonic::Code::Unauthenticated);
        assert_eq!(Fault::from(status).code, "TOKEN_EXPIRED");
        assert!(body.frame().await.is_none());
        drop(body);
        assert!(limits.open(Some(&ada)).is_ok());
    }
}
