//! Links in mails at two replicas: who attacks with them, and what happens at the same time.

use std::time::{Duration, Instant};

use slipway_bus::Event;
use slipway_proto::{
    events::{ADMIN, EventData},
    identity::v1::{
        AccountState, CreateAccountRequest, CreateTokenRequest, ExchangeTokenRequest,
        GetAccountRequest, IssueLinkSecretRequest, LinkPurpose, ListAccountsRequest, LoginRequest,
        RequestPasswordResetRequest, ResetPasswordRequest, SendAccountLinkRequest, TokenScope,
        UpdateAccountRequest,
    },
};
use slipway_rpc::{error::Fault, grpc::Outbound};
use uuid::Uuid;

use crate::{
    harness::{PASSWORD, Setup, race},
    sessions::{identity, login, me},
};

/// Another password.
const NEXT: &str = "another good one, 42";

/// A link of which the bus has told.
#[derive(Debug, Clone)]
struct Told {
    account: Uuid,
    link: Uuid,
}

/// The link of this account that the bus tells of as the `nth`, from 1 on.
async fn told(setup: &Setup, name: &str, nth: usize) -> Told {
    let topics = [ADMIN.name.to_owned()];
    let group = Uuid::now_v7().to_string();
    let mut subscription = setup.bus.subscribe(&group, &topics).await.unwrap();
    let mut found: Vec<Told> = Vec::new();
    while found.len() < nth {
        for delivery in subscription.next(100).await.unwrap() {
            let event = Event::from_record(&delivery.record).unwrap();
            let (account, link, username) = match event.read().unwrap() {
                EventData::PasswordResetRequested(e) => (e.user_id, e.link_id, e.username),
                EventData::UserInvited(e) => (e.user_id, e.link_id, e.username),
                _ => continue,
            };
            // An event may come twice.
            if username == name && found.iter().all(|known| known.link != link) {
                found.push(Told { account, link });
            }
        }
    }
    found.swap_remove(nth - 1)
}

async fn forgot(setup: &Setup, n: usize, login: &str) -> Result<(), Fault> {
    let request = RequestPasswordResetRequest {
        login: login.to_owned(),
    };
    identity(setup, n).request_password_reset(request).await?;
    Ok(())
}

/// A secret of a link, as the service that mails it gets one.
async fn issue(setup: &Setup, n: usize, told: &Told) -> Result<String, Fault> {
    let request = setup.service().request(IssueLinkSecretRequest {
        account_id: told.account.to_string(),
        link_id: told.link.to_string(),
    });
    let answer = identity(setup, n).issue_link_secret(request).await?;
    Ok(answer.into_inner().secret)
}

/// A new link for an account, and its secret.
async fn asked(setup: &Setup, name: &str, nth: usize) -> (Told, String) {
    forgot(setup, 0, name).await.unwrap();
    let told = told(setup, name, nth).await;
    let secret = issue(setup, 1, &told).await.unwrap();
    (told, secret)
}

async fn reset(setup: &Setup, n: usize, secret: &str, password: &str) -> Result<(), Fault> {
    let request = ResetPasswordRequest {
        secret: secret.to_owned(),
        new_password: password.to_owned(),
        revoke_tokens: false,
    };
    identity(setup, n).reset_password(request).await?;
    Ok(())
}

async fn signs_in(setup: &Setup, name: &str, password: &str) -> bool {
    let login = LoginRequest {
        login: name.to_owned(),
        password: password.to_owned(),
    };
    identity(setup, 1).login(login).await.is_ok()
}

async fn disable(setup: &Setup, account: Uuid, disabled: bool) {
    let request = setup.admin.request(UpdateAccountRequest {
        id: account.to_string(),
        disabled: Some(disabled),
        ..UpdateAccountRequest::default()
    });
    identity(setup, 0).update_account(request).await.unwrap();
}

pub(super) async fn a_link_sets_the_password_once_and_ends_all_sessions(setup: Setup) {
    let session = login(&setup, "ada").await;
    let (told, secret) = asked(&setup, "ada", 1).await;
    let weak = reset(&setup, 0, &secret, "password1").await.unwrap_err();
    assert_eq!(weak.fields[0].field, "new_password");
    reset(&setup, 0, &secret, NEXT).await.unwrap();
    assert!(signs_in(&setup, "ada", NEXT).await && !signs_in(&setup, "ada", PASSWORD).await);
    let ended = me(&setup, 0, &session.token).await.unwrap_err();
    assert_eq!(ended.code, "SESSION_ENDED");
    for secret in [&secret, "", "sll_", "slp_1_2"] {
        let again = reset(&setup, 1, secret, "a third one, 43").await;
        assert_eq!(again.unwrap_err().code, "INVALID_LINK", "{secret}");
    }
    // Nor is there a new secret of it.
    let again = issue(&setup, 0, &told).await;
    assert_eq!(again.unwrap_err().code, "INVALID_LINK");
    assert!(signs_in(&setup, "ada", NEXT).await);
}

pub(super) async fn of_two_resets_with_one_link_at_once_one_sets_the_password(setup: Setup) {
    let (_, secret) = asked(&setup, "ada", 1).await;
    let passwords = [NEXT, "a third good one, 43"];
    let racers = (0..2).map(|n| {
        let mut identity = identity(&setup, n);
        let request = ResetPasswordRequest {
            secret: secret.clone(),
            new_password: passwords[n].to_owned(),
            revoke_tokens: false,
        };
        async move { identity.reset_password(request).await.map_err(Fault::from) }
    });
    let (won, lost): (Vec<_>, Vec<_>) = race(racers.collect())
        .await
        .into_iter()
        .partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 1));
    let lost = lost.into_iter().map(Result::unwrap_err).next();
    assert_eq!(lost.unwrap().code, "INVALID_LINK");
    let valid = [
        signs_in(&setup, "ada", passwords[0]).await,
        signs_in(&setup, "ada", passwords[1]).await,
    ];
    assert_eq!(valid.iter().filter(|valid| **valid).count(), 1);
}

pub(super) async fn a_link_is_void_after_a_newer_one_and_when_the_account_is_disabled(
    setup: Setup,
) {
    let (first, old) = asked(&setup, "ada", 1).await;
    let (second, new) = asked(&setup, "ada", 2).await;
    let refused = reset(&setup, 0, &old, NEXT).await.unwrap_err();
    assert_eq!(refused.code, "INVALID_LINK");
    let refused = issue(&setup, 0, &first).await.unwrap_err();
    assert_eq!(refused.code, "INVALID_LINK");
    // Of the attempts to mail the newer one, each has a secret that is valid.
    let another = issue(&setup, 0, &second).await.unwrap();
    assert_ne!(another, new);

    disable(&setup, second.account, true).await;
    for secret in [&new, &another] {
        let refused = reset(&setup, 1, secret, NEXT).await.unwrap_err();
        assert_eq!(refused.code, "INVALID_LINK");
    }
    // The answer does not tell that it is disabled, and no mail is sent.
    forgot(&setup, 0, "ada").await.unwrap();
    disable(&setup, second.account, false).await;
    let refused = reset(&setup, 1, &new, NEXT).await.unwrap_err();
    assert_eq!(refused.code, "INVALID_LINK");
    let (third, secret) = asked(&setup, "ada", 3).await;
    assert_ne!(third.link, second.link);
    reset(&setup, 0, &secret, NEXT).await.unwrap();
}

pub(super) async fn a_secret_is_of_no_other_account(setup: Setup) {
    let (ada, secret) = asked(&setup, "ada", 1).await;
    let (bob, _) = asked(&setup, "bob", 1).await;
    let id = |told: &Told| told.account.simple().to_string();
    let forged = secret.replace(&id(&ada), &id(&bob));
    assert_ne!(forged, secret);
    let refused = reset(&setup, 0, &forged, NEXT).await.unwrap_err();
    assert_eq!(refused.code, "INVALID_LINK");
    let mixed = Told {
        account: bob.account,
        ..ada.clone()
    };
    let refused = issue(&setup, 0, &mixed).await.unwrap_err();
    assert_eq!(refused.code, "INVALID_LINK");
    assert!(signs_in(&setup, "bob", PASSWORD).await);
}

pub(super) async fn only_a_service_gets_a_secret(setup: Setup) {
    forgot(&setup, 0, "admin").await.unwrap();
    let told = told(&setup, "admin", 1).await;
    for (caller, code) in [
        (Outbound::default(), "UNAUTHENTICATED"),
        (setup.developer.clone(), "FORBIDDEN"),
        (setup.admin.clone(), "FORBIDDEN"),
    ] {
        let request = caller.request(IssueLinkSecretRequest {
            account_id: told.account.to_string(),
            link_id: told.link.to_string(),
        });
        let refused = identity(&setup, 0).issue_link_secret(request).await;
        assert_eq!(Fault::from(refused.unwrap_err()).code, code);
    }
}

pub(super) async fn the_answer_does_not_tell_who_has_an_account(setup: Setup) {
    for login in ["ada", "ada@example.com", "nobody", "nobody@example.com"] {
        let begun = Instant::now();
        forgot(&setup, 0, login).await.unwrap();
        // All take the time that is longer than the work.
        assert!(begun.elapsed() >= Duration::from_millis(500), "{login}");
    }
    // An account is not flooded, and nobody learns that it would be.
    for _ in 0..6 {
        forgot(&setup, 1, "bob").await.unwrap();
    }
    let request = setup.admin.request(SendAccountLinkRequest {
        account_id: account(&setup, "bob").await,
        purpose: LinkPurpose::ResetPassword.into(),
    });
    identity(&setup, 0)
        .send_account_link(request)
        .await
        .unwrap();
    // After the five for bob comes the one of the admin: it is the only one that is valid.
    let last = told(&setup, "bob", 6).await;
    issue(&setup, 1, &last).await.unwrap();
    told(&setup, "ada", 2).await;
}

async fn account(setup: &Setup, name: &str) -> String {
    let request = setup.admin.request(ListAccountsRequest {
        query: name.to_owned(),
        ..ListAccountsRequest::default()
    });
    let found = identity(setup, 0).list_accounts(request).await.unwrap();
    let mut found = found.into_inner().accounts;
    found.pop().unwrap().user.unwrap().id
}

pub(super) async fn tokens_for_programs_stay_unless_they_are_to_go(setup: Setup) {
    let create = setup.developer.request(CreateTokenRequest {
        name: "build".into(),
        scope: TokenScope::Read.into(),
        expires_at: None,
    });
    let token = identity(&setup, 0).create_token(create).await.unwrap();
    let token = token.into_inner().secret;
    let exchange = |n: usize| {
        let (mut identity, secret) = (identity(&setup, n), token.clone());
        async move {
            identity
                .exchange_token(ExchangeTokenRequest { secret })
                .await
        }
    };
    let (_, secret) = asked(&setup, "ada", 1).await;
    reset(&setup, 0, &secret, NEXT).await.unwrap();
    exchange(1).await.unwrap();
    let (_, secret) = asked(&setup, "ada", 2).await;
    let request = ResetPasswordRequest {
        secret,
        new_password: "a third good one, 43".into(),
        revoke_tokens: true,
    };
    identity(&setup, 0).reset_password(request).await.unwrap();
    let refused = Fault::from(exchange(1).await.unwrap_err());
    assert_eq!(refused.code, "TOKEN_REVOKED");
}

pub(super) async fn an_invited_account_gets_its_password_by_the_link(setup: Setup) {
    let invite = CreateAccountRequest {
        username: "carol".into(),
        email: "carol@example.com".into(),
        invite: true,
        ..CreateAccountRequest::default()
    };
    let with_password = setup.admin.request(CreateAccountRequest {
        password: PASSWORD.into(),
        ..invite.clone()
    });
    let refused = identity(&setup, 0).create_account(with_password).await;
    let refused = Fault::from(refused.unwrap_err());
    assert_eq!(refused.fields[0].field, "password");
    let created = identity(&setup, 0)
        .create_account(setup.admin.request(invite))
        .await
        .unwrap();
    let carol = created.into_inner().account.unwrap();
    assert_eq!(carol.state(), AccountState::Invited);
    let id = carol.user.unwrap().id;
    let first = told(&setup, "carol", 1).await;
    let lost = issue(&setup, 0, &first).await.unwrap();
    assert!(!signs_in(&setup, "carol", "").await && !signs_in(&setup, "carol", PASSWORD).await);

    let again = |account_id: String| {
        setup.admin.request(SendAccountLinkRequest {
            account_id,
            purpose: LinkPurpose::Invitation.into(),
        })
    };
    identity(&setup, 1)
        .send_account_link(again(id.clone()))
        .await
        .unwrap();
    let second = told(&setup, "carol", 2).await;
    let secret = issue(&setup, 1, &second).await.unwrap();
    let refused = reset(&setup, 0, &lost, NEXT).await.unwrap_err();
    assert_eq!(refused.code, "INVALID_LINK");
    reset(&setup, 0, &secret, NEXT).await.unwrap();
    assert!(signs_in(&setup, "carol", NEXT).await);
    let request = setup.admin.request(GetAccountRequest { id: id.clone() });
    let carol = identity(&setup, 0).get_account(request).await.unwrap();
    let carol = carol.into_inner().account.unwrap();
    assert_eq!(carol.state(), AccountState::Active);
    let refused = identity(&setup, 1).send_account_link(again(id)).await;
    assert_eq!(Fault::from(refused.unwrap_err()).code, "NOT_INVITED");
}
