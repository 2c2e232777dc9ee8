//! Registers accounts. Anybody may register as a developer unless registration is closed; only an
//! admin may create an admin.

use std::{num::NonZeroU32, sync::Arc};

use slipway_bus::Actor;
use slipway_rpc::{
    access::{Principal, Role},
    error::{Fault, FieldError, Kind},
};
use slipway_store::receipts::{self, Repeatable};
use uuid::Uuid;

use super::{Accounts, login::Attempt, registered};
use crate::{
    identity::{
        Email, NewPassword, User, UserId, Username,
        quota::{HOUR, Hour},
        throttle::Subject,
    },
    sessions::{Place, SignedIn},
    store::{Commit, InsertUserError},
};

/// The configured rules of registration.
#[derive(Debug, Clone, Copy)]
pub struct RegistrationRules {
    /// Whether anybody may create an account. If not, only admins may.
    pub open: bool,
    /// Accounts that one network address may register per hour. Admins have no limit.
    pub per_hour: NonZeroU32,
    /// Whether anybody may register as an admin. For demonstrations only.
    pub anybody_as_admin: bool,
}

/// The caller that asks for a registration.
pub struct Registrant {
    /// The caller's account, if signed in.
    pub account: Option<Arc<Principal>>,
    /// Where the caller is.
    pub place: Place,
}

impl Registrant {
    fn is_admin(&self) -> bool {
        self.account
            .as_ref()
            .is_some_and(|account| account.role == Role::Admin)
    }
}

/// An account to be created.
pub struct Registration {
    /// The name.
    pub username: Username,
    /// The email address.
    pub email: Email,
    /// The password.
    pub password: NewPassword,
    /// The role.
    pub role: Role,
}

/// An account to be created without a password.
pub struct Invitation {
    /// The name.
    pub username: Username,
    /// The email address.
    pub email: Email,
    /// The role.
    pub role: Role,
}

impl Invitation {
    /// Validates a request.
    ///
    /// # Errors
    /// All invalid fields in one error.
    pub fn new(username: &str, email: &str, role: Role) -> Result<Self, Fault> {
        let mut errors = Vec::new();
        let (name, address) = checked(username, email, &mut errors);
        match (name, address) {
            (Some(username), Some(email)) => Ok(Self {
                username,
                email,
                role,
            }),
            _ => Err(Fault::invalid(errors)),
        }
    }
}

/// The name and the address of a request, or what is wrong with them.
fn checked(
    username: &str,
    email: &str,
    errors: &mut Vec<FieldError>,
) -> (Option<Username>, Option<Email>) {
    let mut note = |field, message| errors.push(invalid(field, message));
    let name = Username::new(username).map_err(|message| note("username", message));
    let address = Email::new(email).map_err(|message| note("email", message));
    (name.ok(), address.ok())
}

fn invalid(field: &str, message: &str) -> FieldError {
    FieldError {
        field: field.to_owned(),
        message: message.to_owned(),
    }
}

impl Registration {
    /// Validates a request.
    ///
    /// # Errors
    /// All invalid fields in one error.
    pub fn new(username: &str, email: &str, password: &str, role: Role) -> Result<Self, Fault> {
        let mut errors = Vec::new();
        let (name, address) = checked(username, email, &mut errors);
        let password = NewPassword::new(password, username, email);
        let password = password.map_err(|message| errors.push(invalid("password", message)));
        match (name, address, password) {
            (Some(username), Some(email), Ok(password)) => Ok(Self {
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
    /// Creates an account and signs it in. Anybody may create a developer, unless
    /// registration is closed; an admin is created by an admin.
    ///
    /// # Errors
    /// `PASSWORDS_OFF`, `REGISTRATION_CLOSED`, `ADMIN_REQUIRED`, `USERNAME_TAKEN`, `EMAIL_TAKEN`,
    /// `IDEMPOTENCY_KEY_REUSED`; `TOO_MANY_REGISTRATIONS` from one address; `TOO_BUSY`. A
    /// repeated request is treated as a sign-in and can fail like one.
    pub async fn register(
        &self,
        registration: Registration,
        by: &Registrant,
        repeatable: Option<Repeatable>,
    ) -> Result<SignedIn, Fault> {
        self.check_passwords()?;
        self.may_register(registration.role, by)?;
        let (repeatable, password) = (repeatable.as_ref(), registration.password.clone());
        let create = self.create(registration, by, repeatable);
        receipts::unless_earlier(|| self.repeated(repeatable, &password, by), create).await
    }

    async fn create(
        &self,
        registration: Registration,
        by: &Registrant,
        repeatable: Option<&Repeatable>,
    ) -> Result<SignedIn, Fault> {
        let _place = self.hasher.registrations.place()?;
        self.count(by).await?;
        let (username, email) = (registration.username, registration.email);
        let user = User::new(username, email, registration.role, self.clock.now());
        let actor = by.account.as_ref().map_or_else(
            || user_actor(&user),
            |by| Actor::User {
                id: by.user_id,
                username: by.username.clone(),
            },
        );
        let commit = Commit {
            events: vec![registered(&user, &actor)],
            // The response holds a token, which must not be stored: store the account's id.
            receipt: repeatable.map(|r| r.receipt(user.id.0.as_bytes().to_vec(), user.created_at)),
        };
        let turn = self.hasher.registrations.turn().await?;
        let inserted = self.insert(&turn, user.clone(), registration.password, commit);
        inserted.await?.map_err(refused)?;
        drop(turn);
        self.sessions.start(user, by.place.clone()).await
    }

    fn may_register(&self, role: Role, by: &Registrant) -> Result<(), Fault> {
        let rules = &self.registration;
        if by.is_admin() {
            return Ok(());
        }
        if !rules.open {
            let text = "Registration is closed. Ask an admin to create your account.";
            return Err(Fault::new(Kind::Forbidden, "REGISTRATION_CLOSED", text));
        }
        if role == Role::Admin && !rules.anybody_as_admin {
            let text = "Only an admin may create an admin.";
            return Err(Fault::new(Kind::Forbidden, "ADMIN_REQUIRED", text));
        }
        Ok(())
    }

    /// Counts a registration for the caller's address. Admins are not counted.
    async fn count(&self, by: &Registrant) -> Result<(), Fault> {
        let Some(address) = by.place.address.filter(|_| !by.is_admin()) else {
            return Ok(());
        };
        let limit = self.registration.per_hour.get();
        let now = self.clock.now();
        let hour = Hour::of(now);
        let subject = Subject::address(address);
        let users = &self.stores.users;
        if users.count_registration(&subject, hour, limit).await? {
            return Ok(());
        }
        tracing::info!(%address, "registration refused: too many from this address");
        Err(Fault::new(
            Kind::RateLimited,
            "TOO_MANY_REGISTRATIONS",
            "Too many accounts were registered from your network address. Try again later, or \
             ask an admin to create your account.",
        )
        .fact("limit", limit)
        .fact("windowSeconds", HOUR.as_secs())
        .retry_after(hour.left(now)))
    }

    /// A session for the account that an earlier attempt of this request created. The password is
    /// checked as in a sign-in, and a wrong one counts as a failed sign-in: an idempotency key is
    /// not a secret, so it must not sign anybody in or help to guess passwords.
    async fn repeated(
        &self,
        repeatable: Option<&Repeatable>,
        password: &NewPassword,
        by: &Registrant,
    ) -> Result<Option<SignedIn>, Fault> {
        let Some(repeatable) = repeatable else {
            return Ok(None);
        };
        let now = self.clock.now();
        let Some(id) = repeatable.earlier(&*self.stores.receipts, now).await? else {
            return Ok(None);
        };
        let id = Uuid::from_slice(&id).map_err(Fault::internal)?;
        let account = self.stores.users.user(UserId(id)).await?;
        let account = account.ok_or_else(|| Fault::internal("a receipt of no account"))?;
        let attempt = Attempt {
            name: Subject::account(account.user.id),
            account: Some(account),
            password: password.clone().into_inner(),
            address: by.place.address,
        };
        let place = self.hasher.sign_ins.place()?;
        let proven = self.prove(&place, &attempt).await?;
        let account = proven.ok_or_else(receipts::reused)?;
        let session = self.sessions.start(account.user.clone(), by.place.clone());
        let session = session.await?;
        self.still_valid(&account, session.session.id).await?;
        Ok(Some(session))
    }
}

pub(super) fn refused(error: InsertUserError) -> Fault {
    let taken =
        |code, what| Fault::new(Kind::AlreadyExists, code, format!("This {what} is taken."));
    match error {
        InsertUserError::UsernameTaken => taken("USERNAME_TAKEN", "username"),
        InsertUserError::EmailTaken => taken("EMAIL_TAKEN", "email address"),
        // Only of an account of an identity provider.
        InsertUserError::ProviderTaken => Fault::internal(error),
        InsertUserError::Store(error) => error.into(),
    }
}

pub(super) fn user_actor(user: &User) -> Actor {
    Actor::User {
        id: user.id.0,
        username: user.username.to_string(),
    }
}
