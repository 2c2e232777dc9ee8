//! Receipts: recognise a repeated request by its idempotency key.
//!
//! The receipt of a command is committed in the same write as its effect: in SQLite into a table
//! ([`sqlite`]), in MongoDB into the changed document ([`mongo`]). So there is never one without
//! the other: a crash at any point and a repetition at any moment, also concurrently on another
//! replica, result in one effect and one answer. A refused command leaves no receipt; its
//! repetition is executed again. [`once`] executes a request in this way.

pub mod mongo;
pub mod sqlite;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use prost::Message;
use sha2::{Digest as _, Sha256};

use slipway_rpc::{
    access::Principal,
    error::{Fault, Kind},
    metadata::IDEMPOTENCY_KEY,
};
use slipway_runtime::clock::Clock;

use crate::StoreError;

/// How long a receipt is kept.
pub const RECEIPT_TTL: SignedDuration = SignedDuration::from_hours(24);

/// Identifies the request of a receipt: a caller's idempotency key on one method, or a shared key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReceiptKey(pub String);

/// Proof that a command was executed, with its answer: the same request again gets the same answer
/// and has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The request.
    pub key: ReceiptKey,
    /// Distinguishes a repetition from another request with the same key.
    pub fingerprint: Vec<u8>,
    /// The answer, encoded.
    pub response: Vec<u8>,
    /// When it was executed.
    pub at: Timestamp,
}

/// Where a service stores its receipts.
#[async_trait]
pub trait ReceiptStore: Send + Sync + 'static {
    /// The receipt of a request that was executed after `since`.
    ///
    /// # Errors
    /// If the database is unavailable.
    async fn receipt(
        &self,
        key: ReceiptKey,
        since: Timestamp,
    ) -> Result<Option<Receipt>, StoreError>;

    /// Deletes the receipts from before `before`.
    ///
    /// # Errors
    /// If the database is unavailable.
    async fn purge_receipts(&self, before: Timestamp) -> Result<(), StoreError>;
}

/// A request that may be repeated.
#[derive(Debug, Clone)]
pub struct Repeatable {
    key: ReceiptKey,
    fingerprint: Vec<u8>,
}

impl Repeatable {
    /// Reads the idempotency key from a request's metadata, if there is one. The same key of
    /// another caller or for another method is a different one. `content` distinguishes different
    /// requests with the same key.
    ///
    /// # Errors
    /// If the key is not 1 to 255 visible ASCII characters.
    pub fn of<T>(
        request: &tonic::Request<T>,
        method: &str,
        caller: Option<&Principal>,
        content: &impl Message,
    ) -> Result<Option<Self>, Fault> {
        let Some(value) = request.metadata().get(IDEMPOTENCY_KEY) else {
            return Ok(None);
        };
        let visible = |text: &&str| {
            (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let key = value.to_str().ok().filter(visible).ok_or_else(|| {
            Fault::invalid_field(
                "Idempotency-Key",
                "must be 1 to 255 visible ASCII characters",
            )
        })?;
        let caller = caller.map_or("anonymous".to_owned(), |caller| caller.user_id.to_string());
        Ok(Some(Self::new(&caller, method, key, content)))
    }

    /// A request that is the same for all callers: `key` identifies what it is about.
    #[must_use]
    pub fn of_everybody(method: &str, key: &str, content: &impl Message) -> Self {
        Self::new("everybody", method, key, content)
    }

    fn new(caller: &str, method: &str, key: &str, content: &impl Message) -> Self {
        let digest = Sha256::digest(format!("{caller}\n{method}\n{key}"));
        Self {
            key: ReceiptKey(digest.iter().map(|byte| format!("{byte:02x}")).collect()),
            fingerprint: Sha256::digest(content.encode_to_vec()).to_vec(),
        }
    }

    /// The receipt key of the request.
    #[must_use]
    pub fn key(&self) -> &ReceiptKey {
        &self.key
    }

    /// Distinguishes it from another request with the same key.
    #[must_use]
    pub fn fingerprint(&self) -> &[u8] {
        &self.fingerprint
    }

    /// The receipt to commit together with the effect.
    #[must_use]
    pub fn receipt(&self, response: Vec<u8>, at: Timestamp) -> Receipt {
        Receipt {
            key: self.key.clone(),
            fingerprint: self.fingerprint.clone(),
            response,
            at,
        }
    }

    /// The earlier answer to this request, if it was executed before.
    ///
    /// # Errors
    /// `IDEMPOTENCY_KEY_REUSED` if the key was used for another request; or the store's error.
    pub async fn earlier(
        &self,
        store: &dyn ReceiptStore,
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let found = store.receipt(self.key.clone(), now - RECEIPT_TTL).await;
        let Some(receipt) = found? else {
            return Ok(None);
        };
        if receipt.fingerprint != self.fingerprint {
            return Err(reused());
        }
        Ok(Some(receipt.response))
    }
}

/// The code of [`reused`].
pub const KEY_REUSED: &str = "IDEMPOTENCY_KEY_REUSED";

/// The error if the key was used for another request.
#[must_use]
pub fn reused() -> Fault {
    Fault::new(
        Kind::Conflict,
        KEY_REUSED,
        "This idempotency key was used for another request within the last 24 hours.",
    )
}

/// Executes a request with `attempt`, unless it was executed before: then returns the answer in its
/// receipt.
///
/// # Errors
/// The refusal of the attempt, `IDEMPOTENCY_KEY_REUSED`, or the store's error.
pub async fn once<R: Message + Default>(
    repeatable: Option<&Repeatable>,
    store: &dyn ReceiptStore,
    clock: &dyn Clock,
    attempt: impl Future<Output = Result<R, Fault>>,
) -> Result<R, Fault> {
    let earlier = || async {
        let Some(repeatable) = repeatable else {
            return Ok(None);
        };
        let earlier = repeatable.earlier(store, clock.now()).await?;
        let earlier = earlier.as_deref().map(R::decode).transpose();
        earlier.map_err(|error| Fault::internal(format_args!("a receipt: {error}")))
    };
    unless_earlier(earlier, attempt).await
}

/// Like [`once`], for receipts that do not contain the answer: `earlier` builds it, if there is a
/// receipt.
///
/// # Errors
/// See [`once`].
pub async fn unless_earlier<R, E>(
    earlier: impl Fn() -> E,
    attempt: impl Future<Output = Result<R, Fault>>,
) -> Result<R, Fault>
where
    E: Future<Output = Result<Option<R>, Fault>>,
{
    if let Some(answer) = earlier().await? {
        return Ok(answer);
    }
    match attempt.await {
        // It may have been refused because the same request was sent twice concurrently.
        Err(refusal) => earlier().await?.ok_or(refusal),
        done => done,
    }
}
