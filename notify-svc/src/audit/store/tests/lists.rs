//! Lists by each condition, and the history of a release.

use uuid::Uuid;

use super::{AuditStore, at, entries, listed, release};
use crate::{
    audit::{Entry, Filter},
    store::testing::on_each,
};

on_each!(AuditStore:
    each_combination_of_conditions_finds_the_same_as_a_search_of_everything
    a_period_includes_its_beginning_and_not_its_end
    the_history_of_a_release_has_all_of_its_entries_in_the_order_of_the_chain
);

fn filters() -> Vec<Filter> {
    let types = [
        vec![],
        vec!["task.started"],
        vec!["task.*", "release.created"],
    ];
    let mut filters = Vec::new();
    for types in types {
        for task in [None, Some(Uuid::from_u128(0x7a_0001))] {
            for of_release in [None, Some(release(1))] {
                for user in [None, Some(Uuid::from_u128(0xad_0001))] {
                    for from in [None, Some(at("2026-01-02T03:04:10.5Z"))] {
                        filters.push(Filter {
                            task,
                            release: of_release,
                            user,
                            types: types.iter().map(|text| text.parse().unwrap()).collect(),
                            from,
                            to: from.map(|_| at("2026-01-02T03:04:40Z")),
                        });
                    }
                }
            }
        }
    }
    filters
}

/// The filter, applied to an entry as it is.
fn admits(filter: &Filter, entry: &Entry) -> bool {
    let is = |wanted: Option<Uuid>, id: &str| wanted.is_none_or(|wanted| wanted.to_string() == id);
    let mut types = filter.types.iter();
    is(filter.task, &entry.task_id)
        && is(filter.release, &entry.release_id)
        && is(filter.user, &entry.actor_id)
        && (filter.types.is_empty() || types.any(|wanted| wanted.matches(&entry.event_type)))
        && filter.admits_time(entry.happened())
}

async fn each_combination_of_conditions_finds_the_same_as_a_search_of_everything(
    open: impl Fn() -> AuditStore,
) {
    let store = open();
    store.append(entries(150)).await.unwrap();
    let everything = listed(&store, &Filter::default(), 200).await;
    assert_eq!(everything.len(), 150);
    for filter in filters() {
        let expected = everything.iter().filter(|entry| admits(&filter, entry));
        let mut expected: Vec<_> = expected.map(|entry| entry.number).collect();
        let found = listed(&store, &filter, 7).await;
        let mut found: Vec<_> = found.iter().map(|entry| entry.number).collect();
        if filter.task.is_some() || filter.release.is_some() {
            // In the order of the chain, not of time.
            assert!(found.is_sorted_by(|a, b| a > b), "{filter:?}: {found:?}");
            found.sort_unstable();
            expected.sort_unstable();
        }
        assert_eq!(found, expected, "{filter:?}");
    }
}

async fn a_period_includes_its_beginning_and_not_its_end(open: impl Fn() -> AuditStore) {
    let store = open();
    store.append(entries(9)).await.unwrap();
    let filter = Filter {
        from: Some(at("2026-01-02T03:04:03.5Z")),
        to: Some(at("2026-01-02T03:04:06.5Z")),
        ..Filter::default()
    };
    let found = listed(&store, &filter, 50).await;
    let numbers: Vec<_> = found.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, [5, 4, 3]);
}

async fn the_history_of_a_release_has_all_of_its_entries_in_the_order_of_the_chain(
    open: impl Fn() -> AuditStore,
) {
    let store = open();
    store.append(entries(60)).await.unwrap();
    let id = release(1).to_string();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.history(&id, after, 4).await.unwrap();
        found.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(store.count_of(&id).await.unwrap(), found.len() as u64);
    assert!(found.len() > 5 && found.iter().all(|entry| entry.release_id == id));
    let positions = found.iter().map(|entry| entry.release_position);
    assert!(positions.eq(1..=found.len() as u64), "{found:?}");
    assert!(found.is_sorted_by_key(|entry| entry.number));
    assert_eq!(store.count_of("another").await.unwrap(), 0);
}
