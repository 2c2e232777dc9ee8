//! What every backend's stores do: one suite, run on each of them by [`tests`].
//!
//! A backend supplies a guard that owns its place, a way to open the stores there (opened
//! twice they stand for two replicas), and a way to fill them fast with comments that are
//! as if they had been posted.

mod effort;
mod large;
mod posting;
mod reading;

pub(super) use effort::*;
pub(super) use large::*;
pub(super) use posting::*;
pub(super) use reading::*;

use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;
use slipway_bus::{Actor, Event, event::Origin};
use slipway_runtime::clock::{Clock as _, SystemClock};
use slipway_proto::events::{CommentPostedEvent, CommentedTask, UserRef};
use tokio::sync::Barrier;
use uuid::Uuid;

use super::{Commit, PostError, Stores};
use crate::comment::{Comment, CommentId, Content, Placed, Position, TaskId, position::Ordinal};

/// A comment to fill a store with: what it is, its number, and where it stands.
pub(super) type Planted = (Comment, Ordinal, Position);

/// Defines the suite for a backend: `tests!({ (guard, open, plant) })`.
macro_rules! tests {
    ($setup:block) => {
        $crate::store::contract::tests!($setup, plant:
            a_chain_of_ten_thousand_is_read_whole_and_goes_on_at_its_end
            ten_thousand_replies_to_one_comment_are_read_whole_and_get_one_more
            a_tree_loads_only_what_it_shows
            many_replies_far_down_are_read_and_counted_at_once
            so_many_direct_replies_are_known_and_others_are_counted
        );
        $crate::store::contract::tests!($setup:
            a_comment_comes_back_as_it_was_stored
            a_comment_is_stored_with_its_event
            a_receipt_is_stored_with_its_comment_once
            fifty_replies_at_once_are_all_there_and_counted
            a_reply_and_a_deletion_at_once_end_in_one_of_the_two_orders
            a_deleted_comment_gets_no_replies
            a_change_on_an_old_revision_is_refused
            replies_to_one_comment_come_in_their_order
            pages_joined_are_the_whole_in_order
            a_chain_through_many_blocks_is_read_whole
            levels_that_are_left_out_can_be_read_on_their_own
            a_page_begins_where_one_can_have_ended
            a_large_number_of_replies_is_not_counted_to_its_end
        );
    };
    ($setup:block: $($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (_guard, open, _) = $setup;
                $crate::store::contract::$name(open).await;
            }
        )*
    };
    ($setup:block, plant: $($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (_guard, open, plant) = $setup;
                $crate::store::contract::$name(open, plant).await;
            }
        )*
    };
}
pub(super) use tests;

fn now() -> Timestamp {
    SystemClock.now()
}

fn ada() -> UserRef {
    UserRef {
        id: Uuid::from_u128(0xada),
        username: "ada".into(),
    }
}

fn content(text: &str) -> Content {
    Content::new(text.into()).unwrap()
}

fn draft(task: TaskId) -> Comment {
    Comment::begin(task, ada(), content("hello"), now())
}

pub(super) fn answer(parent: &Comment) -> Comment {
    parent.reply(ada(), content("hi"), now()).unwrap()
}

pub(super) fn commit(comment: &Comment) -> Commit {
    let payload = CommentPostedEvent {
        task: CommentedTask {
            id: comment.task.0,
            title: "t".into(),
            release_id: comment.task.0,
            release_name: "r".into(),
            assignee: ada(),
        },
        comment_id: comment.id.0,
        author: ada(),
        excerpt: "hello".into(),
        mentions: Vec::new(),
    };
    let origin = Origin {
        service: "test",
        key: comment.task.0,
        subject: comment.id.0,
        actor: &Actor::System,
        time: now(),
    };
    Commit {
        event: Event::new(&payload, &origin),
        receipt: None,
    }
}

async fn begin(stores: &Stores, task: TaskId) -> Placed {
    let comment = draft(task);
    let (id, commit) = (comment.id, commit(&comment));
    stores.comments.begin(comment, commit).await.unwrap();
    load(stores, id).await
}

/// A comment that begins a thread on a new task.
pub(super) async fn root(stores: &Stores) -> Placed {
    begin(stores, TaskId::generate()).await
}

async fn load(stores: &Stores, id: CommentId) -> Placed {
    stores.comments.comment(id).await.unwrap().unwrap()
}

/// A reply to the comment as it is now.
pub(super) async fn reply_to(stores: &Stores, parent: CommentId) -> Placed {
    let parent = load(stores, parent).await;
    let reply = answer(&parent.comment);
    let id = reply.id;
    post(stores, parent, reply).await.unwrap();
    load(stores, id).await
}

async fn post(stores: &Stores, parent: Placed, reply: Comment) -> Result<(), PostError> {
    let commit = commit(&reply);
    stores.comments.reply(parent, reply, commit).await
}
