//! Recognising a repeated request by its idempotency key.
//!
//! The key is stored with what the request made: the session, or the question. So there
//! is no moment at which one is there without the other. A question that found no answer
//! does not count: its repetition is asked anew.

use prost::Message;
use sha2::{Digest as _, Sha256};
use slipway_mesh::{
    access::Principal,
    error::{Fault, Kind},
    grpc::IDEMPOTENCY_KEY,
};

/// A request's idempotency key, and what tells the request from others under that key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// A digest of the caller, the method and the key.
    pub key: String,
    /// A digest of the request.
    pub fingerprint: String,
}

impl RequestKey {
    /// Reads the key from a request's metadata, if there is one.
    ///
    /// # Errors
    /// If the key is not 1 to 255 visible ASCII characters.
    pub fn of<T: Message>(
        request: &tonic::Request<T>,
        method: &str,
        caller: &Principal,
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
        Ok(Some(Self {
            key: hex(format!("{}\n{method}\n{key}", caller.user_id).as_bytes()),
            fingerprint: hex(&request.get_ref().encode_to_vec()),
        }))
    }
}

fn hex(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The key was used for another request.
pub(crate) fn reused() -> Fault {
    Fault::new(
        Kind::Conflict,
        "IDEMPOTENCY_KEY_REUSED",
        "This idempotency key was used for another request within the last 24 hours.",
    )
}
