//! Hashes and verifies passwords with argon2id on blocking threads, behind bounded queues.
//!
//! Sign-ins and registrations have separate queues and shares of the cores, so that a flood of
//! registrations does not block sign-ins. A full queue refuses at once, because a client would
//! not wait long enough.

use std::{num::NonZero, sync::Arc, thread, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::phc::PasswordHash,
};
use slipway_runtime::text::normal;
use tokio::sync::{Semaphore, SemaphorePermit};

/// 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Waiting requests per parallel hash: about two seconds of work.
const WAITING: usize = 64;

/// Longest wait for a turn, for a slow or busy machine.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Hashing failed.
#[derive(Debug, thiserror::Error)]
#[error("password hashing failed: {0}")]
pub struct HashError(String);

/// A queue is full, or too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being hashed")]
pub struct QueueFull;

/// Hashes and verifies passwords.
pub struct Hasher {
    /// For sign-ins: one turn per core.
    pub sign_ins: Queue,
    /// For registrations: a quarter as many turns.
    pub registrations: Queue,
    /// For sign-ins from addresses with too many failures: one at a time, before they wait for a
    /// turn in `sign_ins`.
    pub suspects: Queue,
    /// The hash to verify against if there is no account, so that an unknown name takes as long
    /// as a wrong password.
    decoy: Arc<str>,
}

/// A bounded queue of requests that hash for one purpose.
pub struct Queue {
    turns: Semaphore,
    places: Semaphore,
}

/// A place in a queue, until it is dropped.
pub struct HashingPermit<'a>(#[expect(dead_code, reason = "held, not used")] SemaphorePermit<'a>);

/// Permission to hash, until it is dropped.
pub struct Turn<'a>(#[expect(dead_code, reason = "held, not used")] SemaphorePermit<'a>);

impl Queue {
    fn new(turns: usize, waiting: usize) -> Self {
        Self {
            turns: Semaphore::new(turns),
            places: Semaphore::new(turns + waiting),
        }
    }

    /// Takes a place, without waiting.
    ///
    /// # Errors
    /// If the queue is full.
    pub fn place(&self) -> Result<HashingPermit<'_>, QueueFull> {
        self.places
            .try_acquire()
            .map(HashingPermit)
            .map_err(|_| QueueFull)
    }

    /// Waits for a turn. Checks that must be up to date when the password is verified belong
    /// after this call.
    ///
    /// # Errors
    /// If there is no turn within [`LONGEST_WAIT`].
    pub async fn turn(&self) -> Result<Turn<'_>, QueueFull> {
        match tokio::time::timeout(LONGEST_WAIT, self.turns.acquire()).await {
            Ok(Ok(permit)) => Ok(Turn(permit)),
            Ok(Err(_)) | Err(_) => Err(QueueFull),
        }
    }
}

impl Hasher {
    /// A hasher for this machine.
    ///
    /// # Errors
    /// Only if hashing itself fails.
    pub fn new() -> Result<Self, HashError> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let registrations = cores.div_ceil(4);
        Ok(Self {
            sign_ins: Queue::new(cores, cores * WAITING),
            registrations: Queue::new(registrations, registrations * WAITING),
            suspects: Queue::new(1, WAITING / 4),
            decoy: hash("")?.into(),
        })
    }

    /// The hash of a password, in PHC format.
    ///
    /// # Errors
    /// Only if hashing itself fails.
    pub async fn hash(&self, _turn: &Turn<'_>, password: String) -> Result<String, HashError> {
        blocking(move || hash(&password)).await?
    }

    /// Whether `password` is the one that was hashed. Without a hash the answer is `false` after
    /// the same time. The password is compared in its normal form (NFC), and also as given, for
    /// hashes from before passwords were normalised.
    ///
    /// # Errors
    /// If the hash is malformed.
    pub async fn verify(
        &self,
        _turn: &Turn<'_>,
        password: String,
        password_hash: Option<String>,
    ) -> Result<bool, HashError> {
        let known = password_hash.is_some();
        let password_hash = password_hash.unwrap_or_else(|| self.decoy.to_string());
        let matches = blocking(move || {
            let normalised = normal(&password);
            Ok(verify(&normalised, &password_hash)?
                || (normalised != password && verify(&password, &password_hash)?))
        });
        Ok(matches.await?? && known)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HashError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| HashError(error.to_string()))
}

fn argon2() -> Result<Argon2<'static>, HashError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|error| HashError(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &str) -> Result<String, HashError> {
    argon2()?
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| HashError(error.to_string()))
}

fn verify(password: &str, password_hash: &str) -> Result<bool, HashError> {
    let parsed = PasswordHash::new(password_hash).map_err(|error| HashError(error.to_string()))?;
    Ok(argon2()?
        .verify_password(password.as_bytes(), &parsed)
        .is_ok())
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_only() {
        let hasher = Hasher::new().unwrap();
        let turn = hasher.sign_ins.turn().await.unwrap();
        let hash = hasher.hash(&turn, "correct horse".into()).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let verify = |password: &str, hash: Option<&str>| {
            hasher.verify(&turn, password.to_owned(), hash.map(str::to_owned))
        };
        assert!(verify("correct horse", Some(&hash)).await.unwrap());
        assert!(!verify("wrong", Some(&hash)).await.unwrap());
        assert!(!verify("", None).await.unwrap());
    }

    #[tokio::test]
    async fn a_password_is_the_same_however_it_is_typed() {
        let hasher = Hasher::new().unwrap();
        let turn = hasher.sign_ins.turn().await.unwrap();
        let (composed, decomposed) = ("caf\u{e9} au lait", "cafe\u{301} au lait");
        let verify = |password: &str, hash: &str| {
            hasher.verify(&turn, password.to_owned(), Some(hash.to_owned()))
        };
        let new = hash(composed).unwrap();
        assert!(verify(composed, &new).await.unwrap());
        assert!(verify(decomposed, &new).await.unwrap());
        // A hash from before passwords were normalised.
        let old = hash(decomposed).unwrap();
        assert!(verify(decomposed, &old).await.unwrap());
        assert!(!verify("cafe au lait", &old).await.unwrap());
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_does_not_block_other_queues() {
        let hasher = Hasher::new().unwrap();
        let queue = &hasher.registrations;
        let mut places = Vec::new();
        let full = loop {
            match queue.place() {
                Ok(place) => places.push(place),
                Err(full) => break full,
            }
        };
        assert_eq!(full, QueueFull);
        let mut turns = Vec::new();
        while let Some(turn) = queue.turn().now_or_never() {
            turns.push(turn.unwrap());
        }
        assert_eq!(places.len(), turns.len() * (1 + WAITING));
        let _place = hasher.sign_ins.place().unwrap();
        assert!(hasher.sign_ins.turn().now_or_never().is_some());
        drop(places.pop());
        assert!(queue.place().is_ok());
    }
}
