//! Tests of accounts of an identity provider, and of sign-ins with it.

use super::*;
use crate::provider::{
    flow::{Flow, FlowSecrets, LONGEST},
    person,
};

fn account(name: &str, subject: &str) -> Account {
    let email = Email::new(&format!("{name}@example.com")).unwrap();
    let user = User::new(Username::new(name).unwrap(), email, Role::Developer, now());
    let subject = person::Subject {
        issuer: "https://id.example.com".to_owned(),
        subject: subject.to_owned(),
    };
    Account::of_provider(user, subject)
}

pub(super) async fn of_concurrent_first_sign_ins_of_one_user_one_creates_an_account(
    open: impl Fn() -> Stores,
) {
    let stores = [open(), open()];
    let accounts: Vec<_> = (0..6).map(|n| account(&format!("ada-{n}"), "1")).collect();
    let insert = accounts
        .iter()
        .enumerate()
        .map(|(n, account)| stores[n % 2].users.insert(account, Commit::default()));
    let inserted = join_all(insert).await;
    assert_eq!(inserted.iter().filter(|result| result.is_ok()).count(), 1);
    for result in inserted {
        assert!(matches!(
            result,
            Ok(()) | Err(InsertUserError::ProviderTaken)
        ));
    }
    let users = &stores[0].users;
    let subject = accounts[0].provider.clone().unwrap();
    assert!(users.by_provider(&subject).await.unwrap().is_some());
    // The same name at another provider is another user.
    let other = person::Subject {
        issuer: "https://other.example.com".to_owned(),
        ..subject
    };
    assert!(users.by_provider(&other).await.unwrap().is_none());
    let grace = account("grace", "2");
    users.insert(&grace, Commit::default()).await.unwrap();
}

pub(super) async fn of_concurrent_ends_of_one_sign_in_one_gets_it(open: impl Fn() -> Stores) {
    let stores = [open(), open()];
    let (secrets, now) = (FlowSecrets::generate(), now());
    let flow = Flow::begin(&secrets, "/tasks/1".to_owned(), now);
    stores[0].flows.insert(&flow).await.unwrap();
    // Another browser, and too late.
    let other = FlowSecrets::parse(&FlowSecrets::generate().cookie(), secrets.state()).unwrap();
    for (secrets, at) in [(&other, now), (&secrets, flow.expires_at)] {
        let taken = stores[1].flows.take(secrets, at).await.unwrap();
        assert_eq!(taken, None);
    }
    let take = (0..6).map(|n| stores[n % 2].flows.take(&secrets, now));
    let taken = join_all(take).await.into_iter().map(Result::unwrap);
    assert_eq!(taken.flatten().collect::<Vec<_>>(), [flow]);
}

pub(super) async fn sign_ins_that_nobody_finished_are_purged(open: impl Fn() -> Stores) {
    let (stores, now) = (open(), now());
    let all = [now - LONGEST - SignedDuration::from_secs(1), now].map(|at| {
        let secrets = FlowSecrets::generate();
        let flow = Flow::begin(&secrets, "/".to_owned(), at);
        (secrets, flow)
    });
    for (_, flow) in &all {
        stores.flows.insert(flow).await.unwrap();
    }
    stores.flows.purge(now).await.unwrap();
    let begin = all[0].1.expires_at - LONGEST;
    assert_eq!(stores.flows.take(&all[0].0, begin).await.unwrap(), None);
    assert!(stores.flows.take(&all[1].0, now).await.unwrap().is_some());
}
