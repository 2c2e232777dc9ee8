//! Sign-in with an OpenID Connect provider.

pub(crate) mod fake;
mod keycloak;
mod lies;
mod passwords;

use std::collections::BTreeMap;

use anyhow::ensure;
use form_urlencoded::Serializer;
use reqwest::Method;
use serde_json::{Value, json};
use slipway_tests::{ADMIN_PASSWORD, Answer, Client, Options, PlainBrowser, Process, until};

use self::fake::Fake;
use crate::mail::files;

/// What the gateway calls the cookie of a sign-in, and that of a session.
const SIGN_IN: &str = "slipway_sign_in";
const SESSION: &str = "slipway_session";

/// A process that signs in with this provider, which decides about roles.
async fn start(provider: &Fake) -> anyhow::Result<Process> {
    let options = provider
        .options()
        .env("SLIPWAY_OIDC_ROLE_CLAIM", "realm_access.roles")
        .env("SLIPWAY_OIDC_ADMIN_ROLE", "chief,slipway-admin");
    Process::start_with(&options).await
}

fn ada() -> Value {
    json!({
        "sub": "1", "preferred_username": "ada", "email": "ada@example.com", "email_verified": true,
    })
}

fn callback(parameters: &BTreeMap<String, String>) -> String {
    let query = Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    format!("/auth/oidc/callback?{query}")
}

/// A browser that has come back from the provider, with what it brings.
async fn at_the_provider(
    server: &Process,
    provider: &Fake,
) -> anyhow::Result<(PlainBrowser, BTreeMap<String, String>)> {
    let mut browser = PlainBrowser::new(&server.http);
    let begun = browser.open("/auth/oidc/start").await?;
    assert_eq!(begun.status, 303, "{}", begun.text);
    let back = provider.sign_in(begun.header("location"));
    Ok((browser, back))
}

/// The whole sign-in in a new browser.
async fn sign_in(server: &Process, provider: &Fake) -> anyhow::Result<(PlainBrowser, Answer)> {
    let (mut browser, back) = at_the_provider(server, provider).await?;
    let answer = browser.open(&callback(&back)).await?;
    Ok((browser, answer))
}

/// Somebody signs in with the provider, and begins to do it once more.
pub(crate) async fn somebody_signs_in(server: &Process, provider: &Fake) -> anyhow::Result<()> {
    provider.knows(ada());
    let (_, answer) = sign_in(server, provider).await?;
    ensure!(answer.status == 303, "{}", answer.text);
    at_the_provider(server, provider).await?;
    Ok(())
}

/// Everything about the accounts that admins see.
async fn accounts(admin: &Client) -> anyhow::Result<Vec<Value>> {
    let page = admin.get("/admin/users?limit=200").await?.expect(200);
    Ok(page["items"].as_array().unwrap().clone())
}

async fn account(admin: &Client, username: &str) -> anyhow::Result<Value> {
    let mut found = accounts(admin).await?;
    found.retain(|account| account["username"] == username);
    assert_eq!(found.len(), 1, "{username}");
    Ok(found.remove(0))
}

/// Changes an account.
async fn change(admin: &Client, username: &str, change: &Value) -> anyhow::Result<()> {
    let account = account(admin, username).await?;
    let path = format!("/admin/users/{}", account["id"].as_str().unwrap());
    let request = admin.request(Method::PATCH, &path).json(change);
    admin.send(request).await?.expect(200);
    Ok(())
}

#[track_caller]
fn refused(answer: &Answer, status: u16, sentence: &str) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert!(answer.text.contains(sentence), "{}", answer.text);
    let kind = answer.header("content-type");
    assert!(kind.starts_with("text/html"), "{kind}");
    assert!(!answer.header("set-cookie").contains(SESSION));
}

#[tokio::test]
async fn somebody_signs_in_with_the_provider() -> anyhow::Result<()> {
    let provider = Fake::start().await?;
    let server = start(&provider).await?;
    provider.knows(ada());
    let mut browser = PlainBrowser::new(&server.http);
    let page = until(async || {
        let page = browser
            .open("/sign-in?next=%2Freleases%3Fstatus%3Dopen")
            .await?;
        let is_offered = page.text.contains("Sign in with <bdi>The Guild</bdi>");
        ensure!(is_offered, "{}", page.text);
        Ok(page)
    })
    .await?;
    let link = "/auth/oidc/start?next=%2Freleases%3Fstatus%3Dopen";
    assert!(page.text.contains(link), "{}", page.text);

    let begun = browser.open(link).await?;
    assert_eq!(begun.status, 303);
    let cookie = begun.header("set-cookie");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"] {
        // The last second may have passed.
        let attribute = attribute.trim_end_matches("600");
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert_eq!(begun.header("cache-control"), "no-store");
    let secret = browser.cookie(SIGN_IN).unwrap();
    assert!(!begun.header("location").contains(secret));
    let back = provider.sign_in(begun.header("location"));
    let signed_in = browser.open(&callback(&back)).await?;
    assert_eq!(
        (signed_in.status, signed_in.header("location")),
        (303, "/releases?status=open"),
        "{}",
        signed_in.text
    );
    assert!(browser.cookie(SESSION).is_some() && browser.cookie(SIGN_IN).is_none());
    let profile = browser.open("/profile").await?;
    assert!(profile.text.contains("ada@example.com") && profile.text.contains("Developer"));

    // The next time it is the same account, whatever else has changed at the provider.
    provider.knows(json!({"sub": "1", "preferred_username": "eve", "email": "eve@example.com"}));
    let (mut other, _) = sign_in(&server, &provider).await?;
    let profile = other.open("/profile").await?;
    assert!(profile.text.contains("ada@example.com"), "{}", profile.text);
    let admin = server.admin().await?;
    assert_eq!(accounts(&admin).await?.len(), 2);

    // Its owner has no password.
    let login = json!({"username": "ada", "password": ""});
    let refused = server.client().post("/auth/login", &login).await?;
    refused.refused(401, "INVALID_CREDENTIALS");
    let change = [
        ("back", "/profile"),
        ("current", ""),
        ("new", "correct horse battery"),
    ];
    let refused = other.send("/ui/password", &change).await?;
    assert_eq!(refused.status, 409);
    assert!(
        refused
            .text
            .contains("This account signs in without a password")
    );
    Ok(())
}

#[tokio::test]
async fn the_role_is_that_of_the_claim_at_every_sign_in() -> anyhow::Result<()> {
    let provider = Fake::start().await?;
    let server = start(&provider).await?;
    let admin = server.admin().await?;
    provider.knows(ada());
    let (mut first, _) = sign_in(&server, &provider).await?;
    assert_eq!(account(&admin, "ada").await?["role"], "DEVELOPER");

    let with = |roles: Value| {
        let mut user = ada();
        user["realm_access"] = json!({"roles": roles});
        user
    };
    provider.knows(with(json!(["other", "chief"])));
    let (mut second, _) = sign_in(&server, &provider).await?;
    assert_eq!(account(&admin, "ada").await?["role"], "ADMIN");
    assert_eq!(second.open("/admin/users").await?.status, 200);
    // The session with the old role has ended.
    until(async || {
        ensure!(first.open("/profile").await?.status == 303);
        Ok(())
    })
    .await?;

    provider.knows(with(json!([])));
    let (mut third, _) = sign_in(&server, &provider).await?;
    assert_eq!(account(&admin, "ada").await?["role"], "DEVELOPER");
    assert_eq!(third.open("/profile").await?.status, 200);

    // The last admin who can sign in stays one.
    provider.knows(with(json!(["chief"])));
    sign_in(&server, &provider).await?;
    change(&admin, "admin", &json!({"role": "DEVELOPER"})).await?;
    provider.knows(with(json!([])));
    let (mut last, _) = sign_in(&server, &provider).await?;
    assert_eq!(last.open("/admin/users").await?.status, 200);
    assert!(
        server
            .log()
            .contains("the last admin who can sign in stays an admin")
    );
    Ok(())
}

#[tokio::test]
async fn accounts_are_linked_by_the_subject_and_never_by_name_or_address() -> anyhow::Result<()> {
    let provider = Fake::start().await?;
    let server = start(&provider).await?;
    let admin = server.admin().await?;
    let register = |name: &str| {
        let email = format!("{name}@example.com");
        json!({"username": name, "email": email, "password": "correct horse battery"})
    };
    let grace = server
        .client()
        .post("/auth/register", &register("grace"))
        .await?;
    grace.expect(201);
    let before = accounts(&admin).await?;

    // Neither a verified address nor one that is not.
    for is_verified in [true, false] {
        provider.knows(json!({
            "sub": "2", "preferred_username": "mallory", "email": "Grace@Example.com",
            "email_verified": is_verified,
        }));
        let (browser, answer) = sign_in(&server, &provider).await?;
        refused(&answer, 409, "Another account has your email address");
        assert!(browser.cookie(SESSION).is_none());
    }
    for email in [Value::Null, json!("grace")] {
        provider.knows(json!({"sub": "2", "preferred_username": "mallory", "email": email}));
        let (_, answer) = sign_in(&server, &provider).await?;
        refused(&answer, 403, "names no email address");
    }
    assert_eq!(accounts(&admin).await?, before);

    // A name that somebody has, and one of Slipway's own.
    for (subject, name, expected) in [("3", "grace", "grace-2"), ("4", "system", "system-2")] {
        let email = format!("{subject}@example.com");
        provider.knows(json!({"sub": subject, "preferred_username": name, "email": email}));
        let (_, answer) = sign_in(&server, &provider).await?;
        assert_eq!(answer.status, 303, "{}", answer.text);
        assert_eq!(account(&admin, expected).await?["email"], email);
    }

    // Claims that only the address for user information has.
    provider.knows(json!({"sub": "5"}));
    provider.knows_elsewhere(json!({"preferred_username": "lin", "email": "lin@example.com"}));
    sign_in(&server, &provider).await?;
    assert_eq!(account(&admin, "lin").await?["email"], "lin@example.com");

    // A disabled account stays out.
    change(&admin, "lin", &json!({"disabled": true})).await?;
    let (browser, answer) = sign_in(&server, &provider).await?;
    refused(&answer, 403, "This account is disabled");
    assert!(browser.cookie(SESSION).is_none());
    Ok(())
}

#[tokio::test]
async fn two_first_sign_ins_of_one_user_at_once_make_one_account() -> anyhow::Result<()> {
    let provider = Fake::start().await?;
    let server = start(&provider).await?;
    let admin = server.admin().await?;
    provider.knows(ada());
    let mut browsers = Vec::new();
    for _ in 0..6 {
        browsers.push(at_the_provider(&server, &provider).await?);
    }
    let signed_in = browsers.iter_mut().map(async |(browser, back)| {
        let answer = browser.open(&callback(back)).await?;
        assert_eq!(answer.status, 303, "{}", answer.text);
        browser.open("/profile").await
    });
    for profile in futures::future::try_join_all(signed_in).await? {
        assert!(profile.text.contains("ada@example.com"), "{}", profile.text);
    }
    assert_eq!(accounts(&admin).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_sign_in_goes_on_at_another_gateway_and_after_a_restart() -> anyhow::Result<()> {
    let provider = Fake::start().await?;
    // Where browsers reach the gateways, through what balances their load.
    let options = provider
        .options()
        .of_the_mesh()
        .env("SLIPWAY_PUBLIC_URL", "http://slipway.localhost");
    let server = Process::start_with(&options).await?;
    provider.knows(ada());
    let (browser, back) = at_the_provider(&server, &provider).await?;
    let server = Process::start_on(server.kill().await?, &options).await?;
    let gateway = Options::default()
        .of_the_mesh()
        .gateway(&server.grpc)
        .env("SLIPWAY_PUBLIC_URL", "http://slipway.localhost");
    let gateway = Process::start_with(&gateway).await?;
    let mut browser = browser.at(&gateway.http);
    let answer = browser.open(&callback(&back)).await?;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, "/"),
        "{}",
        answer.text
    );
    assert_eq!(browser.open("/profile").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn while_the_provider_is_away_the_page_says_so_and_everything_else_works()
-> anyhow::Result<()> {
    let provider = Fake::start().await?;
    provider.is_away(true);
    let server = start(&provider).await?;
    let mut browser = PlainBrowser::new(&server.http);
    until(async || {
        let page = browser.open("/sign-in").await?;
        let is_told = page
            .text
            .contains("<bdi>The Guild</bdi> cannot be reached at the moment");
        ensure!(is_told, "{}", page.text);
        Ok(())
    })
    .await?;
    let refused_page = browser.open("/auth/oidc/start").await?;
    refused(
        &refused_page,
        503,
        "The Guild cannot be reached at the moment",
    );
    assert!(!refused_page.header("retry-after").is_empty());
    let ready = Client::new(&server.ops).get("/readyz").await?;
    let told = ready.expect(200).to_string();
    assert!(told.contains("identity-provider"), "{told}");
    server.admin().await?;

    // It comes back without a restart.
    provider.is_away(false);
    provider.knows(ada());
    let begun = until(async || {
        let begun = browser.open("/auth/oidc/start").await?;
        ensure!(begun.status == 303, "{}", begun.text);
        Ok(begun)
    })
    .await?;
    // And goes away while the user is there.
    let back = provider.sign_in(begun.header("location"));
    provider.is_away(true);
    let answer = browser.open(&callback(&back)).await?;
    refused(&answer, 503, "The Guild cannot be reached at the moment");
    Ok(())
}

#[tokio::test]
async fn the_address_follows_a_verified_one_of_the_provider_and_is_changed_there()
-> anyhow::Result<()> {
    let provider = Fake::start().await?;
    let server = start(&provider).await?;
    let admin = server.admin().await?;
    let mut user = ada();
    user["name"] = json!("Ada Lovelace");
    provider.knows(user);
    let (mut browser, _) = sign_in(&server, &provider).await?;
    let profile = browser.open("/profile").await?.text;
    for shown in [
        "Your email address comes from <bdi>The Guild</bdi>",
        "Ada Lovelace",
    ] {
        assert!(profile.contains(shown), "{profile}");
    }
    for form in ["/ui/profile/email", "/ui/password"] {
        assert!(!profile.contains(form), "{profile}");
    }
    // Nor does the page for admins offer a link to set a password.
    let mut chief = PlainBrowser::new(&server.http);
    chief.sign_in("admin", ADMIN_PASSWORD).await?;
    let page = chief.open("/admin/users?q=ada").await?.text;
    assert!(page.contains("ada@example.com"), "{page}");
    assert!(!page.contains("Mail a link"), "{page}");
    let form = [
        ("back", "/profile"),
        ("email", "ada@other.example"),
        ("current", "x"),
    ];
    let answer = browser.send("/ui/profile/email", &form).await?;
    refused(&answer, 409, "comes from the identity provider");
    // It did not count as a failed sign-in, whatever was given as the password.
    assert!(!server.log().contains("sign-in failed"));

    let with = |email: &str, is_verified: Value| json!({"sub": "1", "email": email, "email_verified": is_verified});
    let address = async || anyhow::Ok(account(&admin, "ada").await?["email"].clone());
    for (claims, expected) in [
        (
            with("ada@unverified.example", json!(false)),
            "ada@example.com",
        ),
        (with("Ada@Example.com", json!(true)), "ada@example.com"),
        (with("ada@new.example", json!(true)), "ada@new.example"),
        // Another account has it.
        (with("admin@localhost", json!(true)), "ada@new.example"),
    ] {
        provider.knows(claims.clone());
        let (_, answer) = sign_in(&server, &provider).await?;
        assert_eq!(answer.status, 303, "{}", answer.text);
        assert_eq!(address().await?, expected, "{claims}");
    }
    let log = server.log();
    assert!(log.contains("another account has the one"), "{log}");

    // The former address is told, once; the audit trail has it.
    let subject = "Subject: Your account has another address\r\n";
    until(async || {
        let mails = files(server.data.path());
        let mut told = mails.iter().filter(|mail| mail.contains(subject));
        let mail = told.next();
        ensure!(told.next().is_none(), "it is told twice");
        let is_told = mail.is_some_and(|mail| mail.contains("To: ada@example.com\r\n"));
        ensure!(is_told, "the former address is not told yet");
        Ok(())
    })
    .await?;
    let trail = until(async || {
        let page = admin.get("/admin/audit?type=user.email_changed").await?;
        let items = page.expect(200)["items"].clone();
        ensure!(items[0].is_object(), "{items}");
        Ok(items)
    })
    .await?;
    assert_eq!(trail.as_array().unwrap().len(), 1);
    assert_eq!(
        trail[0]["changes"],
        json!([{"field": "email", "from": "ada@example.com", "to": "ada@new.example"}])
    );
    Ok(())
}

#[tokio::test]
async fn a_sign_in_ends_the_session_that_the_browser_has() -> anyhow::Result<()> {
    let provider = Fake::start().await?;
    let server = start(&provider).await?;
    let admin = server.admin().await?;
    provider.knows(ada());
    let (mut browser, back) = at_the_provider(&server, &provider).await?;
    // Somebody signs in with a password in another tab meanwhile.
    browser.sign_in("admin", ADMIN_PASSWORD).await?;
    let earlier = browser.cookie(SESSION).unwrap().to_owned();
    let browsers = async || {
        let listed = admin.get("/auth/sessions").await?.expect(200);
        let items = listed["items"].as_array().unwrap().clone();
        anyhow::Ok(items.iter().filter(|one| one["kind"] == "BROWSER").count())
    };
    assert_eq!(browsers().await?, 1);
    // An answer that is refused ends nothing.
    let mut wrong = back.clone();
    wrong.insert("state".to_owned(), "another".to_owned());
    let cookie = browser.cookie(SIGN_IN).unwrap().to_owned();
    let request = Client::new(&server.http)
        .request(Method::GET, &callback(&wrong))
        .header("cookie", format!("{SIGN_IN}={cookie}; {SESSION}={earlier}"));
    assert_eq!(request.send().await?.status(), 400);
    assert_eq!(browsers().await?, 1);

    let answer = browser.open(&callback(&back)).await?;
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert_ne!(browser.cookie(SESSION).unwrap(), earlier);
    assert_eq!(browsers().await?, 0);
    Ok(())
}
