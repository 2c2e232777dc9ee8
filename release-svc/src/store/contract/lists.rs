//! Lists of releases and of a developer's tasks, page by page.

use super::*;

pub(in crate::store) async fn releases_are_listed_newest_first_by_state(open: impl Fn() -> Stores) {
    let stores = open();
    let ada = developer("ada");
    let mut ids = Vec::new();
    for n in 0..5 {
        let release = plan(&format!("r{n}"), vec![task("t", &ada)]);
        let release = stored(&stores, release).await;
        ids.insert(0, release.id);
        if n == 2 {
            let mut at = release.clone();
            for step in [start, complete] {
                let next = step(&at, &at.tasks[0]);
                save(&stores, &at, next.clone()).await.unwrap();
                at = next;
            }
            let completed = at.complete(now()).unwrap().release;
            save(&stores, &at, completed).await.unwrap();
        }
    }
    let list = |filter, after| stores.releases.list(filter, after, 2);
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = list(None, after).await.unwrap();
        seen.extend(page.items.iter().map(|item| item.release.id));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, ids, "the pages joined are the whole");
    let completed = list(Some(ReleaseFilter::Completed), None)
        .await
        .unwrap()
        .items;
    assert_eq!(completed.len(), 1);
    assert_eq!((completed[0].total, completed[0].completed), (1, 1));
    assert!(completed[0].release.is_completed());
    let open = list(Some(ReleaseFilter::Open), Some(ids[1])).await.unwrap();
    assert_eq!(
        open.items
            .iter()
            .map(|item| item.release.id)
            .collect::<Vec<_>>(),
        [ids[3], ids[4]]
    );
}

pub(in crate::store) async fn tasks_of_a_developer_come_in_order_with_what_blocks_them(
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
    save(&stores, &old, started.clone()).await.unwrap();
    save(&stores, &started, complete(&started, &old.tasks[0]))
        .await
        .unwrap();

    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = stores
            .releases
            .assigned_to(ada.id, None, after, 1)
            .await
            .unwrap();
        seen.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let titles: Vec<_> = seen
        .iter()
        .map(|item| {
            let blocked_by = item.blocked_by.as_ref();
            (
                item.placed.task.title.as_str(),
                blocked_by.map(|blocker| blocker.task.title.as_str()),
            )
        })
        .collect();
    assert_eq!(
        titles,
        [("e", None), ("a", None), ("c", Some("b")), ("d", Some("c"))]
    );
    assert_eq!(seen[0].placed.release_name, new.name);
    for (filter, count) in [
        (TaskFilter::Todo, 3),
        (TaskFilter::InProcess, 0),
        (TaskFilter::Completed, 1),
    ] {
        let page = stores
            .releases
            .assigned_to(ada.id, Some(filter), None, 9)
            .await;
        assert_eq!(page.unwrap().items.len(), count, "{filter:?}");
    }
}
