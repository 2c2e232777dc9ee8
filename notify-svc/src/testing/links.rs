//! Secrets of links without the service that has the accounts.

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::notification::links::{Link, LinkSecrets, NoSecret};

/// Makes up the secrets of links: `secret-1`, `secret-2`, …
#[derive(Default)]
pub struct MadeUpLinks {
    asked: Mutex<Vec<Link>>,
    refusal: Mutex<Option<NoSecret>>,
}

impl MadeUpLinks {
    /// The links that secrets were asked for, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<Link> {
        self.asked.lock().clone()
    }

    /// From now on there is no secret, for this reason; `None`: there is one again.
    pub fn refuse(&self, why: Option<NoSecret>) {
        *self.refusal.lock() = why;
    }
}

#[async_trait]
impl LinkSecrets for MadeUpLinks {
    async fn issue(&self, link: Link) -> Result<String, NoSecret> {
        let mut asked = self.asked.lock();
        asked.push(link);
        match *self.refusal.lock() {
            Some(why) => Err(why),
            None => Ok(format!("secret-{}", asked.len())),
        }
    }
}
