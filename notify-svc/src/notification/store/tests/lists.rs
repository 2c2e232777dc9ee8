//! Selection and paging of queries.

use std::time::Duration;

use serde_json::json;

use super::{Opened, after, every_shape_of_query, notification, notifications, user};
use crate::{
    notification::{
        Attempt, Filter, Notification, Outcome,
        store::{Direction, NotificationStore, Query},
    },
    store::{EXAMINED, PAGE_WEIGHT, testing::on_each},
};

on_each!(Opened:
    filters_select_the_same_as_a_full_scan
    a_page_has_a_size_limit
    a_rare_match_is_searched_over_several_pages
    figures_are_of_the_notifications_of_a_period
);

/// All pages of a query, joined.
async fn read_on(store: &NotificationStore, query: &Query) -> Vec<Notification> {
    let (mut all, mut rest) = (Vec::new(), query.clone());
    loop {
        let page = store.list(&rest).await.unwrap();
        assert!(page.items.len() <= query.limit as usize);
        all.extend(page.items);
        match page.next {
            Some(_) => rest.behind = page.next,
            None => return all,
        }
    }
}

async fn filters_select_the_same_as_a_full_scan(open: impl Fn() -> Opened) {
    let store = open().store;
    let mut log = notifications(100);
    for notification in log.iter_mut().step_by(3) {
        *notification = notification.clone().suppressed("off");
    }
    store.enqueue(log.clone()).await.unwrap();
    let mut found = 0;
    for query in every_shape_of_query() {
        let wanted = |n: &&Notification| query.filter.admits(n);
        let mut expected: Vec<_> = log.iter().filter(wanted).cloned().collect();
        if query.direction == Direction::NewestFirst {
            expected.reverse();
        }
        found += expected.len();
        assert_eq!(read_on(&store, &query).await, expected, "{query}");
    }
    assert!(found > 1000, "the conditions are not all too narrow");
}

async fn a_page_has_a_size_limit(open: impl Fn() -> Opened) {
    let store = open().store;
    let heavy: Vec<_> = (1..=10)
        .map(|n| Notification {
            data: json!({"text": "x".repeat(PAGE_WEIGHT / 4)}),
            ..notification(n)
        })
        .collect();
    store.enqueue(heavy.clone()).await.unwrap();
    let query = Query {
        direction: Direction::OldestFirst,
        ..Query::newest(Filter::default(), 100)
    };
    let page = store.list(&query).await.unwrap();
    assert!((1..10).contains(&page.items.len()));
    assert_eq!(read_on(&store, &query).await, heavy);
}

async fn a_rare_match_is_searched_over_several_pages(open: impl Fn() -> Opened) {
    let store = open().store;
    let rare = Notification {
        to: user(1),
        ..notification(1)
    };
    let many = (2..=EXAMINED as u128 + 20).map(|n| Notification {
        to: user(1),
        ..notification(n)
    });
    let all: Vec<_> = std::iter::once(rare.clone()).chain(many).collect();
    for batch in all.chunks(500) {
        store.enqueue(batch.to_vec()).await.unwrap();
    }
    let filter = Filter {
        to: vec![user(1)],
        text: Some("nr. 1:".to_owned()),
        ..Filter::default()
    };
    let query = Query::newest(filter, 10);
    let page = store.list(&query).await.unwrap();
    assert!(page.items.is_empty() && page.next.is_some());
    assert_eq!(read_on(&store, &query).await, [rare]);
}

async fn figures_are_of_the_notifications_of_a_period(open: impl Fn() -> Opened) {
    let store = open().store;
    let mut log = notifications(60);
    let attempt = |outcome, at| Attempt::new(at, Duration::from_millis(7), outcome, "");
    for (n, notification) in log.iter_mut().enumerate() {
        let (at, now) = (notification.created_at, notification.clone());
        *notification = match n % 4 {
            0 => {
                now.settle(attempt(Outcome::Accepted, at), 0.0, at)
                    .notification
            }
            1 => {
                now.settle(attempt(Outcome::Permanent, at), 0.0, at)
                    .notification
            }
            2 => now.suppressed("off"),
            _ => now,
        };
    }
    store.enqueue(log).await.unwrap();
    // Those from the 21st to the 40th.
    let figures = store.figures(after(21), after(41)).await.unwrap();
    let expected = [5, 0, 5, 0, 5, 5];
    assert_eq!(figures.counts, expected);
    assert_eq!(figures.latencies, [7; 5]);
    let none = store.figures(after(100), after(200)).await.unwrap();
    assert_eq!((none.counts, none.latencies.len()), ([0; 6], 0));
}
