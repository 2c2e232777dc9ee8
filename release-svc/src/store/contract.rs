//! What every backend's stores do: one suite, run on each of them by [`tests`].
//!
//! A backend supplies a guard that owns its place and a way to open the stores there;
//! stores opened twice stand for two replicas.

use std::sync::Arc;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use slipway_mesh::{
    access::Role,
    bus::{Actor, Event, event::Origin},
    clock::{Clock as _, SystemClock},
};
use slipway_proto::events::UserRegisteredEvent;
use tokio::sync::Barrier;
use uuid::Uuid;

use super::{
    Commit, InsertUserError, Receipt, ReceiptKey, ReleaseFilter, SaveError, Stores, TaskFilter,
    UserKey,
};
use crate::{
    identity::{Account, Email, User, UserId, UserRef, Username, throttle::Subject},
    release::{OrderIndex, Release, ReleaseDraft, Task, TaskDraft, Text},
};

/// Defines the suite for a backend: `tests!({ (guard, open) })`.
macro_rules! tests {
    ($setup:block) => {
        $crate::store::contract::tests!($setup:
            a_release_comes_back_as_it_was_stored
            a_change_is_stored_with_its_events
            a_change_on_an_old_revision_is_refused_and_leaves_nothing
            racing_changes_of_one_release_lose_nothing
            a_developer_is_active_once_whatever_races
            a_developer_is_free_again_after_completing
            releases_are_listed_newest_first_by_state
            tasks_of_a_developer_come_in_order_with_what_blocks_them
            a_receipt_is_stored_with_its_change_once
            an_expired_receipt_makes_room
            accounts_are_found_by_id_name_and_address
            names_and_addresses_are_taken_without_regard_to_case
            users_are_listed_by_name
            failed_sign_ins_are_counted_and_forgotten
        );
    };
    ($setup:block: $($name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let (_guard, open) = $setup;
                $crate::store::contract::$name(open).await;
            }
        )*
    };
}
pub(super) use tests;

fn now() -> Timestamp {
    SystemClock.now()
}

fn developer(name: &str) -> UserRef {
    UserRef {
        id: UserId::generate(),
        username: name.into(),
    }
}

fn title(text: &str) -> Text {
    Text::title(text).unwrap()
}

fn task(title_text: &str, assignee: &UserRef) -> TaskDraft {
    TaskDraft {
        title: title(title_text),
        description: Text::description("what\nto do").unwrap(),
        assignee: assignee.clone(),
        order_index: None,
        due_at: Some(now()),
    }
}

fn plan(name: &str, tasks: Vec<TaskDraft>) -> Release {
    let draft = ReleaseDraft {
        name: title(name),
        description: Text::description("about it").unwrap(),
        version: Text::version("1.0").unwrap(),
        tasks,
    };
    Release::plan(draft, developer("admin"), now())
        .unwrap()
        .release
}

async fn stored(stores: &Stores, release: Release) -> Release {
    let insert = stores.releases.insert(release.clone(), Commit::default());
    insert.await.unwrap();
    release
}

fn start(release: &Release, task: &Task) -> Release {
    release
        .start(task.id, task.assignee.id, now())
        .unwrap()
        .release
}

fn complete(release: &Release, task: &Task) -> Release {
    let decision = release.complete_task(task.id, task.assignee.id, now());
    decision.unwrap().release
}

fn events(count: usize) -> Vec<Event> {
    let payload = UserRegisteredEvent {
        user_id: Uuid::now_v7(),
        username: "ada".into(),
        email: "ada@example.com".into(),
        role: slipway_proto::events::Role::Developer,
    };
    let origin = Origin {
        service: "test",
        key: payload.user_id,
        subject: payload.user_id,
        actor: &Actor::System,
        time: now(),
    };
    (0..count).map(|_| Event::new(&payload, &origin)).collect()
}

async fn save(stores: &Stores, before: &Release, after: Release) -> Result<(), SaveError> {
    let save = stores
        .releases
        .save(before.clone(), after, Commit::default());
    save.await
}

pub(super) async fn a_release_comes_back_as_it_was_stored(open: impl Fn() -> Stores) {
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
    save(&stores, &release, started.clone()).await.unwrap();
    let completed = complete(&started, &first);
    save(&stores, &started, completed.clone()).await.unwrap();
    let of_task = stores.releases.release_of(release.tasks[1].id).await;
    assert_eq!(of_task.unwrap().unwrap(), completed);
    let placed = stores.releases.task(first.id).await.unwrap();
    assert_eq!(placed, completed.placed(first.id));
    let unknown = plan("x", vec![]).id;
    assert_eq!(stores.releases.release(unknown).await.unwrap(), None);
}

pub(super) async fn a_change_is_stored_with_its_events(open: impl Fn() -> Stores) {
    let stores = open();
    let release = plan("r", vec![]);
    let (first, second) = (events(1), events(2));
    let with = |events: &[Event]| Commit {
        events: events.to_vec(),
        receipt: None,
    };
    stores
        .releases
        .insert(release.clone(), with(&first))
        .await
        .unwrap();
    let after = release
        .add_task(task("a", &developer("ada")), now())
        .unwrap()
        .release;
    stores
        .releases
        .save(release, after, with(&second))
        .await
        .unwrap();

    assert_eq!(stores.outbox.count().await.unwrap(), 3);
    let pending = stores.outbox.pending(10).await.unwrap();
    let ids: Vec<_> = pending
        .iter()
        .map(|entry| Event::from_record(&entry.record).unwrap().id)
        .collect();
    let sent: Vec<_> = first.iter().chain(&second).map(|event| event.id).collect();
    assert_eq!(ids, sent, "in the order of the commits");
    stores.outbox.remove(&pending[..2]).await.unwrap();
    assert_eq!(stores.outbox.pending(10).await.unwrap().len(), 1);
}

pub(super) async fn a_change_on_an_old_revision_is_refused_and_leaves_nothing(
    open: impl Fn() -> Stores,
) {
    let stores = open();
    let ada = developer("ada");
    let release = stored(&stores, plan("r", vec![])).await;
    let one = release.add_task(task("one", &ada), now()).unwrap().release;
    let two = release.add_task(task("two", &ada), now()).unwrap().release;
    save(&stores, &release, one.clone()).await.unwrap();
    let commit = Commit {
        events: events(1),
        receipt: None,
    };
    let refused = stores.releases.save(release.clone(), two, commit).await;
    assert!(matches!(refused, Err(SaveError::Revision)));
    assert_eq!(
        stores.releases.release(release.id).await.unwrap().unwrap(),
        one
    );
    assert_eq!(stores.outbox.count().await.unwrap(), 0);
}

pub(super) async fn racing_changes_of_one_release_lose_nothing(open: impl Fn() -> Stores) {
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
                match save(&stores, &before, after).await {
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

pub(super) async fn a_developer_is_active_once_whatever_races(open: impl Fn() -> Stores) {
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
            (save(&stores, &release, started).await, release)
        })
    });
    let mut winners = Vec::new();
    for racer in join_all(racers).await {
        match racer.unwrap() {
            (Ok(()), release) => winners.push(release.tasks[0].id),
            (Err(SaveError::DeveloperBusy(who)), release) => {
                assert_eq!(who, ada.id);
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
    save(&stores, &one, started.clone()).await.unwrap();
    let busy = save(&stores, &two, start(&two, &two.tasks[0])).await;
    assert!(matches!(busy, Err(SaveError::DeveloperBusy(_))));
    save(&stores, &started, complete(&started, &one.tasks[0]))
        .await
        .unwrap();
    assert_eq!(stores.releases.active_task(ada.id).await.unwrap(), None);
    save(&stores, &two, start(&two, &two.tasks[0]))
        .await
        .unwrap();
}

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

fn receipt(response: &str, at: Timestamp) -> Receipt {
    Receipt {
        key: ReceiptKey("k".into()),
        fingerprint: b"f".to_vec(),
        response: response.into(),
        at,
    }
}

fn with(receipt: Receipt) -> Commit {
    Commit {
        events: Vec::new(),
        receipt: Some(receipt),
    }
}

pub(super) async fn a_receipt_is_stored_with_its_change_once(open: impl Fn() -> Stores) {
    let stores = open();
    let release = plan("r", vec![]);
    let insert = stores
        .releases
        .insert(release.clone(), with(receipt("1", now())));
    insert.await.unwrap();
    let after = release
        .add_task(task("a", &developer("ada")), now())
        .unwrap()
        .release;
    let again = stores
        .releases
        .save(release.clone(), after, with(receipt("2", now())));
    assert!(matches!(again.await, Err(SaveError::Receipt)));
    let stored = stores.releases.release(release.id).await.unwrap().unwrap();
    assert_eq!(stored, release, "the change was not stored either");
    let key = ReceiptKey("k".into());
    let found = stores
        .receipts
        .receipt(key, Timestamp::UNIX_EPOCH)
        .await
        .unwrap();
    assert_eq!(found.unwrap().response, b"1");
}

pub(super) async fn an_expired_receipt_makes_room(open: impl Fn() -> Stores) {
    let stores = open();
    let yesterday = now() - SignedDuration::from_hours(25);
    let insert = stores
        .releases
        .insert(plan("a", vec![]), with(receipt("1", yesterday)));
    insert.await.unwrap();
    let day = SignedDuration::from_hours(24);
    let key = ReceiptKey("k".into());
    let found = stores
        .receipts
        .receipt(key.clone(), now() - day)
        .await
        .unwrap();
    assert_eq!(found, None);
    let insert = stores
        .releases
        .insert(plan("b", vec![]), with(receipt("2", now())));
    insert.await.unwrap();
    stores.receipts.purge_receipts(now() - day).await.unwrap();
    let found = stores.receipts.receipt(key, now() - day).await.unwrap();
    assert_eq!(found.unwrap().response, b"2");
}

fn account(name: &str, email: &str, role: Role) -> Account {
    Account {
        user: User {
            id: UserId::generate(),
            username: Username::new(name).unwrap(),
            email: Email::new(email).unwrap(),
            role,
            created_at: now(),
        },
        password_hash: "hash".into(),
    }
}

async fn add_user(stores: &Stores, name: &str, role: Role) -> Account {
    let account = account(name, &format!("{name}@Example.com"), role);
    let insert = stores.users.insert(account.clone(), Commit::default());
    insert.await.unwrap();
    account
}

pub(super) async fn accounts_are_found_by_id_name_and_address(open: impl Fn() -> Stores) {
    let stores = open();
    assert!(!stores.users.has_admin().await.unwrap());
    let ada = add_user(&stores, "Ada", Role::Developer).await;
    assert!(!stores.users.has_admin().await.unwrap());
    let root = add_user(&stores, "root", Role::Admin).await;
    assert!(stores.users.has_admin().await.unwrap());

    let found = stores.users.user(ada.user.id).await.unwrap().unwrap();
    assert_eq!(
        (found.user, found.password_hash),
        (ada.user.clone(), "hash".into())
    );
    for login in ["ada", "ADA", "ada@example.com", "Ada@EXAMPLE.com"] {
        let found = stores.users.by_login(login.into()).await.unwrap().unwrap();
        assert_eq!(found.user, ada.user, "{login}");
    }
    assert!(stores.users.by_login("bob".into()).await.unwrap().is_none());
    let keys = vec![
        UserKey::Id(root.user.id),
        UserKey::Username("ada".into()),
        UserKey::Username("nobody".into()),
    ];
    let mut found = stores.users.find(keys).await.unwrap();
    found.sort_by_key(|user| user.id);
    assert_eq!(found, [ada.user, root.user]);
}

pub(super) async fn names_and_addresses_are_taken_without_regard_to_case(
    open: impl Fn() -> Stores,
) {
    let stores = open();
    add_user(&stores, "Ada", Role::Developer).await;
    let commit = || Commit {
        events: events(1),
        receipt: None,
    };
    let name = account("aDA", "other@example.com", Role::Developer);
    let refused = stores.users.insert(name, commit()).await;
    assert!(matches!(refused, Err(InsertUserError::UsernameTaken)));
    let address = account("bob", "ADA@example.com", Role::Developer);
    let refused = stores.users.insert(address, commit()).await;
    assert!(matches!(refused, Err(InsertUserError::EmailTaken)));
    assert_eq!(
        stores.outbox.count().await.unwrap(),
        0,
        "nothing was said of them"
    );
}

pub(super) async fn users_are_listed_by_name(open: impl Fn() -> Stores) {
    let stores = open();
    for name in ["carol", "Adam", "ada", "bob"] {
        add_user(&stores, name, Role::Developer).await;
    }
    let names = |items: Vec<User>| {
        items
            .iter()
            .map(|u| u.username.to_string())
            .collect::<Vec<_>>()
    };
    let first = stores.users.list(String::new(), None, 3).await.unwrap();
    assert_eq!(names(first.items), ["ada", "Adam", "bob"]);
    let rest = stores
        .users
        .list(String::new(), first.next, 3)
        .await
        .unwrap();
    assert_eq!((names(rest.items), rest.next), (vec!["carol".into()], None));
    let begins = stores.users.list("ad".into(), None, 9).await.unwrap();
    assert_eq!(names(begins.items), ["ada", "Adam"]);
    assert!(
        stores
            .users
            .list("%".into(), None, 9)
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

pub(super) async fn failed_sign_ins_are_counted_and_forgotten(open: impl Fn() -> Stores) {
    let stores = open();
    let (ada, bob) = (Subject::unknown("ada"), Subject::unknown("bob"));
    let start = now();
    for second in 0..4 {
        let at = start + SignedDuration::from_secs(second);
        stores
            .users
            .record_failure(vec![ada.clone(), bob.clone()], at)
            .await
            .unwrap();
    }
    let failures = |since, limit| stores.users.failures(ada.clone(), since, limit);
    let latest = failures(start, 2).await.unwrap();
    let after = |seconds| start + SignedDuration::from_secs(seconds);
    assert_eq!(latest, [after(3), after(2)]);
    assert_eq!(failures(after(2), 9).await.unwrap(), [after(3)]);
    stores.users.clear_failures(ada.clone()).await.unwrap();
    assert!(failures(Timestamp::UNIX_EPOCH, 9).await.unwrap().is_empty());
    stores.users.purge_failures(after(2)).await.unwrap();
    let left = stores
        .users
        .failures(bob, Timestamp::UNIX_EPOCH, 9)
        .await
        .unwrap();
    assert_eq!(left, [after(3), after(2)]);
}
