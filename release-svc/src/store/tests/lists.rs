//! Tests of release lists, with paging.

use super::*;

pub(super) async fn releases_are_listed_newest_first_by_state(open: impl Fn() -> Stores) {
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
                save(&stores, &at, &next).await.unwrap();
                at = next;
            }
            let completed = at.complete(now()).unwrap().release;
            save(&stores, &at, &completed).await.unwrap();
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
    assert_eq!(seen, ids, "the pages together are the whole list");
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
