//! Registration: anybody may create a developer, an admin is created by an admin.

use std::sync::Arc;

use slipway_mesh::{
    access::{Principal, Role},
    bus::Actor,
    error::{Fault, FieldError, Kind},
    receipts::{self, Repeatable},
};
use uuid::Uuid;

use super::{Accounts, Session, registered};
use crate::{
    identity::{Email, NewPassword, User, UserId, Username},
    store::{Commit, InsertUserError},
};

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
        let id = Uuid::from_slice(&id).map_err(Fault::internal)?;
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
