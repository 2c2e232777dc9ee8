//! How much of the bodies of requests is taken: of one, and of all at once.
//!
//! A body is read only after its sender is known, and counted while it is held: a
//! thousand clients that send a mebibyte each must not cost a gibibyte. What is over the
//! bounds is refused at once; nothing waits for room.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use axum::body::Body;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::problem::Problem;

/// Bytes of a body at most.
pub(crate) const BODY_LIMIT: usize = 1024 * 1024;

/// Bytes of a body of `/auth/…` at most: names and passwords, mostly of nobody who is known.
pub(crate) const AUTH_BODY_LIMIT: usize = 16 * 1024;

/// Bytes of all bodies together at most.
const ALL: usize = 64 * 1024 * 1024;

/// Bytes of the bodies of one sender at most, so that nobody takes the room of all others.
const OF_ONE: usize = 8 * 1024 * 1024;

/// Bytes of a body at most at this route, which is the router's own path.
pub(crate) fn limit_of(route: &str) -> usize {
    let path = route.strip_prefix("/v1").unwrap_or(route);
    if path.starts_with("/auth/") {
        AUTH_BODY_LIMIT
    } else {
        BODY_LIMIT
    }
}

/// Who sends a body. The extractors that find out who calls leave it with the request; a
/// body without a sender is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sender {
    /// A client that has signed in.
    User(Uuid),
    /// A client that need not have; where it comes from, as far as that is known.
    Anybody(Option<IpAddr>),
    /// A program that knows the secret of the webhooks.
    Hook,
}

/// The bytes of bodies that are held.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bodies(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    all: usize,
    of: HashMap<Sender, usize>,
}

impl Bodies {
    /// The room of a body that nothing has come of yet.
    fn room(&self, sender: Sender) -> Room {
        Room {
            bodies: self.clone(),
            sender,
            bytes: 0,
        }
    }

    /// Reads a body of at most `limit` bytes. What it announces is counted at once, what it
    /// does not announce as it comes.
    pub(crate) async fn read(
        &self,
        sender: Sender,
        mut body: Body,
        limit: usize,
    ) -> Result<(Vec<u8>, Room), Problem> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let mut room = self.room(sender);
        room.grow_to(announced, limit)?;
        let mut bytes = Vec::with_capacity(announced);
        while let Some(frame) = body.frame().await {
            let cut_off = || Problem::malformed_body("The body did not arrive whole.".to_owned());
            let frame = frame.map_err(|_| cut_off())?;
            if let Ok(data) = frame.into_data() {
                room.grow_to(bytes.len() + data.len(), limit)?;
                bytes.extend_from_slice(&data);
            }
        }
        Ok((bytes, room))
    }
}

/// The room that a body takes, until it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    bodies: Bodies,
    sender: Sender,
    bytes: usize,
}

impl Room {
    fn grow_to(&mut self, bytes: usize, limit: usize) -> Result<(), Problem> {
        if bytes > limit {
            return Err(Problem::body_too_large(limit));
        }
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let mut held = self.bodies.0.lock();
        let own = held.of.get(&self.sender).copied().unwrap_or_default() + more;
        if held.all + more > ALL || own > OF_ONE {
            return Err(Problem::too_many_bodies());
        }
        held.all += more;
        held.of.insert(self.sender, own);
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut held = self.bodies.0.lock();
        held.all -= self.bytes;
        if let Some(own) = held.of.get_mut(&self.sender) {
            *own -= self.bytes;
            if *own == 0 {
                held.of.remove(&self.sender);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(n: u128) -> Sender {
        Sender::User(Uuid::from_u128(n))
    }

    #[test]
    fn the_bodies_of_one_sender_and_of_all_are_bounded() {
        let bodies = Bodies::default();
        let fill = |n| {
            let mut rooms = Vec::new();
            while let Some(room) = {
                let mut room = bodies.room(of(n));
                room.grow_to(BODY_LIMIT, BODY_LIMIT).is_ok().then_some(room)
            } {
                rooms.push(room);
            }
            rooms
        };
        let rooms: Vec<_> = (0..9).map(fill).collect();
        let counts: Vec<_> = rooms.iter().map(Vec::len).collect();
        assert_eq!(counts, [8, 8, 8, 8, 8, 8, 8, 8, 0]);
        drop(rooms);
        let held = bodies.0.lock();
        assert_eq!((held.all, held.of.len()), (0, 0));
    }

    #[test]
    fn room_grows_with_the_body_and_is_given_back_after_a_refusal() {
        let bodies = Bodies::default();
        let mut room = bodies.room(of(1));
        room.grow_to(10, 100).unwrap();
        room.grow_to(5, 100).unwrap();
        room.grow_to(100, 100).unwrap();
        room.grow_to(101, 100).unwrap_err();
        assert_eq!(bodies.0.lock().all, 100);
        drop(room);
        assert_eq!(bodies.0.lock().all, 0);
    }

    #[test]
    fn the_limit_is_that_of_the_address() {
        for route in ["/auth/login", "/v1/auth/register", "/auth/reset/{token}"] {
            assert_eq!(limit_of(route), AUTH_BODY_LIMIT, "{route}");
        }
        for route in [
            "/releases",
            "/v1/releases",
            "unmatched",
            "/authors",
            "/auth",
        ] {
            assert_eq!(limit_of(route), BODY_LIMIT, "{route}");
        }
    }
}
