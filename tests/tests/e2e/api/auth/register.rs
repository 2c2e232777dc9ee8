//! POST /auth/register.

use anyhow::Context as _;
use futures::future::try_join_all;
use serde_json::{Value, json};
use slipway_tests::{Answer, Client, Options, PlainBrowser, Process, team::PASSWORD};

use crate::api::{invalid, members, start};

fn account(username: &str, email: &str) -> Value {
    json!({"username": username, "email": email, "password": PASSWORD})
}

async fn register(client: &Client, username: &str, email: &str) -> anyhow::Result<Answer> {
    client
        .post("/auth/register", &account(username, email))
        .await
}

#[tokio::test]
async fn a_registration_signs_a_developer_in() -> anyhow::Result<()> {
    let server = Process::start().await?;
    let answer = register(&server.client(), "Ada.L-1_2", "Ada@example.com").await?;
    assert_eq!(answer.header("cache-control"), "private, no-store");
    let session = answer.expect(201);
    assert_eq!(session["tokenType"], "Bearer");
    assert!(session["expiresAt"].is_string());
    let user = &session["user"];
    assert_eq!(user["username"], "Ada.L-1_2", "as it was written");
    assert_eq!(user["email"], "Ada@example.com");
    assert_eq!(user["role"], "DEVELOPER");
    let expected = [
        "createdAt",
        "displayName",
        "email",
        "id",
        "role",
        "username",
    ];
    assert_eq!(members(user)?, expected);
    let ada = server
        .client()
        .with_token(session["token"].as_str().context("a token")?);
    let mut me = ada.get("/auth/me").await?.expect(200);
    let own = me.as_object_mut().context("an account")?;
    for (name, value) in [
        ("pendingEmail", Value::Null),
        ("hasPassword", json!(true)),
        ("emailFromProvider", json!(false)),
    ] {
        assert_eq!(own.remove(name), Some(value), "{name}");
    }
    assert_eq!(&me, user);
    Ok(())
}

#[tokio::test]
async fn the_role_developer_may_be_given() -> anyhow::Result<()> {
    let server = Process::start().await?;
    for (n, role) in [json!("DEVELOPER"), Value::Null].into_iter().enumerate() {
        let mut body = account(&format!("dev-{n}"), &format!("dev-{n}@example.com"));
        body["role"] = role;
        let session = server
            .client()
            .post("/auth/register", &body)
            .await?
            .expect(201);
        assert_eq!(session["user"]["role"], "DEVELOPER");
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_role_is_refused() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    for role in [
        "SERVICE",
        "ROLE_SERVICE",
        "admin",
        "developer",
        "Admin",
        "ROOT",
        "",
    ] {
        let mut body = account("eve", "eve@example.com");
        body["role"] = json!(role);
        for client in [&server.client(), &team.admin] {
            let answer = client.post("/auth/register", &body).await?;
            assert_eq!(invalid(answer, "role"), "must be DEVELOPER or ADMIN");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_admin_is_registered_by_an_admin_only() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let mut body = account("boss", "boss@example.com");
    body["role"] = json!("ADMIN");
    for client in [
        &server.client(),
        &team.developers[0],
        &server.client().with_token("garbage"),
    ] {
        let answer = client.post("/auth/register", &body).await?;
        assert!(answer.headers.get("set-cookie").is_none());
        let problem = answer.refused(403, "ADMIN_REQUIRED");
        assert_eq!(problem["token"], Value::Null);
    }
    let session = team.admin.post("/auth/register", &body).await?.expect(201);
    assert_eq!(session["user"]["role"], "ADMIN");
    let boss = team
        .admin
        .with_token(session["token"].as_str().context("a token")?);
    boss.post("/releases", &json!({"name": "a"}))
        .await?
        .expect(201);
    Ok(())
}

#[tokio::test]
async fn a_taken_name_is_refused_in_any_case_and_gives_no_token() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    for username in ["dev-0", "DEV-0", "Dev-0", "admin", "ADMIN"] {
        let answer = register(&server.client(), username, "eve@example.com").await?;
        assert!(answer.headers.get("set-cookie").is_none());
        assert!(!answer.text.contains("token"), "{}", answer.text);
        answer.refused(409, "USERNAME_TAKEN");
    }
    // Nothing of the refused account was stored.
    register(&server.client(), "eve", "eve@example.com")
        .await?
        .expect(201);
    Ok(())
}

#[tokio::test]
async fn a_taken_email_is_refused_in_any_case_and_gives_no_token() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    for email in ["dev-0@example.com", "DEV-0@Example.COM", "Admin@LOCALHOST"] {
        let answer = register(&server.client(), "eve", email).await?;
        assert!(answer.headers.get("set-cookie").is_none());
        assert!(!answer.text.contains("token"), "{}", answer.text);
        answer.refused(409, "EMAIL_TAKEN");
    }
    register(&server.client(), "eve", "eve@example.com")
        .await?
        .expect(201);
    Ok(())
}

#[tokio::test]
async fn a_username_has_3_to_40_plain_characters() -> anyhow::Result<()> {
    let server = Process::start().await?;
    for good in ["abc", "A.b_c-9", "1-1", &"x".repeat(40)] {
        let email = format!("{good}@example.com");
        register(&server.client(), good, &email).await?.expect(201);
    }
    let long = "x".repeat(41);
    for bad in [
        "",
        "ab",
        &long,
        "a b c",
        " ada",
        "ada@x",
        "\u{e4}da",
        "ad\u{430}",
        "ada\n",
        "a\0da",
        "ada/..",
        "\u{200b}ada",
        "a,b",
        "...",
        "ada.",
        "-ada",
        "_ada_",
    ] {
        let answer = register(&server.client(), bad, "eve@example.com").await?;
        invalid(answer, "username");
    }
    Ok(())
}

#[tokio::test]
async fn a_password_has_8_to_128_characters() -> anyhow::Result<()> {
    let server = Process::start().await?;
    let password = |n: usize, password: String| {
        let mut body = account(&format!("dev-{n}"), &format!("dev-{n}@example.com"));
        body["password"] = json!(password);
        body
    };
    for bad in [
        "1234567".into(),
        "x".repeat(129),
        String::new(),
        "\u{fc}".repeat(7),
    ] {
        let answer = server
            .client()
            .post("/auth/register", &password(0, bad))
            .await?;
        let message = invalid(answer, "password");
        assert_eq!(
            message, "must have 8 to 128 characters, blanks at the ends not counted",
            "and not the password itself"
        );
    }
    // Characters are counted, not bytes.
    let good = [
        "8 things".to_owned(),
        "\u{1f6a2}".repeat(8),
        "\u{e4}".repeat(128),
    ];
    for (n, good) in good.into_iter().enumerate() {
        let body = password(n, good.clone());
        server
            .client()
            .post("/auth/register", &body)
            .await?
            .expect(201);
        server.client().login(&format!("dev-{n}"), &good).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_email_address_is_one() -> anyhow::Result<()> {
    let server = Process::start().await?;
    for (n, good) in ["a+b.c@x.org", "d@sub.example.com", "e@localhost"]
        .iter()
        .enumerate()
    {
        register(&server.client(), &format!("dev-{n}"), good)
            .await?
            .expect(201);
    }
    let long = format!("{}@{}.example", "x".repeat(60), "y".repeat(250));
    for bad in [
        "",
        "eve",
        "@x.org",
        "eve@",
        "eve@@x.org",
        "eve@x.org\r\nBcc: all@x.org",
        "Eve <eve@x.org>",
        "eve@x.org,mallory@x.org",
        "eve\0@x.org",
        "eve @x.org",
        &long,
    ] {
        let answer = register(&server.client(), "eve", bad).await?;
        invalid(answer, "email");
    }
    Ok(())
}

#[tokio::test]
async fn all_errors_are_reported_at_once() -> anyhow::Result<()> {
    let server = Process::start().await?;
    let body = json!({"username": "x", "email": "x", "password": "x"});
    let answer = server.client().post("/auth/register", &body).await?;
    let problem = answer.refused(400, "INVALID_ARGUMENT");
    let errors = problem["errors"].as_array().context("errors")?;
    let fields: Vec<_> = errors.iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["username", "email", "password"]);
    Ok(())
}

#[tokio::test]
async fn an_easily_guessed_password_is_refused() -> anyhow::Result<()> {
    let server = Process::start().await?;
    for (bad, message) in [
        (
            "PassWord1",
            "must not be close to one of the most common passwords",
        ),
        (
            "drowssap",
            "must not be close to one of the most common passwords",
        ),
        ("        ", "must not be blank"),
        (
            "EVE.adams",
            "must not be close to the username or the email address",
        ),
        (
            "evening-star7",
            "must not be close to the username or the email address",
        ),
        (
            "a password\n",
            "must not contain control or invisible characters",
        ),
    ] {
        let body = json!({
            "username": "Eve.Adams", "email": "evening-star@example.com", "password": bad,
        });
        let answer = server.client().post("/auth/register", &body).await?;
        assert_eq!(invalid(answer, "password"), message, "{bad:?}");
    }
    Ok(())
}

#[tokio::test]
async fn reserved_names_are_refused() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    for name in ["system", "SLIPWAY", "Gateway", "release-svc"] {
        for client in [&server.client(), &team.admin] {
            let answer = register(client, name, "eve@example.com").await?;
            let message = invalid(answer, "username");
            assert_eq!(message, "is reserved by Slipway");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_password_is_normalised() -> anyhow::Result<()> {
    let server = Process::start().await?;
    let mut body = account("eve", "eve@example.com");
    body["password"] = json!("cafe\u{301} au lait");
    server
        .client()
        .post("/auth/register", &body)
        .await?
        .expect(201);
    for typed in ["caf\u{e9} au lait", "cafe\u{301} au lait"] {
        server.client().login(" eve\t", typed).await?;
    }
    assert!(server.client().login("eve", "cafe au lait").await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_closed_registration_is_for_admins_only() -> anyhow::Result<()> {
    let options = Options::default().env("SLIPWAY_REGISTRATION", "closed");
    let server = Process::start_with(&options).await?;
    let admin = server.admin().await?;
    register(&server.client(), "eve", "eve@example.com")
        .await?
        .refused(403, "REGISTRATION_CLOSED");
    let session = register(&admin, "ada", "ada@example.com").await?;
    let ada = session.expect(201)["token"].to_string();
    let ada = server.client().with_token(ada.trim_matches('"'));
    register(&ada, "eve", "eve@example.com")
        .await?
        .refused(403, "REGISTRATION_CLOSED");
    // The pages offer no form that is always refused.
    let mut browser = PlainBrowser::new(&server.http);
    let page = browser.open("/sign-in").await?.text;
    assert!(!page.contains("/sign-up"), "{page}");
    let page = browser.open("/sign-up").await?.text;
    assert!(
        page.contains("ask one") && !page.contains("/ui/sign-up"),
        "{page}"
    );
    Ok(())
}

// Only Linux has all of 127.0.0.0/8 without configuration.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn registrations_per_address_are_limited_except_for_admins() -> anyhow::Result<()> {
    let options = Options::default().env("SLIPWAY_REGISTRATION_RATE", "2");
    let server = Process::start_with(&options).await?;
    let at = |host| Client::from_address(&server.http, [127, 0, 0, host]);
    let admin = at(10).login("admin", slipway_tests::ADMIN_PASSWORD).await?;
    let name = |n: usize| (format!("dev-{n}"), format!("dev-{n}@example.com"));
    let mut refused = None;
    // The hour may end during the test, but only once.
    for n in 0..4 {
        let (name, email) = name(n);
        let answer = register(&at(10), &name, &email).await?;
        if answer.status != 201 {
            refused = Some(answer);
            break;
        }
    }
    let answer = refused.ok_or_else(|| anyhow::anyhow!("nobody was refused"))?;
    let seconds: u64 = answer.header("retry-after").parse()?;
    assert!((1..=3600).contains(&seconds), "{seconds}");
    let policy = answer.header("ratelimit-policy");
    assert_eq!(policy, "\"default\";q=2;w=3600");
    answer.refused(429, "TOO_MANY_REGISTRATIONS");
    let (name_, email) = name(7);
    register(&at(11), &name_, &email).await?.expect(201);
    for n in 20..25 {
        let (name, email) = name(n);
        register(&admin, &name, &email).await?.expect(201);
    }
    // An existing user can still sign in.
    at(10).login("dev-0", PASSWORD).await?;
    Ok(())
}

#[tokio::test]
async fn excess_registrations_are_refused_and_do_not_block_sign_ins() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let client = server.client();
    let registrations = (0..300).map(|n| {
        let client = client.clone();
        async move {
            let (name, email) = (format!("eve-{n}"), format!("eve-{n}@example.com"));
            register(&client, &name, &email).await
        }
    });
    let registrations = tokio::spawn(try_join_all(registrations.collect::<Vec<_>>()));
    for _ in 0..5 {
        server.client().login("dev-0", PASSWORD).await?;
    }
    let answers = registrations.await??;
    let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|a| a.status == 201);
    assert!(!done.is_empty() && !refused.is_empty());
    for answer in refused {
        assert!(!answer.header("retry-after").is_empty());
        answer.refused(429, "TOO_BUSY");
    }
    Ok(())
}
