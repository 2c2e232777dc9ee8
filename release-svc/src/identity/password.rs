//! Password hashing: argon2id, off the runtime, and no more at once than there are cores.

use std::{num::NonZero, sync::Arc, thread};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::phc::PasswordHash,
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashing did not take place.
#[derive(Debug, thiserror::Error)]
#[error("password hashing failed: {0}")]
pub struct HashError(String);

/// Hashes and verifies passwords.
#[derive(Clone)]
pub struct Hasher {
    permits: Arc<Semaphore>,
    /// The hash of nothing: verified against where there is no account, so that an
    /// unknown name takes as long as a wrong password.
    decoy: Arc<str>,
}

/// Leave to use a core for hashing.
pub struct Turn<'a> {
    _permit: SemaphorePermit<'a>,
    hasher: &'a Hasher,
}

impl Hasher {
    /// A hasher for this machine.
    ///
    /// # Errors
    /// Only if hashing itself fails.
    pub fn new() -> Result<Self, HashError> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self {
            permits: Arc::new(Semaphore::new(cores)),
            decoy: hash("")?.into(),
        })
    }

    /// Waits for a turn. What must be checked right before a password is verified is
    /// checked within the turn.
    ///
    /// # Errors
    /// Never, as long as the process lives.
    pub async fn turn(&self) -> Result<Turn<'_>, HashError> {
        let permit = self.permits.acquire().await;
        Ok(Turn {
            _permit: permit.map_err(|error| HashError(error.to_string()))?,
            hasher: self,
        })
    }
}

impl Turn<'_> {
    /// The hash of a password, in PHC format.
    ///
    /// # Errors
    /// Only if hashing itself fails.
    pub async fn hash(&self, password: String) -> Result<String, HashError> {
        blocking(move || hash(&password)).await?
    }

    /// Whether `password` is the one that was hashed; without a hash it is not, and
    /// takes as long.
    ///
    /// # Errors
    /// If the hash is malformed.
    pub async fn verify(
        &self,
        password: String,
        password_hash: Option<String>,
    ) -> Result<bool, HashError> {
        let known = password_hash.is_some();
        let password_hash = password_hash.unwrap_or_else(|| self.hasher.decoy.to_string());
        let matches = blocking(move || verify(&password, &password_hash)).await??;
        Ok(matches && known)
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
    use super::*;

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_only() {
        let hasher = Hasher::new().unwrap();
        let turn = hasher.turn().await.unwrap();
        let hash = turn.hash("correct horse".into()).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(
            turn.verify("correct horse".into(), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(!turn.verify("wrong".into(), Some(hash)).await.unwrap());
        assert!(!turn.verify(String::new(), None).await.unwrap());
    }
}
