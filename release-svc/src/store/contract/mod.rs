//! What every backend's stores do: one suite, run on each of them by [`tests`].
//!
//! A backend supplies a guard that owns its place and a way to open the stores there;
//! stores opened twice stand for two replicas.

mod lists;
mod receipts;
mod releases;
mod users;

pub(super) use lists::*;
pub(super) use receipts::*;
pub(super) use releases::*;
pub(super) use users::*;

use std::sync::Arc;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use slipway_bus::{Actor, Event, event::Origin};
use slipway_proto::events::UserRegisteredEvent;
use slipway_rpc::access::Role;
use slipway_runtime::clock::{Clock as _, SystemClock};
use slipway_store::receipts::{Receipt, ReceiptKey};
use tokio::sync::Barrier;
use uuid::Uuid;

use super::{Commit, InsertUserError, ReleaseFilter, SaveError, Stores, TaskFilter, UserKey};
use crate::{
    identity::{
        Account, Email, User, UserId, UserRef, Username,
        quota::{HOUR, Hour},
        throttle::Subject,
    },
    release::{OrderIndex, Release, ReleaseDraft, Task, TaskDraft, Text},
};

/// Defines the suite for a backend: `tests!({ (guard, open) })`.
macro_rules! tests {
    ($setup:block) => {
        $crate::store::contract::tests!($setup:
            a_release_comes_back_as_it_was_stored
            a_change_is_stored_with_its_events
            what_is_overdue_is_found_by_its_oldest_event
            a_change_on_an_old_revision_is_refused_and_leaves_nothing
            racing_changes_of_one_release_lose_nothing
            a_developer_is_active_once_whatever_races
            a_developer_is_free_again_after_completing
            releases_are_listed_newest_first_by_state
            tasks_of_a_developer_come_in_order_with_what_blocks_them
            a_receipt_is_stored_with_its_change_once
            an_expired_receipt_makes_room
            accounts_are_found_by_id_name_and_address
            names_and_addresses_are_taken_without_regard_to_case
            users_are_listed_by_name
            failed_sign_ins_are_counted_and_forgotten
            registrations_of_an_address_are_counted_up_to_a_limit_whatever_races
        );
    };
    ($setup:block: $($name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let (_guard, open) = $setup;
                $crate::store::contract::$name(open).await;
            }
        )*
    };
}
pub(super) use tests;

fn now() -> Timestamp {
    SystemClock.now()
}

fn developer(name: &str) -> UserRef {
    UserRef {
        id: UserId::generate(),
        username: name.into(),
    }
}

fn title(text: &str) -> Text {
    Text::title(text).unwrap()
}

fn task(title_text: &str, assignee: &UserRef) -> TaskDraft {
    TaskDraft {
        title: title(title_text),
        description: Text::description("what\nto do").unwrap(),
        assignee: assignee.clone(),
        order_index: None,
        due_at: Some(now()),
        hotfix: None,
    }
}

fn plan(name: &str, tasks: Vec<TaskDraft>) -> Release {
    let draft = ReleaseDraft {
        name: title(name),
        description: Text::description("about it").unwrap(),
        version: Text::version("1.0").unwrap(),
        tasks,
    };
    Release::plan(draft, developer("admin"), now())
        .unwrap()
        .release
}

async fn stored(stores: &Stores, release: Release) -> Release {
    let insert = stores.releases.insert(release.clone(), Commit::default());
    insert.await.unwrap();
    release
}

fn start(release: &Release, task: &Task) -> Release {
    release
        .start(task.id, task.assignee.id, now())
        .unwrap()
        .release
}

fn complete(release: &Release, task: &Task) -> Release {
    let decision = release.complete_task(task.id, task.assignee.id, now());
    decision.unwrap().release
}

/// Events of one aggregate.
fn events(aggregate: Uuid, count: usize) -> Vec<Event> {
    let payload = UserRegisteredEvent {
        user_id: Uuid::now_v7(),
        username: "ada".into(),
        email: "ada@example.com".into(),
        role: slipway_proto::events::Role::Developer,
    };
    let origin = Origin {
        service: "test",
        key: aggregate,
        subject: payload.user_id,
        actor: &Actor::System,
        time: now(),
    };
    (0..count).map(|_| Event::new(&payload, &origin)).collect()
}

async fn save(stores: &Stores, before: &Release, after: Release) -> Result<(), SaveError> {
    let save = stores
        .releases
        .save(before.clone(), after, Commit::default());
    save.await
}
