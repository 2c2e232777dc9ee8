//! Stores accounts: one document per account.

use std::{cmp::Ordering, sync::Arc};

use serde::{Deserialize, Serialize};
use slipway_bus::Event;
use slipway_rpc::{access::Role, page::Page};
use slipway_store::{Collection, Document, Documents, Entries, Index, Query, Refusal, Write};
use tokio::sync::Mutex;

use super::{Commit, InsertUserError, StoreError};
use crate::{
    identity::{Account, User, UserId, UserState, credentials::key},
    provider::person::Subject,
};

/// Usernames are unique without regard to case.
const USERNAME: Index = Index::unique("username");
/// Email addresses are unique without regard to case.
pub(super) const EMAIL: Index = Index::unique("email");
/// A user of an identity provider has one account.
const PROVIDER: Index = Index::unique("provider");
/// Accounts by name: those that are not disabled under the empty key, the others under [`DISABLED`].
const BY_NAME: Index = Index::list("by_name");
/// The admins who can sign in.
pub(super) const ADMINS: Index = Index::list("admins");

const DISABLED: &str = "disabled";

/// Accounts that a filtered list reads at once.
const AT_ONCE: u32 = 200;

/// Times that a page of a filtered list reads accounts, at most.
const READS: u32 = 10;

impl Document for Account {
    const COLLECTION: Collection =
        Collection::new("accounts", 1, &[USERNAME, EMAIL, PROVIDER, BY_NAME, ADMINS])
            .with_events()
            .with_receipts();

    type Summary = Listed;

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
        if let Some(subject) = &self.provider {
            entries.unique(&PROVIDER, subject.key());
        }
        let key = match self.user.is_disabled() {
            true => DISABLED,
            false => "",
        };
        entries.list(&BY_NAME, key, place(&name));
        if self.is_acting_admin() {
            entries.list(&ADMINS, "", self.user.id);
        }
    }

    fn summary(&self) -> Listed {
        Listed {
            user: self.user.clone(),
            takes_password: self.takes_password(),
        }
    }
}

/// An account in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// The account.
    #[serde(flatten)]
    pub user: User,
    /// Whether the owner of its address may set its password. Earlier versions did not store it in
    /// lists; whoever sets the password is asked about the account itself.
    #[serde(default = "yes")]
    pub takes_password: bool,
}

fn yes() -> bool {
    true
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

/// Conditions on an account; it must meet all of them. The default has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountFilter {
    /// Its name or its email address begins with this, in lower case.
    pub prefix: String,
    /// It has this role.
    pub role: Option<Role>,
    /// It is in this state.
    pub state: Option<UserState>,
    /// Whether it was invited and has no password yet.
    pub invited: Option<bool>,
}

impl AccountFilter {
    fn admits(&self, user: &User) -> bool {
        let begins = |text: String| text.starts_with(&self.prefix);
        self.role.is_none_or(|role| role == user.role)
            && self.state.is_none_or(|state| state == user.state)
            && self.invited.is_none_or(|invited| invited == user.invited)
            && (begins(user.username.key()) || begins(user.email.key()))
    }

    /// The keys of [`BY_NAME`] under which the accounts are.
    fn keys(&self) -> &'static [&'static str] {
        match self.state {
            None => &["", DISABLED],
            Some(UserState::Disabled) => &[DISABLED],
            Some(UserState::Active) => &[""],
        }
    }
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
            Err(Refusal::Taken(Some(index))) if index == PROVIDER.name => {
                Err(InsertUserError::ProviderTaken)
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

    /// The same without an event: nobody else needs to know of the change.
    ///
    /// # Errors
    /// As [`Self::update`].
    pub async fn amend(
        &self,
        id: UserId,
        decide: impl FnMut(&Account) -> Option<Account>,
    ) -> Result<Option<Account>, StoreError> {
        let mut decide = decide;
        let decide = |before: Option<&Account>| before.and_then(&mut decide);
        self.documents.update(id, decide).await
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

    /// The account of a user of an identity provider.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn by_provider(&self, subject: &Subject) -> Result<Option<Account>, StoreError> {
        self.documents.find(&PROVIDER, subject.key()).await
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

    /// A page of users by name, without disabled ones: those whose name begins with `prefix` and
    /// sorts after `after` (both in lower case).
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
        let users = found.await?.into_iter().map(|listed| listed.user).collect();
        Ok(Page::from_overfetch(users, limit, |last: &User| {
            last.username.key()
        }))
    }

    /// A page of all accounts that the filter admits, by name: those whose name sorts after `after`
    /// (in lower case). It reads a bounded number of accounts. So it may have fewer than its limit
    /// although more follow.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn list_all(
        &self,
        filter: &AccountFilter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<Listed, String>, StoreError> {
        let name = |listed: &Listed| listed.user.username.key();
        let (mut page, mut after) = (Vec::new(), after.map(str::to_owned));
        for _ in 0..READS {
            let mut found = Vec::new();
            for key in filter.keys() {
                let query = Query::first(AT_ONCE, key).behind(after.as_deref().map(place));
                found.extend(
                    self.documents
                        .summaries::<Account>(&BY_NAME, &query)
                        .await?,
                );
            }
            found.sort_by(|a, b| match place(&name(a)).cmp(&place(&name(b))) {
                // A name that was under both keys while it was read.
                Ordering::Equal => a.user.id.cmp(&b.user.id),
                order => order,
            });
            found.dedup_by_key(|listed| listed.user.id);
            // Of what is behind these, one of the lists may have more.
            found.truncate(AT_ONCE as usize);
            let is_last = found.len() < AT_ONCE as usize;
            after = found.last().map(name);
            page.extend(
                found
                    .into_iter()
                    .filter(|listed| filter.admits(&listed.user)),
            );
            if page.len() > limit as usize {
                return Ok(Page::from_overfetch(page, limit, name));
            }
            if is_last {
                after = None;
                break;
            }
        }
        Ok(Page {
            items: page,
            next: after,
        })
    }

    /// Whether there is an admin who can sign in.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn has_admin(&self) -> Result<bool, StoreError> {
        let first = Query::first(1, "");
        Ok(self.documents.count::<Account>(&ADMINS, &first).await? > 0)
    }
}
