//! How accounts are created and signed in.

use std::{net::IpAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use rand::RngExt as _;
use slipway_mesh::{
    access::{Issuer, Principal, Role, Token},
    bus::{Actor, Event, event::Origin},
    clock::SharedClock,
    error::{Fault, FieldError, Kind},
    outbox::Wake,
};
use slipway_proto::events::{self as payload, UserRegisteredEvent};

use crate::{
    SERVICE,
    identity::{
        Account, Email, NewPassword, User, UserId, Username, credentials,
        password::{HashError, Hasher},
        throttle::{self, MAX_FAILURES, Subject, WINDOW},
    },
    metrics as m,
    receipts::{self, Repeatable},
    store::{Commit, InsertUserError, StoreError, Stores, UserStore},
};

/// Creates and signs in accounts.
pub struct Accounts {
    pub(crate) stores: Stores,
    pub(crate) hasher: Hasher,
    pub(crate) issuer: Issuer,
    pub(crate) clock: SharedClock,
    pub(crate) wake: Wake,
    pub(crate) allow_admin_registration: bool,
}

/// An account to be created.
pub struct Registration {
    /// The name.
    pub username: Username,
    /// The address.
    pub email: Email,
    /// The password.
    pub password: NewPassword,
    /// What it is to be.
    pub role: Role,
}

/// A signed-in session.
pub struct Session {
    /// Whose it is.
    pub user: User,
    /// Its token.
    pub token: Token,
}

/// The first admin, created at start when there is none.
pub struct FirstAdmin {
    /// The name.
    pub username: String,
    /// The address.
    pub email: String,
    /// The password; without one it is made up.
    pub password: Option<String>,
}

/// A password that was made up, to be told to the operator once. It has no `Debug`.
pub struct GeneratedPassword(pub String);

/// The first admin cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum FirstAdminError {
    /// What the configuration says is not possible.
    #[error("the first admin's {0} {1}")]
    Invalid(&'static str, &'static str),
    /// A developer has the name or the address.
    #[error("the first admin cannot be created: {0} by an account that is not an admin")]
    Taken(InsertUserError),
    /// Hashing failed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Registration {
    /// Checks what is asked for, all of it at once.
    ///
    /// # Errors
    /// Every field that is not possible.
    pub fn new(username: &str, email: &str, password: String, role: Role) -> Result<Self, Fault> {
        let mut errors = Vec::new();
        let mut note = |field: &str, message: &str| {
            errors.push(FieldError {
                field: field.to_owned(),
                message: message.to_owned(),
            });
        };
        let username = Username::new(username).map_err(|message| note("username", message));
        let email = Email::new(email).map_err(|message| note("email", message));
        let password = NewPassword::new(password).map_err(|message| note("password", message));
        match (username, email, password) {
            (Ok(username), Ok(email), Ok(password)) => Ok(Self {
                username,
                email,
                password,
                role,
            }),
            _ => Err(Fault::invalid(errors)),
        }
    }
}

impl Accounts {
    /// The users, for reading.
    #[must_use]
    pub fn users(&self) -> &dyn UserStore {
        &*self.stores.users
    }

    /// The public keys, as a JWK Set in JSON.
    ///
    /// # Errors
    /// Never: keys are plain.
    pub fn jwks(&self) -> Result<String, Fault> {
        serde_json::to_string(self.issuer.jwks()).map_err(Fault::internal)
    }

    /// Creates an account and signs it in. Anybody may create a developer; an admin is
    /// created by an admin.
    ///
    /// # Errors
    /// `ADMIN_REQUIRED`, `USERNAME_TAKEN`, `EMAIL_TAKEN`, `IDEMPOTENCY_KEY_REUSED`.
    pub async fn register(
        &self,
        registration: Registration,
        by: Option<Arc<Principal>>,
        repeatable: Option<Repeatable>,
    ) -> Result<Session, Fault> {
        let by_admin = by.as_ref().is_some_and(|by| by.role == Role::Admin);
        if registration.role == Role::Admin && !by_admin && !self.allow_admin_registration {
            return Err(Fault::new(
                Kind::Forbidden,
                "ADMIN_REQUIRED",
                "Only an admin may create an admin.",
            ));
        }
        let Registration {
            username,
            email,
            password,
            role,
        } = registration;
        let password = password.into_inner();
        if let Some(session) = self.repeated(repeatable.as_ref(), &password).await? {
            return Ok(session);
        }
        let user = User {
            id: UserId::generate(),
            username,
            email,
            role,
            created_at: self.clock.now(),
        };
        let actor = by.map_or_else(
            || user_actor(&user),
            |by| Actor::User {
                id: by.user_id,
                username: by.username.clone(),
            },
        );
        let commit = Commit {
            events: vec![registered(&user, &actor)],
            // The answer holds a token, which is not to be stored: the account will do.
            receipt: repeatable
                .as_ref()
                .map(|r| r.receipt(user.id.0.as_bytes().to_vec(), user.created_at)),
        };
        match self.insert(user.clone(), password.clone(), commit).await? {
            Ok(()) => self.session(user),
            Err(error) => {
                // Perhaps taken by this very request, sent twice at once.
                let repeated = self.repeated(repeatable.as_ref(), &password).await?;
                repeated.ok_or_else(|| refused(error))
            }
        }
    }

    async fn insert(
        &self,
        user: User,
        password: String,
        commit: Commit,
    ) -> Result<Result<(), InsertUserError>, HashError> {
        let password_hash = self.hasher.turn().await?.hash(password).await?;
        let role = format!("{:?}", user.role);
        let account = Account {
            user,
            password_hash,
        };
        let inserted = self.stores.users.insert(account, commit).await;
        if inserted.is_ok() {
            metrics::counter!(m::REGISTRATIONS, "role" => role).increment(1);
            self.wake.wake();
        }
        Ok(inserted)
    }

    /// The session of an account that this request has created before. Its password is
    /// checked: an idempotency key is no secret, and must not sign anybody in.
    async fn repeated(
        &self,
        repeatable: Option<&Repeatable>,
        password: &str,
    ) -> Result<Option<Session>, Fault> {
        let Some(repeatable) = repeatable else {
            return Ok(None);
        };
        let now = self.clock.now();
        let Some(id) = repeatable.earlier(&*self.stores.receipts, now).await? else {
            return Ok(None);
        };
        let id = uuid::Uuid::from_slice(&id).map_err(Fault::internal)?;
        let account = self.stores.users.user(UserId(id)).await?;
        let account = account.ok_or_else(|| Fault::internal("a receipt of no account"))?;
        let turn = self.hasher.turn().await?;
        let same = turn
            .verify(password.to_owned(), Some(account.password_hash))
            .await?;
        if !same {
            return Err(receipts::reused());
        }
        self.session(account.user).map(Some)
    }

    /// Signs in by username or email address.
    ///
    /// # Errors
    /// `INVALID_CREDENTIALS`, the same for an unknown name and a wrong password;
    /// `TOO_MANY_ATTEMPTS` after 10 failures in 15 minutes for a name or an address.
    pub async fn login(
        &self,
        login: String,
        password: String,
        address: Option<IpAddr>,
    ) -> Result<Session, Fault> {
        let login_key = credentials::key(&login);
        let account = self.stores.users.by_login(login).await?;
        let name = account.as_ref().map_or_else(
            || Subject::unknown(&login_key),
            |account| Subject::account(account.user.id),
        );
        let mut subjects = vec![name.clone()];
        subjects.extend(address.map(Subject::address));
        // Failures are counted within the turn: so those who try many passwords at once
        // get at most as many tries too many as there are turns.
        let turn = self.hasher.turn().await?;
        let mut failed_before = false;
        for subject in &subjects {
            failed_before |= self.failed_before(subject).await?;
        }
        let hash = account
            .as_ref()
            .map(|account| account.password_hash.clone());
        let matches = turn.verify(password, hash).await?;
        let Some(account) = account.filter(|_| matches) else {
            let now = self.clock.now();
            self.stores.users.record_failure(subjects, now).await?;
            metrics::counter!(m::LOGINS, "outcome" => "refused").increment(1);
            return Err(Fault::new(
                Kind::Unauthenticated,
                "INVALID_CREDENTIALS",
                "The name or the password is wrong.",
            ));
        };
        drop(turn);
        if failed_before {
            self.stores.users.clear_failures(name).await?;
        }
        metrics::counter!(m::LOGINS, "outcome" => "ok").increment(1);
        self.session(account.user)
    }

    /// Whether sign-ins of the subject failed lately; too many are an error.
    async fn failed_before(&self, subject: &Subject) -> Result<bool, Fault> {
        let now = self.clock.now();
        let limit = u32::try_from(MAX_FAILURES).unwrap_or(u32::MAX);
        let failures: Vec<Timestamp> = self
            .stores
            .users
            .failures(subject.clone(), now - WINDOW, limit)
            .await?;
        let Some(wait) = throttle::wait(&failures, now) else {
            return Ok(!failures.is_empty());
        };
        metrics::counter!(m::LOGINS, "outcome" => "throttled").increment(1);
        Err(Fault::new(
            Kind::RateLimited,
            "TOO_MANY_ATTEMPTS",
            "Too many failed sign-ins. Wait before you try again.",
        )
        .fact("limit", MAX_FAILURES)
        .fact("windowSeconds", WINDOW.as_secs())
        .retry_after(wait.max(Duration::from_secs(1))))
    }

    /// Creates the first admin if there is no admin.
    ///
    /// # Errors
    /// If what is configured is not possible.
    pub async fn create_first_admin(
        &self,
        first: FirstAdmin,
    ) -> Result<Option<GeneratedPassword>, FirstAdminError> {
        if self.stores.users.has_admin().await? {
            return Ok(None);
        }
        let invalid = |field| move |message| FirstAdminError::Invalid(field, message);
        let user = User {
            id: UserId::generate(),
            username: Username::new(&first.username).map_err(invalid("username"))?,
            email: Email::new(&first.email).map_err(invalid("email"))?,
            role: Role::Admin,
            created_at: self.clock.now(),
        };
        let generated = first.password.is_none();
        let password = first.password.unwrap_or_else(generate_password);
        let password = NewPassword::new(password)
            .map_err(invalid("password"))?
            .into_inner();
        let commit = Commit {
            events: vec![registered(&user, &Actor::System)],
            receipt: None,
        };
        match self.insert(user, password.clone(), commit).await? {
            Ok(()) => Ok(generated.then_some(GeneratedPassword(password))),
            // Another replica was faster.
            Err(_) if self.stores.users.has_admin().await? => Ok(None),
            Err(InsertUserError::Store(error)) => Err(error.into()),
            Err(error) => Err(FirstAdminError::Taken(error)),
        }
    }

    fn session(&self, user: User) -> Result<Session, Fault> {
        let username = user.username.to_string();
        let token = self
            .issuer
            .issue(user.id.0, &username, user.role)
            .map_err(Fault::internal)?;
        Ok(Session { user, token })
    }
}

fn refused(error: InsertUserError) -> Fault {
    let taken =
        |code, what| Fault::new(Kind::AlreadyExists, code, format!("This {what} is taken."));
    match error {
        InsertUserError::UsernameTaken => taken("USERNAME_TAKEN", "username"),
        InsertUserError::EmailTaken => taken("EMAIL_TAKEN", "email address"),
        InsertUserError::Receipt => receipts::reused(),
        InsertUserError::Store(error) => error.into(),
    }
}

fn user_actor(user: &User) -> Actor {
    Actor::User {
        id: user.id.0,
        username: user.username.to_string(),
    }
}

fn registered(user: &User, actor: &Actor) -> Event {
    let payload = UserRegisteredEvent {
        user_id: user.id.0,
        username: user.username.to_string(),
        email: user.email.to_string(),
        role: match user.role {
            Role::Admin => payload::Role::Admin,
            Role::Developer | Role::Service => payload::Role::Developer,
        },
    };
    Event::new(
        &payload,
        &Origin {
            service: SERVICE,
            key: user.id.0,
            subject: user.id.0,
            actor,
            time: user.created_at,
        },
    )
}

/// 24 letters and digits: more than 140 bits.
fn generate_password() -> String {
    rand::rng()
        .sample_iter(rand::distr::Alphanumeric)
        .take(24)
        .map(char::from)
        .collect()
}

impl From<HashError> for Fault {
    fn from(error: HashError) -> Self {
        Fault::internal(error)
    }
}
