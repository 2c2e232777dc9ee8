//! Signs browsers in with the identity provider.
//!
//! An account is found by the provider's own name for the user, and by nothing else: an email
//! address may be changed at the provider, or belong to somebody else there. The account follows the
//! address if the provider has verified it.

use slipway_bus::Actor;
use slipway_rpc::{
    access::Role,
    error::{Fault, Kind},
};

use super::{
    Accounts, administration::LAST_ADMIN, links::email_changed, login::account_disabled,
    register::user_actor, registered,
};
use crate::{
    identity::{Account, AccountChange, User},
    metrics as m,
    provider::{
        BroughtBack, Provider, ProviderError,
        flow::{Flow, FlowSecrets, MAX_NEXT},
        no_provider,
        person::{Person, candidate},
    },
    sessions::{Place, StartedBrowser, service::session_ended},
    store::{Administered, Commit, InsertUserError},
};

/// Attempts to create an account: each of them fails only because another account has the name.
const ATTEMPTS: usize = 24;

/// A sign-in that has begun.
pub(crate) struct StartedFlow {
    /// Where the browser signs in.
    pub(crate) authorization_url: String,
    /// The value of the cookie.
    pub(crate) cookie: String,
    /// What is remembered.
    pub(crate) flow: Flow,
}

/// A browser that comes back from the provider.
pub(crate) struct Returned {
    /// The value of its cookie.
    pub(crate) cookie: String,
    /// The state that the provider returns.
    pub(crate) state: String,
    /// What else it brings.
    pub(crate) brought: BroughtBack,
    /// Where it is.
    pub(crate) place: Place,
}

/// Why nobody is signed in.
enum Refused {
    Expired,
    Provider(ProviderError),
    Slipway(Fault),
}

impl<E: Into<Fault>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Slipway(error.into())
    }
}

impl Accounts {
    /// The identity provider.
    ///
    /// # Errors
    /// `NO_PROVIDER` if none is configured.
    fn provider(&self) -> Result<&Provider, Fault> {
        self.provider.as_deref().ok_or_else(no_provider)
    }

    /// Begins a sign-in that leads to `next`.
    ///
    /// # Errors
    /// `NO_PROVIDER`, `PROVIDER_UNAVAILABLE`.
    pub(crate) async fn start_provider_sign_in(&self, next: String) -> Result<StartedFlow, Fault> {
        let provider = self.provider()?;
        let next = checked_next(next)?;
        let secrets = FlowSecrets::generate();
        let url = provider.authorization(&secrets).await;
        let url = url.map_err(|error| provider.fault(&error))?;
        let flow = Flow::begin(&secrets, next, self.clock.now());
        self.stores.flows.insert(&flow).await?;
        Ok(StartedFlow {
            authorization_url: url.into(),
            cookie: secrets.cookie(),
            flow,
        })
    }

    /// Signs in a browser that comes back from the provider; also returns where it goes.
    ///
    /// # Errors
    /// `SIGN_IN_EXPIRED`, `PROVIDER_REFUSED`, `INVALID_PROVIDER_ANSWER`, `EMAIL_MISSING`,
    /// `EMAIL_TAKEN`, `ACCOUNT_DISABLED`, `NO_PROVIDER`, `PROVIDER_UNAVAILABLE`.
    pub(crate) async fn finish_provider_sign_in(
        &self,
        returned: Returned,
    ) -> Result<(StartedBrowser, String), Fault> {
        let provider = self.provider()?;
        let address = returned.place.address;
        let refused = match self.finish(provider, returned).await {
            Ok(signed_in) => {
                count("ok");
                metrics::counter!(m::LOGINS, "outcome" => "ok").increment(1);
                return Ok(signed_in);
            }
            Err(refused) => refused,
        };
        let (outcome, fault, error) = match refused {
            Refused::Expired => ("expired", expired(), None),
            Refused::Slipway(fault) => ("rejected", fault, None),
            Refused::Provider(error) => {
                let outcome = match error {
                    ProviderError::Away(_) => "unavailable",
                    ProviderError::Refused(_) => "refused",
                    ProviderError::Invalid(_) => "invalid",
                };
                (outcome, provider.fault(&error), Some(error.to_string()))
            }
        };
        count(outcome);
        tracing::info!(
            outcome,
            code = %fault.code,
            error,
            address = address.map(tracing::field::display),
            "sign-in with the identity provider refused"
        );
        Err(fault)
    }

    async fn finish(
        &self,
        provider: &Provider,
        returned: Returned,
    ) -> Result<(StartedBrowser, String), Refused> {
        let secrets = FlowSecrets::parse(&returned.cookie, &returned.state);
        let secrets = secrets.ok_or(Refused::Expired)?;
        let now = self.clock.now();
        let flows = &self.stores.flows;
        // Before anything else, so that an answer counts once.
        let flow = flows.take(&secrets, now).await?;
        let flow = flow.ok_or(Refused::Expired)?;
        let person = provider.person(&returned.brought, &secrets).await;
        let person = person.map_err(Refused::Provider)?;
        let roles = provider.config().roles.as_ref();
        let role = roles.map(|rule| rule.role(&person.claims));
        let account = self.account_of(&person, role).await?;
        if account.user.is_disabled() {
            return Err(account_disabled().into());
        }
        let account = self.with_role(account, role).await?;
        let account = self.with_address(account, &person).await?;
        let user = account.user.clone();
        let started = self.sessions.start_browser(user, returned.place).await?;
        if !self.is_valid(&account, started.session.id).await? {
            return Err(session_ended().into());
        }
        Ok((started, flow.next))
    }

    /// The account of a person, which is created if there is none.
    async fn account_of(&self, person: &Person, role: Option<Role>) -> Result<Account, Fault> {
        let users = &self.stores.users;
        let wanted = person.username();
        let mut taken = 0;
        for _ in 0..ATTEMPTS {
            // Read each time: another request may have created it.
            if let Some(account) = users.by_provider(&person.subject).await? {
                return Ok(account);
            }
            let email = person.email().ok_or_else(email_missing)?;
            let Some(username) = candidate(&wanted, taken) else {
                taken += 1;
                continue;
            };
            let role = role.unwrap_or(Role::Developer);
            let mut user = User::new(username, email, role, self.clock.now());
            user.display_name = person.display_name();
            let account = Account::of_provider(user, person.subject.clone());
            let commit = Commit {
                events: vec![registered(&account.user, &user_actor(&account.user))],
                receipt: None,
            };
            match self.store(&account, commit).await {
                Ok(()) => return Ok(account),
                Err(InsertUserError::UsernameTaken) => taken += 1,
                Err(InsertUserError::ProviderTaken) => {}
                Err(InsertUserError::EmailTaken) => {
                    let other = users.by_provider(&person.subject).await?;
                    return other.ok_or_else(email_taken);
                }
                Err(InsertUserError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Fault::contended("list of accounts"))
    }

    /// The account with the role that the provider gives. The last admin who can sign in stays one,
    /// and so does the only account with a password.
    async fn with_role(&self, account: Account, role: Option<Role>) -> Result<Account, Fault> {
        let Some(role) = role.filter(|role| *role != account.user.role) else {
            return Ok(account);
        };
        let username = account.user.username.to_string();
        if self.passwords.is_only(&account.user) {
            tracing::warn!(username, "the role of the break-glass admin is not changed");
            return Ok(account);
        }
        let change = AccountChange {
            role: Some(role),
            disabled: None,
        };
        let changed = self.administer_as(&Actor::System, account.user.id, change);
        match changed.await {
            Err(fault) if fault.code == LAST_ADMIN => {
                tracing::warn!(
                    username,
                    "the last admin who can sign in stays an admin, although the identity provider \
                     gives another role"
                );
                Ok(account)
            }
            changed => changed,
        }
    }

    /// The account with the address that the provider has verified, if it is another one. The former
    /// address is told.
    async fn with_address(&self, account: Account, person: &Person) -> Result<Account, Fault> {
        let email = person.verified_email();
        let Some(email) = email.filter(|email| email.key() != account.user.email.key()) else {
            return Ok(account);
        };
        let (id, now) = (account.user.id, self.clock.now());
        let done = self.stores.users.administer(id, |before| {
            if before.user.is_disabled() || before.user.email.key() == email.key() {
                return None;
            }
            let after = before.with_email(email.clone());
            let event = email_changed(&before.user, &after, &Actor::System, now);
            Some((after, vec![event]))
        });
        match done.await? {
            Administered::Changed { after, .. } => {
                self.wake.wake(id.0);
                Ok(after)
            }
            Administered::Unchanged(account) => Ok(account),
            Administered::EmailTaken => {
                tracing::warn!(
                    username = %account.user.username,
                    "the account keeps its email address: another account has the one that the \
                     identity provider gives"
                );
                Ok(account)
            }
            Administered::Unknown | Administered::LastAdmin => Err(session_ended()),
        }
    }

    /// Whether the identity provider gives the address of an account.
    pub(crate) fn has_email_of_provider(&self, account: &Account) -> bool {
        let provider = self.provider.as_deref();
        provider
            .zip(account.provider.as_ref())
            .is_some_and(|(provider, subject)| {
                provider.config().issuer.to_string() == subject.issuer
            })
    }
}

/// Where a browser goes afterwards: a path on this server.
fn checked_next(next: String) -> Result<String, Fault> {
    if next.is_empty() {
        return Ok("/".to_owned());
    }
    let is_path = next.starts_with('/') && !next.starts_with("//");
    let is_plain = next
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    match is_path && is_plain && next.len() <= MAX_NEXT {
        true => Ok(next),
        false => Err(Fault::invalid_field(
            "next",
            format!("must be a path on this server of at most {MAX_NEXT} bytes"),
        )),
    }
}

fn count(outcome: &'static str) {
    metrics::counter!(m::PROVIDER_SIGN_INS, "outcome" => outcome).increment(1);
}

fn expired() -> Fault {
    Fault::new(
        Kind::Invalid,
        "SIGN_IN_EXPIRED",
        "This sign-in has expired or was finished before, or another browser or tab began it. \
         Start it again.",
    )
}

fn email_missing() -> Fault {
    Fault::new(
        Kind::Forbidden,
        "EMAIL_MISSING",
        "The identity provider names no email address of yours, so no account was created. Ask an \
         admin.",
    )
}

fn email_taken() -> Fault {
    Fault::new(
        Kind::AlreadyExists,
        "EMAIL_TAKEN",
        "Another account has your email address, so none was created for you, and you are not \
         signed in to that one. If it is yours, ask an admin to change its address.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_to_a_path_of_this_server_only() {
        assert_eq!(checked_next(String::new()).unwrap(), "/");
        let long = format!("/{}", "a".repeat(MAX_NEXT));
        for good in ["/", "/tasks/1?a=b#c", &long[..MAX_NEXT]] {
            assert_eq!(checked_next(good.to_owned()).unwrap(), good);
        }
        for bad in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "a",
            "/a\r\nb",
            "/ä",
            &long,
        ] {
            assert!(checked_next(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
