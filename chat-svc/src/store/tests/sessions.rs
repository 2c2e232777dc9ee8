//! Renaming and deleting sessions.

use std::{collections::BTreeSet, sync::Arc};

use futures::future::join_all;
use serde_json::Value;
use slipway_store::{Document as _, Entries, Query, Write};
use tokio::sync::Barrier;

use super::{LEASE, answer, answered, asking, at, event, exchange, new_session, session};
use crate::{
    chat::{FIRST_REVISION, SessionId, Title, UserId},
    request_key::RequestKey,
    store::{
        BeginError, Begun, RenameError, Settled, Stores,
        document::{LATE, StoredSession},
        earlier::{BY_SESSION, EarlierTurn},
    },
};

fn title(text: &str) -> Title {
    Title::new(text).unwrap()
}

pub(super) async fn a_session_is_renamed_by_its_owner(open: impl Fn() -> Stores) {
    let stores = open();
    let session = session(&stores).await;
    let (id, owner) = (session.id, session.owner);
    let rename = async |owner, text: &str| open().chat.rename(id, owner, title(text), None).await;
    let refused = rename(UserId::generate(), "mine").await;
    assert!(matches!(refused, Err(RenameError::NotFound)));
    exchange(&stores, &session, "why?", 5).await;
    let renamed = rename(owner, "Done 🚢").await.unwrap();
    assert_eq!(renamed.title, title("Done 🚢"));
    assert_eq!(renamed.revision, FIRST_REVISION + 1);
    assert_eq!(renamed.created_at, session.created_at);
    assert!(renamed.last_message_at.is_some());
    let found = stores.chat.session(id, owner).await.unwrap();
    assert_eq!(found, Some(renamed));
    assert_eq!(stores.chat.turns(id, 0, 10).await.unwrap().len(), 1);
}

pub(super) async fn only_one_of_concurrent_renames_of_one_revision_succeeds(
    open: impl Fn() -> Stores,
) {
    const RACERS: usize = 8;
    let stores = open();
    let session = session(&stores).await;
    let line = Arc::new(Barrier::new(RACERS));
    let racers = (0..RACERS).map(|n| {
        let (stores, line, session) = (open(), line.clone(), session.clone());
        async move {
            let title = title(&format!("title {n}"));
            line.wait().await;
            let expected = Some(FIRST_REVISION);
            let rename = stores
                .chat
                .rename(session.id, session.owner, title, expected);
            rename.await
        }
    });
    let mut won = Vec::new();
    for outcome in join_all(racers).await {
        match outcome {
            Ok(session) => won.push(session),
            Err(RenameError::Changed(revision)) => assert_eq!(revision, FIRST_REVISION + 1),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(won.len(), 1, "{won:?}");
    let found = stores.chat.session(session.id, session.owner).await;
    assert_eq!(found.unwrap(), won.pop());
}

pub(super) async fn a_deleted_session_does_not_exist(open: impl Fn() -> Stores) {
    let stores = open();
    let (session, kept) = (session(&stores).await, session(&stores).await);
    for n in 0..3 {
        exchange(&stores, &session, &format!("question {n}"), 10 * n).await;
        exchange(&stores, &kept, &format!("question {n}"), 10 * n).await;
    }
    let delete = async |id, owner| open().chat.delete(id, owner, at(50)).await.unwrap();
    assert!(!delete(session.id, UserId::generate()).await, "not theirs");
    assert!(!delete(SessionId::generate(), session.owner).await);
    assert!(delete(session.id, session.owner).await);
    assert_gone(&stores, session.id, session.owner).await;
    let begun = stores.chat.begin(asking(&session, "there?", 60)).await;
    assert!(matches!(begun, Err(BeginError::NotFound)));
    let renamed = stores
        .chat
        .rename(session.id, session.owner, title("?"), None);
    assert!(matches!(renamed.await, Err(RenameError::NotFound)));
    // Deleting again, and sweeping, does not change that.
    assert!(delete(session.id, session.owner).await);
    assert!(!delete(session.id, UserId::generate()).await, "nor now");
    stores.chat.finish_deletions(at(1000), 10).await.unwrap();
    assert_eq!(
        stores.chat.finish_deletions(at(1000), 10).await.unwrap(),
        0,
        "it is finished"
    );
    assert_gone(&stores, session.id, session.owner).await;
    assert_eq!(stores.chat.turns(kept.id, 0, 10).await.unwrap().len(), 3);
}

async fn assert_gone(stores: &Stores, id: SessionId, owner: UserId) {
    assert_eq!(stores.chat.session(id, owner).await.unwrap(), None);
    let listed = stores.chat.sessions(owner, None, 10).await.unwrap();
    assert!(listed.items.is_empty());
    assert!(stores.chat.turns(id, 0, 10).await.unwrap().is_empty());
    let remembered = stores.chat.answered_before(id, 100, 10).await;
    assert!(remembered.unwrap().is_empty());
}

pub(super) async fn a_turn_that_was_copied_during_the_deletion_is_erased_by_the_sweep(
    open: impl Fn() -> Stores,
) {
    let stores = open();
    let session = session(&stores).await;
    exchange(&stores, &session, "a secret", 0).await;
    let documents = &stores.chat.documents;
    let conversation = stores.chat.conversation(session.id).await.unwrap().unwrap();
    let delete = stores.chat.delete(session.id, session.owner, at(5));
    assert!(delete.await.unwrap());
    let late = EarlierTurn {
        session: session.id,
        stored: conversation.newest.unwrap(),
    };
    documents
        .write(Write::insert(&late))
        .await
        .unwrap()
        .unwrap();
    assert_gone(&stores, session.id, session.owner).await;
    let copies = async || {
        let all = Query::first(10, session.id);
        let count = documents.count::<EarlierTurn>(&BY_SESSION, &all).await;
        count.unwrap()
    };
    assert_eq!(stores.chat.finish_deletions(at(5), 10).await.unwrap(), 0);
    assert_eq!(copies().await, 1, "its deletion is not long ago");
    let then = at(5) + LATE;
    assert_eq!(stores.chat.finish_deletions(then, 10).await.unwrap(), 1);
    assert_eq!(copies().await, 0);
    assert_eq!(stores.chat.finish_deletions(then, 10).await.unwrap(), 0);
    // The tombstone has nothing of the conversation.
    let kept: Option<StoredSession> = documents.get(session.id).await.unwrap();
    let kept = kept.unwrap();
    assert_eq!(kept.summary(), None);
    assert_eq!(Entries::of(&kept), Entries::default());
    let json = serde_json::to_value(&kept).unwrap();
    let fields = |json: &Value| -> BTreeSet<String> {
        let fields = json.as_object().unwrap();
        fields.keys().cloned().collect()
    };
    let expected = ["version", "madeBy", "state"].map(String::from);
    assert_eq!(fields(&json), expected.into());
    let expected = ["id", "owner", "createdAt", "deletedAt", "eraseAgainAt"].map(String::from);
    assert_eq!(fields(&json["state"]["deleted"]), expected.into());
}

pub(super) async fn a_long_session_is_erased_completely(open: impl Fn() -> Stores) {
    let stores = open();
    let session = session(&stores).await;
    exchange(&stores, &session, "first", 0).await;
    let documents = &stores.chat.documents;
    let conversation = stores.chat.conversation(session.id).await.unwrap().unwrap();
    let turns: Vec<_> = (1..=100)
        .map(|number| {
            let mut stored = conversation.newest.clone().unwrap();
            stored.turn.number = number;
            EarlierTurn {
                session: session.id,
                stored,
            }
        })
        .collect();
    let copies = turns.iter().map(Write::insert).collect();
    let copied = documents.write_many(copies).await.unwrap();
    assert!(copied.iter().all(Result::is_ok));
    let delete = stores.chat.delete(session.id, session.owner, at(5));
    assert!(delete.await.unwrap());
    let all = Query::first(200, session.id);
    let left = documents.count::<EarlierTurn>(&BY_SESSION, &all).await;
    assert_eq!(left.unwrap(), 0);
}

pub(super) async fn a_deletion_ends_the_lease_and_keeps_the_events(open: impl Fn() -> Stores) {
    let stores = open();
    let session = session(&stores).await;
    let first = asking(&session, "one", 0);
    stores.chat.begin(first.clone()).await.unwrap();
    let answer = answer("1", 1);
    let published = event(&session, &answer);
    let state = Settled::Answered(Box::new(answer));
    let settle = stores
        .chat
        .settle(session.id, first.lease.holder, state, Some(published));
    assert!(settle.await.unwrap());

    let second = asking(&session, "two", 2);
    stores.chat.begin(second.clone()).await.unwrap();
    let delete = stores.chat.delete(session.id, session.owner, at(3));
    assert!(delete.await.unwrap());
    let renew = stores.chat.renew(session.id, second.lease).await;
    assert!(!renew.unwrap(), "there is nothing to answer");
    let late = super::answer("2", 4);
    let unpublished = event(&session, &late);
    let state = Settled::Answered(Box::new(late));
    let settle = stores
        .chat
        .settle(session.id, second.lease.holder, state, Some(unpublished));
    assert!(!settle.await.unwrap());
    let late = at(0) + LEASE * 2;
    assert_eq!(stores.chat.settle_expired(late, 10).await.unwrap(), 0);
    assert_gone(&stores, session.id, session.owner).await;
    let pending = stores.outbox.pending(&[session.id.0], 10).await.unwrap();
    assert_eq!(pending.len(), 1, "of the answer that there was");
}

/// Questions, their answers and the deletion race. In every order, nothing of the session is left,
/// and each caller gets a correct answer.
pub(super) async fn a_deletion_concurrent_with_questions_wins(open: impl Fn() -> Stores) {
    const ASKERS: usize = 4;
    let stores = open();
    for _ in 0..4 {
        let session = session(&stores).await;
        exchange(&stores, &session, "before", 0).await;
        let line = Arc::new(Barrier::new(ASKERS + 1));
        let askers = (0..ASKERS).map(|n| {
            let (stores, line) = (open(), line.clone());
            let asking = asking(&session, &format!("question {n}"), 1);
            let session = session.id;
            async move {
                let holder = asking.lease.holder;
                line.wait().await;
                match stores.chat.begin(asking).await {
                    Ok(Begun::New(_)) => {
                        let settle = stores.chat.settle(session, holder, answered("x", 2), None);
                        settle.await.map(drop).unwrap();
                    }
                    Err(BeginError::Busy | BeginError::NotFound) => {}
                    outcome => panic!("{outcome:?}"),
                }
            }
        });
        let deletion = async {
            line.wait().await;
            open()
                .chat
                .delete(session.id, session.owner, at(3))
                .await
                .unwrap()
        };
        let (deleted, _) = tokio::join!(deletion, join_all(askers));
        assert!(deleted);
        stores.chat.finish_deletions(at(1000), 10).await.unwrap();
        assert_gone(&stores, session.id, session.owner).await;
    }
}

pub(super) async fn a_request_creates_one_session_even_after_deletion(open: impl Fn() -> Stores) {
    let stores = open();
    let owner = UserId::generate();
    let request = RequestKey {
        key: owner.to_string(),
        fingerprint: "f".to_owned(),
    };
    let create = async || {
        let create = stores
            .chat
            .create(new_session(owner), Some(request.clone()));
        create.await.unwrap()
    };
    let first = create().await;
    let rename = stores.chat.rename(first.id, owner, title("Other"), None);
    rename.await.unwrap();
    assert_eq!(create().await, first, "as it was answered then");
    assert!(stores.chat.delete(first.id, owner, at(1)).await.unwrap());
    assert_eq!(create().await, first);
    assert_gone(&stores, first.id, owner).await;
}
