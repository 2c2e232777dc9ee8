//! Shows that lists are read through an index: by what the server says it would do.

use jiff::{SignedDuration, Timestamp};
use mongodb::bson::{Document, doc};
use slipway_mesh::store::mongo::testing::Scratch;
use uuid::Uuid;

use super::{SESSIONS, TURNS, sessions, turns};
use crate::{
    chat::{FIRST_REVISION, MessageId, Question, QuestionText, Session, SessionId, Title, UserId},
    request_key::RequestKey,
    store::{Asking, Lease, Settled, Stores},
};

/// Enough that reading all of them would be worse.
const STORED: i64 = 200;

async fn fill(stores: &Stores) -> Session {
    let mut last = None;
    for n in 0..STORED {
        let session = Session {
            id: SessionId::generate(),
            owner: UserId::generate(),
            title: Title::new("t").unwrap(),
            created_at: Timestamp::UNIX_EPOCH,
            last_message_at: None,
            revision: FIRST_REVISION,
        };
        stores.chat.create(session.clone(), None).await.unwrap();
        for m in 0..2 {
            let asked_at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(100 * n + 10 * m);
            let lease = Lease {
                holder: Uuid::new_v4(),
                until: asked_at + SignedDuration::from_secs(8),
            };
            let asking = Asking {
                session: session.id,
                owner: session.owner,
                question: Question {
                    id: MessageId::generate(),
                    content: QuestionText::new("q").unwrap(),
                    asked_at,
                },
                lease,
                request: None,
            };
            stores.chat.begin(asking).await.unwrap();
            if m == 0 {
                let state = Settled::Unanswered(crate::chat::Reason::Timeout);
                let settle = stores.chat.settle(session.id, lease.holder, state, None);
                settle.await.unwrap();
            }
        }
        last = Some(session);
    }
    last.unwrap()
}

#[tokio::test]
async fn lists_are_read_through_an_index() {
    let Some(scratch) = Scratch::database().await else {
        return;
    };
    let stores = Stores::mongo(scratch.client(), scratch.name())
        .await
        .unwrap();
    let session = fill(&stores).await;
    let request = RequestKey {
        key: "k".into(),
        fingerprint: "f".into(),
    };
    let find = |collection: &str, filter: Document, order: Document| {
        doc! { "find": collection, "filter": filter, "sort": order, "limit": 50 }
    };
    let id = session.id;
    let commands = [
        (
            find(
                SESSIONS,
                sessions::listed(session.owner, Some(id)),
                doc! { "_id": -1 },
            ),
            "by_owner",
        ),
        (
            find(
                SESSIONS,
                turns::expired(Timestamp::UNIX_EPOCH),
                doc! { "turn.lease.until": 1 },
            ),
            "by_lease",
        ),
        (
            find(SESSIONS, sessions::created_by(&request), doc! { "_id": 1 }),
            "by_request",
        ),
        (
            find(
                SESSIONS,
                sessions::unfinished(Timestamp::UNIX_EPOCH),
                doc! { sessions::UNFINISHED: 1 },
            ),
            "by_deletion",
        ),
        (
            find(TURNS, turns::behind(id, 1), doc! { "number": 1 }),
            "turn",
        ),
        (
            find(TURNS, turns::answered(id, 9), doc! { "number": -1 }),
            "by_state",
        ),
        (
            find(
                TURNS,
                turns::of_request(&id.to_string(), &request),
                doc! { "number": -1 },
            ),
            "turn_by_request",
        ),
    ];
    for (command, index) in commands {
        let used = scratch.indexes(&command).await;
        assert!(used.iter().eq([index]), "{command}: {used:?}");
    }
}
