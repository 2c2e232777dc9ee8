//! Sessions, accounts and tokens by forms, without scripts.

use reqwest::Method;
use slipway_tests::{
    ADMIN_PASSWORD, Client, PlainBrowser, Process,
    team::{PASSWORD, id, task_ids},
};

use super::{leads, shows, start};

#[tokio::test]
async fn an_expired_session_keeps_what_was_typed() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let task = task_ids(&team.release("a", &[0]).await?).remove(0);
    let page = format!("/tasks/{task}/comments");
    let action = format!("/ui{page}");
    let mut ada = PlainBrowser::new(&server.http);
    ada.sign_in("dev-0", PASSWORD).await?;
    let everywhere = team.developers[0].request(Method::DELETE, "/auth/sessions");
    team.developers[0].send(everywhere).await?.expect(204);
    let asked = slipway_tests::until(async || {
        let answer = ada
            .send(&action, &[("back", &page), ("content", "Long thought")])
            .await?;
        anyhow::ensure!(answer.status == 401, "{}", answer.text);
        Ok(answer)
    })
    .await?;
    shows(
        &asked,
        401,
        &["Sign in", "name=\"draft.content\" value=\"Long thought\""],
    );
    let fields = [
        ("name", "dev-0"),
        ("password", PASSWORD),
        ("next", &*page),
        ("draft", &*action),
        ("draft.back", &*page),
        ("draft.content", "Long thought"),
    ];
    let again = ada.send("/ui/sign-in", &fields).await?;
    shows(
        &again,
        200,
        &[
            "Send it now",
            "You are <bdi class=\"person\">dev-0</bdi>.",
            "<span>Text</span>",
            "Long thought",
            &format!("action=\"{action}\""),
        ],
    );
    let sent = ada
        .send(&action, &[("back", &page), ("content", "Long thought")])
        .await?;
    assert_eq!(sent.status, 303);
    shows(&ada.open(&page).await?, 200, &["Long thought"]);
    Ok(())
}

#[tokio::test]
async fn an_account_is_created_and_kept_by_forms() -> anyhow::Result<()> {
    let server = Process::start().await?;
    let mut ada = PlainBrowser::new(&server.http);
    let bad = [
        ("username", "ada"),
        ("email", "ada@example.com"),
        ("password", "short"),
    ];
    let refused = ada.send("/ui/sign-up", &bad).await?;
    shows(
        &refused,
        400,
        &["The password", "value=\"ada@example.com\""],
    );
    assert!(!refused.text.contains("short"));
    let good = [
        ("username", "ada"),
        ("email", "ada@example.com"),
        ("password", "engine no. 1"),
    ];
    leads(&ada.send("/ui/sign-up", &good).await?, "/");
    shows(
        &ada.open("/profile").await?,
        200,
        &["ada@example.com", "This session"],
    );
    let wrong = [
        ("back", "/profile"),
        ("current", "engine no. 9"),
        ("new", "engine no. 2"),
    ];
    let refused = ada.send("/ui/password", &wrong).await?;
    shows(&refused, 403, &["Not allowed"]);
    assert!(!refused.text.contains("engine no. 9"));
    let right = [
        ("back", "/profile"),
        ("current", "engine no. 1"),
        ("new", "engine no. 2"),
    ];
    leads(&ada.send("/ui/password", &right).await?, "/profile");
    let blank = [("back", "/profile"), ("id", " ")];
    let refused = ada.send("/ui/sessions/end", &blank).await?;
    shows(&refused, 400, &["The session must be named"]);
    leads(
        &ada.send("/ui/sessions/end-all", &[("back", "/profile")])
            .await?,
        "/sign-in",
    );
    leads(&ada.open("/").await?, "/sign-in");
    Ok(())
}

#[tokio::test]
async fn an_admin_creates_and_disables_accounts() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let mut admin = PlainBrowser::new(&server.http);
    admin.sign_in("admin", ADMIN_PASSWORD).await?;
    let created = [
        ("back", "/admin/users"),
        ("username", "eve"),
        ("email", "eve@example.com"),
        ("password", PASSWORD),
        ("role", "DEVELOPER"),
    ];
    leads(&admin.send("/ui/users", &created).await?, "/admin/users");
    let refused = admin.send("/ui/users", &created).await?;
    shows(&refused, 409, &["value=\"eve@example.com\""]);
    let page = admin.open("/admin/users?q=eve&role=DEVELOPER").await?;
    shows(&page, 200, &["eve@example.com", "Make admin", "Disable"]);
    assert!(!page.text.contains("dev-0@"), "{}", page.text);

    let mut eve = PlainBrowser::new(&server.http);
    eve.sign_in("eve", PASSWORD).await?;
    shows(&eve.open("/admin/users").await?, 403, &["Not allowed"]);
    let users = team.admin.get("/admin/users?q=eve").await?.expect(200);
    let user = format!("/ui/users/{}", id(&users["items"][0]));
    let disable = [("back", "/admin/users"), ("disabled", "true")];
    shows(&eve.send(&user, &disable).await?, 403, &["Not allowed"]);
    leads(&admin.send(&user, &disable).await?, "/admin/users");
    let page = admin.open("/admin/users?state=DISABLED").await?;
    shows(&page, 200, &["eve@example.com", "Enable"]);
    let admins = team.admin.get("/admin/users?role=ADMIN").await?.expect(200);
    let last = format!("/ui/users/{}", id(&admins["items"][0]));
    shows(&admin.send(&last, &disable).await?, 409, &["last admin"]);
    Ok(())
}

#[tokio::test]
async fn a_token_for_a_program_is_shown_once() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let mut browser = PlainBrowser::new(&server.http);
    browser.sign_in("dev-0", PASSWORD).await?;
    let form = [
        ("back", "/profile"),
        ("name", "deploy <script>"),
        ("scope", "READ"),
        ("days", "30"),
    ];
    let created = browser.send("/ui/tokens", &form).await?;
    shows(
        &created,
        200,
        &["shown only this once", "deploy &lt;script&gt;"],
    );
    let secret = created.text.split("slp_").nth(1).unwrap();
    let secret = format!("slp_{}", secret.split('<').next().unwrap());
    let program = Client::new(&server.http).with_token(&secret);
    let _ = program.get("/auth/me").await?.expect(200);
    let profile = browser.open("/profile").await?;
    shows(
        &profile,
        200,
        &["deploy &lt;script&gt;", "30 days", "Revoke"],
    );
    assert!(!profile.text.contains(&secret), "{}", profile.text);
    shows(&browser.send("/ui/tokens", &form).await?, 409, &["deploy"]);

    let token = profile.text.split("name=\"id\" value=\"").nth(1).unwrap();
    let token = token.split('"').next().unwrap();
    let revoke = [("back", "/profile"), ("id", token)];
    leads(
        &browser.send("/ui/tokens/revoke", &revoke).await?,
        "/profile",
    );
    program.get("/auth/me").await?.refused(401, "TOKEN_REVOKED");
    Ok(())
}

#[tokio::test]
async fn a_form_of_endless_fields_is_refused_and_a_huge_one_is_not_repeated() -> anyhow::Result<()>
{
    let (server, _team) = start(1).await?;
    let mut browser = PlainBrowser::new(&server.http);
    let fields = vec![("a", ""); 20_000];
    let refused = browser.send("/ui/releases", &fields).await?;
    shows(&refused, 400, &["more fields than any form"]);
    assert!(refused.text.len() < 10_000);
    // The sign-in could not take this as a draft.
    let text = "x".repeat(300_000);
    let form = [("back", "/releases"), ("name", "Spring"), ("rows", &text)];
    let refused = browser.send("/ui/releases", &form).await?;
    shows(&refused, 401, &["so this was not sent", "Sign in"]);
    assert!(refused.text.len() < 10_000);
    Ok(())
}
