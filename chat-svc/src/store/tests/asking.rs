//! Asking and answering: one question at a time, and its outcomes.

use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::Barrier;

use super::{LEASE, answer, answered, asking, at, event, exchange, session};
use crate::{
    chat::{Reason, TurnState, UserId},
    store::{BeginError, Begun, Lease, Settled, Stores},
};

pub(super) async fn a_question_is_stored_before_it_is_answered(open: impl Fn() -> Stores) {
    let stores = open();
    let session = session(&stores).await;
    let asking = asking(&session, "What's next?\n🚢", 5);
    let begun = stores.chat.begin(asking.clone()).await.unwrap();
    assert_eq!(begun, Begun::New(1));
    let turns = open().chat.turns(session.id, 0, 10).await.unwrap();
    assert_eq!(turns.len(), 1);
    assert_eq!(turns[0].question, asking.question);
    assert_eq!(turns[0].state, TurnState::Asked);
    let found = stores.chat.session(session.id, session.owner).await;
    assert_eq!(found.unwrap().unwrap().last_message_at, Some(at(5)));
}

pub(super) async fn an_answer_is_stored_with_its_event(open: impl Fn() -> Stores) {
    let stores = open();
    let session = session(&stores).await;
    let asking = asking(&session, "why?", 0);
    let holder = asking.lease.holder;
    stores.chat.begin(asking).await.unwrap();
    let answer = answer("Because.\n“So”", 3);
    let event = event(&session, &answer);
    let state = Settled::Answered(Box::new(answer.clone()));
    let settle = stores
        .chat
        .settle(session.id, holder, state, Some(event.clone()));
    assert!(settle.await.unwrap());

    let turns = stores.chat.turns(session.id, 0, 10).await.unwrap();
    assert_eq!(turns[0].answer(), Some(&answer));
    let pending = stores.outbox.pending(&[session.id.0], 10).await.unwrap();
    let records: Vec<_> = pending.iter().map(|entry| entry.record.clone()).collect();
    assert_eq!(records, [event.to_record()]);
    assert_eq!(records[0].topic, "slipway.chat");
    let found = stores.chat.session(session.id, session.owner).await;
    assert_eq!(found.unwrap().unwrap().last_message_at, Some(at(3)));
    // The next question moves the answer to the other collection: it stays the same.
    exchange(&stores, &session, "and?", 10).await;
    let turns = stores.chat.turns(session.id, 0, 10).await.unwrap();
    assert_eq!(turns[0].answer(), Some(&answer));
    assert_eq!(turns.len(), 2);
}

pub(super) async fn a_session_answers_one_question_at_a_time(open: impl Fn() -> Stores) {
    let (stores, other) = (open(), open());
    let session = session(&stores).await;
    let first = asking(&session, "one", 0);
    stores.chat.begin(first.clone()).await.unwrap();
    let second = other.chat.begin(asking(&session, "two", 1)).await;
    assert!(matches!(second, Err(BeginError::Busy)));
    let settle = stores
        .chat
        .settle(session.id, first.lease.holder, answered("1", 2), None);
    assert!(settle.await.unwrap());
    let begun = other.chat.begin(asking(&session, "two", 3)).await;
    assert_eq!(begun.unwrap(), Begun::New(2));
}

pub(super) async fn only_one_of_concurrent_questions_is_stored(open: impl Fn() -> Stores) {
    const RACERS: usize = 12;
    let stores = open();
    let session = session(&stores).await;
    for round in 0..3 {
        let line = Arc::new(Barrier::new(RACERS));
        let racers = (0..RACERS).map(|_| {
            let (stores, line) = (open(), line.clone());
            let asking = asking(&session, "me!", round);
            async move {
                line.wait().await;
                let holder = asking.lease.holder;
                stores.chat.begin(asking).await.map(|begun| (begun, holder))
            }
        });
        let mut won = Vec::new();
        for outcome in join_all(racers).await {
            match outcome {
                Ok(begun) => won.push(begun),
                Err(BeginError::Busy) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(won.len(), 1, "{won:?}");
        let settle = stores
            .chat
            .settle(session.id, won[0].1, answered("you", round), None);
        assert!(settle.await.unwrap());
    }
    let turns = stores.chat.turns(session.id, 0, 100).await.unwrap();
    let numbers: Vec<u64> = turns.iter().map(|turn| turn.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

pub(super) async fn a_lease_that_runs_out_leaves_the_question_unanswered(
    open: impl Fn() -> Stores,
) {
    let stores = open();
    let session = session(&stores).await;
    let first = asking(&session, "one", 0);
    stores.chat.begin(first.clone()).await.unwrap();
    let late = LEASE.as_secs();
    let begun = stores.chat.begin(asking(&session, "two", late)).await;
    assert_eq!(begun.unwrap(), Begun::New(2));
    let turns = stores.chat.turns(session.id, 0, 10).await.unwrap();
    assert_eq!(turns[0].question, first.question);
    assert_eq!(turns[0].state, TurnState::Unanswered(Reason::Interrupted));
    assert_eq!(turns[1].state, TurnState::Asked);
}

pub(super) async fn a_sweep_settles_questions_with_expired_leases(open: impl Fn() -> Stores) {
    let stores = open();
    let (dead, alive) = (session(&stores).await, session(&stores).await);
    stores.chat.begin(asking(&dead, "one", 0)).await.unwrap();
    stores.chat.begin(asking(&alive, "two", 1)).await.unwrap();
    let late = at(0) + LEASE;
    assert_eq!(stores.chat.settle_expired(late, 10).await.unwrap(), 1);
    assert_eq!(stores.chat.settle_expired(late, 10).await.unwrap(), 0);
    let of = async |id| stores.chat.turns(id, 0, 10).await.unwrap().remove(0).state;
    assert_eq!(
        of(dead.id).await,
        TurnState::Unanswered(Reason::Interrupted)
    );
    assert_eq!(of(alive.id).await, TurnState::Asked);
}

pub(super) async fn a_renewed_lease_does_not_run_out(open: impl Fn() -> Stores) {
    let stores = open();
    let session = session(&stores).await;
    let asking = asking(&session, "one", 0);
    let holder = asking.lease.holder;
    stores.chat.begin(asking).await.unwrap();
    let until = at(100);
    let renewed = stores.chat.renew(session.id, Lease { holder, until }).await;
    assert!(renewed.unwrap());
    assert_eq!(stores.chat.settle_expired(at(99), 10).await.unwrap(), 0);
    assert_eq!(stores.chat.settle_expired(at(100), 10).await.unwrap(), 1);
    let renewed = stores.chat.renew(session.id, Lease { holder, until }).await;
    assert!(!renewed.unwrap(), "it is lost");
}

pub(super) async fn an_answer_without_the_lease_is_not_stored(open: impl Fn() -> Stores) {
    let stores = open();
    let session = session(&stores).await;
    let first = asking(&session, "one", 0);
    stores.chat.begin(first.clone()).await.unwrap();
    stores.chat.settle_expired(at(1000), 10).await.unwrap();
    let late = answer("too late", 1001);
    let event = event(&session, &late);
    let state = Settled::Answered(Box::new(late));
    let settle = stores
        .chat
        .settle(session.id, first.lease.holder, state, Some(event));
    assert!(!settle.await.unwrap());
    let turns = stores.chat.turns(session.id, 0, 10).await.unwrap();
    assert_eq!(turns[0].state, TurnState::Unanswered(Reason::Interrupted));
    assert_eq!(stores.outbox.count().await.unwrap(), 0);
}

pub(super) async fn a_session_is_visible_only_to_its_owner(open: impl Fn() -> Stores) {
    let stores = open();
    let mut session = session(&stores).await;
    let owner = session.owner;
    session.owner = UserId::generate();
    let begun = stores.chat.begin(asking(&session, "mine?", 0)).await;
    assert!(matches!(begun, Err(BeginError::NotFound)));
    let found = stores.chat.session(session.id, session.owner).await;
    assert_eq!(found.unwrap(), None);
    assert!(
        stores
            .chat
            .session(session.id, owner)
            .await
            .unwrap()
            .is_some()
    );
    let listed = stores.chat.sessions(session.owner, None, 10).await.unwrap();
    assert!(listed.items.is_empty());
}
