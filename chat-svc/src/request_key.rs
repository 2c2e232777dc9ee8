//! Recognises a repeated request by its idempotency key.
//!
//! Unlike in other services, there is no separate receipt: the key is stored with the session or
//! the question that the request created. A question without an answer does not count: its
//! repetition is asked again.

use prost::Message;
use serde::{Deserialize, Serialize};
use slipway_rpc::{access::Principal, error::Fault};
use slipway_store::receipts::Repeatable;

/// A request's idempotency key, with a fingerprint of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
        let repeatable = Repeatable::of(request, method, Some(caller), request.get_ref())?;
        Ok(repeatable.map(|repeatable| Self {
            key: repeatable.key().0.clone(),
            fingerprint: hex(repeatable.fingerprint()),
        }))
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
