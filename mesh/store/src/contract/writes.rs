//! Writes: refusals, revisions, and what is committed in the same write.

use std::slice;

use crate::receipts::{RECEIPT_TTL, Receipt, ReceiptKey};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use slipway_bus::{Actor, Event, Record, event::Origin};
use slipway_proto::events::{Role, UserRegisteredEvent};
use uuid::Uuid;

use super::{Fixture, Note, SLOT, TITLE, contract, note};
use crate::{BY_ID, Documents, Query, Refusal, StoreError, Write};

async fn insert(documents: &Documents, note: &Note) -> Result<(), Refusal> {
    documents.write(Write::insert(note)).await.unwrap()
}

async fn replace(documents: &Documents, before: &Note, after: &Note) -> Result<(), Refusal> {
    let write = Write::replace(before, after);
    documents.write(write).await.unwrap()
}

async fn get(documents: &Documents, id: &str) -> Option<Note> {
    documents.get(id).await.unwrap()
}

fn event(aggregate: Uuid) -> Event {
    let payload = UserRegisteredEvent {
        user_id: aggregate,
        username: "ada".into(),
        email: "ada@example.com".into(),
        role: Role::Developer,
    };
    let origin = Origin {
        service: "test",
        key: aggregate,
        subject: aggregate,
        actor: &Actor::System,
        time: Timestamp::now(),
    };
    Event::new(&payload, &origin)
}

fn receipt(key: &str, at: Timestamp) -> Receipt {
    Receipt {
        key: ReceiptKey(key.into()),
        fingerprint: b"f".to_vec(),
        response: b"r".to_vec(),
        at,
    }
}

contract! {
    async fn a_document_is_read_as_it_was_stored(fixture: &Fixture) {
        let documents = &fixture.documents;
        let stored = note("a").reserving(&[1, 2]).tagged(&["x"]);
        let stored = stored.with_messages(&[("ada", "hé\0llo")]);
        insert(documents, &stored).await.unwrap();
        insert(documents, &note("b")).await.unwrap();
        assert_eq!(get(documents, "a").await, Some(stored.clone()));
        assert_eq!(get(documents, "c").await, None);
        let found = documents.find::<Note>(&SLOT, 2).await.unwrap();
        assert_eq!(found, Some(stored));
        assert_eq!(documents.find::<Note>(&SLOT, 3).await.unwrap(), None);
        let ids = ["a", "b", "c"].map(String::from);
        assert_eq!(documents.get_many::<Note>(&ids).await.unwrap().len(), 2);
        let keys = ["1", "2", "7"].map(String::from);
        assert_eq!(documents.find_many::<Note>(&SLOT, &keys).await.unwrap().len(), 1);
        assert!(documents.get_many::<Note>(&[]).await.unwrap().is_empty());
    }

    async fn a_refused_uniqueness_names_its_index(fixture: &Fixture) {
        let documents = &fixture.documents;
        insert(documents, &note("a").reserving(&[1, 2])).await.unwrap();
        let refused = insert(documents, &note("a").titled("other")).await;
        assert_eq!(refused, Err(Refusal::Taken(None)));
        let refused = insert(documents, &note("b").titled("a")).await;
        assert_eq!(refused, Err(Refusal::Taken(Some(TITLE.name))));
        let refused = insert(documents, &note("b").reserving(&[3, 2])).await;
        assert_eq!(refused, Err(Refusal::Taken(Some(SLOT.name))));
        assert_eq!(get(documents, "b").await, None);
        // A refused write does not reserve its keys.
        insert(documents, &note("c").reserving(&[3])).await.unwrap();
        let refused = insert(documents, &note("d").reserving(&[9, 9])).await;
        assert_eq!(refused, Err(Refusal::Taken(Some(SLOT.name))));
    }

    async fn a_removed_key_is_free(fixture: &Fixture) {
        let documents = &fixture.documents;
        let before = note("a").reserving(&[1, 2]);
        insert(documents, &before).await.unwrap();
        insert(documents, &note("b")).await.unwrap();
        let after = before.next().reserving(&[2, 3]);
        replace(documents, &before, &after).await.unwrap();
        let taking = note("b").next().reserving(&[1]);
        replace(documents, &note("b"), &taking).await.unwrap();
        let refused = replace(documents, &taking, &taking.next().reserving(&[1, 3])).await;
        assert_eq!(refused, Err(Refusal::Taken(Some(SLOT.name))));
        documents.write(Write::delete(&after)).await.unwrap().unwrap();
        replace(documents, &taking, &taking.next().reserving(&[1, 3])).await.unwrap();
        assert_eq!(get(documents, "a").await, None);
        insert(documents, &note("a")).await.unwrap();
    }

    async fn only_the_revision_that_was_read_is_replaced(fixture: &Fixture) {
        let documents = &fixture.documents;
        let (first, second) = (note("a"), note("a").next().titled("second"));
        let refused = replace(documents, &first, &second).await;
        assert_eq!(refused, Err(Refusal::Revision), "it is not there yet");
        insert(documents, &first).await.unwrap();
        replace(documents, &first, &second).await.unwrap();
        let late = first.next().titled("late").tagged(&["late"]);
        assert_eq!(replace(documents, &first, &late).await, Err(Refusal::Revision));
        let delete = documents.write(Write::delete(&first)).await.unwrap();
        assert_eq!(delete, Err(Refusal::Revision));
        assert_eq!(get(documents, "a").await, Some(second.clone()));
        documents.write(Write::delete(&second)).await.unwrap().unwrap();
        let refused = replace(documents, &second, &second.next()).await;
        assert_eq!(refused, Err(Refusal::Revision));
    }

    async fn of_many_concurrent_replacements_of_one_revision_one_succeeds(fixture: &Fixture) {
        let documents = &fixture.documents;
        let mut current = note("a");
        insert(documents, &current).await.unwrap();
        for _ in 0..5 {
            let next: Vec<_> = (0..8).map(|n| current.next().tagged(&[&n.to_string()])).collect();
            let race = next.iter().map(|next| replace(documents, &current, next));
            let outcomes = join_all(race).await;
            assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
            let winner = outcomes.iter().position(Result::is_ok).unwrap();
            current = get(documents, "a").await.unwrap();
            assert_eq!(current, next[winner]);
        }
    }

    async fn of_many_concurrent_writes_with_one_key_one_succeeds(fixture: &Fixture) {
        let documents = &fixture.documents;
        for slot in 0..5 {
            let notes: Vec<_> = (0..8)
                .map(|n| note(&format!("{slot}-{n}")).reserving(&[slot]))
                .collect();
            let outcomes = join_all(notes.iter().map(|note| insert(documents, note))).await;
            assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
            let taken = Err(Refusal::Taken(Some(SLOT.name)));
            assert!(outcomes.iter().all(|outcome| outcome.is_ok() || *outcome == taken));
        }
    }

    async fn of_many_writes_each_has_its_own_outcome(fixture: &Fixture) {
        let documents = &fixture.documents;
        insert(documents, &note("a").reserving(&[1])).await.unwrap();
        let (b, c) = (note("b").reserving(&[1]), note("c").reserving(&[2]));
        let (d, twice) = (note("a").reserving(&[1]).next().titled("new"), note("t").reserving(&[5, 5]));
        let before = note("a").reserving(&[1]);
        let writes = vec![
            Write::insert(&b),
            Write::insert(&twice),
            Write::insert(&c),
            Write::replace(&before, &d),
            Write::delete(&b),
        ];
        let outcomes = documents.write_many(writes).await.unwrap();
        let slot = Err(Refusal::Taken(Some(SLOT.name)));
        assert_eq!(outcomes, [slot, slot, Ok(()), Ok(()), Err(Refusal::Revision)]);
        assert_eq!(get(documents, "a").await, Some(d));
        assert_eq!(get(documents, "c").await, Some(c));
        assert_eq!(get(documents, "b").await, None);
        assert!(documents.write_many(Vec::new()).await.unwrap().is_empty());
    }

    async fn writes_in_order_end_at_the_first_that_is_refused(fixture: &Fixture) {
        let documents = &fixture.documents;
        insert(documents, &note("z").reserving(&[1])).await.unwrap();
        let notes = ["a", "b", "c", "d"].map(note);
        let mut notes = notes.to_vec();
        notes[2] = note("c").reserving(&[1]);
        let slot = Some(Refusal::Taken(Some(SLOT.name)));
        let writes = notes.iter().map(Write::insert).collect();
        assert_eq!(documents.write_in_order(writes).await.unwrap(), (2, slot));
        let writes = notes[2..].iter().map(Write::insert).collect();
        assert_eq!(documents.write_in_order(writes).await.unwrap(), (0, slot));
        for (id, stored) in [("a", true), ("b", true), ("c", false), ("d", false)] {
            assert_eq!(get(documents, id).await.is_some(), stored, "{id}");
        }
        let writes = notes.iter().map(Write::insert).collect();
        let (done, refused) = documents.write_in_order(writes).await.unwrap();
        assert_eq!((done, refused), (0, Some(Refusal::Taken(None))));
        assert_eq!(documents.write_in_order(Vec::new()).await.unwrap(), (0, None));
    }

    async fn writes_in_order_may_be_of_any_kind(fixture: &Fixture) {
        let documents = &fixture.documents;
        let (a, b, twice) = (note("a"), note("b"), note("t").reserving(&[5, 5]));
        let after = a.next().reserving(&[7]);
        let writes = vec![
            Write::insert(&a),
            Write::replace(&a, &after).with_events([&event(Uuid::now_v7())]),
            Write::insert(&b),
            Write::delete(&b),
            Write::delete(&b),
            Write::insert(&twice),
        ];
        let done = documents.write_in_order(writes).await.unwrap();
        assert_eq!(done, (4, Some(Refusal::Revision)));
        assert_eq!(get(documents, "a").await, Some(after));
        assert_eq!(get(documents, "b").await, None);
        assert_eq!(documents.outbox().count().await.unwrap(), 1);
        let writes = vec![Write::insert(&b), Write::insert(&twice)];
        let done = documents.write_in_order(writes).await.unwrap();
        assert_eq!(done, (1, Some(Refusal::Taken(Some(SLOT.name)))));
        assert_eq!(get(documents, "t").await, None);
    }

    async fn concurrent_writes_in_order_leave_no_gaps(fixture: &Fixture) {
        let documents = &fixture.documents;
        let writers = (0..4).map(async |writer| {
            let ids = (0..20).map(|n| format!("{n:02}"));
            let notes: Vec<_> = ids.map(|id| note(&id).tagged(&[&format!("{writer}")])).collect();
            let (mut stored, mut rest) = (0, notes.as_slice());
            while !rest.is_empty() {
                let writes = rest.iter().map(Write::insert).collect();
                let (done, _) = documents.write_in_order(writes).await.unwrap();
                stored += done;
                let of_all = documents.list::<Note>(&BY_ID, &Query::first(20, "")).await.unwrap();
                assert!(of_all.iter().zip(&notes).all(|(found, note)| found.id == note.id));
                rest = rest.get(done + 1..).unwrap_or_default();
            }
            stored
        });
        assert_eq!(join_all(writers).await.into_iter().sum::<usize>(), 20);
    }

    async fn events_are_stored_with_the_write_or_not_at_all(fixture: &Fixture) {
        let (documents, outbox) = (&fixture.documents, fixture.documents.outbox());
        let aggregate = Uuid::now_v7();
        let (one, two, lost) = (event(aggregate), event(aggregate), event(aggregate));
        let first = note("a");
        let write = Write::insert(&first).with_events([&one]);
        documents.write(write).await.unwrap().unwrap();
        let second = first.next();
        let write = Write::replace(&first, &second).with_events([&two]);
        documents.write(write).await.unwrap().unwrap();
        let refused = Write::replace(&first, &second).with_events([&lost]);
        assert!(documents.write(refused).await.unwrap().is_err());
        let taken = note("b").titled("a");
        let refused = Write::insert(&taken).with_events([&lost]);
        assert!(documents.write(refused).await.unwrap().is_err());
        assert_eq!(outbox.count().await.unwrap(), 2);
        let pending = outbox.pending(&[aggregate], 10).await.unwrap();
        let records: Vec<_> = pending.iter().map(|pending| pending.record.clone()).collect();
        assert_eq!(records, [one.to_record(), two.to_record()]);
        outbox.remove(&pending).await.unwrap();
        assert_eq!(outbox.count().await.unwrap(), 0);
        // The document is unchanged.
        assert_eq!(get(documents, "a").await, Some(second));
    }

    /// Where events are stored inside the document, they count for its size.
    async fn a_write_with_too_many_events_is_refused(fixture: &Fixture) {
        const MIB: usize = 1024 * 1024;
        let (documents, outbox) = (&fixture.documents, fixture.documents.outbox());
        let aggregate = Uuid::now_v7();
        let record = || Record {
            topic: "t".into(),
            key: aggregate.to_string(),
            headers: Vec::new(),
            value: vec![0; 3 * MIB].into(),
        };
        let mut current = note("a");
        insert(documents, &current).await.unwrap();
        let mut accepted = 0;
        while accepted < 8 {
            let next = current.next();
            let write = Write::replace(&current, &next).with_record(aggregate, record());
            match documents.write(write).await.unwrap() {
                Ok(()) => (accepted, current) = (accepted + 1, next),
                Err(refusal) => {
                    assert_eq!(refusal, Refusal::Unpublished);
                    break;
                }
            }
        }
        assert!(accepted >= 4, "{accepted}");
        assert_eq!(get(documents, "a").await, Some(current.clone()));
        loop {
            let pending = outbox.pending(&[aggregate], 2).await.unwrap();
            if pending.is_empty() {
                break;
            }
            outbox.remove(&pending).await.unwrap();
        }
        let next = current.next();
        let write = Write::replace(&current, &next).with_record(aggregate, record());
        documents.write(write).await.unwrap().unwrap();
    }

    async fn concurrent_updates_of_one_document_all_succeed_with_their_events(fixture: &Fixture) {
        let (documents, outbox) = (&fixture.documents, fixture.documents.outbox());
        let aggregate = Uuid::now_v7();
        let events: Vec<_> = (0..8).map(|_| event(aggregate)).collect();
        let updates = events.iter().map(|event| {
            let tag = event.id.to_string();
            documents.update_with("a", slice::from_ref(event), move |before: Option<&Note>| {
                let mut next = before.map_or_else(|| note("a"), Note::next);
                next.tags.push(tag.clone());
                Some(next)
            })
        });
        let stored = join_all(updates).await;
        assert!(stored.iter().all(|stored| matches!(stored, Ok(Some(_)))), "{stored:?}");
        // If nothing is changed, no event is stored.
        let lost = [event(aggregate)];
        let nothing = documents.update_with("a", &lost, |_: Option<&Note>| None);
        assert_eq!(nothing.await.unwrap(), None);
        let found = get(documents, "a").await.unwrap();
        assert_eq!(found.revision, 8);
        let pending = outbox.pending(&[aggregate], 20).await.unwrap();
        let published = pending.iter().map(|pending| pending.record.clone());
        let published: Vec<_> = published.collect();
        let of = |tag: &String| events.iter().find(|event| event.id.to_string() == *tag);
        let in_order = found.tags.iter().map(|tag| of(tag).unwrap().to_record());
        assert_eq!(published, in_order.collect::<Vec<_>>());
    }

    async fn a_repeated_request_is_refused_by_its_receipt(fixture: &Fixture) {
        let (documents, receipts) = (&fixture.documents, fixture.documents.receipts());
        let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap();
        let first = note("a");
        let proof = receipt("k", now);
        let write = Write::insert(&first).with_receipt(Some(proof.clone()));
        documents.write(write).await.unwrap().unwrap();
        // For a new document, for the same one, for another one, and for a write that is also
        // refused for another reason.
        let (b, next, late) = (note("b"), first.next(), first.next().next());
        let taken = note("c").titled("a");
        for write in [
            Write::insert(&b),
            Write::insert(&first),
            Write::insert(&taken),
            Write::replace(&first, &next),
            Write::replace(&next, &late),
        ] {
            let write = write.with_receipt(Some(proof.clone()));
            assert_eq!(documents.write(write).await.unwrap(), Err(Refusal::Receipt));
        }
        assert_eq!(get(documents, "b").await, None);
        assert_eq!(get(documents, "a").await, Some(first.clone()));
        let found = receipts.receipt(proof.key.clone(), now - RECEIPT_TTL).await;
        assert_eq!(found.unwrap(), Some(proof));
        // A refused write stores no receipt.
        let other = receipt("other", now);
        let refused = Write::insert(&taken).with_receipt(Some(other.clone()));
        assert!(documents.write(refused).await.unwrap().is_err());
        let found = receipts.receipt(other.key, now - RECEIPT_TTL).await;
        assert_eq!(found.unwrap(), None);
    }

    async fn a_receipt_that_has_expired_does_not_count(fixture: &Fixture) {
        let documents = &fixture.documents;
        let now = Timestamp::now();
        let old = receipt("k", now - RECEIPT_TTL - SignedDuration::from_secs(1));
        let (first, other) = (note("a"), note("b"));
        let write = Write::insert(&first).with_receipt(Some(old));
        documents.write(write).await.unwrap().unwrap();
        let write = Write::insert(&other).with_receipt(Some(receipt("k", now)));
        documents.write(write).await.unwrap().unwrap();
        let next = first.next();
        let write = Write::replace(&first, &next).with_receipt(Some(receipt("k", now)));
        assert_eq!(documents.write(write).await.unwrap(), Err(Refusal::Receipt));
    }

    async fn a_document_of_another_schema_is_not_read(fixture: &Fixture) {
        let documents = &fixture.documents;
        let newer = super::newer::Note(note("a"));
        documents.write(Write::insert(&newer)).await.unwrap().unwrap();
        let error = documents.get::<Note>("a").await.unwrap_err();
        assert!(matches!(error, StoreError::Schema { found: 4, known: 3, .. }), "{error}");
    }
}
