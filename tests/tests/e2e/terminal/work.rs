//! Tasks and releases.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn two_people_work_through_a_release_and_its_hotfix() {
    let (server, _) = server(&["ada", "grace"]).await;
    let admin = Shell::of(&server, "admin", ADMIN_PASSWORD).await;
    let ada = Shell::of(&server, "ada", PASSWORD).await;
    let grace = Shell::of(&server, "grace", PASSWORD).await;

    let made = admin.run(&[
        "release",
        "create",
        "Spring",
        "--version",
        "2.0",
        "--task",
        "Build=a=ada",
        "--task",
        "Publish=@grace",
        "--json",
    ]);
    let made = made.await.json();
    assert_eq!(made[0]["tasks"][0]["title"], "Build=a");
    let output = grace.run(&["next"]).await.fine();
    assert!(
        output.contains("wait") && output.contains("“Build=a” of ada"),
        "{output}"
    );
    let refused = grace.run(&["start"]).await.refused(1);
    assert!(
        refused.contains("you can start no task: “Publish” in Spring"),
        "{refused}"
    );
    let refused = grace.run(&["start", "publish"]).await.refused(1);
    assert!(refused.contains("TASK_OUT_OF_ORDER: "), "{refused}");
    let refused = grace.run(&["done"]).await.refused(1);
    assert!(refused.contains("you are on no task"), "{refused}");

    let output = ada.run(&["start"]).await.fine();
    assert!(
        output.starts_with("Started “Build=a” in Spring ("),
        "{output}"
    );
    let output = ada.run(&["next"]).await.fine();
    assert!(output.contains("on it"), "{output}");
    let paused = ada
        .run(&["pause", "--reason", "lunch", "--json"])
        .await
        .json();
    assert_eq!(paused[0]["status"], "TODO");
    let id = paused[0]["id"].as_str().unwrap();
    ada.run(&["start", &id[id.len() - 8..]]).await.fine();
    ada.run(&["comment", "Build=a", "Done but for *arm64*"])
        .await
        .fine();
    assert_eq!(
        ada.run(&["done", "--json"]).await.json()[0]["status"],
        "COMPLETED"
    );

    let refused = admin
        .run(&["release", "complete", "spring"])
        .await
        .refused(1);
    assert!(refused.contains("RELEASE_INCOMPLETE: "), "{refused}");
    grace.run(&["start"]).await.fine();
    grace.run(&["done"]).await.fine();
    let output = admin.run(&["release", "complete", "spring"]).await.fine();
    assert!(output.starts_with("Completed Spring 2.0 ("), "{output}");
    let output = admin
        .run(&["hotfix", "Spring", "Patch it", "--owner", "ada"])
        .await
        .fine();
    assert!(output.starts_with("Added “Patch it” in Spring"), "{output}");
    let next = ada.run(&["next", "--json"]).await.json();
    assert_eq!(
        (&next[0]["hotfix"], &next[0]["canStart"]),
        (&json!(true), &json!(true))
    );

    let output = ada.run(&["release", "show", "Spring"]).await.fine();
    for text in [
        "reopened 1 times",
        "Patch it [hotfix]",
        "2 of 3 tasks completed",
    ] {
        assert!(output.contains(text), "{text} is not in {output}");
    }
    assert_eq!(
        ada.run(&["release", "list", "--json"]).await.json().len(),
        1
    );
    assert_eq!(
        ada.run(&["release", "list", "--completed"]).await.fine(),
        ""
    );
    let refused = ada.run(&["release", "complete", "Spring"]).await.refused(1);
    assert!(refused.contains("ADMIN"), "{refused}");

    let told = until(async || {
        let inbox = ada.run(&["inbox", "--json"]).await.json();
        ensure!(!inbox.is_empty(), "ada was told nothing");
        Ok(inbox.len())
    });
    told.await.unwrap();
    assert!(ada.run(&["inbox"]).await.fine().starts_with("TIME "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_must_be_named_where_several_are_possible() {
    let (server, admin) = server(&["ada"]).await;
    for name in ["One", "Two"] {
        release(&admin, name, &[("Build", "ada")]).await;
    }
    let ada = Shell::of(&server, "ada", PASSWORD).await;
    let refused = ada.run(&["start"]).await.refused(2);
    assert!(
        refused.contains("several tasks: say which\n  “Build” in"),
        "{refused}"
    );
    let refused = ada.run(&["start", "build"]).await.refused(2);
    assert!(refused.contains("2 tasks are named build:\n"), "{refused}");
    let refused = ada.run(&["start", "nothing"]).await.refused(1);
    assert!(refused.contains("is named nothing"), "{refused}");
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    let refused = ada.run(&["start", unknown]).await.refused(1);
    assert!(refused.contains("TASK_NOT_FOUND: "), "{refused}");
    ada.run(&["pause"]).await.refused(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_title_of_somebody_else_cannot_act_on_the_terminal() {
    let (server, admin) = server(&["ada"]).await;
    let long = "x".repeat(200);
    // Titles may have marks that turn the direction of a whole line, but no control characters:
    // descriptions may have line breaks.
    let tasks = [("שלום\u{200f} <b>世界</b>", "ada"), (long.as_str(), "ada")];
    release(&admin, "Hostile \u{200f}R", &tasks).await;
    let ada = Shell::of(&server, "ada", PASSWORD).await;
    let output = ada.run(&["next"]).await.fine();
    assert!(
        output.contains("\\u{200f}") && !output.contains('\u{200f}'),
        "{output}"
    );
    assert!(output.contains(&long), "{output}");
    let Some(terminal) = Terminal::start(ada.home.path(), 60, "next") else {
        return;
    };
    let (code, shown) = terminal.ended().await;
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("\x1b["), "{shown:?}");
    let plain = plain(&shown);
    for line in plain.lines() {
        assert!(line.chars().count() <= 60, "{line:?}");
    }
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let terminal = Terminal::start_with(ada.home.path(), 60, "next", &[(name, value)]);
        let (code, shown) = terminal.unwrap().ended().await;
        assert_eq!(code, Some(0), "{shown}");
        assert!(
            shown.contains("世界") && !shown.contains('\x1b'),
            "{shown:?}"
        );
    }
}

/// `text` without the codes of colours.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut parts = text.split('\x1b');
    plain += parts.next().unwrap_or_default();
    for part in parts {
        plain += part.split_once('m').map_or(part, |(_, rest)| rest);
    }
    plain
}

#[tokio::test(flavor = "multi_thread")]
async fn the_assistant_answers_as_it_writes_and_a_conversation_goes_on() {
    let (server, admin) = server(&["ada"]).await;
    release(&admin, "Spring", &[("Build images", "ada")]).await;
    let ada = Shell::of(&server, "ada", PASSWORD).await;
    let output = ada
        .run(&["ask", "what", "can I work on next?"])
        .await
        .fine();
    assert!(output.contains("Build images"), "{output}");
    let answer = ada
        .run(&["ask", "--continue", "--json", "and then?"])
        .await
        .json();
    assert_eq!(answer[0]["role"], "assistant");
    let client = server.client().login("ada", PASSWORD).await.unwrap();
    let page = client.get("/chat/sessions").await.unwrap().expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    let refused = ada.run(&["ask", &"x".repeat(9_000)]).await.refused(1);
    assert!(refused.contains("INVALID_ARGUMENT"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_can_come_from_standard_input() {
    let (server, admin) = server(&["ada"]).await;
    let release = release(&admin, "Spring", &[("Build", "ada")]).await;
    let id = release["tasks"][0]["id"].as_str().unwrap();
    let ada = Shell::of(&server, "ada", PASSWORD).await;
    let text = ada.home.path().join("text");
    std::fs::write(&text, "First line\nsecond line\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway-under-test"));
    let comment = command
        .args(["comment", id, "--json"])
        .env_clear()
        .env("HOME", ada.home.path())
        .stdin(std::fs::File::open(&text).unwrap());
    let ended = comment.output().await.unwrap();
    let posted: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(posted["content"], "First line\nsecond line");
    // Nothing was typed.
    ada.run(&["comment", id]).await.refused(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_answer_is_lost_is_no_failure() {
    let (server, admin) = server(&["ada"]).await;
    release(&admin, "Spring", &[("Build", "ada")]).await;
    let upstream = server.http.trim_start_matches("http://").to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // A proxy that loses the first answer to a start.
    let proxy = tokio::spawn(async move {
        let mut is_lost = false;
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 64 * 1024];
            let length = near.read(&mut request).await.unwrap();
            let text = String::from_utf8_lossy(&request[..length]).to_lowercase();
            let text = text.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
            let starts = text.starts_with("patch");
            let mut far = tokio::net::TcpStream::connect(&upstream).await.unwrap();
            let head = String::from_utf8_lossy(&request[..length]).into_owned();
            let head = head.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
            far.write_all(head.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            far.read_to_end(&mut answer).await.unwrap();
            if starts && !is_lost {
                is_lost = true;
                continue;
            }
            near.write_all(&answer).await.unwrap();
        }
    });
    let ada = Shell::new();
    let login = ada.options(&["login", &url, "--username", "ada"]);
    ada.run_with(login.env("SLIPWAY_PASSWORD", PASSWORD))
        .await
        .fine();
    let started = ada.run(&["start", "--json"]).await.json();
    assert_eq!(started[0]["status"], "IN_PROCESS");
    proxy.abort();
    let refused = ada.run(&["start"]).await.refused(1);
    assert!(refused.contains("cannot be reached"), "{refused}");
}
