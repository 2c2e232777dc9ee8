//! Stores changes of an account that are decided by what it is, and guards the last admin: at least one admin can
//! always sign in.
//!
//! A change of one account must not depend on a count of the others: two admins who demote each
//! other would both see another one. The databases change one document at a time. So a document of
//! its own, the guard, names an account that is an admin and can sign in, and this always holds:
//!
//! - Whoever takes an admin away (demotes or disables one) reads the account, then writes the guard,
//!   so that it names another account, and then writes the account, at the revision it was read at.
//! - Whoever makes the guard name an account reads the guard, then writes the account unchanged at
//!   its next revision, and then writes the guard, at the revision it was read at.
//!
//! If both concern the same account at the same time, one of them is refused at its last write,
//! because the other has written what it read before, and starts again. A process that stops between
//! two writes leaves a guard that names an admin.

use serde::{Deserialize, Serialize};
use slipway_bus::Event;
use slipway_runtime::contention::{MAX_ATTEMPTS, back_off};
use slipway_store::{Collection, Document, Entries, Query, Refusal, Write};

use super::{
    StoreError, UserStore,
    users::{ADMINS, EMAIL},
};
use crate::identity::{Account, UserId};

/// The id of the only document.
const ID: &str = "admin";

/// Admins that are read to find another one.
const CANDIDATES: u32 = 2;

/// Names an account that is an admin and can sign in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AdminGuard {
    revision: u64,
    user: UserId,
}

impl Document for AdminGuard {
    const COLLECTION: Collection = Collection::new("admin_guard", 1, &[]);

    type Summary = ();

    fn id(&self) -> String {
        ID.to_owned()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn entries(&self, _: &mut Entries) {}

    fn summary(&self) {}
}

/// What came of a change.
#[derive(Debug)]
pub enum Administered {
    /// There is no such account.
    Unknown,
    /// It is as the change would make it.
    Unchanged(Account),
    /// It is changed.
    Changed {
        /// The account before.
        before: Box<Account>,
        /// The account after.
        after: Account,
    },
    /// It is the last admin who can sign in.
    LastAdmin,
    /// Another account has the email address.
    EmailTaken,
}

/// Whether an admin may be taken away.
enum Guarded {
    /// The guard names another one.
    ByAnother,
    /// There is no other one.
    LastAdmin,
    /// Another writer was faster: start again.
    Contended,
}

impl UserStore {
    /// Reads an account, calls `decide` for its new state and the events about it, and stores them;
    /// starts again if others have changed it meanwhile. `None` from `decide` changes nothing.
    ///
    /// # Errors
    /// If the database is unavailable: then it is unknown whether the change is stored.
    pub async fn administer(
        &self,
        id: UserId,
        mut decide: impl FnMut(&Account) -> Option<(Account, Vec<Event>)>,
    ) -> Result<Administered, StoreError> {
        for attempt in 0..MAX_ATTEMPTS {
            let Some(before) = self.user(id).await? else {
                return Ok(Administered::Unknown);
            };
            let Some((after, events)) = decide(&before) else {
                return Ok(Administered::Unchanged(before));
            };
            let guarded = match before.is_acting_admin() && !after.is_acting_admin() {
                true => self.guard_against(id).await?,
                false => Guarded::ByAnother,
            };
            match guarded {
                Guarded::ByAnother => {}
                Guarded::LastAdmin => return Ok(Administered::LastAdmin),
                Guarded::Contended => {
                    back_off(attempt).await;
                    continue;
                }
            }
            let write = Write::replace(&before, &after).with_events(&events);
            match self.documents.write(write).await? {
                Ok(()) => {
                    return Ok(Administered::Changed {
                        before: Box::new(before),
                        after,
                    });
                }
                Err(Refusal::Revision) => back_off(attempt).await,
                Err(Refusal::Taken(Some(index))) if index == EMAIL.name => {
                    return Ok(Administered::EmailTaken);
                }
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Err(StoreError::contended::<Account>(&id))
    }

    /// Writes the guard so that it names another account than `leaving`.
    async fn guard_against(&self, leaving: UserId) -> Result<Guarded, StoreError> {
        let before: Option<AdminGuard> = self.documents.get(ID).await?;
        let named = before.as_ref().map(|guard| guard.user);
        let user = match named.filter(|user| *user != leaving) {
            Some(user) => user,
            None => {
                let query = Query::first(CANDIDATES, "");
                let admins: Vec<Account> = self.documents.list(&ADMINS, &query).await?;
                let mut others = admins.into_iter().filter(|admin| admin.user.id != leaving);
                let Some(next) = others.next() else {
                    return Ok(Guarded::LastAdmin);
                };
                let touched = next.touched();
                let write = Write::replace(&next, &touched);
                match self.documents.write(write).await? {
                    Ok(()) => next.user.id,
                    Err(Refusal::Revision) => return Ok(Guarded::Contended),
                    Err(refusal) => return Err(refusal.into()),
                }
            }
        };
        let after = AdminGuard {
            revision: before.as_ref().map_or(1, |guard| guard.revision + 1),
            user,
        };
        let write = match &before {
            Some(before) => Write::replace(before, &after),
            None => Write::insert(&after),
        };
        match self.documents.write(write).await? {
            Ok(()) => Ok(Guarded::ByAnother),
            Err(Refusal::Revision | Refusal::Taken(None)) => Ok(Guarded::Contended),
            Err(refusal) => Err(refusal.into()),
        }
    }
}
