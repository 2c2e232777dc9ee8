//! Tests of discussions with ten thousand comments: they are read completely, and accept more
//! comments.

use super::*;
use crate::reading::{COUNTED, Listing, PageOf, Scope, descendants};

const MANY: usize = 10_000;

/// The maximum page size.
const PAGE: u32 = 200;

/// Levels that the tree view shows at once.
const LEVELS: u32 = 50;

/// A thread with `many` replies: each to the one before, or all to the first.
fn grown(many: usize, chain: bool) -> Vec<PlacedComment> {
    let mut planted = vec![PlacedComment::root(draft(TaskId::generate()))];
    for n in 0..many {
        grow(&mut planted, if chain { n } else { 0 });
    }
    planted
}

fn ids(planted: &[PlacedComment]) -> Vec<CommentId> {
    planted.iter().map(|placed| placed.comment.id).collect()
}

async fn page(stores: &Stores, scope: Scope, after: Option<PlacedComment>) -> Listing {
    let (limit, levels) = (PAGE, None);
    let page = PageOf {
        scope,
        after,
        limit,
        levels,
    };
    page.read(&stores.comments).await.unwrap()
}

/// All pages joined, with the reply counts.
async fn joined(stores: &Stores, task: TaskId) -> Vec<(CommentId, u32)> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = page(stores, Scope::Task(task), after).await;
        assert!(page.comments.len() <= PAGE as usize);
        let listed = page.comments.iter();
        all.extend(listed.map(|listed| (listed.comment.id, listed.descendants)));
        match all.last() {
            Some((last, _)) if page.more => after = Some(load(stores, *last).await),
            _ => return all,
        }
    }
}

/// The first page of the tree view.
async fn tree(stores: &Stores, task: TaskId) -> Listing {
    let page = PageOf {
        scope: Scope::Task(task),
        after: None,
        limit: PAGE,
        levels: Some(LEVELS),
    };
    page.read(&stores.comments).await.unwrap()
}

pub(super) async fn a_chain_of_ten_thousand_is_read_completely_and_accepts_a_reply(
    open: impl Fn() -> Stores,
) {
    let (stores, planted) = (open(), grown(MANY, true));
    let (task, mut chain) = (planted[0].comment.task, ids(&planted));
    plant(&stores, planted).await;

    let last = reply_to(&stores, chain[MANY]).await;
    assert_eq!(last.comment.depth as usize, MANY + 1);
    chain.push(last.comment.id);
    let whole: Vec<_> = (0..chain.len())
        .map(|n| (chain[n], COUNTED.min((MANY + 1 - n) as u32)))
        .collect();
    assert_eq!(joined(&stores, task).await, whole);

    let first = tree(&stores, task).await;
    assert_eq!(first.comments.len(), LEVELS as usize);
    assert!(!first.more && first.comments[LEVELS as usize - 1].cut);
    let rest = Scope::Below((&load(&stores, chain[MANY - 1]).await).into());
    let rest = page(&stores, rest, None).await;
    let rest: Vec<_> = rest.comments.iter().map(|l| l.comment.id).collect();
    assert_eq!(rest, chain[MANY..]);
    let parent = load(&stores, chain[MANY]).await;
    let count = descendants(&stores.comments, (&parent).into())
        .await
        .unwrap();
    assert_eq!((parent.comment.reply_count, count), (1, 1));
}

pub(super) async fn ten_thousand_replies_to_one_comment_are_read_completely_and_one_more_is_accepted(
    open: impl Fn() -> Stores,
) {
    let (stores, planted) = (open(), grown(MANY, false));
    let (task, mut all) = (planted[0].comment.task, ids(&planted));
    plant(&stores, planted).await;

    let root = all[0];
    all.push(reply_to(&stores, root).await.comment.id);
    let counted = |n| if n == 0 { COUNTED } else { 0 };
    let whole: Vec<_> = (0..all.len()).map(|n| (all[n], counted(n))).collect();
    assert_eq!(joined(&stores, task).await, whole);

    let first = tree(&stores, task).await;
    assert_eq!((first.comments.len(), first.more), (PAGE as usize, true));
    let (mut direct, mut after) = (Vec::new(), None);
    loop {
        let page = stores.comments.replies(root, after, PAGE).await.unwrap();
        assert!(page.items.len() <= PAGE as usize);
        direct.extend(page.items.iter().map(|reply| reply.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(direct, all[1..]);
    let count = load(&stores, root).await.comment.reply_count;
    assert_eq!(count as usize, MANY + 1);
}
