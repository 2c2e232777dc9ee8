//! Tests of a developer's task list, with paging, and of the task in process.

use super::*;
use crate::{
    release::MAX_TEXT,
    store::{AssignedTask, Conditions},
};

/// All pages of a developer's tasks.
async fn in_pages(
    stores: &Stores,
    developer: &UserRef,
    filter: Option<TaskFilter>,
    limit: u32,
) -> Vec<AssignedTask> {
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = stores
            .releases
            .work_of(developer.id, &Conditions::in_state(filter), after, limit)
            .await;
        let (page, _) = page.unwrap();
        assert!(page.items.len() <= limit as usize);
        seen.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return seen,
        }
    }
}

/// The titles of tasks, each with the title of the task that blocks it.
fn titles(assigned: &[AssignedTask]) -> Vec<(&str, Option<&str>)> {
    let titles = assigned.iter().map(|item| {
        let blocked_by = item.blocked_by.as_ref();
        (
            item.placed.task.title.as_str(),
            blocked_by.map(|blocker| blocker.task.title.as_str()),
        )
    });
    titles.collect()
}

pub(super) async fn tasks_of_a_developer_come_in_order_with_what_blocks_them(
    open: impl Fn() -> Stores,
) {
    let stores = open();
    let (ada, bob) = (developer("ada"), developer("bob"));
    let tasks = vec![
        task("a", &ada),
        task("b", &bob),
        task("c", &ada),
        task("d", &ada),
    ];
    let old = stored(&stores, plan("old", tasks)).await;
    let mut first = task("e", &ada);
    first.order_index = Some(OrderIndex::new(7).unwrap());
    let new = stored(&stores, plan("new", vec![first])).await;
    let started = start(&old, &old.tasks[0]);
    save(&stores, &old, &started).await.unwrap();
    let completed = complete(&started, &old.tasks[0]);
    save(&stores, &started, &completed).await.unwrap();

    let seen = in_pages(&stores, &ada, None, 1).await;
    assert_eq!(
        titles(&seen),
        [("e", None), ("a", None), ("c", Some("b")), ("d", Some("c"))]
    );
    assert_eq!(seen[0].placed.release_name, new.name);
    for (filter, count) in [
        (TaskFilter::Todo, 3),
        (TaskFilter::InProcess, 0),
        (TaskFilter::Completed, 1),
    ] {
        for limit in [1, 9] {
            let seen = in_pages(&stores, &ada, Some(filter), limit).await;
            assert_eq!(seen.len(), count, "{filter:?}");
        }
    }
}

pub(super) async fn the_task_in_process_is_returned_with_every_page(open: impl Fn() -> Stores) {
    let stores = open();
    let (ada, bob) = (developer("ada"), developer("bob"));
    let old = vec![task("a", &ada), task("b", &ada)];
    let old = stored(&stores, plan("old", old)).await;
    stored(&stores, plan("new", vec![task("c", &ada), task("d", &bob)])).await;
    let active = async |filter, after, limit| {
        let conditions = Conditions::in_state(filter);
        let work = stores.releases.work_of(ada.id, &conditions, after, limit);
        work.await.unwrap().1
    };
    assert_eq!(active(None, None, 9).await, None);
    assert_eq!(active(Some(TaskFilter::InProcess), None, 9).await, None);
    let started = start(&old, &old.tasks[0]);
    save(&stores, &old, &started).await.unwrap();
    let placed = started.placed(old.tasks[0].id);
    let behind = Some((old.id, old.tasks[0].order_index.get()));
    for (filter, after, limit) in [
        (None, None, 9),
        (None, None, 1),
        (None, behind, 9),
        (Some(TaskFilter::Todo), None, 9),
        (Some(TaskFilter::Todo), None, 1),
        (Some(TaskFilter::InProcess), None, 9),
        (Some(TaskFilter::InProcess), behind, 9),
        (Some(TaskFilter::Completed), None, 9),
    ] {
        let active = active(filter, after, limit).await;
        assert_eq!(active, placed, "{filter:?}, {after:?}, {limit}");
    }
}

pub(super) async fn of_two_tasks_of_a_developer_the_one_in_process_is_found(
    open: impl Fn() -> Stores,
) {
    let stores = open();
    let (ada, bob) = (developer("ada"), developer("bob"));
    let tasks = vec![task("a", &bob), task("b", &ada), task("c", &ada)];
    let mut release = stored(&stores, plan("r", tasks)).await;
    for n in [0, 1] {
        assert_eq!(stores.releases.active_task(ada.id).await.unwrap(), None);
        for step in [start, complete] {
            let next = step(&release, &release.tasks[n]);
            save(&stores, &release, &next).await.unwrap();
            release = next;
        }
    }
    let started = start(&release, &release.tasks[2]);
    save(&stores, &release, &started).await.unwrap();
    let active = stores.releases.active_task(ada.id).await.unwrap();
    assert_eq!(active, started.placed(release.tasks[2].id));
    assert_eq!(stores.releases.active_task(bob.id).await.unwrap(), None);
}

/// The largest possible release, with its receipt and its events in its document.
pub(super) async fn a_long_release_is_listed_like_any_other(open: impl Fn() -> Stores) {
    let stores = open();
    let (ada, bob) = (developer("ada"), developer("bob"));
    let text = "\u{1F680}".repeat(8_000);
    let long = |n: usize| TaskDraft {
        description: Text::description(&text).unwrap(),
        ..task(
            &format!("t{n}"),
            if n.is_multiple_of(2) { &ada } else { &bob },
        )
    };
    let tasks = MAX_TEXT / text.len() - 1;
    let release = plan("long", (0..tasks).map(long).collect());
    let commit = Commit {
        events: events(release.id.0, 1),
        receipt: Some(Receipt {
            key: ReceiptKey("k".into()),
            fingerprint: b"f".to_vec(),
            response: vec![0; MAX_TEXT],
            at: now(),
        }),
    };
    stores.releases.insert(&release, commit).await.unwrap();
    stored(&stores, plan("short", vec![task("s", &ada)])).await;
    let started = start(&release, &release.tasks[0]);
    save(&stores, &release, &started).await.unwrap();

    let seen = in_pages(&stores, &ada, None, 20).await;
    let mut expected = vec![("s".to_owned(), None), ("t0".to_owned(), None)];
    let waiting = (2..tasks).step_by(2);
    expected.extend(waiting.map(|n| (format!("t{n}"), Some(format!("t{}", n - 1)))));
    let titles = titles(&seen).into_iter();
    let titles: Vec<_> = titles
        .map(|(title, blocked_by)| (title.to_owned(), blocked_by.map(str::to_owned)))
        .collect();
    assert_eq!(titles, expected);
    assert_eq!(seen[1].placed, started.placed(release.tasks[0].id).unwrap());
    let in_process = in_pages(&stores, &ada, Some(TaskFilter::InProcess), 20).await;
    assert_eq!(in_process, seen[1..2]);
    let waiting = in_pages(&stores, &ada, Some(TaskFilter::Todo), 20).await;
    assert_eq!(waiting.len(), seen.len() - 1);
}

pub(super) async fn a_task_in_process_is_read_beside_the_release_that_waits_for_its_owner(
    open: impl Fn() -> Stores,
) {
    let stores = open();
    let (ada, bob) = (developer("ada"), developer("bob"));
    let tasks = vec![task("a", &ada), task("b", &bob)];
    let release = stored(&stores, plan("waits", tasks)).await;
    let other = stored(&stores, plan("other", vec![task("c", &ada)])).await;
    let started = start(&other, &other.tasks[0]);
    save(&stores, &other, &started).await.unwrap();
    let beside = async |release: &Release, of: &UserRef| {
        let work = stores.releases.work_beside(release, of.id).await;
        work.unwrap()
    };
    let active = started.placed(started.tasks[0].id);
    assert_eq!(beside(&release, &ada).await, active);
    assert_eq!(beside(&release, &bob).await, None, "it waits for ada");
    assert_eq!(beside(&started, &ada).await, None, "it waits for nobody");
}
