//! What the stores do, on each database.
//!
//! Tests take what opens the stores; stores opened twice stand for two replicas.

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
        so_many_direct_replies_are_known_and_others_are_counted
        a_page_begins_where_one_can_have_ended;
    large:
        a_chain_of_ten_thousand_is_read_whole_and_goes_on_at_its_end
        ten_thousand_replies_to_one_comment_are_read_whole_and_get_one_more;
    posting:
        a_comment_comes_back_as_it_was_stored
        a_comment_is_stored_with_its_event
        a_receipt_is_stored_with_its_comment_once
        fifty_replies_at_once_are_all_there_and_counted
        a_reply_and_a_deletion_at_once_end_in_one_of_the_two_orders
        a_deleted_comment_gets_no_replies
        a_change_on_an_old_revision_is_refused;
    reading:
        replies_to_one_comment_come_in_their_order
        pages_joined_are_the_whole_in_order
        a_chain_through_many_blocks_is_read_whole
        levels_that_are_left_out_can_be_read_on_their_own
        a_large_number_of_replies_is_not_counted_to_its_end;
    settling:
        a_reply_that_was_begun_may_still_be_on_its_way
        what_was_posted_stays_and_what_was_not_is_counted_no_more
        a_reply_that_was_given_up_does_not_come_late
        replicas_that_settle_at_once_count_once
        a_settlement_that_was_interrupted_is_finished
        a_reply_that_is_settled_before_its_last_step_is_counted_once
        a_comment_with_notes_is_edited_and_replied_to
        a_fence_is_removed_when_nothing_can_come_any_more_and_nothing_else_is;
}

/// Fills a store with comments that are as if they had been posted long ago: their events
/// are published.
async fn plant(stores: &Stores, planted: Vec<PlacedComment>) {
    let planted: Vec<_> = planted.into_iter().map(Stored::from).collect();
    let writes = planted.iter().map(Write::insert).collect();
    let written = stores.comments.documents.write_in_order(writes).await;
    assert_eq!(written.unwrap(), (planted.len(), None));
}

/// Lets a comment among those to be planted get a reply; where that is.
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
