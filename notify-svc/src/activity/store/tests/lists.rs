//! Selection and paging of queries.

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use super::{
    ActivityStore, PATTERNS, activity, every_shape_of_query, log, now, numbered, person, read_on,
    release,
};
use crate::{
    activity::{
        Activity, Entry, Filter, TypePattern,
        store::{Direction, Query},
    },
    store::{EXAMINED, PAGE_WEIGHT, testing::on_each},
};

on_each!(ActivityStore:
    filters_select_the_same_as_a_full_scan
    entries_after_a_number_are_read_in_order
    a_page_has_a_size_limit
    a_rare_combination_is_searched_over_several_pages
    bounds_beyond_the_log_are_no_error
);

fn queries() -> impl Strategy<Value = Query> {
    let types = prop::collection::vec(prop::sample::select(PATTERNS), 0..4);
    let release_id = prop::option::of((0..4_u128).prop_map(release));
    let person = prop::option::of((0..9_u128).prop_map(person));
    let before = prop_oneof![Just(u64::MAX), 0..170_u64];
    let direction = prop_oneof![Just(Direction::Ascending), Just(Direction::Descending)];
    let filter = (types, release_id, person).prop_map(|(types, release_id, person)| Filter {
        types: types
            .into_iter()
            .map(|text| text.parse().unwrap())
            .collect(),
        release_id,
        person,
    });
    (filter, 0..170_u64, before, direction, 1..40_u32).prop_map(
        |(filter, after, before, direction, limit)| Query {
            filter,
            after,
            before,
            direction,
            limit,
        },
    )
}

/// Reads everything and checks each entry.
pub(super) fn naively(entries: &[Entry], query: &Query) -> Vec<Entry> {
    let wanted = |entry: &&Entry| {
        let Entry { sequence, activity } = entry;
        let type_fits = |wanted: &TypePattern| match wanted {
            TypePattern::Exact(event_type) => activity.event_type == *event_type,
            TypePattern::Family(family) => activity.event_type.starts_with(&format!("{family}.")),
        };
        let Filter {
            types,
            release_id,
            person,
        } = &query.filter;
        *sequence > query.after
            && *sequence < query.before
            && (types.is_empty() || types.iter().any(type_fits))
            && release_id.is_none_or(|id| activity.release_id == Some(id))
            && person.is_none_or(|id| {
                activity.actor.as_ref().is_some_and(|actor| actor.id == id)
                    || activity.concerns.contains(&id)
            })
    };
    let mut found: Vec<_> = entries.iter().filter(wanted).cloned().collect();
    if query.direction == Direction::Descending {
        found.reverse();
    }
    found
}

async fn filters_select_the_same_as_a_full_scan(open: impl Fn() -> ActivityStore) {
    let store = open();
    let entries = numbered(log(150));
    store.append(log(150), now()).await.unwrap();
    let mut runner = TestRunner::deterministic();
    let sampled = (0..300).map(|_| queries().new_tree(&mut runner).unwrap().current());
    for query in every_shape_of_query().into_iter().chain(sampled) {
        let expected = naively(&entries, &query);
        let page = store.list(&query).await.unwrap();
        assert_eq!((page.oldest, page.newest), (1, 150));
        assert_eq!(
            page.next.is_some(),
            expected.len() > page.entries.len(),
            "the last page is known as such: {query:?}"
        );
        assert_eq!(read_on(&store, query.clone()).await, expected, "{query:?}");
    }
}

async fn entries_after_a_number_are_read_in_order(open: impl Fn() -> ActivityStore) {
    let store = open();
    store.append(log(5), now()).await.unwrap();
    let entries = numbered(log(5));
    assert_eq!(store.following(0, 3).await.unwrap(), entries[..3]);
    assert_eq!(store.following(3, 10).await.unwrap(), entries[3..]);
    assert!(store.following(5, 10).await.unwrap().is_empty());
    assert!(store.following(u64::MAX, 10).await.unwrap().is_empty());
}

async fn a_page_has_a_size_limit(open: impl Fn() -> ActivityStore) {
    let store = open();
    let heavy: Vec<_> = (1..=10)
        .map(|n| Activity {
            data: format!("\"{}\"", "x".repeat(PAGE_WEIGHT / 4)),
            ..activity(n)
        })
        .collect();
    store.append(heavy.clone(), now()).await.unwrap();
    let query = Query::following(0, 1000);
    let page = store.list(&query).await.unwrap();
    assert!((1..10).contains(&page.entries.len()));
    assert_eq!(read_on(&store, query).await, numbered(heavy));
}

async fn a_rare_combination_is_searched_over_several_pages(open: impl Fn() -> ActivityStore) {
    let store = open();
    let many: Vec<_> = (1..=EXAMINED as u128 + 20)
        .map(|n| Activity {
            release_id: Some(release(1)),
            event_type: "task.started".into(),
            ..activity(n)
        })
        .collect();
    let rare = Activity {
        event_type: "release.created".into(),
        ..many[EXAMINED + 9].clone()
    };
    let mut log = many;
    log[EXAMINED + 9] = rare.clone();
    store.append(log, now()).await.unwrap();
    let query = Query {
        filter: Filter {
            types: vec!["release.created".parse().unwrap()],
            release_id: rare.release_id,
            person: None,
        },
        ..Query::following(0, 10)
    };
    let page = store.list(&query).await.unwrap();
    assert_eq!((page.entries.len(), page.next), (0, Some(EXAMINED as u64)));
    let found = read_on(&store, query).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].activity, rare);
}

async fn bounds_beyond_the_log_are_no_error(open: impl Fn() -> ActivityStore) {
    let store = open();
    store.append(log(3), now()).await.unwrap();
    for after in [3, 4, u64::MAX] {
        let page = store.list(&Query::following(after, 10)).await.unwrap();
        assert_eq!((page.entries.len(), page.next, page.newest), (0, None, 3));
    }
    let nothing = Query {
        before: 0,
        ..Query::following(0, 10)
    };
    assert!(store.list(&nothing).await.unwrap().entries.is_empty());
}
