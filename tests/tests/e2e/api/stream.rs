//! GET /activity/stream: the live activity feed.

use std::collections::HashSet;

use anyhow::Context as _;
use futures::StreamExt as _;
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};
use slipway_tests::{
    Client, Process, Stream, StreamEvent, Team,
    team::{PASSWORD, id, register, task_ids},
};

use super::{begin, completed_release, invalid, settled, start, unauthorized};

/// The headers of a stream, and its text up to and including `mark`.
async fn raw(client: &Client, query: &str, mark: &str) -> anyhow::Result<(HeaderMap, String)> {
    let path = format!("/activity/stream{query}");
    let answer = client.request(Method::GET, &path).send().await?;
    assert_eq!(answer.status(), 200);
    let headers = answer.headers().clone();
    let (mut pieces, mut text) = (answer.bytes_stream(), Vec::new());
    while !String::from_utf8_lossy(&text).contains(mark) {
        text.extend(pieces.next().await.context("it goes on")??);
    }
    Ok((headers, String::from_utf8(text)?))
}

/// Reads a stream up to the registration of `last`.
async fn up_to(stream: &mut Stream, last: &str) -> anyhow::Result<Vec<(u64, Value)>> {
    let mut entries = Vec::new();
    loop {
        let (sequence, data) = stream.entry().await?;
        let done = data["data"]["username"] == last;
        entries.push((sequence, data));
        if done {
            return Ok(entries);
        }
    }
}

/// A process with some history, whose last activity entry is the registration of `last`.
async fn history() -> anyhow::Result<(Process, Team, String)> {
    let (server, team) = start(2).await?;
    settled(&team.admin, 3).await?;
    let release = completed_release(&team, "done", 2).await?;
    settled(&team.admin, 3 + 13).await?;
    register(&server.client(), "last".into()).await?;
    settled(&team.admin, 3 + 13 + 1).await?;
    Ok((server, team, release))
}

#[tokio::test]
async fn a_stream_begins_with_its_reconnection_time() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let (headers, text) = raw(&team.admin, "", "\n\n").await?;
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["cache-control"], "private, no-store");
    assert_eq!(headers["x-accel-buffering"], "no");
    assert!(headers.contains_key("x-request-id"));
    assert!(headers.contains_key("traceparent"));
    assert_eq!(text.lines().next(), Some("retry: 2000"));
    Ok(())
}

#[tokio::test]
async fn an_entry_is_an_id_a_type_and_one_line_of_data() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let body = json!({"name": "a", "tasks": [
        {"title": "t", "assignee": "dev-0", "description": "two\nlines\r\nand\u{2028}a third"},
    ]});
    team.admin.post("/releases", &body).await?.expect(201);
    let (_, text) = raw(&team.admin, "?after=0", "event: task.assigned").await?;
    let blocks: Vec<_> = text.split("\n\n").collect();
    for (number, block) in blocks[1..blocks.len() - 1].iter().enumerate() {
        let lines: Vec<_> = block.split('\n').collect();
        let [id, event, data] = lines[..] else {
            anyhow::bail!("three lines: {block}")
        };
        assert_eq!(id, format!("id: {}", number + 1));
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").context("data")?)?;
        assert_eq!(data["sequence"], number + 1);
        assert_eq!(
            event,
            format!("event: {}", data["type"].as_str().unwrap_or_default())
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_from_the_beginning_matches_the_list() -> anyhow::Result<()> {
    let (_server, team, _) = history().await?;
    let mut stream = team.developers[0].stream("?after=0", None).await?;
    let entries = up_to(&mut stream, "last").await?;
    let (numbers, entries): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert_eq!(entries, team.admin.feed().await?);
    let text = json!(entries).to_string();
    assert!(!text.contains('@'), "no email address is in the feed");
    Ok(())
}

#[tokio::test]
async fn without_a_number_it_begins_with_new_entries() -> anyhow::Result<()> {
    let (server, team, _) = history().await?;
    let before = team.admin.feed().await?.len() as u64;
    let mut stream = team.admin.stream("", None).await?;
    register(&server.client(), "grace".into()).await?;
    let (sequence, entry) = stream.entry().await?;
    assert_eq!(sequence, before + 1);
    assert_eq!(entry["data"]["username"], "grace");
    Ok(())
}

#[tokio::test]
async fn a_reader_resumes_after_its_last_entry_and_continues_live() -> anyhow::Result<()> {
    let (server, team, _) = history().await?;
    let feed = team.admin.feed().await?;
    let newest = feed.len() as u64;
    for seen in [0, 1, 5, newest - 1, newest] {
        let mut by_header = team.admin.stream("", Some(seen)).await?;
        let mut by_query = team.admin.stream(&format!("?after={seen}"), None).await?;
        // The header is where an EventSource stopped: it takes precedence over the URL.
        let mut by_both = team.admin.stream("?after=3", Some(seen)).await?;
        let name = format!("after-{seen}");
        register(&server.client(), name.clone()).await?;
        for stream in [&mut by_header, &mut by_query, &mut by_both] {
            let entries = up_to(stream, &name).await?;
            let numbers: Vec<_> = entries.iter().map(|(sequence, _)| *sequence).collect();
            let last = seen + numbers.len() as u64;
            assert_eq!(numbers, (seen + 1..=last).collect::<Vec<_>>());
            assert!(last > newest);
        }
    }
    Ok(())
}

#[tokio::test]
async fn filters_apply_to_missed_and_new_entries() -> anyhow::Result<()> {
    let (_server, team, done) = history().await?;
    let open = team.release("open", &[1]).await?;
    let task = &task_ids(&open)[0];
    let me = team.developers[1].get("/auth/me").await?.expect(200);
    let queries = [
        "type=task.*".to_owned(),
        "type=task.started".to_owned(),
        "type=user.registered,task.started".to_owned(),
        format!("releaseId={}", id(&open)),
        "mine=true".to_owned(),
        "mine=true&type=task.*".to_owned(),
    ];
    let mut streams = Vec::new();
    for query in &queries {
        streams.push(
            team.developers[1]
                .stream(&format!("?after=0&{query}"), None)
                .await?,
        );
    }
    let mut elsewhere = team.developers[1]
        .stream(&format!("?releaseId={done}"), None)
        .await?;
    begin(&team.developers[1], task).await?.expect(200);
    let own_start =
        |entry: &Value| entry["type"] == "task.started" && entry["actor"]["id"] == me["id"];
    team.admin.seen(own_start).await?;
    for (query, stream) in queries.iter().zip(&mut streams) {
        let path = format!("/activity?order=asc&limit=200&{query}");
        let expected = team.developers[1].all(&path).await?;
        for entry in expected {
            assert_eq!(stream.entry().await?.1, entry, "{query}");
        }
    }
    // The start above belongs to the other release; this hotfix to this one.
    let fix = json!({"title": "fix", "assignee": "dev-0"});
    let path = format!("/releases/{done}/tasks");
    team.admin.post(&path, &fix).await?.expect(201);
    assert_eq!(elsewhere.entry().await?.1["type"], "release.reopened");
    Ok(())
}

#[tokio::test]
async fn a_number_beyond_the_newest_is_a_gap_and_the_stream_continues() -> anyhow::Result<()> {
    let (server, team, _) = history().await?;
    let newest = team.admin.feed().await?.len() as u64;
    for beyond in [newest + 1, 1_000_000, i64::MAX as u64] {
        let mut stream = team.admin.stream("", Some(beyond)).await?;
        let gap = json!({"from": newest + 1, "to": beyond});
        assert_eq!(stream.next().await?, StreamEvent::Gap(gap));
    }
    let mut stream = team.admin.stream("?after=1000000", None).await?;
    stream.next().await?;
    register(&server.client(), "grace".into()).await?;
    assert_eq!(stream.entry().await?.0, newest + 1, "nothing is skipped");
    Ok(())
}

#[tokio::test]
async fn a_malformed_last_event_id_is_refused() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for bad in [
        "x",
        "-1",
        "1.5",
        "0x10",
        "1 2",
        "9223372036854775808",
        "\u{fc}",
    ] {
        let request = team.admin.request(Method::GET, "/activity/stream");
        let request = request.header("last-event-id", bad);
        invalid(team.admin.send(request).await?, "Last-Event-ID");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_without_headers_resumes_by_the_url() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    settled(&team.admin, 2).await?;
    for query in [
        "?lastEventId=1",
        "?after=0&lastEventId=1",
        "?after=1&lastEventId=",
    ] {
        let mut stream = team.admin.stream(query, None).await?;
        assert_eq!(stream.entry().await?.0, 2, "{query}");
    }
    let request = team.admin.request(Method::GET, "/activity/stream");
    let answer = request.header("last-event-id", "").send().await?;
    assert_eq!(answer.status(), 200);
    Ok(())
}

#[tokio::test]
async fn a_stream_requires_a_signed_in_user() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let nobody = server.client();
    unauthorized(nobody.get("/activity/stream").await?, "UNAUTHENTICATED");
    let garbage = nobody.with_token("garbage");
    unauthorized(garbage.get("/activity/stream").await?, "INVALID_TOKEN");
    // An EventSource cannot send the header, so the cookie is accepted.
    let body = json!({"username": "dev-0", "password": PASSWORD});
    let session = nobody.post("/auth/session", &body).await?;
    let cookie = session.header("set-cookie").to_owned();
    session.expect(200);
    let request = nobody.request(Method::GET, "/activity/stream");
    let answer = request.header("cookie", cookie).send().await?;
    assert_eq!(answer.status(), 200);
    Ok(())
}

#[tokio::test]
async fn every_reader_gets_everything_in_one_order() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let mut streams = Vec::new();
    for n in 0..30 {
        let reader = &team.developers[n % 2];
        streams.push(reader.stream("?type=release.created", None).await?);
    }
    for n in 0..10 {
        team.release(&format!("release {n}"), &[0]).await?;
    }
    let mut orders = HashSet::new();
    for stream in &mut streams {
        let mut names = Vec::new();
        for _ in 0..10 {
            let (_, entry) = stream.entry().await?;
            names.push(entry["data"]["releaseName"].to_string());
        }
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), 10);
        orders.insert(names);
    }
    assert_eq!(orders.len(), 1, "in one order");
    Ok(())
}
