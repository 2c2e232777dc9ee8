//! Passwords that are switched off for all but one administrator.

use reqwest::Method;
use serde_json::json;
use slipway_proto::identity::v1::{LoginRequest, identity_service_client::IdentityServiceClient};
use slipway_rpc::error::Fault;
use slipway_tests::{ADMIN_PASSWORD, Options, PlainBrowser, Process, process::run};
use tonic::transport::Endpoint;

use super::{Fake, ada, change, sign_in};

#[tokio::test]
async fn without_passwords_only_the_break_glass_admin_has_one() -> anyhow::Result<()> {
    let provider = Fake::start().await?;
    let server = Process::start_with(&provider.options()).await?;
    let password = "correct horse battery";
    for name in ["grace", "second"] {
        let email = format!("{name}@example.com");
        let account = json!({"username": name, "email": email, "password": password});
        server
            .client()
            .post("/auth/register", &account)
            .await?
            .expect(201);
    }
    let grace = server.client().login("grace", password).await?;
    let admin = server.admin().await?;
    change(&admin, "second", &json!({"role": "ADMIN"})).await?;
    let server = Process::start_on(
        server.kill().await?,
        &provider.options().env("SLIPWAY_PASSWORDS", "break-glass"),
    )
    .await?;

    // REST, gRPC, pages and commands.
    let client = server.client();
    let grace = client.with_token(grace.token());
    for name in ["grace", "second", "grace@example.com", "nobody"] {
        let login = json!({"username": name, "password": password});
        for path in ["/auth/login", "/auth/session"] {
            client
                .post(path, &login)
                .await?
                .refused(403, "PASSWORDS_OFF");
        }
    }
    let channel = Endpoint::from_shared(server.grpc.clone())?
        .connect()
        .await?;
    let mut grpc = IdentityServiceClient::new(channel);
    let request = LoginRequest {
        login: "grace".to_owned(),
        password: password.to_owned(),
    };
    let fault = Fault::from(grpc.login(request).await.unwrap_err());
    assert_eq!(fault.code, "PASSWORDS_OFF");
    let mut browser = PlainBrowser::new(&server.http);
    let fields = [("name", "grace"), ("password", password), ("next", "/")];
    let page = browser.send("/ui/sign-in", &fields).await?;
    assert_eq!(page.status, 403);
    assert!(
        page.text.contains("Passwords are switched off"),
        "{}",
        page.text
    );
    let page = browser.open("/sign-in").await?;
    assert!(!page.text.contains("/sign-up"), "{}", page.text);
    // No page offers a form that can only be refused.
    let page = browser.open("/sign-up").await?;
    assert!(!page.text.contains("/ui/sign-up"), "{}", page.text);
    let mut chief = PlainBrowser::new(&server.http);
    chief.sign_in("admin", ADMIN_PASSWORD).await?;
    let page = chief.open("/admin/users").await?.text;
    assert!(page.contains("grace@example.com"), "{page}");
    assert!(!page.contains("action=\"/ui/users\""), "{page}");
    // Of the three accounts only the break-glass admin has a password that counts.
    assert_eq!(page.matches("Mail a link to reset").count(), 1, "{page}");
    let page = chief.open("/profile").await?.text;
    for form in ["/ui/password", "/ui/profile/email"] {
        assert!(page.contains(&format!("action=\"{form}\"")), "{page}");
    }
    let me = grace.get("/auth/me").await?.expect(200);
    assert_eq!(
        (&me["hasPassword"], &me["emailFromProvider"]),
        (&json!(false), &json!(false))
    );
    let change = json!({"email": "grace@other.example", "currentPassword": password});
    let change = grace.request(Method::PATCH, "/auth/me").json(&change);
    grace.send(change).await?.refused(403, "PASSWORDS_OFF");
    let watch = Options::default()
        .arg("watch")
        .arg("--url")
        .arg(&server.http)
        .env("SLIPWAY_USERNAME", "grace")
        .env("SLIPWAY_PASSWORD", password);
    let (status, _, errors) = run(server.data.path(), &watch).await?;
    assert!(!status.success());
    assert!(errors.contains("Passwords are switched off"), "{errors}");

    // No account with a password is made, and none gets another one.
    let account = json!({"username": "lin", "email": "lin@x.org", "password": password});
    client
        .post("/auth/register", &account)
        .await?
        .refused(403, "PASSWORDS_OFF");
    let admin = client.login("admin", ADMIN_PASSWORD).await?;
    admin
        .post("/auth/register", &account)
        .await?
        .refused(403, "PASSWORDS_OFF");
    let other = json!({"currentPassword": password, "newPassword": "another horse battery"});
    grace
        .post("/auth/password", &other)
        .await?
        .refused(403, "PASSWORDS_OFF");
    let other = json!({"currentPassword": ADMIN_PASSWORD, "newPassword": "another horse battery"});
    admin.post("/auth/password", &other).await?.expect(204);
    client.login("admin", "another horse battery").await?;

    // People use the provider, and their programs use tokens.
    provider.knows(ada());
    let (mut ada, answer) = sign_in(&server, &provider).await?;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let token = [
        ("back", "/profile"),
        ("name", "ci"),
        ("scope", "WORK"),
        ("days", "7"),
    ];
    let page = ada.send("/ui/tokens", &token).await?;
    let token = page
        .text
        .split("slp_")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap();
    let program = client.with_token(&format!("slp_{token}"));
    assert_eq!(
        program.get("/auth/me").await?.expect(200)["username"],
        "ada"
    );
    Ok(())
}
