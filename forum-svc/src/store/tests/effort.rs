//! Tests of the cost of reading: the number of queries, and of comments they load.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::{
    comment::position::KeyRange,
    reading::{COUNTED, CommentSummary, Listing, PageOf, Scope, Threads, descendants},
    store::{CommentStore, StoreError},
};

const LIMIT: u32 = 50;
const LEVELS: u32 = 50;

/// A store that counts queries and results.
struct Counting {
    store: CommentStore,
    asked: AtomicUsize,
    loaded: AtomicUsize,
    outlined: AtomicUsize,
}

impl Counting {
    fn new(stores: &Stores) -> Self {
        Self {
            store: stores.comments.clone(),
            asked: AtomicUsize::new(0),
            loaded: AtomicUsize::new(0),
            outlined: AtomicUsize::new(0),
        }
    }

    fn note<T>(&self, what: &AtomicUsize, found: Vec<T>) -> Vec<T> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        what.fetch_add(found.len(), Ordering::Relaxed);
        found
    }

    /// The number of queries, of loaded comments and of loaded outlines; resets the counters.
    fn effort(&self) -> (usize, usize, usize) {
        let read = |counter: &AtomicUsize| counter.swap(0, Ordering::Relaxed);
        (read(&self.asked), read(&self.loaded), read(&self.outlined))
    }
}

#[async_trait]
impl Threads for Counting {
    async fn comment(&self, id: CommentId) -> Result<Option<PlacedComment>, StoreError> {
        let found = self.store.comment(id).await?;
        Ok(self.note(&self.loaded, Vec::from_iter(found)).pop())
    }

    async fn comments(&self, ids: &[CommentId]) -> Result<Vec<Comment>, StoreError> {
        let found = self.store.comments(ids).await?;
        Ok(self.note(&self.loaded, found))
    }

    async fn range(
        &self,
        stretch: &KeyRange,
        limit: u32,
    ) -> Result<Vec<PlacedComment>, StoreError> {
        let found = self.store.range(stretch, limit).await?;
        Ok(self.note(&self.loaded, found))
    }

    async fn outline(
        &self,
        stretch: &KeyRange,
        limit: u32,
    ) -> Result<Vec<CommentSummary>, StoreError> {
        let found = self.store.outline(stretch, limit).await?;
        Ok(self.note(&self.outlined, found))
    }
}

/// A chain of `chain` replies, then `many` replies to its last comment, each with
/// `below_each` of its own.
fn broom(chain: usize, many: usize, below_each: usize) -> Vec<PlacedComment> {
    let mut planted = vec![PlacedComment::root(draft(TaskId::generate()))];
    let mut last = 0;
    for _ in 0..chain {
        last = grow(&mut planted, last);
    }
    for _ in 0..many {
        let reply = grow(&mut planted, last);
        for _ in 0..below_each {
            grow(&mut planted, reply);
        }
    }
    planted
}

async fn page(
    store: &Counting,
    task: TaskId,
    after: Option<PlacedComment>,
    levels: Option<u32>,
) -> Listing {
    let page = PageOf {
        scope: Scope::Task(task),
        after,
        limit: LIMIT,
        levels,
    };
    assert!(page.can_be(store).await.unwrap());
    page.read(store).await.unwrap()
}

pub(super) async fn a_tree_loads_only_what_it_shows(open: impl Fn() -> Stores) {
    const MANY: usize = 60;
    const BELOW_EACH: usize = 100;
    let stores = open();
    let planted = broom(LEVELS as usize - 2, MANY, BELOW_EACH);
    let (task, shown): (_, Vec<_>) = (
        planted[0].comment.task,
        planted
            .iter()
            .filter(|placed| placed.comment.depth < LEVELS)
            .map(|placed| placed.comment.id)
            .collect(),
    );
    plant(&stores, planted).await;
    let counting = Counting::new(&stores);
    let (mut read, mut after) = (Vec::new(), None);
    loop {
        let listing = page(&counting, task, after, Some(LEVELS)).await;
        let (asked, loaded, outlined) = counting.effort();
        assert_eq!(loaded, listing.comments.len());
        assert!(asked <= 10, "asked {asked} times");
        assert!(outlined <= 6 * COUNTED as usize, "{outlined} outlines");
        assert!(!listing.comments.is_empty() && listing.comments.len() <= LIMIT as usize);
        for listed in &listing.comments {
            assert_eq!(listed.cut, listed.comment.depth + 1 == LEVELS);
            assert!(!listed.cut || listed.descendants as usize == BELOW_EACH);
        }
        read.extend(listing.comments.iter().map(|listed| listed.comment.id));
        if !listing.more {
            break;
        }
        after = Some(load(&stores, *read.last().unwrap()).await);
    }
    assert_eq!(read, shown);
}

pub(super) async fn many_replies_far_down_are_read_and_counted_at_once(open: impl Fn() -> Stores) {
    /// So deep that replies to the replies there get blocks of their own.
    const CHAIN: usize = 223;
    const MANY: usize = 1_500;
    let stores = open();
    let planted = broom(CHAIN, MANY, 0);
    let (task, end) = (planted[0].comment.task, planted[CHAIN].comment.id);
    assert!(planted[CHAIN + 1].position.key.ends_block());
    plant(&stores, planted).await;
    let counting = Counting::new(&stores);
    let listing = page(&counting, task, None, None).await;
    assert!(listing.comments.iter().all(|l| l.descendants == COUNTED));
    let (asked, ..) = counting.effort();
    assert!(asked <= 5, "asked {asked} times");

    let end = load(&stores, end).await;
    let listing = page(&counting, task, Some(end.clone()), None).await;
    assert!(listing.more && listing.comments.len() == LIMIT as usize);
    let (asked, ..) = counting.effort();
    assert!(asked <= 5, "asked {asked} times");

    // So many direct replies need not be counted.
    let count = descendants(&counting, (&end).into()).await.unwrap();
    assert_eq!((count, counting.effort()), (COUNTED, (0, 0, 0)));
    let above = load(&stores, end.comment.parent.unwrap()).await;
    let count = descendants(&counting, (&above).into()).await.unwrap();
    assert_eq!(count, COUNTED);
    let (asked, ..) = counting.effort();
    assert!(asked <= 5, "asked {asked} times");
}

pub(super) async fn a_stored_count_is_used_if_it_is_large_enough_and_others_are_counted(
    open: impl Fn() -> Stores,
) {
    const BELOW_EACH: u32 = 3;
    let stores = open();
    let planted = broom(0, COUNTED as usize, BELOW_EACH as usize);
    let task = planted[0].comment.task;
    plant(&stores, planted).await;
    let counting = Counting::new(&stores);
    let listing = page(&counting, task, None, None).await;
    // The replies to the last comment of the page are after the end of the page.
    assert_eq!(listing.comments.last().unwrap().comment.reply_count, 3);
    for listed in &listing.comments {
        let count = match listed.comment.depth {
            0 => COUNTED,
            1 => BELOW_EACH,
            _ => 0,
        };
        assert_eq!(listed.descendants, count, "{listed:?}");
    }
    let (asked, _, outlined) = counting.effort();
    assert_eq!(
        (asked, outlined),
        (2, 2),
        "only the replies to the last comment are read"
    );
}

pub(super) async fn a_page_starts_only_after_a_comment_of_its_scope(open: impl Fn() -> Stores) {
    let stores = open();
    let root = root(&stores).await;
    let (mut chain, mut last) = (vec![root.comment.id], root.comment.id);
    for _ in 0..LEVELS + 200 {
        last = reply_to(&stores, last).await.comment.id;
        chain.push(last);
    }
    let beside = reply_to(&stores, root.comment.id).await;
    let below = load(&stores, chain[3]).await;
    let deeper = load(&stores, chain[240]).await;
    assert!(deeper.position.block != below.position.block);
    for (at, levels, can_be) in [
        (chain[4], Some(LEVELS), true),
        (chain[53], Some(LEVELS), true),
        (chain[54], Some(LEVELS), false),
        (chain[240], None, true),
        (chain[3], None, false),
        (chain[2], None, false),
        (beside.comment.id, None, false),
        (beside.comment.id, Some(LEVELS), false),
    ] {
        let page = PageOf {
            scope: Scope::Below((&below).into()),
            after: Some(load(&stores, at).await),
            limit: LIMIT,
            levels,
        };
        let found = page.can_be(&stores.comments).await.unwrap();
        assert_eq!(found, can_be, "{at} {levels:?}");
    }
    let far = Scope::Below((&deeper).into());
    for (at, inside) in [(chain[241], true), (chain[240], false), (chain[100], false)] {
        let at = load(&stores, at).await;
        assert_eq!(far.contains(&stores.comments, &at).await.unwrap(), inside);
    }
}
