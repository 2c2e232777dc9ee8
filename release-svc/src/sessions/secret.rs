//! The secrets of sessions: refresh tokens, the values of cookies, and tokens for programs.
//!
//! A secret names its session and has two random parts. All secrets of a session share the first
//! one, and each refresh replaces the second one. So an old secret of a session is told from a
//! guess without storing all of them: only who had a secret knows the first part.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::{SessionId, SessionKind};

const FAMILY_BYTES: usize = 16;
const CURRENT_BYTES: usize = 32;

/// The digest of a random part of a secret. The part has at least 128 random bits, so a plain hash is
/// enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    pub(crate) fn of(part: &[u8]) -> Self {
        Self(BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(part)))
    }

    /// Compares in constant time.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

/// A secret of a session. It has no `Debug`, so that it is never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// The session.
    pub session: SessionId,
    family: [u8; FAMILY_BYTES],
    current: [u8; CURRENT_BYTES],
}

impl Secret {
    /// The first secret of a new session.
    #[must_use]
    pub fn generate() -> Self {
        Self {
            session: SessionId::generate(),
            family: rand::random(),
            current: rand::random(),
        }
    }

    /// Another secret of the same session.
    #[must_use]
    pub fn next(&self) -> Self {
        Self {
            current: rand::random(),
            ..self.clone()
        }
    }

    /// Reads the text of a secret for this kind of client; `None` if it is malformed.
    #[must_use]
    pub fn parse(kind: SessionKind, text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(prefix(kind))?.split_once('_')?;
        // The hyphenated form would be a second spelling.
        let id = Uuid::try_parse(id).ok().filter(|_| id.len() == 32)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(secret).ok()?;
        let (family, current) = bytes.split_at_checked(FAMILY_BYTES)?;
        Some(Self {
            session: SessionId(id),
            family: family.try_into().ok()?,
            current: current.try_into().ok()?,
        })
    }

    /// The text for this kind of client.
    #[must_use]
    pub fn text(&self, kind: SessionKind) -> String {
        let secret = [&self.family[..], &self.current].concat();
        let public = Self::public_part(kind, self.session);
        format!("{public}_{}", BASE64_URL_SAFE_NO_PAD.encode(secret))
    }

    /// The beginning of the text of a session's secret, which is not secret: with it a leaked token
    /// is found in the list.
    #[must_use]
    pub fn public_part(kind: SessionKind, session: SessionId) -> String {
        format!("{}{}", prefix(kind), session.0.simple())
    }

    /// The digest of the part that all secrets of the session share.
    #[must_use]
    pub fn family(&self) -> Digest {
        Digest::of(&self.family)
    }

    /// The digest of the part that each refresh replaces.
    #[must_use]
    pub fn current(&self) -> Digest {
        Digest::of(&self.current)
    }
}

/// The beginning of a secret's text: secret scanners find it, and people see what they have.
fn prefix(kind: SessionKind) -> &'static str {
    match kind {
        SessionKind::Api => "slr_",
        SessionKind::Browser => "slb_",
        SessionKind::Program => "slp_",
    }
}
