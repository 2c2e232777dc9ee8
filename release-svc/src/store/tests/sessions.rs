//! Tests of sessions.

use super::*;
use crate::{
    sessions::{
        End, EndReason, Lifetimes, MAX_LIVE, Place, Session, SessionId, SessionKind,
        programs::Program, secret::Secret,
    },
    store::InsertTokenError,
};

const LAST: Lifetimes = Lifetimes {
    session: SignedDuration::from_hours(1),
    token: SignedDuration::from_mins(15),
};

/// A stored session that began at `at`, and its secret.
async fn begun(stores: &Stores, user: UserId, at: Timestamp) -> (Session, Secret) {
    let secret = Secret::generate();
    let kind = SessionKind::Api;
    let session = Session::begin(kind, user, &secret, Place::default(), at, LAST);
    stores.sessions.insert(&session).await.unwrap();
    (session, secret)
}

async fn ended(stores: &Stores, session: &Session, at: Timestamp) -> Session {
    let why = EndReason::Logout;
    // Without an event: a document with one is not purged before it is published.
    let end = stores.sessions.update(session.id, |before| {
        let until = at;
        before?.end(End { at, why, until })
    });
    end.await.unwrap().unwrap()
}

pub(super) async fn of_concurrent_refreshes_with_one_secret_one_succeeds(
    open: impl Fn() -> Stores,
) {
    let (session, secret) = begun(&open(), UserId::generate(), now()).await;
    let barrier = Arc::new(Barrier::new(8));
    let refreshes = (0..8).map(|_| {
        let (stores, barrier, secret) = (open(), Arc::clone(&barrier), secret.clone());
        async move {
            barrier.wait().await;
            let next = secret.next();
            let refresh = stores.sessions.update(session.id, |before| {
                let refreshed = before?.refresh(&secret, &next, Place::default(), now(), LAST);
                refreshed.ok()
            });
            refresh.await.unwrap()
        }
    });
    let refreshed: Vec<_> = join_all(refreshes).await.into_iter().flatten().collect();
    assert_eq!(refreshed.len(), 1);
    let stored = open().sessions.get(session.id).await.unwrap();
    assert_eq!(stored.as_ref(), Some(&refreshed[0]));
}

pub(super) async fn the_sessions_of_a_user_are_listed_until_they_end(open: impl Fn() -> Stores) {
    let stores = open();
    let (ada, bob) = (UserId::generate(), UserId::generate());
    let mut ids = Vec::new();
    for user in [ada, bob, ada, ada] {
        ids.push(begun(&stores, user, now()).await.0);
    }
    let list = async |after, limit| {
        let page = stores.sessions.list(ada, after, limit).await.unwrap();
        let ids: Vec<SessionId> = page.items.iter().map(|session| session.id).collect();
        (ids, page.next)
    };
    assert_eq!(
        list(None, 2).await,
        (vec![ids[3].id, ids[2].id], Some(ids[2].id))
    );
    assert_eq!(list(Some(ids[2].id), 2).await, (vec![ids[0].id], None));
    ended(&stores, &ids[2], now()).await;
    assert_eq!(list(None, 9).await, (vec![ids[3].id, ids[0].id], None));
}

pub(super) async fn the_sessions_that_were_not_used_for_longest_are_in_excess(
    open: impl Fn() -> Stores,
) {
    let stores = open();
    let (user, at) = (UserId::generate(), now());
    let mut sessions = Vec::new();
    for n in 0..=MAX_LIVE {
        sessions.push(begun(&stores, user, at + SignedDuration::from_secs(n.into())).await);
        if n + 1 == MAX_LIVE {
            let new = sessions[0].0.id;
            assert_eq!(stores.sessions.excess(user, new).await.unwrap(), []);
        }
    }
    // The first one is in use.
    let (first, secret) = &sessions[0];
    let used = at + SignedDuration::from_mins(30);
    let refresh = stores.sessions.update(first.id, |before| {
        let refreshed = before?.refresh(secret, &secret.next(), Place::default(), used, LAST);
        refreshed.ok()
    });
    refresh.await.unwrap().unwrap();
    let new = sessions[MAX_LIVE as usize].0.id;
    let excess = stores.sessions.excess(user, new).await.unwrap();
    assert_eq!(excess, [sessions[1].0.id]);
}

pub(super) async fn ended_sessions_are_listed_by_time_however_many(open: impl Fn() -> Stores) {
    let stores = open();
    let (user, at) = (UserId::generate(), now());
    let count = 510_u32;
    let end = |n: u32| {
        let stores = &stores;
        async move {
            let (session, _) = begun(stores, user, at).await;
            let end = at + SignedDuration::from_millis(i64::from(n / 2));
            ended(stores, &session, end).await;
        }
    };
    join_all((0..count).map(end)).await;
    begun(&stores, user, at).await;
    let all = open().sessions.ended_since(at).await.unwrap();
    assert_eq!(all.len(), count as usize);
    assert!(all.is_sorted_by_key(|end| end.ended_at));
    let last = at + SignedDuration::from_millis(i64::from(count / 2 - 1));
    assert_eq!(stores.sessions.ended_since(last).await.unwrap().len(), 2);
}

pub(super) async fn ended_and_expired_sessions_are_purged(open: impl Fn() -> Stores) {
    let stores = open();
    let (user, at) = (UserId::generate(), now());
    let hours = |hours| at - SignedDuration::from_hours(hours);
    let (expired, _) = begun(&stores, user, hours(5)).await;
    let (live, _) = begun(&stores, user, at).await;
    let (old, _) = begun(&stores, user, hours(5)).await;
    ended(&stores, &old, hours(4)).await;
    let (fresh, _) = begun(&stores, user, hours(5)).await;
    ended(&stores, &fresh, hours(1)).await;
    // Its tokens last longer than it is kept otherwise.
    let (valid, _) = begun(&stores, user, at).await;
    ended(&stores, &valid, hours(4)).await;
    stores.sessions.purge(hours(2), at).await.unwrap();
    let kept = [live.id, fresh.id, valid.id];
    for session in [expired, live, old, fresh, valid] {
        let is_kept = kept.contains(&session.id);
        let found = stores.sessions.get(session.id).await.unwrap();
        assert_eq!(found.is_some(), is_kept);
    }
}

/// A token for programs that is not stored.
fn token(user: UserId, name: &str, slot: u32) -> Session {
    let (kind, secret) = (SessionKind::Program, Secret::generate());
    let mut token = Session::begin(kind, user, &secret, Place::default(), now(), LAST);
    token.program = Some(Program {
        name: name.into(),
        scope: Scope::Read,
        slot,
        last_used_at: None,
    });
    token
}

async fn insert(stores: &Stores, token: &Session) -> Result<(), InsertTokenError> {
    let event = events(token.user.0, 1).remove(0);
    stores.sessions.insert_token(token, event).await
}

pub(super) async fn tokens_are_listed_until_they_are_revoked_and_are_no_sign_ins(
    open: impl Fn() -> Stores,
) {
    let stores = open();
    let (ada, bob) = (UserId::generate(), UserId::generate());
    let mut tokens = Vec::new();
    for (user, name) in [(ada, "a"), (bob, "a"), (ada, "b"), (ada, "c")] {
        let slot = u32::try_from(tokens.len()).unwrap();
        let token = token(user, name, slot);
        insert(&stores, &token).await.unwrap();
        tokens.push(token);
    }
    let (sign_in, _) = begun(&stores, ada, now()).await;
    let list = async |after, limit| {
        let page = stores.sessions.tokens(ada, after, limit).await.unwrap();
        (page.items, page.next)
    };
    assert_eq!(
        list(None, 2).await,
        (
            vec![tokens[3].clone(), tokens[2].clone()],
            Some(tokens[2].id)
        )
    );
    assert_eq!(
        list(Some(tokens[2].id), 2).await,
        (vec![tokens[0].clone()], None)
    );
    let sign_ins = stores.sessions.list(ada, None, 9).await.unwrap().items;
    assert_eq!(sign_ins, [sign_in]);
    ended(&stores, &tokens[2], now()).await;
    let left = vec![tokens[3].clone(), tokens[0].clone()];
    assert_eq!(list(None, 9).await, (left, None));
}

pub(super) async fn no_two_tokens_of_a_user_have_the_same_name_or_slot(open: impl Fn() -> Stores) {
    let stores = open();
    let (ada, bob) = (UserId::generate(), UserId::generate());
    let first = token(ada, "Nightly build", 0);
    insert(&stores, &first).await.unwrap();
    let same_name = insert(&stores, &token(ada, "nightly  BUILD", 1)).await;
    assert!(matches!(same_name, Err(InsertTokenError::NameTaken)));
    let same_slot = insert(&stores, &token(ada, "other", 0)).await;
    assert!(matches!(same_slot, Err(InsertTokenError::SlotTaken)));
    insert(&stores, &token(bob, "Nightly build", 0))
        .await
        .unwrap();
    ended(&stores, &first, now()).await;
    insert(&stores, &token(ada, "Nightly build", 0))
        .await
        .unwrap();
}

pub(super) async fn of_concurrent_tokens_for_one_slot_one_is_stored(open: impl Fn() -> Stores) {
    let (user, barrier) = (UserId::generate(), Arc::new(Barrier::new(8)));
    let inserts = (0..8).map(|n| {
        let (stores, barrier) = (open(), Arc::clone(&barrier));
        async move {
            barrier.wait().await;
            insert(&stores, &token(user, &format!("t-{n}"), 3)).await
        }
    });
    let stored = join_all(inserts).await;
    assert_eq!(stored.iter().filter(|stored| stored.is_ok()).count(), 1);
    let tokens = open().sessions.tokens(user, None, 9).await.unwrap().items;
    assert_eq!(tokens.len(), 1);
}
