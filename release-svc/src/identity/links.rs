//! Links in mails: what each is for, how long it is valid, and what ends it. Pure.
//!
//! An account has at most one link for each purpose. Asking for another one replaces it. Only the
//! digests of its secrets are stored, in the account's document: so of two requests that use a link
//! at the same time, one is refused by the revision of the account.
//!
//! | a link ends | |
//! | --- | --- |
//! | when it is used | with the change that it was for |
//! | when another one for the same purpose is asked for | the newest one is valid |
//! | when the account gets another password | also by another way |
//! | when the account is disabled | it does not come back when the account is enabled |
//! | when the account gets another address | the mail with it went to the former one |
//! | when it expires | [`Purpose::lasts`] after it was asked for |

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use slipway_runtime::typed_id;
use uuid::Uuid;

use super::{Account, Email, UserId};
use crate::sessions::{later, secret::Digest};

typed_id!(
    /// Identifies a link.
    LinkId
);

/// Random bytes of a secret.
const BYTES: usize = 32;

/// The beginning of a secret's text.
const PREFIX: &str = "sll_";

/// Secrets of one link that are valid at the same time. Each attempt to send the mail gets its own,
/// because the server may have accepted a mail although the attempt failed.
const MOST_SECRETS: usize = 8;

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Purpose {
    /// To set another password.
    ResetPassword,
    /// To set the first password of an account that an admin has created.
    Invitation,
    /// To show that a new address of an account belongs to its owner.
    ConfirmEmail,
}

impl Purpose {
    /// How long a link is valid.
    #[must_use]
    pub fn lasts(self) -> SignedDuration {
        match self {
            Self::ResetPassword => SignedDuration::from_mins(30),
            Self::Invitation => SignedDuration::from_hours(7 * 24),
            Self::ConfirmEmail => SignedDuration::from_hours(24),
        }
    }

    /// Whether it sets a password.
    #[must_use]
    pub fn sets_password(self) -> bool {
        matches!(self, Self::ResetPassword | Self::Invitation)
    }
}

/// A link that can be used, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// Its identity.
    pub id: LinkId,
    /// What it is for.
    pub purpose: Purpose,
    /// From then on it is not valid.
    pub expires_at: Timestamp,
    /// The new address that it confirms.
    #[serde(default)]
    pub email: Option<Email>,
    /// Of its secrets, the oldest first.
    digests: Vec<Digest>,
}

/// Why a link is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkRefusal {
    /// The secret is of no link that the account has.
    Unknown,
    /// It is too late.
    Expired,
}

impl Link {
    /// A new link. It has no secret yet.
    #[must_use]
    pub fn new(purpose: Purpose, now: Timestamp) -> Self {
        Self {
            id: LinkId::generate(),
            purpose,
            expires_at: later(now, purpose.lasts()),
            email: None,
            digests: Vec::new(),
        }
    }

    /// A new link that confirms this address.
    #[must_use]
    pub fn confirming(email: Email, now: Timestamp) -> Self {
        Self {
            email: Some(email),
            ..Self::new(Purpose::ConfirmEmail, now)
        }
    }

    fn is_of(&self, digest: &Digest) -> bool {
        // Without an early end: the time must not tell how many there are before it.
        let found = self.digests.iter().filter(|known| known.is_of(digest));
        found.count() > 0
    }
}

impl Account {
    /// The account with another link instead of the one for the same purpose.
    #[must_use]
    pub fn with_link(&self, link: Link) -> Self {
        let mut after = self.touched();
        after.links.retain(|known| known.purpose != link.purpose);
        after.links.push(link);
        after
    }

    /// The account without a link for this purpose.
    #[must_use]
    pub fn without_link(&self, purpose: Purpose) -> Self {
        let mut after = self.touched();
        after.links.retain(|known| known.purpose != purpose);
        after
    }

    /// The address that waits to be confirmed at `now`.
    #[must_use]
    pub fn pending_email(&self, now: Timestamp) -> Option<&Email> {
        let mut links = self.links.iter().filter(|link| now < link.expires_at);
        links.find_map(|link| link.email.as_ref())
    }

    /// The account with the address that the link with this secret confirms.
    ///
    /// # Errors
    /// Why the link is not valid at `now`.
    pub fn with_confirmed_email(
        &self,
        secret: &LinkSecret,
        now: Timestamp,
    ) -> Result<Self, LinkRefusal> {
        let email = self.link(secret, now)?.email.clone();
        let email = email.filter(|_| !self.user.is_disabled());
        Ok(self.with_email(email.ok_or(LinkRefusal::Unknown)?))
    }

    /// The account with another address. The links that were mailed to the former one end.
    #[must_use]
    pub fn with_email(&self, email: Email) -> Self {
        let mut after = self.touched();
        after.user.email = email;
        after.links.clear();
        after
    }

    /// A new account, with its first link.
    #[must_use]
    pub fn with_first_link(self, link: Link) -> Self {
        Self {
            links: vec![link],
            ..self
        }
    }

    /// The account with one more secret of a link; `None` if the link is not valid at `now`.
    #[must_use]
    pub fn with_secret(&self, link: LinkId, secret: &LinkSecret, now: Timestamp) -> Option<Self> {
        let mut after = self.touched();
        let mut links = after.links.iter_mut();
        let link = links.find(|known| known.id == link && now < known.expires_at)?;
        let surplus = (link.digests.len() + 1).saturating_sub(MOST_SECRETS);
        link.digests.drain(..surplus);
        link.digests.push(secret.digest());
        Some(after)
    }

    /// The link with this secret.
    ///
    /// # Errors
    /// Why it is not valid at `now`.
    pub fn link(&self, secret: &LinkSecret, now: Timestamp) -> Result<&Link, LinkRefusal> {
        let digest = secret.digest();
        let link = self.links.iter().find(|link| link.is_of(&digest));
        match link.ok_or(LinkRefusal::Unknown)? {
            link if now < link.expires_at => Ok(link),
            _ => Err(LinkRefusal::Expired),
        }
    }
}

/// The secret of a link. It has no `Debug`, so that it is never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkSecret {
    /// The account, which is no secret.
    pub account: UserId,
    random: [u8; BYTES],
}

impl LinkSecret {
    /// A new secret of a link of this account.
    #[must_use]
    pub fn generate(account: UserId) -> Self {
        Self {
            account,
            random: rand::random(),
        }
    }

    /// Reads the text of a secret; `None` if it is malformed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, random) = text.strip_prefix(PREFIX)?.split_once('_')?;
        // The hyphenated form would be a second spelling.
        let id = Uuid::try_parse(id).ok().filter(|_| id.len() == 32)?;
        let random = BASE64_URL_SAFE_NO_PAD.decode(random).ok()?;
        Some(Self {
            account: UserId(id),
            random: random.try_into().ok()?,
        })
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> String {
        let account = self.account.0.simple();
        let random = BASE64_URL_SAFE_NO_PAD.encode(self.random);
        format!("{PREFIX}{account}_{random}")
    }

    fn digest(&self) -> Digest {
        Digest::of(&self.random)
    }
}

#[cfg(test)]
mod tests {
    use slipway_rpc::access::Role;

    use super::*;
    use crate::identity::{AccountChange, User, Username};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn account() -> Account {
        let (name, email) = (Username::new("ada"), Email::new("ada@example.com"));
        let user = User::new(name.unwrap(), email.unwrap(), Role::Developer, NOW);
        Account::new(user, Some("hash".to_owned()))
    }

    fn with_link(account: &Account, purpose: Purpose) -> (Account, LinkSecret) {
        let link = Link::new(purpose, NOW);
        let (id, secret) = (link.id, LinkSecret::generate(account.user.id));
        let account = account.with_link(link);
        (account.with_secret(id, &secret, NOW).unwrap(), secret)
    }

    #[test]
    fn a_link_is_valid_for_its_time() {
        for (purpose, minutes) in [
            (Purpose::ResetPassword, 30),
            (Purpose::Invitation, 7 * 24 * 60),
            (Purpose::ConfirmEmail, 24 * 60),
        ] {
            let (account, secret) = with_link(&account(), purpose);
            let end = NOW + SignedDuration::from_mins(minutes);
            let before = end - SignedDuration::from_millis(1);
            assert_eq!(account.link(&secret, before).unwrap().purpose, purpose);
            assert_eq!(account.link(&secret, end), Err(LinkRefusal::Expired));
            let id = account.links[0].id;
            assert!(account.with_secret(id, &secret, end).is_none());
        }
    }

    #[test]
    fn a_newer_link_replaces_the_one_for_the_same_purpose() {
        let (account, invitation) = with_link(&account(), Purpose::Invitation);
        let (account, first) = with_link(&account, Purpose::ResetPassword);
        let (account, second) = with_link(&account, Purpose::ResetPassword);
        assert_eq!(account.link(&first, NOW), Err(LinkRefusal::Unknown));
        assert!(account.link(&second, NOW).is_ok() && account.link(&invitation, NOW).is_ok());
    }

    #[test]
    fn another_password_and_a_disabled_account_end_all_links() {
        let (account, secret) = with_link(&account(), Purpose::ResetPassword);
        let changed = account.with_password("other".to_owned(), None, true, NOW);
        let disabled = |disabled| AccountChange {
            disabled: Some(disabled),
            ..AccountChange::default()
        };
        let off = account.changed(disabled(true), NOW).unwrap();
        let on = off.changed(disabled(false), NOW).unwrap();
        for after in [changed, off, on] {
            assert_eq!(after.link(&secret, NOW), Err(LinkRefusal::Unknown));
        }
    }

    #[test]
    fn the_secrets_of_the_latest_attempts_are_valid() {
        let link = Link::new(Purpose::ResetPassword, NOW);
        let id = link.id;
        let mut account = account().with_link(link);
        let mut secrets = Vec::new();
        for _ in 0..=MOST_SECRETS {
            let secret = LinkSecret::generate(account.user.id);
            account = account.with_secret(id, &secret, NOW).unwrap();
            secrets.push(secret);
        }
        let is_valid = |secret: &LinkSecret| account.link(secret, NOW).is_ok();
        assert!(!is_valid(&secrets[0]) && secrets[1..].iter().all(is_valid));
        let other = LinkSecret::generate(account.user.id);
        assert!(!is_valid(&other));
        assert!(
            account
                .with_secret(LinkId::generate(), &other, NOW)
                .is_none()
        );
    }

    #[test]
    fn a_secret_is_read_as_it_is_written_only() {
        let secret = LinkSecret::generate(UserId::generate());
        let text = secret.text();
        assert!(LinkSecret::parse(&text).is_some_and(|read| read == secret));
        let id = secret.account.0;
        let hyphens = text.replace(&id.simple().to_string(), &id.to_string());
        for bad in [
            "",
            "sll_",
            "sll__",
            &text[1..],
            &text[..text.len() - 1],
            &hyphens,
            &format!("{text}A"),
        ] {
            assert!(LinkSecret::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_confirmed_address_ends_the_links_to_the_former_one() {
        let new = Email::new("ada@other.example").unwrap();
        let (account, reset) = with_link(&account(), Purpose::ResetPassword);
        let link = Link::confirming(new.clone(), NOW);
        let (id, secret) = (link.id, LinkSecret::generate(account.user.id));
        let account = account.with_link(link);
        let account = account.with_secret(id, &secret, NOW).unwrap();
        assert_eq!(account.pending_email(NOW), Some(&new));
        assert_eq!(account.user.email.to_string(), "ada@example.com");
        // A link for another purpose confirms nothing.
        let refused = account.with_confirmed_email(&reset, NOW).map(|_| ());
        assert_eq!(refused, Err(LinkRefusal::Unknown));
        let late = NOW + SignedDuration::from_hours(24);
        assert_eq!(account.pending_email(late), None);
        let refused = account.with_confirmed_email(&secret, late).map(|_| ());
        assert_eq!(refused, Err(LinkRefusal::Expired));
        let after = account.with_confirmed_email(&secret, NOW).unwrap();
        assert_eq!((&after.user.email, after.pending_email(NOW)), (&new, None));
        assert!(after.links.is_empty());
    }

    #[test]
    fn only_digests_are_stored() {
        let (account, secret) = with_link(&account(), Purpose::ResetPassword);
        let stored = serde_json::to_string(&account).unwrap();
        let (_, random) = secret.text()[PREFIX.len()..]
            .split_once('_')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        assert!(!stored.contains(&random), "{stored}");
    }
}
