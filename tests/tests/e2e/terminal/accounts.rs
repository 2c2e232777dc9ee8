//! Signing in, and what is kept of it.

use std::{fs, os::unix::fs::PermissionsExt as _};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use slipway_tests::process::Unheard;

use super::*;

async fn sessions(client: &Client) -> usize {
    let page = client.get("/auth/sessions").await.unwrap().expect(200);
    page["items"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_kept_for_its_owner_alone_until_the_sign_out() {
    let (server, _) = server(&["ada"]).await;
    let shell = Shell::new();
    let refused = shell.run(&["whoami"]).await.refused(2);
    assert!(refused.contains("slipway login"), "{refused}");
    let ada = server.client().login("ada", PASSWORD).await.unwrap();
    let before = sessions(&ada).await;
    let output = shell
        .login(&server, "ada", PASSWORD, &["--name", "home"])
        .await
        .fine();
    assert!(output.starts_with("Signed in as ada at "), "{output}");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&shell.file()), 0o600);
    assert_eq!(mode(shell.file().parent().unwrap()), 0o700);

    assert_eq!(sessions(&ada).await, before + 1);
    let who = shell.run(&["whoami", "--json"]).await.json();
    assert_eq!(
        (&who[0]["server"], &who[0]["username"]),
        (&json!("home"), &json!("ada"))
    );
    // It goes on with the session, and does not end it.
    assert_eq!(sessions(&ada).await, before + 1);

    fs::set_permissions(shell.file(), fs::Permissions::from_mode(0o644)).unwrap();
    let refused = shell.run(&["whoami"]).await.refused(1);
    assert!(refused.contains("can be used by others"), "{refused}");
    fs::set_permissions(shell.file(), fs::Permissions::from_mode(0o600)).unwrap();

    assert_eq!(shell.run(&["logout"]).await.fine(), "Signed out of home.\n");
    assert_eq!(sessions(&ada).await, before);
    assert_eq!(shell.kept(), json!({"default": null, "servers": {}}));
    shell.run(&["next"]).await.refused(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_keeps_nothing_and_a_new_login_ends_the_session_before() {
    let (server, _) = server(&["ada"]).await;
    let shell = Shell::new();
    let refused = shell
        .login(&server, "ada", "a wrong one", &[])
        .await
        .refused(1);
    assert!(refused.contains("INVALID_CREDENTIALS"), "{refused}");
    assert!(!shell.file().exists());
    let ada = server.client().login("ada", PASSWORD).await.unwrap();
    let before = sessions(&ada).await;
    for _ in 0..2 {
        shell.login(&server, "ada", PASSWORD, &[]).await.fine();
    }
    assert_eq!(sessions(&ada).await, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_servers_are_used_by_name() {
    let (one, _) = server(&["ada"]).await;
    let (two, _) = server(&["grace"]).await;
    let shell = Shell::new();
    shell
        .login(&one, "ada", PASSWORD, &["--name", "one"])
        .await
        .fine();
    shell
        .login(&two, "grace", PASSWORD, &["--name", "two"])
        .await
        .fine();
    let who = async |arguments: &[&str]| {
        let line = [&["whoami", "--json"], arguments].concat();
        shell.run(&line).await.json()[0]["username"].clone()
    };
    assert_eq!(who(&[]).await, "grace");
    assert_eq!(who(&["--server", "one"]).await, "ada");
    assert_eq!(who(&["--url", &one.http]).await, "ada");
    let list = shell
        .run(&["servers", "--default", "one", "--json"])
        .await
        .json();
    assert_eq!(
        (&list[0]["server"], &list[0]["default"]),
        (&json!("one"), &json!(true))
    );
    assert_eq!(who(&[]).await, "ada");
    // The other commands of clients use them too.
    shell.run(&["import", "/nowhere.json"]).await.refused(1);
    let refused = shell
        .run(&["audit", "list", "--server", "two"])
        .await
        .refused(1);
    assert!(refused.contains("ADMIN"), "{refused}");

    let refused = shell.run(&["whoami", "--server", "three"]).await.refused(2);
    assert!(refused.contains("there is no server three: slipway login knows one, two"));
    shell
        .run(&["whoami", "--server", "two", "--url", &one.http])
        .await
        .refused(2);
    let foreign = shell
        .options(&["whoami", "--server", "two"])
        .env("SLIPWAY_TOKEN", "t");
    let refused = shell.run_with(foreign).await.refused(2);
    assert!(refused.contains("SLIPWAY_TOKEN"), "{refused}");
    // The environment comes first.
    let mine = shell
        .options(&["whoami", "--json"])
        .env("SLIPWAY_URL", &two.http);
    let mine = mine
        .env("SLIPWAY_USERNAME", "admin")
        .env("SLIPWAY_PASSWORD", ADMIN_PASSWORD);
    assert_eq!(shell.run_with(mine).await.json()[0]["username"], "admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_at_the_same_time_refresh_an_expired_token_once() {
    let (server, _) = server(&["ada"]).await;
    let shell = Shell::of(&server, "ada", PASSWORD).await;
    for _ in 0..3 {
        expire(&shell, &server);
        let who: &[&str] = &["whoami", "--json"];
        let all = tokio::join!(
            shell.run(who),
            shell.run(who),
            shell.run(who),
            shell.run(who),
            shell.run(who),
        );
        for ended in [all.0, all.1, all.2, all.3, all.4] {
            assert_eq!(ended.json()[0]["username"], "ada");
        }
    }
}

/// Replaces the access token that is kept by one that has expired.
fn expire(shell: &Shell, server: &Process) {
    let mut kept = shell.kept();
    let (_, account) = kept["servers"]
        .as_object_mut()
        .unwrap()
        .iter_mut()
        .next()
        .unwrap();
    let parts: Vec<Value> = account["token"]
        .as_str()
        .unwrap()
        .split('.')
        .take(2)
        .map(|part| {
            let part = URL_SAFE_NO_PAD.decode(part).unwrap();
            serde_json::from_slice(&part).unwrap()
        })
        .collect();
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = parts[0]["kid"].as_str().map(str::to_owned);
    let mut claims = parts[1].clone();
    claims["exp"] = json!(1);
    let key = fs::read(server.data.path().join("data/jwt-key.pem")).unwrap();
    let key = EncodingKey::from_ed_pem(&key).unwrap();
    account["token"] = json!(jsonwebtoken::encode(&header, &claims, &key).unwrap());
    fs::write(shell.file(), kept.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_has_ended_elsewhere_is_told_with_what_to_do() {
    let (server, _) = server(&["ada"]).await;
    let shell = Shell::of(&server, "ada", PASSWORD).await;
    let ada = server.client().login("ada", PASSWORD).await.unwrap();
    let all = ada.request(reqwest::Method::DELETE, "/auth/sessions");
    let _ = ada.send(all).await.unwrap();
    let ended = until(async || {
        let ended = shell.run(&["whoami"]).await;
        ensure!(ended.code == Some(1), "it has not ended yet");
        Ok(ended)
    });
    let refused = ended.await.unwrap().refused(1);
    assert!(
        refused.contains("sign in again: slipway login http://"),
        "{refused}"
    );
    drop(server);
    let refused = shell.run(&["whoami"]).await.refused(1);
    assert!(refused.contains("cannot be reached"), "{refused}");
    // The session is forgotten although nobody can be told.
    let ended = shell.run(&["logout"]).await;
    assert!(
        ended.errors.contains("forgotten here, but"),
        "{}",
        ended.errors
    );
    ended.fine();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_programs_can_be_kept_instead_of_a_session() {
    let (server, _) = server(&["ada"]).await;
    let ada = server.client().login("ada", PASSWORD).await.unwrap();
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let body = json!({"name": "laptop", "scope": "READ", "expiresAt": later});
    let made = ada.post("/auth/tokens", &body).await.unwrap().expect(201);
    let token = made["token"].as_str().unwrap();
    let shell = Shell::new();
    let file = shell.home.path().join("token");
    fs::write(&file, format!("{token}\n")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway-under-test"));
    let login = command
        .args(["login", &server.http, "--token"])
        .env_clear()
        .env("HOME", shell.home.path())
        .stdin(fs::File::open(&file).unwrap());
    let ended = login.output().await.unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(
        shell.run(&["whoami", "--json"]).await.json()[0]["username"],
        "ada"
    );
    let refused = shell.run(&["start"]).await.refused(1);
    assert!(refused.contains("no task to start"), "{refused}");
    let ended = shell.run(&["logout"]).await;
    assert!(
        ended.errors.contains("the token stays valid"),
        "{}",
        ended.errors
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_it_asks_for_the_account() {
    let (server, _) = server(&["ada"]).await;
    let shell = Shell::new();
    let line = format!("login {}", server.http);
    let Some(mut terminal) = Terminal::start(shell.home.path(), 80, &line) else {
        return;
    };
    terminal.expect("Username or email address: ").await;
    terminal.type_line("ada").await;
    terminal.expect("Password of ada: ").await;
    terminal.type_line(PASSWORD).await;
    let (code, shown) = terminal.ended().await;
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("Signed in as ada"), "{shown}");
    assert_eq!(
        shell.run(&["whoami", "--json"]).await.json()[0]["username"],
        "ada"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_nothing_is_asked_for_and_a_closed_pipe_is_no_failure() {
    let (server, _) = server(&["ada"]).await;
    let shell = Shell::new();
    let refused = shell.run(&["login", &server.http]).await.refused(2);
    assert!(refused.contains("no terminal to ask"), "{refused}");
    shell.login(&server, "ada", PASSWORD, &[]).await.fine();
    let options = shell.options(&["whoami"]);
    let run = process::run_unheard(shell.home.path(), &options, Unheard::Gone).await;
    let (status, errors) = run.unwrap();
    assert!(status.success() && errors.is_empty(), "{errors}");
    let run = process::run_unheard(shell.home.path(), &options, Unheard::Full).await;
    assert_eq!(run.unwrap().0.code(), Some(1));
}
