//! Tests of reading in order, compared with a naive tree.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::{runtime::Handle, task::block_in_place};

use super::*;
use crate::{
    comment::position::{Key, KeyRange},
    reading::{COUNTED, Listing, PageOf, Scope, descendants},
};

/// Deep enough that the replies have a block of their own.
const DEEP: usize = 230;

/// A discussion that grows while it is read and compared.
struct Board {
    stores: Stores,
    task: TaskId,
    /// In the order in which they were posted.
    posted: Vec<PlacedComment>,
}

impl Board {
    fn new(stores: Stores) -> Self {
        Self {
            stores,
            task: TaskId::generate(),
            posted: Vec::new(),
        }
    }

    /// Posts a reply to the `n`-th comment, counted from the newest, or a new thread if there are
    /// fewer.
    async fn post(&mut self, n: usize) {
        let parent = self.posted.len().checked_sub(n + 1);
        let comment = match parent {
            None => {
                let root = draft(self.task);
                let commit = commit(&root);
                let begun = self.stores.comments.begin(root.clone(), commit).await;
                begun.unwrap();
                root
            }
            Some(parent) => {
                let parent = self.posted[parent].clone();
                let reply = answer(&parent.comment);
                post(&self.stores, parent, reply.clone()).await.unwrap();
                reply
            }
        };
        self.posted.push(load(&self.stores, comment.id).await);
    }

    async fn chain(&mut self, length: usize) {
        for _ in 0..length {
            self.post(0).await;
        }
    }

    /// All comments below `below` (`None`: all comments) in reading order, each with its number of
    /// replies at any depth.
    fn naive(&self, below: Option<CommentId>) -> Vec<(CommentId, u32)> {
        let children = |parent: Option<CommentId>| {
            let of_parent = self
                .posted
                .iter()
                .filter(move |p| p.comment.parent == parent);
            of_parent.map(|placed| placed.comment.id).rev()
        };
        let (mut order, mut stack): (Vec<_>, Vec<_>) = (Vec::new(), children(below).collect());
        while let Some(id) = stack.pop() {
            order.push((id, self.size(id)));
            stack.extend(children(Some(id)));
        }
        order
    }

    fn size(&self, id: CommentId) -> u32 {
        let mut above = vec![id];
        // A comment is posted after all comments above it.
        for placed in &self.posted {
            if placed
                .comment
                .parent
                .is_some_and(|parent| above.contains(&parent))
            {
                above.push(placed.comment.id);
            }
        }
        (above.len() - 1) as u32
    }

    async fn page(&self, after: Option<CommentId>, limit: u32) -> Listing {
        let after = match after {
            None => None,
            Some(id) => Some(load(&self.stores, id).await),
        };
        let page = PageOf {
            scope: Scope::Task(self.task),
            after,
            limit,
            levels: None,
        };
        page.read(&self.stores.comments).await.unwrap()
    }

    /// All pages joined, with the reply counts.
    async fn joined(&self, limit: u32) -> Vec<(CommentId, u32)> {
        let mut all: Vec<(CommentId, u32)> = Vec::new();
        loop {
            let page = self.page(all.last().map(|last| last.0), limit).await;
            assert!(page.comments.len() <= limit as usize);
            let listed = page.comments.iter();
            all.extend(listed.map(|listed| (listed.comment.id, listed.descendants)));
            if !page.more {
                return all;
            }
        }
    }
}

/// For each new comment, which of the newest ones it replies to; a large number is a new thread.
fn steps(count: usize) -> impl Strategy<Value = Vec<usize>> {
    let near = prop_oneof![4 => Just(0_usize), 3 => 0..6_usize, 1 => 0..400_usize];
    prop::collection::vec(near, 1..count)
}

pub(super) async fn pages_together_are_the_whole_discussion_in_order(open: impl Fn() -> Stores) {
    let stores = open();
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: 50,
        ..Config::with_cases(6)
    };
    let strategy = (any::<bool>(), steps(40), steps(20), 1_u32..9);
    let handle = Handle::current();
    let outcome = block_in_place(|| {
        TestRunner::new(config).run(&strategy, |(deep, before, meanwhile, small)| {
            handle.block_on(async {
                let mut board = Board::new(stores.clone());
                if deep {
                    board.chain(DEEP).await;
                }
                for step in before {
                    board.post(step).await;
                }
                for limit in [small * if deep { 7 } else { 1 }, 200] {
                    assert_eq!(
                        board.joined(limit).await,
                        board.naive(None),
                        "pages of {limit}"
                    );
                }
                arrivals(&mut board, meanwhile, small * if deep { 11 } else { 1 }).await;
            });
            Ok(())
        })
    });
    outcome.unwrap();
}

/// Comments are posted while pages are read: the pages have all old comments and some of the new
/// ones, in order, each once.
async fn arrivals(board: &mut Board, meanwhile: Vec<usize>, limit: u32) {
    let old = board.naive(None);
    let (mut read, mut meanwhile) = (Vec::new(), meanwhile.into_iter());
    loop {
        let page = board.page(read.last().copied(), limit).await;
        read.extend(page.comments.iter().map(|listed| listed.comment.id));
        for step in meanwhile.by_ref().take(3) {
            board.post(step).await;
        }
        if !page.more {
            break;
        }
    }
    let whole: Vec<_> = board.naive(None).into_iter().map(|(id, _)| id).collect();
    let places: Vec<_> = read
        .iter()
        .map(|id| whole.iter().position(|other| other == id).unwrap())
        .collect();
    assert!(
        places.windows(2).all(|pair| pair[0] < pair[1]),
        "in order, each once"
    );
    assert!(
        old.iter().all(|(id, _)| read.contains(id)),
        "no old comment is missing"
    );
}

pub(super) async fn a_chain_through_many_blocks_is_read_completely(open: impl Fn() -> Stores) {
    let mut board = Board::new(open());
    board.chain(3 * DEEP).await;
    // At the end of the chain, and at its beginning.
    board.post(0).await;
    board.post(1).await;
    board.post(board.posted.len() - 1).await;
    let blocks: std::collections::BTreeSet<_> = board
        .posted
        .iter()
        .map(|placed| placed.position.block.0)
        .collect();
    assert!(blocks.len() >= 3, "{}", blocks.len());
    assert_eq!(board.joined(50).await, board.naive(None));
    let last = board
        .page(Some(board.posted[3 * DEEP].comment.id), 50)
        .await;
    let last: Vec<_> = last
        .comments
        .iter()
        .map(|listed| listed.comment.id)
        .collect();
    assert_eq!(
        last,
        [
            board.posted[3 * DEEP + 1].comment.id,
            board.posted[3 * DEEP + 2].comment.id
        ]
    );
    for n in [0, 1, DEEP, 2 * DEEP, 3 * DEEP] {
        let placed = load(&board.stores, board.posted[n].comment.id).await;
        let count = descendants(&board.stores.comments, (&placed).into())
            .await
            .unwrap();
        assert_eq!(count, board.size(placed.comment.id));
    }
}

pub(super) async fn levels_that_are_left_out_can_be_read_separately(open: impl Fn() -> Stores) {
    let mut board = Board::new(open());
    board.chain(DEEP + 20).await;
    for step in [3, 100, 7, 0, 0, 230, 1, 400, 0, 0, 2] {
        board.post(step).await;
    }
    let (mut scopes, mut read) = (vec![Scope::Task(board.task)], Vec::new());
    while let Some(scope) = scopes.pop() {
        let mut after = None;
        loop {
            let page = PageOf {
                scope: scope.clone(),
                after,
                limit: 7,
                levels: Some(10),
            };
            let listing = page.read(&board.stores.comments).await.unwrap();
            for listed in &listing.comments {
                let comment = &listed.comment;
                assert!(comment.depth - scope.top() < 10);
                assert_eq!(listed.descendants, board.size(comment.id));
                if listed.cut {
                    scopes.push(Scope::Below(
                        (&load(&board.stores, comment.id).await).into(),
                    ));
                }
                read.push(comment.id);
            }
            if !listing.more {
                break;
            }
            after = Some(load(&board.stores, *read.last().unwrap()).await);
        }
    }
    read.sort();
    let mut all: Vec<_> = board
        .posted
        .iter()
        .map(|placed| placed.comment.id)
        .collect();
    all.sort();
    assert_eq!(read, all, "everything is on one page");
}

pub(super) async fn replies_to_one_comment_come_in_their_order(open: impl Fn() -> Stores) {
    let stores = open();
    let root = root(&stores).await;
    let mut posted = Vec::new();
    for n in 0..40 {
        let reply = reply_to(&stores, root.comment.id).await;
        if n % 3 == 0 {
            reply_to(&stores, reply.comment.id).await;
        }
        posted.push(load(&stores, reply.comment.id).await.comment);
    }
    let (mut read, mut after) = (Vec::new(), None);
    loop {
        let page = stores
            .comments
            .replies(root.comment.id, after, 7)
            .await
            .unwrap();
        read.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(read, posted);
}

pub(super) async fn replies_are_counted_up_to_a_limit(open: impl Fn() -> Stores) {
    let stores = open();
    let root = root(&stores).await;
    let posts = (0..COUNTED + 20).map(|_| {
        let (stores, root) = (stores.clone(), root.clone());
        async move {
            let reply = answer(&root.comment);
            post(&stores, root, reply).await.unwrap();
        }
    });
    // In parallel, to save time.
    use futures::StreamExt as _;
    futures::stream::iter(posts)
        .buffer_unordered(32)
        .collect::<()>()
        .await;
    let root = load(&stores, root.comment.id).await;
    assert_eq!(root.comment.reply_count, u64::from(COUNTED) + 20);
    assert_eq!(
        descendants(&stores.comments, (&root).into()).await.unwrap(),
        COUNTED
    );
    let page = PageOf {
        scope: Scope::Task(root.comment.task),
        after: None,
        limit: 30,
        levels: None,
    };
    let listing = page.read(&stores.comments).await.unwrap();
    assert_eq!(listing.comments[0].descendants, COUNTED);
    let all = KeyRange {
        block: root.position.block,
        after: Key::start(),
        before: Key::end(),
    };
    let outline = stores.comments.outline(&all, COUNTED).await.unwrap();
    assert_eq!(outline.len(), COUNTED as usize);
    assert!(
        outline
            .windows(2)
            .all(|pair| pair[0].position.key < pair[1].position.key)
    );
    let some = KeyRange {
        after: outline[5].position.key.clone(),
        before: outline[9].position.key.clone(),
        ..all
    };
    let between = stores.comments.outline(&some, COUNTED).await.unwrap();
    assert_eq!(between, outline[6..9]);
    let range = stores.comments.range(&some, COUNTED).await.unwrap();
    let range: Vec<_> = range
        .into_iter()
        .map(|placed| placed.position.key)
        .collect();
    let keys: Vec<_> = between
        .into_iter()
        .map(|outline| outline.position.key)
        .collect();
    assert_eq!(range, keys);
    let first = stores.comments.outline(&some, 1).await.unwrap();
    assert_eq!(first, outline[6..7]);
}
