//! Reading lists and views.

use super::{Fixture, MESSAGES, Note, SLOT, TAG, Title, contract, note};
use crate::{BY_ID, Documents, Query, Write};

async fn insert(documents: &Documents, notes: &[Note]) {
    let writes = notes.iter().map(Write::insert).collect();
    for outcome in documents.write_many(writes).await.unwrap() {
        outcome.unwrap();
    }
}

async fn ids(documents: &Documents, query: &Query) -> Vec<String> {
    let found = documents.list::<Note>(&TAG, query).await.unwrap();
    found.into_iter().map(|note| note.id).collect()
}

/// The messages to one recipient in the notes of a part of a tag's list.
async fn messages(documents: &Documents, query: &Query, to: &str) -> Vec<String> {
    let messages = documents.view::<Note, _>(&TAG, query, &MESSAGES, to);
    messages.await.unwrap()
}

contract! {
    async fn a_list_is_read_from_either_end_and_from_any_position(fixture: &Fixture) {
        let documents = &fixture.documents;
        let notes: Vec<_> = ["d", "a", "c", "b"].map(|id| note(id).tagged(&["x", "y"])).into();
        insert(documents, &notes).await;
        insert(documents, &[note("e").tagged(&["y"]), note("f")]).await;
        assert_eq!(ids(documents, &Query::first(10, "x")).await, ["a", "b", "c", "d"]);
        assert_eq!(ids(documents, &Query::last(10, "y")).await, ["e", "d", "c", "b", "a"]);
        assert_eq!(ids(documents, &Query::first(2, "x")).await, ["a", "b"]);
        assert_eq!(ids(documents, &Query::last(2, "x")).await, ["d", "c"]);
        assert_eq!(ids(documents, &Query::first(10, "x").above("b")).await, ["c", "d"]);
        assert_eq!(ids(documents, &Query::last(10, "x").below("b")).await, ["a"]);
        let between = Query::first(10, "x").above("a").below("d");
        assert_eq!(ids(documents, &between).await, ["b", "c"]);
        let behind = Query::last(10, "x").behind(Some("c"));
        assert_eq!(ids(documents, &behind).await, ["b", "a"]);
        let all = Query::first(10, "x").behind(None::<&str>);
        assert_eq!(ids(documents, &all).await.len(), 4);
        assert!(ids(documents, &Query::first(10, "z")).await.is_empty());
        assert!(ids(documents, &Query::first(0, "x")).await.is_empty());
        let titles = documents.summaries::<Note>(&TAG, &Query::first(1, "x")).await.unwrap();
        assert_eq!(titles, [Title("a".into())]);
        let titles = documents.summaries::<Note>(&TAG, &Query::last(3, "y").below("e")).await.unwrap();
        assert_eq!(titles, ["d", "c", "b"].map(|title| Title(title.into())));
        let titles = documents.summaries::<Note>(&TAG, &Query::first(10, "z")).await.unwrap();
        assert_eq!(titles, []);
    }

    async fn all_documents_are_listed_by_id(fixture: &Fixture) {
        let documents = &fixture.documents;
        let notes: Vec<_> = ["d", "a", "c", "B"].map(|id| note(id).tagged(&["x", "y"])).into();
        insert(documents, &notes).await;
        let ids = async |query: Query| -> Vec<String> {
            let found = documents.list::<Note>(&BY_ID, &query).await.unwrap();
            found.into_iter().map(|note| note.id).collect()
        };
        assert_eq!(ids(Query::first(10, "")).await, ["B", "a", "c", "d"]);
        assert_eq!(ids(Query::last(2, "")).await, ["d", "c"]);
        assert_eq!(ids(Query::last(10, "").above("B").below("d")).await, ["c", "a"]);
        assert_eq!(ids(Query::first(1, "").behind(Some("a"))).await, ["c"]);
        let titles = documents.summaries::<Note>(&BY_ID, &Query::first(1, "")).await.unwrap();
        assert_eq!(titles, [Title("B".into())]);
        let count = async |query| documents.count::<Note>(&BY_ID, &query).await.unwrap();
        assert_eq!(count(Query::first(10, "")).await, 4);
        assert_eq!(count(Query::first(2, "").above("B")).await, 2);
        documents.write(Write::delete(&notes[1])).await.unwrap().unwrap();
        assert_eq!(ids(Query::first(10, "")).await, ["B", "c", "d"]);
    }

    async fn orders_compare_byte_by_byte(fixture: &Fixture) {
        let documents = &fixture.documents;
        let ids_given = ["a", "B", "é", "z", "\u{10ffff}", "~", "a/b", "0"];
        let notes: Vec<_> = ids_given.iter().map(|id| note(id).tagged(&["x"])).collect();
        insert(documents, &notes).await;
        let mut sorted: Vec<_> = ids_given.iter().map(ToString::to_string).collect();
        sorted.sort_unstable();
        assert_eq!(ids(documents, &Query::first(10, "x")).await, sorted);
    }

    async fn a_list_follows_its_documents(fixture: &Fixture) {
        let documents = &fixture.documents;
        let before = note("a").tagged(&["x", "y"]);
        insert(documents, std::slice::from_ref(&before)).await;
        let after = before.next().tagged(&["y", "z"]);
        documents.write(Write::replace(&before, &after)).await.unwrap().unwrap();
        let stale = before.next().tagged(&["x"]);
        assert!(documents.write(Write::replace(&before, &stale)).await.unwrap().is_err());
        for (tag, found) in [("x", 0), ("y", 1), ("z", 1)] {
            assert_eq!(ids(documents, &Query::first(10, tag)).await.len(), found, "{tag}");
        }
        let retitled = after.next().titled("another");
        documents.write(Write::replace(&after, &retitled)).await.unwrap().unwrap();
        let after = retitled;
        for tag in ["y", "z"] {
            let titles = documents.summaries::<Note>(&TAG, &Query::first(10, tag)).await;
            assert_eq!(titles.unwrap(), [Title("another".into())], "{tag}");
        }
        documents.write(Write::delete(&after)).await.unwrap().unwrap();
        for tag in ["x", "y", "z"] {
            assert!(ids(documents, &Query::first(10, tag)).await.is_empty(), "{tag}");
        }
    }

    async fn a_view_holds_values_by_key(fixture: &Fixture) {
        let documents = &fixture.documents;
        let a = note("a").tagged(&["x"]).with_messages(&[("ada", "1"), ("bob", "2")]);
        let b = note("b").tagged(&["x", "y"]).with_messages(&[("bob", "\"3\"\n"), ("ada", "4")]);
        let c = note("c").tagged(&["x"]).with_messages(&[("ada", "5")]);
        insert(documents, &[a.clone(), b, c]).await;
        assert_eq!(messages(documents, &Query::first(10, "x"), "ada").await, ["1", "4", "5"]);
        assert_eq!(messages(documents, &Query::last(10, "x"), "ada").await, ["5", "4", "1"]);
        assert_eq!(messages(documents, &Query::first(2, "x"), "ada").await, ["1", "4"]);
        assert_eq!(messages(documents, &Query::first(10, "x").above("a"), "ada").await, ["4", "5"]);
        assert_eq!(messages(documents, &Query::first(10, "x"), "bob").await, ["2", "\"3\"\n"]);
        assert_eq!(messages(documents, &Query::first(10, "y"), "ada").await, ["4"]);
        assert!(messages(documents, &Query::first(10, "x"), "eve").await.is_empty());
        let after = a.next().tagged(&["x"]).with_messages(&[("ada", "7"), ("eve", "8")]);
        documents.write(Write::replace(&a, &after)).await.unwrap().unwrap();
        assert_eq!(messages(documents, &Query::first(1, "x"), "ada").await, ["7"]);
        assert_eq!(messages(documents, &Query::first(10, "x"), "bob").await, ["\"3\"\n"]);
        assert_eq!(messages(documents, &Query::first(10, "x"), "eve").await, ["8"]);
        documents.write(Write::delete(&after)).await.unwrap().unwrap();
        assert_eq!(messages(documents, &Query::first(10, "x"), "ada").await, ["4", "5"]);
        assert!(messages(documents, &Query::first(10, "x"), "eve").await.is_empty());
    }

    async fn keys_of_a_view_are_independent(fixture: &Fixture) {
        let documents = &fixture.documents;
        let keys = ["", "%", "%%", "a", "a.b", "a%2eb", "$a", "a$", "0", "é\u{10ffff}"];
        let values: Vec<_> = keys.iter().map(|key| (*key, *key)).collect();
        insert(documents, &[note("a").tagged(&["x"]).with_messages(&values)]).await;
        for key in keys {
            assert_eq!(messages(documents, &Query::first(10, "x"), key).await, [key]);
        }
    }

    async fn entries_are_counted_up_to_a_limit(fixture: &Fixture) {
        let documents = &fixture.documents;
        let notes: Vec<_> = ["a", "b", "c"]
            .map(|id| note(id).tagged(&["x", "y"]))
            .into();
        insert(documents, &notes).await;
        let count = async |query: Query| documents.count::<Note>(&TAG, &query).await.unwrap();
        assert_eq!(count(Query::first(10, "x")).await, 3);
        assert_eq!(count(Query::first(2, "x")).await, 2);
        assert_eq!(count(Query::first(10, "x").above("a")).await, 2);
        assert_eq!(count(Query::first(10, "z")).await, 0);
    }

    async fn all_keys_of_a_unique_index_are_counted(fixture: &Fixture) {
        let documents = &fixture.documents;
        let count = async || documents.count_keys::<Note>(&SLOT).await.unwrap();
        assert_eq!(count().await, 0);
        let notes = [note("a").reserving(&[1, 2]), note("b").reserving(&[3]), note("c")];
        insert(documents, &notes).await;
        assert_eq!(count().await, 3);
        let without = notes[0].next().reserving(&[]);
        documents.write(Write::replace(&notes[0], &without)).await.unwrap().unwrap();
        assert_eq!(count().await, 1);
    }
}

mod plans {
    use crate::outbox::mongo::{overdue, waiting};
    use jiff::Timestamp;
    use mongodb::bson::{Document as Fields, doc};

    use super::{insert, note};
    use crate::{
        Direction, Document as _, Index, Query,
        contract::{Note, on_mongo},
        document::IndexKind,
        mongo::testing::{BODY, by_key, part},
    };

    fn queries(index: &Index) -> Vec<Fields> {
        let of = Note::COLLECTION.name;
        if index.kind == IndexKind::Unique {
            let by_key = by_key(index, &["1".into()]);
            return vec![doc! { "find": of, "filter": by_key, "sort": { "_id": 1 } }];
        }
        let queries = [Direction::Ascending, Direction::Descending].map(|direction| Query {
            direction,
            ..Query::first(50, "x").above("100").below("200")
        });
        let parts = queries
            .iter()
            .map(|query| part(index, query, BODY).to_vec());
        parts
            .map(|part| doc! { "aggregate": of, "pipeline": part, "cursor": {} })
            .collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_query_uses_its_index() {
        let Some(fixture) = on_mongo().await else {
            return;
        };
        let scratch = fixture.scratch.as_ref().unwrap();
        // Enough documents that reading all of them would be slower.
        let notes: Vec<_> = (0..300)
            .map(|n| {
                let tag = ["x", "y", "z"][n % 3];
                let slot = u32::try_from(n).unwrap();
                note(&n.to_string()).reserving(&[slot]).tagged(&[tag])
            })
            .collect();
        insert(&fixture.documents, &notes).await;
        let found_by = |index: &&Index| index.kind != IndexKind::View;
        let of_indexes = Note::COLLECTION.indexes.iter().filter(found_by);
        let mut expected: Vec<_> = of_indexes
            .flat_map(|index| queries(index).into_iter().map(|query| (query, index.name)))
            .collect();
        for (filter, index) in [
            (overdue(Timestamp::now()), "outbox"),
            (waiting("aggregate", &["x".into()]), "outbox_by_aggregate"),
        ] {
            let query = doc! { "find": Note::COLLECTION.name, "filter": filter };
            expected.push((query, index));
        }
        for (query, index) in expected {
            let used = scratch.indexes(&query).await;
            assert!(used.iter().eq([index]), "{query}: {used:?}");
        }
    }
}
