//! What is remembered of a sign-in until the browser comes back from the provider. Pure.
//!
//! The browser keeps a secret in a cookie, and the provider returns the `state`. Only both together
//! give the nonce and the PKCE verifier, so the database has nothing that could finish a sign-in.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::sessions::{later, secret::Digest};

/// How long a sign-in may take.
pub const LONGEST: SignedDuration = SignedDuration::from_mins(10);

/// Bytes of the address where a browser goes afterwards.
pub const MAX_NEXT: usize = 2048;

const BYTES: usize = 32;

/// The secrets of a sign-in. They have no `Debug`, so that they are never logged.
#[derive(Clone)]
pub struct FlowSecrets {
    browser: [u8; BYTES],
    state: String,
}

impl FlowSecrets {
    /// The secrets of a new sign-in.
    #[must_use]
    pub fn generate() -> Self {
        let state: [u8; BYTES] = rand::random();
        Self {
            browser: rand::random(),
            state: BASE64_URL_SAFE_NO_PAD.encode(state),
        }
    }

    /// The secrets that a browser has come back with; `None` if the cookie has none.
    #[must_use]
    pub fn parse(cookie: &str, state: &str) -> Option<Self> {
        let browser = BASE64_URL_SAFE_NO_PAD.decode(cookie).ok()?;
        Some(Self {
            browser: browser.try_into().ok()?,
            state: state.to_owned(),
        })
    }

    /// The value of the cookie.
    #[must_use]
    pub fn cookie(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.browser)
    }

    /// What the provider returns with its answer.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }

    /// What the provider puts into the ID token.
    #[must_use]
    pub fn nonce(&self) -> String {
        self.derived("nonce")
    }

    /// The PKCE verifier: the provider accepts the code only with it.
    #[must_use]
    pub fn verifier(&self) -> String {
        self.derived("verifier")
    }

    /// The id of the flow.
    #[must_use]
    pub fn flow_id(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&self.state))
    }

    fn derived(&self, label: &str) -> String {
        let hash = Sha256::new()
            .chain_update(self.browser)
            .chain_update(label)
            .chain_update([0])
            .chain_update(&self.state)
            .finalize();
        BASE64_URL_SAFE_NO_PAD.encode(hash)
    }
}

/// A sign-in that waits for the browser to come back. It is never changed, only deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    /// The digest of the state.
    pub id: String,
    /// The digest of the secret in the cookie.
    browser: Digest,
    /// Where the browser goes afterwards.
    pub next: String,
    /// When it expires.
    pub expires_at: Timestamp,
}

impl Flow {
    /// A sign-in with these secrets that begins at `now`.
    #[must_use]
    pub fn begin(secrets: &FlowSecrets, next: String, now: Timestamp) -> Self {
        Self {
            id: secrets.flow_id(),
            browser: Digest::of(&secrets.browser),
            next,
            expires_at: later(now, LONGEST),
        }
    }

    /// Whether the browser with these secrets may finish it at `now`.
    #[must_use]
    pub fn admits(&self, secrets: &FlowSecrets, now: Timestamp) -> bool {
        now < self.expires_at && self.browser.is_of(&Digest::of(&secrets.browser))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn only_the_browser_that_began_a_sign_in_can_finish_it_in_time() {
        let secrets = FlowSecrets::generate();
        let flow = Flow::begin(&secrets, "/".to_owned(), NOW);
        let back = FlowSecrets::parse(&secrets.cookie(), secrets.state()).unwrap();
        assert_eq!(back.flow_id(), flow.id);
        let last = later(NOW, LONGEST - SignedDuration::from_nanos(1));
        assert!(flow.admits(&back, NOW) && flow.admits(&back, last));
        assert!(!flow.admits(&back, later(NOW, LONGEST)));
        let other = FlowSecrets::parse(&FlowSecrets::generate().cookie(), secrets.state());
        assert!(!flow.admits(&other.unwrap(), NOW));
        for cookie in ["", "a", "ä", &"A".repeat(44)] {
            assert!(FlowSecrets::parse(cookie, "state").is_none(), "{cookie}");
        }
    }

    #[test]
    fn nonce_and_verifier_need_both_the_cookie_and_the_state() {
        let secrets = FlowSecrets::generate();
        let same = FlowSecrets::parse(&secrets.cookie(), secrets.state()).unwrap();
        assert_eq!(
            (same.nonce(), same.verifier()),
            (secrets.nonce(), secrets.verifier())
        );
        let other = FlowSecrets::generate();
        let of = |a: &FlowSecrets, b: &FlowSecrets| FlowSecrets::parse(&a.cookie(), b.state());
        let mut all = vec![secrets.nonce(), secrets.verifier()];
        for mixed in [of(&secrets, &other), of(&other, &secrets)] {
            let mixed = mixed.unwrap();
            all.extend([mixed.nonce(), mixed.verifier()]);
        }
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
        // RFC 7636: 43 to 128 characters.
        assert_eq!(secrets.verifier().len(), 43);
    }

    #[test]
    fn what_is_stored_has_none_of_the_secrets() {
        let secrets = FlowSecrets::generate();
        let flow = Flow::begin(&secrets, "/".to_owned(), NOW);
        let stored = serde_json::to_string(&flow).unwrap();
        for secret in [
            secrets.cookie(),
            secrets.state().to_owned(),
            secrets.nonce(),
            secrets.verifier(),
        ] {
            assert!(!stored.contains(&secret), "{stored}");
        }
    }
}
