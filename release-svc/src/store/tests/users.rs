//! Tests of accounts, failed sign-ins and registrations.

use super::*;
use crate::store::UserStore;

fn account(name: &str, email: &str, role: Role) -> Account {
    let (username, email) = (Username::new(name).unwrap(), Email::new(email).unwrap());
    let user = User::new(username, email, role, now());
    Account::new(user, Some("hash".into()))
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
        (ada.user.clone(), Some("hash".into()))
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

async fn change(users: &UserStore, id: UserId, change: AccountChange) -> Administered {
    let decide = |before: &Account| Some((before.changed(change, now())?, Vec::new()));
    users.administer(id, decide).await.unwrap()
}

const DISABLE: AccountChange = AccountChange {
    role: None,
    disabled: Some(true),
};

const DEMOTE: AccountChange = AccountChange {
    role: Some(Role::Developer),
    disabled: None,
};

pub(super) async fn all_accounts_are_listed_by_name_state_and_role(open: impl Fn() -> Stores) {
    let stores = open();
    let users = &stores.users;
    for name in ["carol", "Adam", "ada", "ada-2", "root"] {
        let role = match name {
            "root" => Role::Admin,
            _ => Role::Developer,
        };
        let added = add_user(&stores, name, role).await;
        if name.starts_with("ada") {
            change(users, added.user.id, DISABLE).await;
        }
    }
    let picked = users.list("", None, 9).await.unwrap().items;
    let picked: Vec<_> = picked.iter().map(|user| user.username.key()).collect();
    assert_eq!(picked, ["adam", "carol", "root"]);
    let names = async |filter: AccountFilter| {
        // Pages of one, joined.
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = users.list_all(&filter, after.as_deref(), 1).await.unwrap();
            names.extend(
                page.items
                    .iter()
                    .map(|listed| listed.user.username.to_string()),
            );
            after = page.next;
            if after.is_none() {
                return names;
            }
        }
    };
    let all = AccountFilter::default();
    let every = ["ada", "ada-2", "Adam", "carol", "root"];
    assert_eq!(names(all.clone()).await, every);
    let state = |state| AccountFilter {
        state: Some(state),
        ..all.clone()
    };
    assert_eq!(names(state(UserState::Disabled)).await, ["ada", "ada-2"]);
    let active = ["Adam", "carol", "root"];
    assert_eq!(names(state(UserState::Active)).await, active);
    let admins = AccountFilter {
        role: Some(Role::Admin),
        ..all.clone()
    };
    assert_eq!(names(admins).await, ["root"]);
    for (prefix, found) in [
        ("ad", &["ada", "ada-2", "Adam"][..]),
        ("carol@ex", &["carol"]),
        ("arol", &[]),
        ("example.com", &[]),
    ] {
        let filter = AccountFilter {
            prefix: prefix.into(),
            ..all.clone()
        };
        assert_eq!(names(filter).await, found, "{prefix}");
    }
}

pub(super) async fn the_last_admin_stays_whoever_goes_first(open: impl Fn() -> Stores) {
    const ADMINS: usize = 3;
    let replicas = [open(), open()];
    let users = &replicas[0].users;
    let mut admins = Vec::new();
    for n in 0..ADMINS {
        let name = format!("admin-{n}");
        admins.push(add_user(&replicas[0], &name, Role::Admin).await.user.id);
    }
    let restored = AccountChange {
        role: Some(Role::Admin),
        disabled: Some(false),
    };
    for round in 0..10 {
        // Everybody takes every admin away at once, in two ways.
        let barrier = Arc::new(Barrier::new(2 * ADMINS));
        let racers = (0..2 * ADMINS).map(|n| {
            let (users, barrier) = (replicas[n % 2].users.clone(), Arc::clone(&barrier));
            let (id, taken) = (admins[n / 2], [DISABLE, DEMOTE][(n + round) % 2]);
            tokio::spawn(async move {
                barrier.wait().await;
                change(&users, id, taken).await
            })
        });
        let outcomes: Vec<_> = join_all(racers)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let mut acting = Vec::new();
        for id in &admins {
            let account = users.user(*id).await.unwrap().unwrap();
            acting.extend(account.is_acting_admin().then_some(*id));
        }
        let [last] = acting[..] else {
            panic!("round {round}: {acting:?} are left: {outcomes:?}");
        };
        let refused = change(users, last, DEMOTE).await;
        assert!(matches!(refused, Administered::LastAdmin), "{refused:?}");
        assert!(users.has_admin().await.unwrap());
        for id in &admins {
            change(users, *id, restored).await;
        }
    }
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
