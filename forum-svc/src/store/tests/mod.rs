//! Tests of the stores, run on each database.
//!
//! A test gets a function that opens the stores. Stores opened twice act as two replicas.

mod effort;
mod large;
mod posting;
mod reading;
mod settling;

use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;
use slipway_bus::{Actor, Event, event::Origin};
use slipway_proto::events::{CommentPostedEvent, CommentedTask, UserRef};
use slipway_runtime::clock::{Clock as _, SystemClock};
use slipway_store::Write;
use tokio::sync::Barrier;
use uuid::Uuid;

use super::{Commit, PostError, Stores, document::Stored};
use crate::{
    comment::{Comment, CommentId, Content, PlacedComment, TaskId},
    reading::Threads as _,
};

slipway_store::on_each! {
    effort:
        a_tree_loads_only_what_it_shows
        many_replies_far_down_are_read_and_counted_at_once
        a_stored_count_is_used_if_it_is_large_enough_and_others_are_counted
        a_page_starts_only_after_a_comment_of_its_scope;
    large:
        a_chain_of_ten_thousand_is_read_completely_and_accepts_a_reply
        ten_thousand_replies_to_one_comment_are_read_completely_and_one_more_is_accepted;
    posting:
        a_comment_is_read_as_it_was_stored
        a_comment_is_stored_with_its_event
        a_receipt_is_stored_with_its_comment_once
        fifty_concurrent_replies_are_all_stored_and_counted
        a_concurrent_reply_and_deletion_happen_in_one_of_the_two_orders
        a_deleted_comment_gets_no_replies
        a_change_on_an_old_revision_is_refused;
    reading:
        replies_to_one_comment_come_in_their_order
        pages_together_are_the_whole_discussion_in_order
        a_chain_through_many_blocks_is_read_completely
        levels_that_are_left_out_can_be_read_separately
        replies_are_counted_up_to_a_limit;
    settling:
        a_recently_begun_reply_is_not_settled
        a_posted_reply_stays_and_an_unposted_one_is_subtracted
        a_reply_that_was_given_up_cannot_be_stored_later
        replicas_that_settle_concurrently_count_once
        an_interrupted_settlement_is_finished
        a_reply_that_is_settled_before_its_last_step_is_counted_once
        a_comment_with_notes_is_edited_and_replied_to
        only_an_old_fence_is_removed;
}

/// Stores comments without events, as if they had been posted long ago.
async fn plant(stores: &Stores, planted: Vec<PlacedComment>) {
    let planted: Vec<_> = planted.into_iter().map(Stored::from).collect();
    let writes = planted.iter().map(Write::insert).collect();
    let written = stores.comments.documents.write_in_order(writes).await;
    assert_eq!(written.unwrap(), (planted.len(), None));
}

/// Adds a reply to one of the comments to be planted; returns the index of the reply.
fn grow(planted: &mut Vec<PlacedComment>, parent: usize) -> usize {
    let above = &planted[parent];
    let posting = above.post(answer(&above.comment)).unwrap();
    planted[parent] = posting.done;
    planted.push(posting.reply);
    planted.len() - 1
}

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

fn answer(parent: &Comment) -> Comment {
    parent.reply(ada(), content("hi"), now()).unwrap()
}

fn commit(comment: &Comment) -> Commit {
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

/// Stores a change of a comment; returns whether it was the newest.
async fn change(stores: &Stores, before: &Comment, after: &Comment) -> bool {
    let event = commit(after).event;
    let changed = stores.comments.change(before, after, &event);
    changed.await.unwrap()
}

async fn begin(stores: &Stores, task: TaskId) -> PlacedComment {
    let comment = draft(task);
    let (id, commit) = (comment.id, commit(&comment));
    stores.comments.begin(comment, commit).await.unwrap();
    load(stores, id).await
}

/// A comment that begins a thread on a new task.
async fn root(stores: &Stores) -> PlacedComment {
    begin(stores, TaskId::generate()).await
}

async fn load(stores: &Stores, id: CommentId) -> PlacedComment {
    stores.comments.comment(id).await.unwrap().unwrap()
}

/// A reply to the comment as it is now.
async fn reply_to(stores: &Stores, parent: CommentId) -> PlacedComment {
    let parent = load(stores, parent).await;
    let reply = answer(&parent.comment);
    let id = reply.id;
    post(stores, parent, reply).await.unwrap();
    load(stores, id).await
}

async fn post(stores: &Stores, parent: PlacedComment, reply: Comment) -> Result<(), PostError> {
    let commit = commit(&reply);
    stores.comments.reply(parent, reply, commit).await
}
