//! Sessions, accounts and tokens by forms, without scripts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use reqwest::Method;
use slipway_tests::{
    ADMIN_PASSWORD, Client, PlainBrowser, Process,
    team::{PASSWORD, id, task_ids},
    until,
};

use super::{leads, shows, start};
use crate::mail::files;

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
    let asked = until(async || {
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
    leads(
        &ada.send("/ui/sessions/end", &[("back", "/profile")])
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

/// The address in a mail with this subject to this address, once there is one that is not `known`.
async fn mailed_link(
    server: &Process,
    subject: &str,
    to: &str,
    known: &str,
) -> anyhow::Result<String> {
    let (subject, to) = (format!("Subject: {subject}\r\n"), format!("To: {to}\r\n"));
    until(async || {
        let mails = files(server.data.path());
        let mails = mails
            .iter()
            .filter(|mail| mail.contains(&subject) && mail.contains(&to));
        let mut links = mails.filter_map(|mail| link(mail, &server.http));
        links.find(|link| link != known).context("no such mail")
    })
    .await
}

/// The address of this server with a secret that a mail has.
fn link(mail: &str, server: &str) -> Option<String> {
    let mail = mail.replace("=\r\n", "").replace("=3D", "=");
    let link = mail.split(server).find(|rest| rest.contains("?token="))?;
    Some(link.split_whitespace().next()?.to_owned())
}

/// The value of the hidden field with the secret of a link.
fn token(link: &str) -> &str {
    link.split("?token=").nth(1).unwrap_or_default()
}

#[tokio::test]
async fn a_forgotten_password_is_set_by_the_link_of_a_mail() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let mut ada = PlainBrowser::new(&server.http);
    shows(&ada.open("/sign-in").await?, 200, &["/password/forgot"]);
    shows(
        &ada.open("/password/forgot").await?,
        200,
        &["a mail with a link"],
    );
    // Alike for an account that there is not.
    let mut answers = Vec::new();
    for name in ["nobody", "dev-0@example.com"] {
        let asked = ada.send("/ui/password/forgot", &[("name", name)]).await?;
        shows(&asked, 200, &["Look into your mails"]);
        answers.push(asked.text);
    }
    assert_eq!(answers[0], answers[1]);
    let link = mailed_link(
        &server,
        "Set another password for dev-0",
        "dev-0@example.com",
        "",
    )
    .await?;
    assert!(link.starts_with("/password/reset?token=sll_"), "{link}");

    let page = ada.open(&link).await?;
    shows(&page, 200, &["name=\"token\"", token(&link)]);
    assert_eq!(page.header("referrer-policy"), "strict-origin");
    assert_eq!(page.header("cache-control"), "private, no-store");
    let form = |password: &'static str| {
        let token = token(&link).to_owned();
        [("token", token), ("password", password.to_owned())]
    };
    let send = async |ada: &mut PlainBrowser, password| {
        let form = form(password);
        let fields = form.each_ref().map(|(name, value)| (*name, &**value));
        ada.send("/ui/password/reset", &fields).await
    };
    // A weak one keeps the link, and so does opening it.
    shows(
        &send(&mut ada, "password1").await?,
        400,
        &["The new password", token(&link)],
    );
    shows(&ada.open(&link).await?, 200, &["name=\"token\""]);
    shows(
        &send(&mut ada, "another good one, 42").await?,
        200,
        &["Your password is set"],
    );
    shows(
        &send(&mut ada, "a third good one, 43").await?,
        403,
        &["not valid"],
    );
    ada.sign_in("dev-0", "another good one, 42").await?;
    team.developers[0]
        .get("/auth/me")
        .await?
        .refused(401, "SESSION_ENDED");

    // Nothing that is kept has the secret.
    let secret = token(&link);
    for path in ["/admin/notifications", "/admin/audit"] {
        let listed = team.admin.get(path).await?;
        assert!(!listed.text.contains(secret) && listed.status == 200);
    }
    let all = team
        .admin
        .get("/admin/notifications?type=user.reset_requested")
        .await?;
    let all = all.expect(200);
    assert_eq!(all["items"][0]["address"], "dev-0@example.com", "{all}");
    let one = format!("/notifications/{}", id(&all["items"][0]));
    assert!(!team.admin.get(&one).await?.text.contains(secret));
    assert!(!server.log().contains(secret), "the log has it");
    let data = server.data.path().join("data");
    assert!(in_files(&data, secret)?.is_empty());
    // It is found where it is.
    assert_eq!(in_files(&data.join("mail"), secret)?.len(), 1);
    Ok(())
}

/// The files of a directory, apart from the mails in it, that have this text.
fn in_files(dir: &Path, text: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("mail") {
            found.extend(in_files(&path, text)?);
        } else if path.is_file() {
            let bytes = fs::read(&path)?;
            let bytes = String::from_utf8_lossy(&bytes).replace("=\r\n", "");
            found.extend(bytes.contains(text).then_some(path));
        }
    }
    Ok(found)
}

#[tokio::test]
async fn somebody_is_invited_by_mail_and_sets_their_password() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let mut admin = PlainBrowser::new(&server.http);
    admin.sign_in("admin", ADMIN_PASSWORD).await?;
    let invite = [
        ("back", "/admin/users"),
        ("username", "grace"),
        ("email", "grace@example.com"),
        ("role", "DEVELOPER"),
        ("invite", "true"),
    ];
    leads(&admin.send("/ui/users", &invite).await?, "/admin/users");
    let invited = admin.open("/admin/users?state=INVITED").await?;
    shows(&invited, 200, &["grace@example.com", "Invite again"]);
    let to = "grace@example.com";
    let first = mailed_link(&server, "You are invited to Slipway", to, "").await?;
    let users = team
        .admin
        .get("/admin/users?state=INVITED")
        .await?
        .expect(200);
    assert_eq!(users["items"][0]["state"], "INVITED");
    let user = id(&users["items"][0]);
    let again = [("back", "/admin/users"), ("purpose", "invitation")];
    let again = admin
        .send(&format!("/ui/users/{user}/mail"), &again)
        .await?;
    shows(&again, 200, &["The invitation is mailed again"]);
    let second = mailed_link(&server, "You are invited to Slipway", to, &first).await?;

    let mut grace = PlainBrowser::new(&server.http);
    let set = |link: &str| {
        [
            ("token", token(link).to_owned()),
            ("occasion", "invitation".to_owned()),
            ("password", PASSWORD.to_owned()),
        ]
    };
    let send = async |grace: &mut PlainBrowser, link: &str| {
        let form = set(link);
        let fields = form.each_ref().map(|(name, value)| (*name, &**value));
        grace.send("/ui/password/reset", &fields).await
    };
    shows(&grace.open(&second).await?, 200, &["Welcome to Slipway"]);
    shows(
        &send(&mut grace, &first).await?,
        403,
        &["Welcome", "not valid"],
    );
    shows(
        &send(&mut grace, &second).await?,
        200,
        &["Your password is set"],
    );
    grace.sign_in("grace", PASSWORD).await?;
    let path = format!("/admin/users/{user}");
    assert_eq!(team.admin.get(&path).await?.expect(200)["state"], "ACTIVE");
    let nothing = serde_json::json!({});
    let again = team.admin.post(&format!("{path}/invite"), &nothing).await?;
    again.refused(409, "NOT_INVITED");
    let reset = team.admin.post(&format!("{path}/reset"), &nothing).await?;
    reset.expect(202);
    let link = mailed_link(&server, "Set another password for grace", to, "").await?;
    shows(&grace.open(&link).await?, 200, &["Set another password"]);
    Ok(())
}
