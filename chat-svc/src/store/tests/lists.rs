//! Lists of sessions and turns.

use super::{answered, asking, exchange, new_session, session};
use crate::{
    chat::{Reason, UserId},
    store::{Settled, Stores},
};

pub(super) async fn sessions_are_listed_newest_first(open: impl Fn() -> Stores) {
    let stores = open();
    let owner = UserId::generate();
    let mut created = Vec::new();
    for _ in 0..5 {
        let session = new_session(owner);
        created.push(stores.chat.create(session, None).await.unwrap());
    }
    session(&stores).await; // somebody else's
    created.reverse();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = stores.chat.sessions(owner, after, 2).await.unwrap();
        found.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, created);
}

pub(super) async fn the_pages_make_up_the_history(open: impl Fn() -> Stores) {
    let stores = open();
    let session = session(&stores).await;
    for n in 0..7 {
        exchange(&stores, &session, &format!("question {n}"), 10 * n).await;
    }
    let all = stores.chat.turns(session.id, 0, 100).await.unwrap();
    assert_eq!(all.len(), 7);
    for limit in 1..8 {
        let (mut joined, mut after) = (Vec::new(), 0);
        loop {
            let page = stores.chat.turns(session.id, after, limit).await.unwrap();
            let Some(last) = page.last() else { break };
            assert!(page.len() <= limit as usize);
            after = last.number;
            joined.extend(page);
        }
        assert_eq!(joined, all);
    }
}

pub(super) async fn only_answered_turns_are_remembered(open: impl Fn() -> Stores) {
    let stores = open();
    let session = session(&stores).await;
    for n in 0..6 {
        let asking = asking(&session, &format!("question {n}"), 10 * n);
        let holder = asking.lease.holder;
        stores.chat.begin(asking).await.unwrap();
        let state = if n % 2 == 0 {
            answered(&format!("answer {n}"), 10 * n)
        } else {
            Settled::Unanswered(Reason::Timeout)
        };
        let settled = stores.chat.settle(session.id, holder, state, None).await;
        assert!(settled.unwrap());
    }
    let numbers = async |before, limit| -> Vec<u64> {
        let found = stores.chat.answered_before(session.id, before, limit);
        found
            .await
            .unwrap()
            .iter()
            .map(|turn| turn.number)
            .collect()
    };
    assert_eq!(numbers(7, 10).await, [1, 3, 5]);
    assert_eq!(numbers(7, 2).await, [3, 5]);
    assert_eq!(numbers(5, 10).await, [1, 3]);
    // The newest turn is answered as well.
    exchange(&stores, &session, "and now?", 100).await;
    assert_eq!(numbers(u64::MAX, 2).await, [5, 7]);
}
