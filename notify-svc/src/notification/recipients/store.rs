//! Stores recipients: one document for each user.

use serde::{Deserialize, Serialize};
use slipway_proto::events::Role;
use slipway_store::{Collection, Document, Documents, Entries, Index, Query};
use uuid::Uuid;

use super::{Recipient, RecipientChange};
use crate::store::StoreError;

#[cfg(test)]
mod tests;

const BY_USERNAME: Index = Index::list("by_username");
const BY_ROLE: Index = Index::list("by_role");

/// How many are read at a time, by role or by name.
const READ: u32 = 500;

/// A user as of the latest event.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredRecipient {
    revision: u64,
    recipient: Recipient,
    /// The revision of the account that says what the user may do; 0: as registered. The topics of
    /// accounts and of administrators have no common order.
    #[serde(default)]
    access: u64,
    /// The revision of the account that says the address; 0: as registered.
    #[serde(default)]
    address: u64,
}

impl StoredRecipient {
    /// The user after a change. Of a user who is not registered yet, the address is empty unless an
    /// event has said another one.
    fn after(before: Option<&Self>, change: &RecipientChange) -> Self {
        let revision = before.map_or(0, |known| known.revision) + 1;
        let access = before.map_or(0, |known| known.access);
        let address = before.map_or(0, |known| known.address);
        match (change, before) {
            (RecipientChange::Registered(user), known) => {
                let mut recipient = user.clone();
                if let Some(known) = known.filter(|_| access > 0) {
                    recipient.role = known.recipient.role;
                    recipient.disabled = known.recipient.disabled;
                }
                if let Some(known) = known.filter(|_| address > 0) {
                    recipient.email.clone_from(&known.recipient.email);
                }
                Self {
                    revision,
                    recipient,
                    access,
                    address,
                }
            }
            (RecipientChange::Access(change), Some(known)) if change.revision < access => Self {
                revision,
                ..known.clone()
            },
            (RecipientChange::Access(change), known) => Self {
                revision,
                recipient: Recipient {
                    id: change.id,
                    username: change.username.clone(),
                    email: known.map_or_else(String::new, |known| known.recipient.email.clone()),
                    role: change.role,
                    disabled: change.disabled,
                },
                access: change.revision,
                address,
            },
            (RecipientChange::Address(new), known) => {
                let change = RecipientChange::Access(new.access.clone());
                let mut after = Self::after(known, &change);
                if new.access.revision >= address {
                    after.recipient.email.clone_from(&new.email);
                    after.address = new.access.revision;
                }
                after
            }
        }
    }

    fn is_known_as(&self, after: &Self) -> bool {
        let of = |known: &Self| (known.access, known.address);
        self.recipient == after.recipient && of(self) == of(after)
    }
}

impl Document for StoredRecipient {
    const COLLECTION: Collection = Collection::new("recipients", 1, &[BY_USERNAME, BY_ROLE]);

    type Summary = ();

    fn id(&self) -> String {
        self.recipient.id.to_string()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn entries(&self, entries: &mut Entries) {
        let Recipient {
            id, username, role, ..
        } = &self.recipient;
        // Not unique: events of different users arrive in any order, so two users may have the same
        // name until the event of the one that changed it arrives.
        entries.list(&BY_USERNAME, Recipient::key(username), id);
        entries.list(&BY_ROLE, role_key(*role), id);
    }

    fn summary(&self) {}
}

fn role_key(role: Role) -> &'static str {
    match role {
        Role::Admin => "ADMIN",
        Role::Developer => "DEVELOPER",
    }
}

/// The read model of users.
#[derive(Clone)]
pub struct RecipientStore(Documents);

impl RecipientStore {
    /// A store of the users in this database.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self(documents)
    }

    /// Stores users in order: of two with the same id, the later one stays.
    ///
    /// # Errors
    /// If the database is unavailable. Some may have been stored: try again.
    pub async fn put(&self, recipients: Vec<Recipient>) -> Result<(), StoreError> {
        for recipient in recipients {
            self.apply(RecipientChange::Registered(recipient)).await?;
        }
        Ok(())
    }

    /// Stores what an event says about a user. What an older event says about the role does not
    /// count.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn apply(&self, change: RecipientChange) -> Result<(), StoreError> {
        let id = match &change {
            RecipientChange::Registered(user) => user.id,
            RecipientChange::Access(access) => access.id,
            RecipientChange::Address(new) => new.access.id,
        };
        let apply = self.0.update(id, |before: Option<&StoredRecipient>| {
            let after = StoredRecipient::after(before, &change);
            let changes = before.is_none_or(|before| !before.is_known_as(&after));
            changes.then_some(after)
        });
        apply.await?;
        Ok(())
    }

    /// The users with these ids, in any order; unknown ids are left out.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn by_ids(&self, ids: &[Uuid]) -> Result<Vec<Recipient>, StoreError> {
        let ids: Vec<_> = ids.iter().map(Uuid::to_string).collect();
        Ok(recipients(self.0.get_many(&ids).await?))
    }

    /// The users with these names, ignoring case, in any order; unknown names are left out.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn by_usernames(&self, names: &[String]) -> Result<Vec<Recipient>, StoreError> {
        let mut found = Vec::new();
        for name in names {
            let bearers = Query::first(READ, Recipient::key(name));
            found.extend(self.0.list(&BY_USERNAME, &bearers).await?);
        }
        Ok(recipients(found))
    }

    /// The users with this address, ignoring case, in any order. Reads all users: only an
    /// administrator who looks for one uses it.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn by_email(&self, email: &str) -> Result<Vec<Recipient>, StoreError> {
        let email = comparable(email);
        let mut found = Vec::new();
        for role in [Role::Admin, Role::Developer] {
            let is_theirs = |user: &Recipient| comparable(&user.email) == email;
            found.extend(self.with_role(role, is_theirs).await?);
        }
        Ok(found)
    }

    /// All administrators whose accounts are not disabled, ordered by id.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn admins(&self) -> Result<Vec<Recipient>, StoreError> {
        self.with_role(Role::Admin, |user| !user.disabled).await
    }

    /// The users with this role that are `wanted`, ordered by id.
    async fn with_role(
        &self,
        role: Role,
        wanted: impl Fn(&Recipient) -> bool,
    ) -> Result<Vec<Recipient>, StoreError> {
        let mut found = Vec::new();
        let mut query = Query::first(READ, role_key(role));
        loop {
            let more: Vec<StoredRecipient> = self.0.list(&BY_ROLE, &query).await?;
            let Some(last) = more.last() else {
                return Ok(found);
            };
            query = query.above(last.recipient.id);
            found.extend(recipients(more).into_iter().filter(&wanted));
        }
    }
}

/// Those that are registered.
fn recipients(known: Vec<StoredRecipient>) -> Vec<Recipient> {
    let known = known.into_iter().map(|known| known.recipient);
    known.filter(|user| !user.email.is_empty()).collect()
}

/// An address as it is compared: in lower case, and its domain in ASCII.
fn comparable(email: &str) -> String {
    let email = email.to_lowercase();
    let ascii = email.rsplit_once('@').and_then(|(user, domain)| {
        let domain = idna::domain_to_ascii(domain).ok()?;
        Some(format!("{user}@{domain}"))
    });
    ascii.unwrap_or(email)
}
