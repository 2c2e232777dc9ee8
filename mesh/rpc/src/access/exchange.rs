//! Keeps the access tokens that secrets were exchanged for.
//!
//! The cookie of a browser and a token for programs are secrets that only release-svc knows. A
//! process exchanges one for an access token, which every service verifies by itself, and keeps
//! that for the next requests.

use std::{future::Future, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use quick_cache::sync::Cache;

use super::Token;
use crate::error::{Fault, Kind};

/// Secrets whose tokens are kept.
const KEPT_TOKENS: usize = 20_000;

/// A token with less time left is replaced.
const RENEW_BEFORE_END: SignedDuration = SignedDuration::from_secs(60);

/// Time until the next attempt after a token could not be replaced.
const RETRY_AFTER: SignedDuration = SignedDuration::from_secs(1);

/// A token for a secret.
#[derive(Clone)]
struct Exchanged {
    token: Arc<str>,
    renew_at: Timestamp,
    expires_at: Timestamp,
}

/// The tokens that secrets of one kind were exchanged for.
pub struct Exchanges {
    kept: Cache<String, Exchanged>,
    renew_after: SignedDuration,
}

impl Exchanges {
    /// Keeps each token until shortly before it expires, but at most for `renew_after`.
    #[must_use]
    pub fn new(renew_after: SignedDuration) -> Self {
        Self {
            kept: Cache::new(KEPT_TOKENS),
            renew_after,
        }
    }

    /// The token for `secret`: the one that is kept, or else the result of `exchange`. Requests at
    /// the same time make one exchange. If the service is away, a token that has not expired is
    /// used longer.
    ///
    /// # Errors
    /// Those of the exchange.
    pub async fn token(
        &self,
        secret: &str,
        now: Timestamp,
        exchange: impl Future<Output = Result<Token, Fault>>,
    ) -> Result<Arc<str>, Fault> {
        let known = self.kept.get(secret);
        if let Some(known) = &known {
            if now < known.renew_at {
                return Ok(Arc::clone(&known.token));
            }
            self.kept.remove_if(secret, |known| known.renew_at <= now);
        }
        let exchanged = self.kept.get_or_insert_async(secret, async {
            match (exchange.await, known) {
                (Ok(token), _) => Ok(self.exchanged(token, now)),
                (Err(fault), Some(known)) if is_away(&fault) && now < known.expires_at => {
                    Ok(Exchanged {
                        renew_at: now + RETRY_AFTER,
                        ..known
                    })
                }
                (Err(fault), _) => Err(fault),
            }
        });
        Ok(exchanged.await?.token)
    }

    /// Forgets a token that is not accepted: there may be another one for the secret.
    pub fn forget(&self, secret: &str) {
        self.kept.remove(secret);
    }

    fn exchanged(&self, token: Token, now: Timestamp) -> Exchanged {
        let Token { text, expires_at } = token;
        let lasts = expires_at.duration_since(now);
        let renew_after = (lasts - RENEW_BEFORE_END.min(lasts / 2)).min(self.renew_after);
        Exchanged {
            token: text.into(),
            renew_at: now + renew_after,
            expires_at,
        }
    }
}

fn is_away(fault: &Fault) -> bool {
    matches!(fault.kind, Kind::Unavailable | Kind::Deadline)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn after(seconds: i64) -> Timestamp {
        NOW + SignedDuration::from_secs(seconds)
    }

    fn token(text: &str, expires_at: Timestamp) -> Result<Token, Fault> {
        Ok(Token {
            text: text.to_owned(),
            expires_at,
        })
    }

    #[tokio::test]
    async fn a_token_is_kept_for_a_while_and_then_replaced() {
        let exchanges = Exchanges::new(SignedDuration::from_secs(60));
        let get = |at, text| exchanges.token("s", after(at), ready(token(text, after(900))));
        assert_eq!(&*get(0, "a").await.unwrap(), "a");
        assert_eq!(&*get(59, "b").await.unwrap(), "a");
        assert_eq!(&*get(60, "b").await.unwrap(), "b");
        exchanges.forget("s");
        assert_eq!(&*get(61, "c").await.unwrap(), "c");
    }

    #[tokio::test]
    async fn a_token_is_replaced_shortly_before_it_expires() {
        let exchanges = Exchanges::new(SignedDuration::MAX);
        let kept = exchanges
            .token("s", NOW, ready(token("a", after(900))))
            .await;
        assert_eq!(&*kept.unwrap(), "a");
        // A kept token needs no exchange.
        let kept = exchanges.token("s", after(839), pending()).await;
        assert_eq!(&*kept.unwrap(), "a");
        let next = exchanges.token("s", after(840), ready(token("b", after(1800))));
        assert_eq!(&*next.await.unwrap(), "b");
    }

    #[tokio::test]
    async fn a_token_is_used_until_it_expires_only_while_nobody_can_say_more() {
        let exchanges = Exchanges::new(SignedDuration::from_secs(60));
        let away = || Err(Fault::deadline());
        let refused = || Err(Fault::new(Kind::Unauthenticated, "TOKEN_REVOKED", "No."));
        let get = |at, answer: Result<Token, Fault>| exchanges.token("s", after(at), ready(answer));
        get(0, token("a", after(900))).await.unwrap();
        assert_eq!(&*get(60, away()).await.unwrap(), "a");
        assert_eq!(&*get(899, away()).await.unwrap(), "a");
        assert!(get(900, away()).await.is_err());
        get(1000, token("b", after(1900))).await.unwrap();
        assert_eq!(
            get(1060, refused()).await.unwrap_err().code,
            "TOKEN_REVOKED"
        );
        assert!(get(1061, away()).await.is_err());
    }
}
