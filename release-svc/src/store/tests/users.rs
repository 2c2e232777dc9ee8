//! Tests of accounts, failed sign-ins and registrations.

use super::*;

fn account(name: &str, email: &str, role: Role) -> Account {
    let user = User {
        id: UserId::generate(),
        username: Username::new(name).unwrap(),
        email: Email::new(email).unwrap(),
        role,
        created_at: now(),
    };
    Account::new(user, "hash".into())
}

async fn add_user(stores: &Stores, name: &str, role: Role) -> Account {
    let account = account(name, &format!("{name}@Example.com"), role);
    let insert = stores.users.insert(&account, Commit::default());
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
        let found = stores.users.by_login(login).await.unwrap().unwrap();
        assert_eq!(found.user, ada.user, "{login}");
    }
    assert!(stores.users.by_login("bob").await.unwrap().is_none());
    let keys = [
        UserKey::Id(root.user.id),
        UserKey::Username("ada".into()),
        UserKey::Username("nobody".into()),
    ];
    let mut found = stores.users.find(&keys).await.unwrap();
    found.sort_by_key(|user| user.id);
    assert_eq!(found, [ada.user, root.user]);
}

pub(super) async fn names_and_addresses_are_taken_without_regard_to_case(
    open: impl Fn() -> Stores,
) {
    let stores = open();
    add_user(&stores, "Ada", Role::Developer).await;
    let commit = || Commit {
        events: events(Uuid::now_v7(), 1),
        receipt: None,
    };
    let name = account("aDA", "other@example.com", Role::Developer);
    let refused = stores.users.insert(&name, commit()).await;
    assert!(matches!(refused, Err(InsertUserError::UsernameTaken)));
    let address = account("bob", "ADA@example.com", Role::Developer);
    let refused = stores.users.insert(&address, commit()).await;
    assert!(matches!(refused, Err(InsertUserError::EmailTaken)));
    assert_eq!(
        stores.outbox.count().await.unwrap(),
        0,
        "no events of refused accounts"
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
    let first = stores.users.list("", None, 3).await.unwrap();
    assert_eq!(names(first.items), ["ada", "Adam", "bob"]);
    let rest = stores
        .users
        .list("", first.next.as_deref(), 3)
        .await
        .unwrap();
    assert_eq!((names(rest.items), rest.next), (vec!["carol".into()], None));
    let begins = stores.users.list("ad", None, 9).await.unwrap();
    assert_eq!(names(begins.items), ["ada", "Adam"]);
    let whole = stores.users.list("ada", None, 9).await.unwrap();
    assert_eq!(names(whole.items), ["ada", "Adam"]);
    let behind = stores.users.list("ad", Some("ada"), 9).await.unwrap();
    assert_eq!(names(behind.items), ["Adam"]);
    assert!(
        stores
            .users
            .list("%", None, 9)
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

pub(super) async fn failed_sign_ins_are_counted_and_cleared(open: impl Fn() -> Stores) {
    let stores = open();
    let (ada, bob) = (Subject::unknown("ada"), Subject::unknown("b\0b"));
    let start = now();
    for second in 0..4 {
        let at = start + SignedDuration::from_secs(second);
        stores
            .users
            .record_failure(&[ada.clone(), bob.clone()], at)
            .await
            .unwrap();
    }
    let failures = |since, limit| stores.users.failures(&ada, since, limit);
    let latest = failures(start, 2).await.unwrap();
    let after = |seconds| start + SignedDuration::from_secs(seconds);
    assert_eq!(latest, [after(3), after(2)]);
    assert_eq!(failures(after(2), 9).await.unwrap(), [after(3)]);
    stores.users.clear_failures(&ada).await.unwrap();
    assert!(failures(Timestamp::UNIX_EPOCH, 9).await.unwrap().is_empty());
    stores.users.purge_failures(after(2)).await.unwrap();
    let left = stores
        .users
        .failures(&bob, Timestamp::UNIX_EPOCH, 9)
        .await
        .unwrap();
    assert_eq!(left, [after(3), after(2)]);
}

pub(super) async fn concurrent_failed_sign_ins_are_all_counted(open: impl Fn() -> Stores) {
    let (a, b) = (open(), open());
    let (ada, address) = (Subject::unknown("ada"), Subject::unknown("office"));
    let record = (0..20).map(|n| {
        let (users, subjects) = (
            if n % 2 == 0 { &a.users } else { &b.users },
            [ada.clone(), address.clone()],
        );
        async move { users.record_failure(&subjects, now()).await.unwrap() }
    });
    join_all(record).await;
    let counted = b.users.failures(&address, Timestamp::UNIX_EPOCH, 99).await;
    let counted = counted.unwrap();
    assert_eq!(counted.len(), 20);
    assert!(counted.is_sorted_by(|newer, older| newer >= older));
}

pub(super) async fn concurrent_registrations_of_an_address_are_counted_up_to_a_limit(
    open: impl Fn() -> Stores,
) {
    const LIMIT: u32 = 7;
    let replicas = [open(), open()];
    let barrier = Arc::new(Barrier::new(20));
    let (office, home) = (Subject::unknown("office"), Subject::unknown("home"));
    let hour = Hour::of(now());
    let later = Hour::of(now() + HOUR);
    let counted = (0..20).map(|n| {
        let (users, office) = (&replicas[n % 2].users, office.clone());
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            users
                .count_registration(&office, hour, LIMIT)
                .await
                .unwrap()
        }
    });
    let counted = join_all(counted).await.into_iter().filter(|c| *c).count();
    assert_eq!(counted, LIMIT as usize);

    let users = &replicas[0].users;
    let count = async |subject: &Subject, hour| {
        let count = users.count_registration(subject, hour, LIMIT);
        count.await.unwrap()
    };
    assert!(count(&home, hour).await);
    for _ in 0..LIMIT {
        assert!(count(&office, later).await);
    }
    assert!(!count(&office, later).await);
    users.purge_registrations(later).await.unwrap();
    assert!(!count(&office, later).await);
    assert!(count(&office, hour).await, "the earlier hour was purged");
}
