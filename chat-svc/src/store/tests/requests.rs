//! Repeated requests.

use super::{answered, asking, at, new_session, session};
use crate::{
    chat::{Reason, UserId},
    request_key::RequestKey,
    store::{BeginError, Begun, CreateError, NewQuestion, Settled, Stores},
};

const DAY: i64 = 24 * 3600;

fn key(key: &str, content: &str) -> Option<RequestKey> {
    Some(RequestKey {
        key: key.to_owned(),
        fingerprint: content.to_owned(),
    })
}

pub(super) async fn a_repeated_question_finds_its_answer(open: impl Fn() -> Stores) {
    let stores = open();
    let session = session(&stores).await;
    let ask = |seconds| NewQuestion {
        request: key("k", "why?"),
        ..asking(&session, "why?", seconds)
    };
    // Unanswered: it is asked anew.
    let first = ask(0);
    stores.chat.begin(first.clone()).await.unwrap();
    assert!(matches!(
        stores.chat.begin(ask(1)).await,
        Err(BeginError::Busy)
    ));
    let unanswered = Settled::Unanswered(Reason::Timeout);
    let settle = stores
        .chat
        .settle(session.id, first.lease.holder, unanswered, None);
    assert!(settle.await.unwrap());
    let second = ask(2);
    let begun = stores.chat.begin(second.clone()).await.unwrap();
    assert_eq!(begun, Begun::New(2));
    let settle = stores
        .chat
        .settle(session.id, second.lease.holder, answered("so", 3), None);
    assert!(settle.await.unwrap());
    // Answered: the answer, as the newest turn and as an older one.
    for n in 3..5 {
        let Begun::Earlier(turn) = stores.chat.begin(ask(10 * n)).await.unwrap() else {
            panic!("it was answered");
        };
        assert_eq!(turn.number, 2);
        let request = key("k", "why?").unwrap();
        let earlier = stores.chat.earlier(session.id, &request, at(10 * n)).await;
        assert_eq!(earlier.unwrap(), Some(*turn));
        super::exchange(&stores, &session, "else", 10 * n).await;
    }
    // A day later the key is forgotten.
    let begun = stores.chat.begin(ask(DAY + 2)).await.unwrap();
    assert!(matches!(begun, Begun::New(5)), "{begun:?}");
}

pub(super) async fn a_key_of_another_question_is_refused(open: impl Fn() -> Stores) {
    let stores = open();
    let session = session(&stores).await;
    let ask = |text| NewQuestion {
        request: key("k", text),
        ..asking(&session, text, 0)
    };
    let first = ask("one");
    stores.chat.begin(first.clone()).await.unwrap();
    let settle = stores
        .chat
        .settle(session.id, first.lease.holder, answered("1", 1), None);
    assert!(settle.await.unwrap());
    let refused = stores.chat.begin(ask("two")).await;
    assert!(matches!(refused, Err(BeginError::KeyReused)));
}

pub(super) async fn a_repeated_creation_finds_its_session(open: impl Fn() -> Stores) {
    let stores = open();
    let owner = UserId::generate();
    let create = async |seconds, title: &str| {
        let mut session = new_session(owner);
        session.created_at = at(seconds);
        stores.chat.create(session, key("k", title)).await
    };
    let first = create(0, "a").await.unwrap();
    assert_eq!(create(1, "a").await.unwrap(), first);
    assert!(matches!(create(2, "b").await, Err(CreateError::KeyReused)));
    let next = create(DAY, "b").await.unwrap();
    assert_ne!(next.id, first.id);
    assert_eq!(create(DAY + 1, "b").await.unwrap(), next);
}
