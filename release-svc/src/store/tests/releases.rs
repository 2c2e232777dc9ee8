//! Tests of release changes: revisions, one task in process per developer, events in the same
//! write.

use super::*;
use crate::{identity::By, store::Conditions};

pub(super) async fn a_release_is_read_as_it_was_stored(open: impl Fn() -> Stores) {
    let stores = open();
    let ada = developer("ada");
    let mut release = plan("r", vec![task("a", &ada), task("b", &ada)]);
    release = stored(&stores, release).await;
    assert_eq!(
        stores.releases.release(release.id).await.unwrap().unwrap(),
        release
    );
    let first = release.tasks[0].clone();
    let started = start(&release, &first);
    save(&stores, &release, &started).await.unwrap();
    let completed = complete(&started, &first);
    save(&stores, &started, &completed).await.unwrap();
    let of_task = stores.releases.release_of(release.tasks[1].id).await;
    assert_eq!(of_task.unwrap().unwrap(), completed);
    let unknown = plan("x", vec![]).id;
    assert_eq!(stores.releases.release(unknown).await.unwrap(), None);
}

pub(super) async fn a_change_is_stored_with_its_events(open: impl Fn() -> Stores) {
    let stores = open();
    let release = plan("r", vec![]);
    let (first, second) = (events(release.id.0, 1), events(release.id.0, 2));
    let with = |events: &[Event]| Commit {
        events: events.to_vec(),
        receipt: None,
    };
    stores
        .releases
        .insert(&release, with(&first))
        .await
        .unwrap();
    let after = release
        .add_task(task("a", &developer("ada")), now())
        .unwrap()
        .release;
    stores
        .releases
        .save(&release, &after, with(&second))
        .await
        .unwrap();

    assert_eq!(stores.outbox.count().await.unwrap(), 3);
    let (aggregate, outbox) = ([first[0].key.parse().unwrap()], &stores.outbox);
    let pending = outbox.pending(&aggregate, 10).await.unwrap();
    let ids: Vec<_> = pending
        .iter()
        .map(|entry| Event::from_record(&entry.record).unwrap().id)
        .collect();
    let sent: Vec<_> = first.iter().chain(&second).map(|event| event.id).collect();
    assert_eq!(ids, sent, "in the order of the commits");
    let limited = outbox.pending(&aggregate, 2).await.unwrap();
    assert_eq!(limited.len(), 2);
    outbox.remove(&limited).await.unwrap();
    let rest = outbox.pending(&aggregate, 10).await.unwrap();
    assert_eq!(rest[0].place, pending[2].place);
    assert_eq!(rest.len(), 1);
    let others = [Uuid::now_v7()];
    assert!(outbox.pending(&others, 10).await.unwrap().is_empty());
}

pub(super) async fn overdue_aggregates_are_found_by_their_oldest_event(open: impl Fn() -> Stores) {
    let stores = open();
    let before = now();
    let mut aggregates = Vec::new();
    for _ in 0..2 {
        let release = plan("r", vec![]);
        let aggregate = release.id.0;
        let events = events(aggregate, 3);
        let commit = Commit {
            events,
            receipt: None,
        };
        stores.releases.insert(&release, commit).await.unwrap();
        aggregates.push(aggregate);
    }
    let after = now() + SignedDuration::from_millis(2);
    let outbox = &stores.outbox;
    let nothing: Vec<Uuid> = Vec::new();
    assert_eq!(outbox.overdue(before, &[], 10).await.unwrap(), nothing);
    assert_eq!(outbox.overdue(after, &[], 10).await.unwrap(), aggregates);
    assert_eq!(
        outbox.overdue(after, &[], 1).await.unwrap(),
        aggregates[..1]
    );
    // The oldest event is published: the aggregate is still overdue.
    let first = outbox.pending(&aggregates[..1], 1).await.unwrap();
    outbox.remove(&first).await.unwrap();
    let mut overdue = outbox.overdue(after, &[], 10).await.unwrap();
    overdue.sort();
    aggregates.sort();
    assert_eq!(overdue, aggregates);
}

pub(super) async fn a_change_on_an_old_revision_is_refused_and_stores_nothing(
    open: impl Fn() -> Stores,
) {
    let stores = open();
    let ada = developer("ada");
    let release = stored(&stores, plan("r", vec![])).await;
    let one = release.add_task(task("one", &ada), now()).unwrap().release;
    let two = release.add_task(task("two", &ada), now()).unwrap().release;
    save(&stores, &release, &one).await.unwrap();
    let commit = Commit {
        events: events(release.id.0, 1),
        receipt: None,
    };
    let refused = stores.releases.save(&release, &two, commit).await;
    assert!(matches!(refused, Err(SaveError::Revision)));
    assert_eq!(
        stores.releases.release(release.id).await.unwrap().unwrap(),
        one
    );
    assert_eq!(stores.outbox.count().await.unwrap(), 0);
}

pub(super) async fn concurrent_changes_of_one_release_are_all_stored(open: impl Fn() -> Stores) {
    let (a, b) = (open(), open());
    let ada = developer("ada");
    let release = stored(&a, plan("r", vec![])).await;
    let barrier = Arc::new(Barrier::new(20));
    let racers = (0..20).map(|n| {
        let stores = if n % 2 == 0 { a.clone() } else { b.clone() };
        let (barrier, ada, id) = (barrier.clone(), ada.clone(), release.id);
        tokio::spawn(async move {
            barrier.wait().await;
            loop {
                let before = stores.releases.release(id).await.unwrap().unwrap();
                let draft = task(&format!("t{n}"), &ada);
                let after = before.add_task(draft, now()).unwrap().release;
                match save(&stores, &before, &after).await {
                    Ok(()) => return,
                    Err(SaveError::Revision) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    for racer in join_all(racers).await {
        racer.unwrap();
    }
    let after = a.releases.release(release.id).await.unwrap().unwrap();
    assert_eq!(after.tasks.len(), 20);
    assert_eq!(after.revision.0, 21);
}

pub(super) async fn of_concurrent_starts_of_one_developer_one_succeeds(open: impl Fn() -> Stores) {
    let (a, b) = (open(), open());
    let ada = developer("ada");
    let mut releases = Vec::new();
    for n in 0..50 {
        releases.push(stored(&a, plan(&format!("r{n}"), vec![task("t", &ada)])).await);
    }
    let barrier = Arc::new(Barrier::new(releases.len()));
    let racers = releases.into_iter().enumerate().map(|(n, release)| {
        let stores = if n % 2 == 0 { a.clone() } else { b.clone() };
        let barrier = barrier.clone();
        tokio::spawn(async move {
            let started = start(&release, &release.tasks[0]);
            barrier.wait().await;
            (save(&stores, &release, &started).await, release)
        })
    });
    let mut winners = Vec::new();
    for racer in join_all(racers).await {
        match racer.unwrap() {
            (Ok(()), release) => winners.push(release.tasks[0].id),
            (Err(SaveError::DeveloperBusy(developer)), release) => {
                assert_eq!(developer, ada.id);
                let unchanged = a.releases.release(release.id).await.unwrap().unwrap();
                assert_eq!(unchanged, release);
            }
            (Err(error), _) => panic!("{error}"),
        }
    }
    assert_eq!(winners.len(), 1);
    let active = b.releases.active_task(ada.id).await.unwrap().unwrap();
    assert_eq!(active.task.id, winners[0]);
}

pub(super) async fn a_developer_is_free_again_after_completing(open: impl Fn() -> Stores) {
    let stores = open();
    let ada = developer("ada");
    let one = stored(&stores, plan("one", vec![task("t", &ada)])).await;
    let two = stored(&stores, plan("two", vec![task("t", &ada)])).await;
    let started = start(&one, &one.tasks[0]);
    save(&stores, &one, &started).await.unwrap();
    let begun = start(&two, &two.tasks[0]);
    let busy = save(&stores, &two, &begun).await;
    assert!(matches!(busy, Err(SaveError::DeveloperBusy(_))));
    let completed = complete(&started, &one.tasks[0]);
    save(&stores, &started, &completed).await.unwrap();
    assert_eq!(stores.releases.active_task(ada.id).await.unwrap(), None);
    save(&stores, &two, &begun).await.unwrap();
}

/// SQLite has no such limit: there all changes are accepted.
pub(super) async fn a_release_with_too_large_a_backlog_is_refused_until_it_is_published(
    open: impl Fn() -> Stores,
) {
    let stores = open();
    let mut current = stored(&stores, plan("r", vec![])).await;
    let add = async |before: &Release| {
        let draft = task("a task", &developer("ada"));
        let after = before.add_task(draft, now()).unwrap().release;
        let events = (0..10).map(|_| large_event(before.id.0));
        let commit = Commit {
            events: events.collect(),
            receipt: None,
        };
        let saved = stores.releases.save(before, &after, commit).await;
        saved.map(|()| after)
    };
    let mut accepted = 0;
    while accepted < 20 {
        match add(&current).await {
            Ok(after) => (accepted, current) = (accepted + 1, after),
            Err(SaveError::Backlog) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(accepted >= 12, "{accepted}");
    let found = stores.releases.release(current.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&current));
    loop {
        let pending = stores.outbox.pending(&[current.id.0], 10).await.unwrap();
        if pending.is_empty() {
            break;
        }
        stores.outbox.remove(&pending).await.unwrap();
    }
    add(&current).await.unwrap();
}

/// An event of 100 KiB.
fn large_event(aggregate: Uuid) -> Event {
    let payload = UserRegisteredEvent {
        user_id: aggregate,
        username: "x".repeat(100 * 1024),
        email: "a@example.com".into(),
        role: slipway_proto::events::Role::Developer,
    };
    let origin = Origin {
        service: "test",
        key: aggregate,
        subject: aggregate,
        actor: &Actor::System,
        time: now(),
    };
    Event::new(&payload, &origin)
}

pub(super) async fn a_deleted_release_is_found_by_no_query_and_removed_once_it_is_published(
    open: impl Fn() -> Stores,
) {
    let stores = open();
    let ada = developer("ada");
    let release = stored(&stores, plan("r", vec![task("t", &ada)])).await;
    let at = now();
    let deleted = release.delete(None, at).unwrap().release;
    let commit = Commit {
        events: events(release.id.0, 2),
        receipt: None,
    };
    let save = stores.releases.save(&release, &deleted, commit).await;
    save.unwrap();

    let releases = &stores.releases;
    assert_eq!(releases.release(release.id).await.unwrap(), None);
    let of_task = releases.release_of(release.tasks[0].id).await;
    assert_eq!(of_task.unwrap(), None);
    for filter in [None, Some(ReleaseFilter::Open)] {
        let page = releases.list(filter, None, 10).await.unwrap();
        assert!(page.items.is_empty(), "{filter:?}");
    }
    let (work, _) = releases
        .work_of(ada.id, &Conditions::default(), None, 10)
        .await
        .unwrap();
    assert!(work.items.is_empty());
    let again = save_again(&stores, &release).await;
    assert!(matches!(again, Err(SaveError::Revision)));

    // Its id shows whether it is still stored.
    let is_stored = async || {
        let insert = stores.releases.insert(&release, Commit::default()).await;
        insert.is_err()
    };
    let later = at + SignedDuration::from_secs(1);
    releases.purge_deleted(at).await.unwrap();
    assert!(is_stored().await, "it is too young");
    let pending = async || stores.outbox.pending(&[release.id.0], 10).await.unwrap();
    assert_eq!(pending().await.len(), 2);
    releases.purge_deleted(later).await.unwrap();
    assert_eq!(pending().await.len(), 2, "its events are kept");
    stores.outbox.remove(&pending().await).await.unwrap();
    releases.purge_deleted(later).await.unwrap();
    assert!(!is_stored().await);
}

/// Tries to change a release that may have been deleted.
async fn save_again(stores: &Stores, release: &Release) -> Result<(), SaveError> {
    let draft = task("one more", &developer("ada"));
    let after = release.add_task(draft, now()).unwrap().release;
    save(stores, release, &after).await
}

pub(super) async fn a_developer_is_free_again_after_pausing(open: impl Fn() -> Stores) {
    let stores = open();
    let ada = developer("ada");
    let one = stored(&stores, plan("one", vec![task("t", &ada)])).await;
    let two = stored(&stores, plan("two", vec![task("t", &ada)])).await;
    let started = start(&one, &one.tasks[0]);
    save(&stores, &one, &started).await.unwrap();
    let by = By {
        user: ada.id,
        role: Role::Developer,
    };
    let reason = Text::reason("something urgent").unwrap();
    let paused = started.pause(one.tasks[0].id, by, reason, now());
    let paused = paused.unwrap().release;
    save(&stores, &started, &paused).await.unwrap();
    assert_eq!(stores.releases.active_task(ada.id).await.unwrap(), None);
    save(&stores, &two, &start(&two, &two.tasks[0]))
        .await
        .unwrap();
    let again = save(&stores, &paused, &start(&paused, &paused.tasks[0])).await;
    assert!(matches!(again, Err(SaveError::DeveloperBusy(_))));
}
