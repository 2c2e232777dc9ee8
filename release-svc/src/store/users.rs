//! Stores accounts: one document per account.

use std::sync::Arc;

use slipway_bus::Event;
use slipway_rpc::{access::Role, page::Page};
use slipway_store::{Collection, Document, Documents, Entries, Index, Query, Refusal, Write};
use tokio::sync::Mutex;

use super::{Commit, InsertUserError, StoreError};
use crate::identity::{Account, User, UserId, credentials::key};

/// Usernames are unique without regard to case.
const USERNAME: Index = Index::unique("username");
/// Email addresses are unique without regard to case.
const EMAIL: Index = Index::unique("email");
/// All accounts by name.
const BY_NAME: Index = Index::list("by_name");
/// The admins.
const ADMINS: Index = Index::list("admins");

impl Document for Account {
    const COLLECTION: Collection =
        Collection::new("accounts", 1, &[USERNAME, EMAIL, BY_NAME, ADMINS])
            .with_events()
            .with_receipts();

    type Summary = User;

    fn id(&self) -> String {
        self.user.id.to_string()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn entries(&self, entries: &mut Entries) {
        let name = self.user.username.key();
        entries.unique(&USERNAME, &name);
        entries.unique(&EMAIL, self.user.email.key());
        entries.list(&BY_NAME, "", place(&name));
        if self.user.role == Role::Admin {
            entries.list(&ADMINS, "", self.user.id);
        }
    }

    fn summary(&self) -> User {
        self.user.clone()
    }
}

/// The sort key of a name. It sorts after every prefix of the name and after the name itself,
/// because all characters of names sort after `!`.
fn place(name: &str) -> String {
    format!("{name}!")
}

/// How a request names a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UserKey {
    /// By id.
    Id(UserId),
    /// By username, without regard to case.
    Username(String),
}

/// Accounts, failed sign-ins and registrations.
#[derive(Clone)]
pub struct UserStore {
    pub(super) documents: Documents,
    /// Held while a registration is counted, to avoid conflicts within this process.
    pub(super) counting: Arc<Mutex<()>>,
}

impl UserStore {
    pub(super) fn new(documents: Documents) -> Self {
        Self {
            documents,
            counting: Arc::default(),
        }
    }

    /// Stores a new account.
    ///
    /// # Errors
    /// [`InsertUserError`].
    pub async fn insert(&self, account: &Account, commit: Commit) -> Result<(), InsertUserError> {
        let write = Write::insert(account)
            .with_events(&commit.events)
            .with_receipt(commit.receipt);
        match self.documents.write(write).await? {
            Ok(()) => Ok(()),
            Err(Refusal::Taken(Some(index))) if index == USERNAME.name => {
                Err(InsertUserError::UsernameTaken)
            }
            Err(Refusal::Taken(Some(index))) if index == EMAIL.name => {
                Err(InsertUserError::EmailTaken)
            }
            Err(refusal) => Err(StoreError::from(refusal).into()),
        }
    }

    /// Reads an account, calls `decide` for its new state, and stores that with this event; starts
    /// again if others have changed it meanwhile. `None` if it is unknown or does not change.
    ///
    /// # Errors
    /// If the database is unavailable: then it is unknown whether the change is stored.
    pub async fn update(
        &self,
        id: UserId,
        event: Event,
        decide: impl FnMut(&Account) -> Option<Account>,
    ) -> Result<Option<Account>, StoreError> {
        let mut decide = decide;
        let decide = |before: Option<&Account>| before.and_then(&mut decide);
        self.documents.update_with(id, &[event], decide).await
    }

    /// One account.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn user(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        self.documents.get(id).await
    }

    /// The account with this username or email address, without regard to case.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn by_login(&self, login: &str) -> Result<Option<Account>, StoreError> {
        // A username cannot contain an @, an address must.
        let index = if login.contains('@') { EMAIL } else { USERNAME };
        self.documents.find(&index, key(login)).await
    }

    /// All of these users that exist, in no particular order.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn find(&self, keys: &[UserKey]) -> Result<Vec<User>, StoreError> {
        let (mut ids, mut names) = (Vec::new(), Vec::new());
        for wanted in keys {
            match wanted {
                UserKey::Id(id) => ids.push(id.to_string()),
                UserKey::Username(name) => names.push(key(name)),
            }
        }
        let (by_id, by_name) = tokio::try_join!(
            self.documents.get_many::<Account>(&ids),
            self.documents.find_many::<Account>(&USERNAME, &names),
        )?;
        let found = by_id.into_iter().chain(by_name);
        Ok(found.map(|account| account.user).collect())
    }

    /// A page of users by name: those whose name begins with `prefix` and sorts after `after`
    /// (both in lower case).
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<User, String>, StoreError> {
        let after = after.map(place).unwrap_or_default();
        // Names are ASCII, and all their characters sort before `~`.
        let end = format!("{prefix}~");
        let query = Query::first(limit + 1, "")
            .above(after.max(prefix.to_owned()))
            .below(end);
        let found = self.documents.summaries::<Account>(&BY_NAME, &query);
        Ok(Page::from_overfetch(found.await?, limit, |last| {
            last.username.key()
        }))
    }

    /// Whether there is an admin.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn has_admin(&self) -> Result<bool, StoreError> {
        let first = Query::first(1, "");
        Ok(self.documents.count::<Account>(&ADMINS, &first).await? > 0)
    }
}
