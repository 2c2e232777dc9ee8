//! Tests of the read model on each database.

use slipway_proto::events::Role;
use uuid::Uuid;

use super::RecipientStore;
use crate::{
    notification::recipients::{Access, NewAddress, Recipient, RecipientChange},
    store::testing::on_each,
};

on_each!(RecipientStore:
    users_are_found_by_id_and_name
    users_of_any_role_are_found_by_address
    the_latest_state_of_a_user_stays
    administrators_are_listed
    the_latest_revision_says_what_a_user_may_do_in_any_order
    the_latest_revision_says_the_address_in_any_order
);

fn recipient(n: u128, username: &str, role: Role) -> Recipient {
    Recipient {
        id: Uuid::from_u128(n),
        username: username.to_owned(),
        email: format!("{username}@example.com"),
        role,
        disabled: false,
    }
}

fn access(n: u128, role: Role, disabled: bool, revision: u64) -> RecipientChange {
    RecipientChange::Access(Access {
        id: Uuid::from_u128(n),
        username: "ada".into(),
        role,
        disabled,
        revision,
    })
}

async fn the_latest_revision_says_what_a_user_may_do_in_any_order(
    open: impl Fn() -> RecipientStore,
) {
    let store = open();
    let registered = RecipientChange::Registered(recipient(1, "ada", Role::Developer));
    let changes = [
        registered.clone(),
        access(1, Role::Admin, false, 2),
        access(1, Role::Admin, true, 3),
        access(1, Role::Admin, false, 4),
    ];
    let known = async |changes: &[&RecipientChange]| {
        for change in changes {
            store.apply((*change).clone()).await.unwrap();
        }
        (
            store.by_ids(&[Uuid::from_u128(1)]).await.unwrap(),
            store.admins().await.unwrap(),
        )
    };
    let [first, promoted, disabled, enabled] = &changes;
    // Nobody can be mailed before the address is known.
    assert_eq!(known(&[promoted]).await, (vec![], vec![]));
    let ada = recipient(1, "ada", Role::Admin);
    let as_admin = (vec![ada.clone()], vec![ada.clone()]);
    assert_eq!(known(&[first]).await, as_admin);
    let out = Recipient {
        disabled: true,
        ..ada
    };
    assert_eq!(
        known(&[disabled, promoted, first]).await,
        (vec![out], vec![])
    );
    assert_eq!(known(&[enabled, disabled]).await, as_admin);
}

async fn the_latest_revision_says_the_address_in_any_order(open: impl Fn() -> RecipientStore) {
    let address = |n, revision: u64| {
        let RecipientChange::Access(access) = access(n, Role::Developer, false, revision) else {
            unreachable!("it says what a user may do");
        };
        let email = format!("ada@{revision}.example");
        RecipientChange::Address(NewAddress { access, email })
    };
    let registered = |n| RecipientChange::Registered(recipient(n, "ada", Role::Developer));
    let of = |n: u128| {
        [
            address(n, 2),
            access(n, Role::Admin, false, 3),
            address(n, 4),
            registered(n),
        ]
    };
    let store = open();
    for (n, order) in [[3, 0, 1, 2], [0, 1, 2, 3], [2, 3, 1, 0], [1, 2, 0, 3]]
        .into_iter()
        .enumerate()
    {
        let n = n as u128 + 1;
        let changes = of(n);
        for place in order {
            store.apply(changes[place].clone()).await.unwrap();
        }
        let found = store.by_ids(&[Uuid::from_u128(n)]).await.unwrap();
        let [ada] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!((&*ada.email, ada.role), ("ada@4.example", Role::Developer));
    }
}

async fn users_are_found_by_id_and_name(open: impl Fn() -> RecipientStore) {
    let store = open();
    let (ada, bob) = (
        recipient(1, "Ada", Role::Developer),
        recipient(2, "bob", Role::Developer),
    );
    store.put(vec![ada.clone(), bob.clone()]).await.unwrap();
    let nobody = Uuid::from_u128(9);
    let found = open().by_ids(&[bob.id, nobody]).await.unwrap();
    assert_eq!(found, [bob]);
    let names = ["aDa".to_owned(), "eve".to_owned()];
    assert_eq!(open().by_usernames(&names).await.unwrap(), [ada]);
    assert!(store.by_ids(&[]).await.unwrap().is_empty());
    store.put(vec![]).await.unwrap();
}

async fn users_of_any_role_are_found_by_address(open: impl Fn() -> RecipientStore) {
    let store = open();
    let (ada, grace) = (
        recipient(1, "Ada", Role::Developer),
        recipient(2, "grace", Role::Admin),
    );
    store.put(vec![ada.clone(), grace.clone()]).await.unwrap();
    assert_eq!(open().by_email("aDa@EXAMPLE.com").await.unwrap(), [ada]);
    let found = store.by_email("grace@example.com").await.unwrap();
    assert_eq!(found, [grace]);
    assert!(store.by_email("eve@example.com").await.unwrap().is_empty());
}

async fn the_latest_state_of_a_user_stays(open: impl Fn() -> RecipientStore) {
    let store = open();
    let before = recipient(1, "ada", Role::Developer);
    let after = Recipient {
        email: "ada@elsewhere.example".into(),
        ..recipient(1, "lovelace", Role::Admin)
    };
    store.put(vec![before, after.clone()]).await.unwrap();
    store.put(vec![after.clone()]).await.unwrap();
    assert_eq!(store.by_ids(&[after.id]).await.unwrap(), [after]);
    let old = store.by_usernames(&["ada".into()]).await.unwrap();
    assert!(old.is_empty(), "the old name is nobody's");
}

async fn administrators_are_listed(open: impl Fn() -> RecipientStore) {
    let store = open();
    assert!(store.admins().await.unwrap().is_empty());
    let (grace, alan) = (
        recipient(1, "grace", Role::Admin),
        recipient(3, "alan", Role::Admin),
    );
    let ada = recipient(2, "ada", Role::Developer);
    store
        .put(vec![alan.clone(), ada, grace.clone()])
        .await
        .unwrap();
    assert_eq!(store.admins().await.unwrap(), [grace, alan]);
}
