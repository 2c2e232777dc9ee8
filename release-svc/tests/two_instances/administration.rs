//! Accounts that are disabled and get other roles at two replicas.

use std::time::{Duration, Instant};

use slipway_mongo::testing::Scratch;
use slipway_proto::{
    common::v1::Role,
    identity::v1::{
        Account, CreateAccountRequest, GetMeRequest, ListAccountsRequest, RefreshSessionRequest,
        UpdateAccountRequest, identity_service_client::IdentityServiceClient,
    },
};
use slipway_rpc::{
    error::Fault,
    grpc::{Link, Outbound},
};

use crate::harness::{Backend, PASSWORD, Setup, race};
use crate::sessions::{identity, login, me, refresh, try_login};

/// Changes an account as the caller.
async fn update(
    mut identity: IdentityServiceClient<Link>,
    caller: Outbound,
    change: UpdateAccountRequest,
) -> Result<Account, Fault> {
    let answer = identity.update_account(caller.request(change)).await?;
    Ok(answer.into_inner().account.unwrap())
}

fn disabled(id: &str, disabled: bool) -> UpdateAccountRequest {
    UpdateAccountRequest {
        id: id.into(),
        disabled: Some(disabled),
        ..UpdateAccountRequest::default()
    }
}

fn role(id: &str, role: Role) -> UpdateAccountRequest {
    UpdateAccountRequest {
        id: id.into(),
        role: role.into(),
        ..UpdateAccountRequest::default()
    }
}

/// All accounts: name, id and role.
async fn accounts(setup: &Setup) -> Vec<(String, String, Role)> {
    let request = setup.admin.request(ListAccountsRequest::default());
    let found = identity(setup, 1).list_accounts(request).await.unwrap();
    let accounts = found.into_inner().accounts.into_iter();
    let users = accounts.map(|account| account.user.unwrap());
    users
        .map(|user| (user.username.clone(), user.id.clone(), user.role()))
        .collect()
}

async fn id_of(setup: &Setup, name: &str) -> String {
    let all = accounts(setup).await;
    let found = all.into_iter().find(|(username, ..)| username == name);
    found.unwrap().1
}

pub(super) async fn of_two_admins_who_demote_each_other_one_stays(setup: Setup) {
    let create = CreateAccountRequest {
        username: "second".into(),
        email: "second@example.com".into(),
        password: PASSWORD.into(),
        role: Role::Admin.into(),
        invite: false,
    };
    let mut first = identity(&setup, 0);
    let created = first.create_account(setup.admin.request(create)).await;
    created.unwrap();
    let second = login(&setup, "second").await;
    let second = Outbound::with_token(second.token);
    let ids = [id_of(&setup, "admin").await, id_of(&setup, "second").await];
    let callers = [second, setup.admin.clone()];
    let demotions = (0..2).map(|n| {
        let change = role(&ids[n], Role::Developer);
        update(identity(&setup, n), callers[n].clone(), change)
    });
    let (done, refused): (Vec<_>, Vec<_>) = race(demotions.collect())
        .await
        .into_iter()
        .partition(Result::is_ok);
    assert_eq!((done.len(), refused.len()), (1, 1));
    let refused = refused.into_iter().map(Result::unwrap_err).next().unwrap();
    // The one whose own role was changed before the request arrived is no admin any more.
    let codes = ["LAST_ADMIN", "SESSION_ENDED"];
    assert!(codes.contains(&&*refused.code), "{refused:?}");
    let demoted = done.into_iter().map(Result::unwrap).next().unwrap();
    let demoted = demoted.user.unwrap().username;
    let stays = ["admin", "second"]
        .into_iter()
        .find(|name| *name != demoted);
    let stays = login(&setup, stays.unwrap()).await;
    let caller = Outbound::with_token(stays.token);
    let own = stays.user.unwrap().id;
    for change in [role(&own, Role::Developer), disabled(&own, true)] {
        let refused = update(identity(&setup, 0), caller.clone(), change).await;
        assert_eq!(refused.unwrap_err().code, "LAST_ADMIN");
    }
}

pub(super) async fn a_sign_in_while_the_account_is_disabled_leaves_no_session(setup: Setup) {
    let ada = id_of(&setup, "ada").await;
    for _ in 0..5 {
        let disable = update(
            identity(&setup, 0),
            setup.admin.clone(),
            disabled(&ada, true),
        );
        let (done, session) = tokio::join!(disable, try_login(&setup, PASSWORD));
        done.unwrap();
        if let Some(session) = session {
            let refused = refresh(identity(&setup, 1), session.refresh_token).await;
            assert_eq!(refused.unwrap_err().code, "SESSION_ENDED");
        }
        assert!(try_login(&setup, PASSWORD).await.is_none());
        let enable = disabled(&ada, false);
        let enabled = update(identity(&setup, 1), setup.admin.clone(), enable).await;
        enabled.unwrap();
        assert!(try_login(&setup, PASSWORD).await.is_some());
    }
}

pub(super) async fn a_repeated_creation_makes_one_account(setup: Setup) {
    let create = CreateAccountRequest {
        username: "carol".into(),
        email: "carol@example.com".into(),
        password: PASSWORD.into(),
        role: Role::Unspecified.into(),
        invite: false,
    };
    let admin = Outbound {
        idempotency_key: Some("the-same".into()),
        ..setup.admin.clone()
    };
    let creations = (0..8).map(|n| {
        let mut identity = identity(&setup, n % 2);
        let request = admin.request(create.clone());
        async move { identity.create_account(request).await }
    });
    let created = race(creations.collect()).await;
    let ids: Vec<_> = created
        .into_iter()
        .map(|created| created.unwrap().into_inner().account.unwrap())
        .map(|account| account.user.unwrap().id)
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

/// The file of the embedded mode has one owner, so this is for the database of replicas only.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_at_one_replica_ends_tokens_at_the_other_within_two_seconds() {
    let Some(scratch) = Scratch::database().await else {
        return;
    };
    let setup = Setup::new(Backend::Mongo(scratch)).await;
    let ada = id_of(&setup, "ada").await;
    for (change, undo) in [
        (role(&ada, Role::Admin), role(&ada, Role::Developer)),
        (disabled(&ada, true), disabled(&ada, false)),
    ] {
        let session = login(&setup, "ada").await;
        me(&setup, 1, &session.token).await.unwrap();
        let begun = Instant::now();
        update(identity(&setup, 0), setup.admin.clone(), change)
            .await
            .unwrap();
        loop {
            let request = Outbound::with_token(session.token.clone()).request(GetMeRequest {});
            match identity(&setup, 1).get_me(request).await {
                Ok(_) => assert!(
                    begun.elapsed() < Duration::from_secs(2),
                    "it is still accepted"
                ),
                Err(status) => {
                    assert_eq!(Fault::from(status).code, "SESSION_ENDED");
                    break;
                }
            }
        }
        let request = RefreshSessionRequest {
            refresh_token: session.refresh_token,
        };
        let refused = identity(&setup, 1).refresh_session(request).await;
        assert_eq!(Fault::from(refused.unwrap_err()).code, "SESSION_ENDED");
        update(identity(&setup, 0), setup.admin.clone(), undo)
            .await
            .unwrap();
    }
}
