//! Tests of the stores, run on each database.
//!
//! A test gets a function that opens the stores. Stores opened twice act as two replicas.

mod assigned;
mod lists;
mod provider;
mod receipts;
mod releases;
mod sessions;
mod tasks;
mod users;

use std::sync::Arc;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use slipway_bus::{Actor, Event, event::Origin};
use slipway_proto::events::UserRegisteredEvent;
use slipway_rpc::access::{Role, Scope};
use slipway_runtime::clock::{Clock as _, SystemClock};
use slipway_store::receipts::{Receipt, ReceiptKey};
use tokio::sync::Barrier;
use uuid::Uuid;

use super::{
    AccountFilter, Administered, Commit, InsertUserError, ReleaseFilter, SaveError, Stores,
    TaskFilter, UserKey,
};
use crate::{
    identity::{
        Account, AccountChange, Email, User, UserId, UserRef, UserState, Username,
        quota::{HOUR, Hour},
        throttle::Subject,
    },
    release::{
        OrderIndex, Priority, Release, ReleaseDraft, StaleRule, Tags, Task, TaskDraft, Text,
    },
};

slipway_store::on_each! {
    assigned:
        tasks_of_a_developer_come_in_order_with_what_blocks_them
        the_task_in_process_is_returned_with_every_page
        of_two_tasks_of_a_developer_the_one_in_process_is_found
        a_task_in_process_is_read_beside_the_release_that_waits_for_its_owner
        a_long_release_is_listed_like_any_other;
    lists:
        releases_are_listed_newest_first_by_state;
    provider:
        of_concurrent_first_sign_ins_of_one_user_one_creates_an_account
        of_concurrent_ends_of_one_sign_in_one_gets_it
        sign_ins_that_nobody_finished_are_purged;
    receipts:
        a_receipt_is_stored_with_its_change_once
        an_expired_receipt_makes_room;
    releases:
        a_release_is_read_as_it_was_stored
        a_change_is_stored_with_its_events
        overdue_aggregates_are_found_by_their_oldest_event
        a_change_on_an_old_revision_is_refused_and_stores_nothing
        concurrent_changes_of_one_release_are_all_stored
        of_concurrent_starts_of_one_developer_one_succeeds
        a_developer_is_free_again_after_completing
        a_release_with_too_large_a_backlog_is_refused_until_it_is_published
        a_deleted_release_is_found_by_no_query_and_removed_once_it_is_published
        a_developer_is_free_again_after_pausing;
    sessions:
        of_concurrent_refreshes_with_one_secret_one_succeeds
        the_sessions_of_a_user_are_listed_until_they_end
        the_sessions_that_were_not_used_for_longest_are_in_excess
        ended_sessions_are_listed_by_time_however_many
        ended_and_expired_sessions_are_purged
        tokens_are_listed_until_they_are_revoked_and_are_no_sign_ins
        no_two_tokens_of_a_user_have_the_same_name_or_slot
        of_concurrent_tokens_for_one_slot_one_is_stored;
    tasks:
        tasks_are_listed_by_all_conditions
        every_page_of_a_filtered_list_leads_on;
    users:
        accounts_are_found_by_id_name_and_address
        names_and_addresses_are_taken_without_regard_to_case
        users_are_listed_by_name
        all_accounts_are_listed_by_name_state_and_role
        the_last_admin_stays_whoever_goes_first
        failed_sign_ins_are_counted_and_cleared
        concurrent_failed_sign_ins_are_all_counted
        concurrent_registrations_of_an_address_are_counted_up_to_a_limit;
}

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
        priority: Priority::default(),
        tags: Tags::default(),
        remind_before: None,
        recurrence: None,
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
    let insert = stores.releases.insert(&release, Commit::default());
    insert.await.unwrap();
    release
}

const STALE: StaleRule = StaleRule {
    after: SignedDuration::from_hours(48),
    repeat: SignedDuration::from_hours(24),
};

fn start(release: &Release, task: &Task) -> Release {
    release
        .start(task.id, task.assignee.id, now(), STALE)
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

async fn save(stores: &Stores, before: &Release, after: &Release) -> Result<(), SaveError> {
    let save = stores.releases.save(before, after, Commit::default());
    save.await
}
