//! Sessions that are refreshed and ended at two replicas.

use std::time::{Duration, Instant};

use slipway_mongo::testing::Scratch;
use slipway_proto::identity::v1::{
    ChangePasswordRequest, CreateTokenRequest, CreateTokenResponse, ExchangeTokenRequest,
    GetMeRequest, ListTokensRequest, LoginRequest, LogoutRequest, RefreshSessionRequest,
    RevokeTokenRequest, Session, TokenScope, identity_service_client::IdentityServiceClient,
};
use slipway_rpc::{
    error::Fault,
    grpc::{Link, Outbound},
};

use crate::harness::{Backend, PASSWORD, Setup, race};

pub(super) fn identity(setup: &Setup, n: usize) -> IdentityServiceClient<Link> {
    IdentityServiceClient::new(setup.instances[n].clone())
}

pub(super) async fn login(setup: &Setup, name: &str) -> Session {
    let login = LoginRequest {
        login: name.into(),
        password: PASSWORD.into(),
    };
    let answer = identity(setup, 0).login(login).await.unwrap();
    answer.into_inner().session.unwrap()
}

pub(super) async fn refresh(
    mut identity: IdentityServiceClient<Link>,
    refresh_token: String,
) -> Result<Session, Fault> {
    let request = RefreshSessionRequest { refresh_token };
    let answer = identity.refresh_session(request).await?.into_inner();
    Ok(answer.session.unwrap())
}

pub(super) async fn me(setup: &Setup, n: usize, token: &str) -> Result<(), Fault> {
    let request = Outbound::with_token(token.to_owned()).request(GetMeRequest {});
    identity(setup, n).get_me(request).await?;
    Ok(())
}

pub(super) async fn of_two_refreshes_at_once_one_succeeds(setup: Setup) {
    let session = login(&setup, "ada").await;
    let racers = (0..2).map(|n| refresh(identity(&setup, n), session.refresh_token.clone()));
    let (won, lost): (Vec<_>, Vec<_>) = race(racers.collect())
        .await
        .into_iter()
        .partition(Result::is_ok);
    let won: Vec<_> = won.into_iter().map(Result::unwrap).collect();
    assert_eq!((won.len(), lost.len()), (1, 1));
    let lost = lost.into_iter().map(Result::unwrap_err).next();
    assert_eq!(lost.unwrap().code, "REFRESH_SUPERSEDED");
    // The session goes on with the tokens of the winner.
    me(&setup, 0, &won[0].token).await.unwrap();
    let next = refresh(identity(&setup, 1), won[0].refresh_token.clone()).await;
    assert_eq!(next.unwrap().session_id, session.session_id);
}

pub(super) async fn an_old_refresh_token_ends_the_session(setup: Setup) {
    let first = login(&setup, "ada").await;
    let second = refresh(identity(&setup, 0), first.refresh_token.clone())
        .await
        .unwrap();
    let third = refresh(identity(&setup, 1), second.refresh_token)
        .await
        .unwrap();
    let reused = refresh(identity(&setup, 0), first.refresh_token).await;
    assert_eq!(reused.unwrap_err().code, "REFRESH_REUSED");
    let refused = me(&setup, 0, &third.token).await;
    assert_eq!(refused.unwrap_err().code, "SESSION_ENDED");
    let refused = refresh(identity(&setup, 1), third.refresh_token).await;
    assert_eq!(refused.unwrap_err().code, "SESSION_ENDED");
}

/// Signs in as ada or is refused; a change of the account may be decided between its steps.
pub(super) async fn try_login(setup: &Setup, password: &str) -> Option<Session> {
    let login = LoginRequest {
        login: "ada".into(),
        password: password.into(),
    };
    let answer = identity(setup, 1).login(login).await;
    answer.ok()?.into_inner().session
}

pub(super) async fn a_sign_in_during_a_change_of_password_leaves_no_session(setup: Setup) {
    let mut current = PASSWORD.to_owned();
    for round in 0..5 {
        let next = format!("a password of round {round}");
        let change = ChangePasswordRequest {
            current_password: current.clone(),
            new_password: next.clone(),
        };
        let mut owner = identity(&setup, 0);
        let fresh = try_login(&setup, &current).await.unwrap();
        let change = Outbound::with_token(fresh.token).request(change);
        let (changed, session) =
            tokio::join!(owner.change_password(change), try_login(&setup, &current));
        changed.unwrap();
        if let Some(session) = session {
            let refused = refresh(identity(&setup, 1), session.refresh_token).await;
            assert_eq!(refused.unwrap_err().code, "SESSION_ENDED");
        }
        assert!(try_login(&setup, &current).await.is_none());
        current = next;
    }
}

async fn create_token(
    mut identity: IdentityServiceClient<Link>,
    owner: String,
    name: String,
) -> Result<CreateTokenResponse, Fault> {
    let request = CreateTokenRequest {
        name,
        scope: TokenScope::Read.into(),
        expires_at: None,
    };
    let request = Outbound::with_token(owner).request(request);
    Ok(identity.create_token(request).await?.into_inner())
}

pub(super) async fn an_account_has_never_more_than_fifty_tokens(setup: Setup) {
    let owner = login(&setup, "ada").await.token;
    for n in 0..46 {
        let created = create_token(identity(&setup, 0), owner.clone(), format!("t-{n}"));
        created.await.unwrap();
    }
    let racers =
        (0..8).map(|n| create_token(identity(&setup, n % 2), owner.clone(), format!("r-{n}")));
    let created = race(racers.collect()).await;
    assert_eq!(created.iter().filter(|created| created.is_ok()).count(), 4);
    for refused in created.into_iter().filter_map(Result::err) {
        assert_eq!(refused.code, "TOO_MANY_TOKENS");
    }
    let list = ListTokensRequest {
        page_size: 200,
        ..ListTokensRequest::default()
    };
    let list = Outbound::with_token(owner).request(list);
    let listed = identity(&setup, 1).list_tokens(list).await.unwrap();
    assert_eq!(listed.into_inner().tokens.len(), 50);
}

pub(super) async fn a_token_created_during_a_logout_is_answered_only_if_it_counts(setup: Setup) {
    let owner = login(&setup, "ada").await.token;
    for round in 0..5 {
        let session = login(&setup, "ada").await.token;
        let logout = Outbound::with_token(session.clone()).request(LogoutRequest {});
        let mut here = identity(&setup, 0);
        let (ended, created) = tokio::join!(
            here.logout(logout),
            create_token(identity(&setup, 1), session, format!("r-{round}")),
        );
        ended.unwrap();
        let list = Outbound::with_token(owner.clone()).request(ListTokensRequest::default());
        let listed = identity(&setup, 1).list_tokens(list).await.unwrap();
        let names = listed.into_inner().tokens;
        let is_listed = names.iter().any(|token| token.name == format!("r-{round}"));
        assert_eq!(is_listed, created.is_ok());
    }
}

/// The file of the embedded mode has one owner, so this is for the database of replicas only.
#[tokio::test(flavor = "multi_thread")]
async fn a_logout_at_one_replica_is_refused_at_the_other_within_two_seconds() {
    let Some(scratch) = Scratch::database().await else {
        return;
    };
    let setup = Setup::new(Backend::Mongo(scratch)).await;
    let session = login(&setup, "ada").await;
    me(&setup, 1, &session.token).await.unwrap();
    let logout = Outbound::with_token(session.token.clone()).request(LogoutRequest {});
    let begun = Instant::now();
    identity(&setup, 0).logout(logout).await.unwrap();
    loop {
        match me(&setup, 1, &session.token).await {
            Ok(()) => assert!(
                begun.elapsed() < Duration::from_secs(2),
                "it is still accepted"
            ),
            Err(fault) => {
                assert_eq!(fault.code, "SESSION_ENDED");
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_revoked_at_one_replica_is_refused_at_the_other_within_two_seconds() {
    let Some(scratch) = Scratch::database().await else {
        return;
    };
    let setup = Setup::new(Backend::Mongo(scratch)).await;
    let owner = login(&setup, "ada").await.token;
    let created = create_token(identity(&setup, 0), owner.clone(), "a".to_owned());
    let created = created.await.unwrap();
    let exchange = ExchangeTokenRequest {
        secret: created.secret,
    };
    let exchanged = identity(&setup, 1).exchange_token(exchange.clone()).await;
    let token = exchanged.unwrap().into_inner().token;
    me(&setup, 1, &token).await.unwrap();
    let revoke = RevokeTokenRequest {
        token_id: created.token.unwrap().id,
    };
    let begun = Instant::now();
    let revoke = Outbound::with_token(owner).request(revoke);
    identity(&setup, 0).revoke_token(revoke).await.unwrap();
    loop {
        match me(&setup, 1, &token).await {
            Ok(()) => assert!(
                begun.elapsed() < Duration::from_secs(2),
                "it is still accepted"
            ),
            Err(fault) => {
                assert_eq!(fault.code, "TOKEN_REVOKED");
                break;
            }
        }
    }
    let refused = identity(&setup, 1).exchange_token(exchange).await;
    let refused = Fault::from(refused.unwrap_err());
    assert_eq!(refused.code, "TOKEN_REVOKED");
}
