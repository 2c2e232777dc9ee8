//! `/tasks/{id}/comments` and `/comments…`.

use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all};
use reqwest::Method;
use serde_json::{Value, json};
use slipway_tests::{
    Answer, Client, Team,
    team::{id, task_ids},
};

use super::{call, invalid, items, pluck, post_with_key, start};

/// Number of levels in a tree.
const LEVELS: usize = 50;

/// The path of the discussion of a new task of the first developer.
async fn board(team: &Team) -> anyhow::Result<String> {
    let release = team.release("discussed", &[0]).await?;
    Ok(format!("/tasks/{}/comments", task_ids(&release)[0]))
}

async fn post(by: &Client, path: &str, text: &str) -> anyhow::Result<Value> {
    Ok(by.post(path, &json!({"content": text})).await?.expect(201))
}

async fn reply(by: &Client, to: &Value, text: &str) -> anyhow::Result<Value> {
    post(by, &format!("/comments/{}/reply", id(to)), text).await
}

/// PATCH of a comment, with `If-Match` if a tag is given.
async fn edit(by: &Client, comment: &Value, tag: Option<&str>) -> anyhow::Result<Answer> {
    let request = by.request(Method::PATCH, &format!("/comments/{}", id(comment)));
    let request = request.json(&json!({"content": "edited"}));
    by.send(match tag {
        Some(tag) => request.header("if-match", tag),
        None => request,
    })
    .await
}

#[tokio::test]
async fn a_discussion_is_in_order_and_in_the_activity_feed() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let path = board(&team).await?;
    let [ada, bob] = [&team.developers[0], &team.developers[1]];
    let question = post(ada, &path, "Which step fails, @dev-1?").await?;
    let other = post(bob, &path, "Another thing.").await?;
    let answer = reply(bob, &question, "The **third**.").await?;
    let thanks = reply(ada, &answer, "Thanks! 👩‍🚀").await?;
    let page = ada.get(&path).await?.expect(200);
    let ids = pluck(items(&page)?, "id");
    let expected = [&question, &answer, &thanks, &other].map(|comment| &comment["id"]);
    assert_eq!(ids, expected);
    let first = &items(&page)?[0];
    assert_eq!(
        (&first["replyCount"], &first["descendantCount"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(items(&page)?[2], thanks);
    assert_eq!(thanks["author"]["username"], "dev-0");

    let entry = ada.seen(|entry| entry["type"] == "comment.replied").await?;
    assert_eq!(
        entry["summary"],
        "dev-1 replied to dev-0 on “task 0” in discussed"
    );
    let task = ada
        .get(path.trim_end_matches("/comments"))
        .await?
        .expect(200);
    assert_eq!(entry["data"]["task"]["releaseId"], task["releaseId"]);
    let of_release = format!(
        "/activity?type=comment.*&releaseId={}",
        task["releaseId"].as_str().unwrap_or_default()
    );
    let entries = ada.get(&of_release).await?.expect(200);
    assert!(!items(&entries)?.is_empty());
    let mine = bob
        .get("/activity?mine=true&type=comment.posted&order=asc")
        .await?
        .expect(200);
    let mentioned = &items(&mine)?[0];
    assert_eq!(mentioned["data"]["mentions"][0]["username"], "dev-1");
    Ok(())
}

#[tokio::test]
async fn a_tree_has_limited_levels_and_continues_after_a_cursor() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let path = board(&team).await?;
    let developer = &team.developers[0];
    let mut chain = vec![post(developer, &path, "0").await?];
    for n in 1..120 {
        chain.push(reply(developer, &chain[n - 1], &n.to_string()).await?);
    }
    // Comments outside the chain: near its end, and after all of it.
    chain.push(reply(developer, &chain[115], "beside").await?);
    chain.push(post(developer, &path, "behind").await?);
    let flat = developer.all(&format!("{path}?limit=7")).await?;
    assert_eq!(pluck(&flat, "id"), pluck(&chain, "id"));

    let (mut cursors, mut seen) = (vec![String::new()], Vec::new());
    while let Some(cursor) = cursors.pop() {
        let page = developer
            .all(&format!("{path}?view=tree&limit=200{cursor}"))
            .await?;
        let mut level: Vec<_> = page.iter().collect();
        let mut depth = 0;
        while !level.is_empty() {
            depth += 1;
            assert!(depth <= LEVELS);
            seen.extend(
                level
                    .iter()
                    .map(|node| node["content"].as_str().unwrap_or_default().to_owned()),
            );
            for node in &level {
                if let Some(cursor) = node["moreReplies"]["cursor"].as_str() {
                    assert_eq!(
                        (depth, &node["moreReplies"]["count"]),
                        (LEVELS, &node["replyCount"])
                    );
                    cursors.push(format!("&cursor={cursor}"));
                }
            }
            let replies = level.iter().filter_map(|node| node["replies"].as_array());
            level = replies.flatten().collect();
        }
    }
    seen.sort();
    let mut posted: Vec<_> = chain.iter().filter_map(|c| c["content"].as_str()).collect();
    posted.sort_unstable();
    assert_eq!(seen, posted, "each is shown once");
    Ok(())
}

#[tokio::test]
async fn an_author_edits_and_deletes_and_an_admin_only_deletes() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let path = board(&team).await?;
    let [ada, bob] = [&team.developers[0], &team.developers[1]];
    let comment = post(ada, &path, "first").await?;
    let address = format!("/comments/{}", id(&comment));
    let tag = ada.get(&address).await?.header("etag").to_owned();
    for by in [bob, &team.admin] {
        edit(by, &comment, None).await?.refused(403, "NOT_AUTHOR");
    }
    let edited = edit(ada, &comment, Some(&tag)).await?;
    assert_ne!(edited.header("etag"), tag);
    assert!(edited.expect(200)["editedAt"].is_string());
    let outdated = edit(ada, &comment, Some(&tag))
        .await?
        .refused(412, "COMMENT_CHANGED");
    assert_eq!(outdated["revision"], 2);
    edit(ada, &comment, Some("W/\"2\""))
        .await?
        .refused(412, "COMMENT_CHANGED");
    let one_of = edit(ada, &comment, Some("\"1\", W/\"2\", \"2\"")).await?;
    let etag = one_of.header("etag");
    assert_eq!(etag, "\"2\"", "the same content changes nothing");

    call(bob, Method::DELETE, &address)
        .await?
        .refused(403, "NOT_AUTHOR");
    let request = ada.request(Method::DELETE, &address);
    let outdated = ada.send(request.header("if-match", &tag)).await?;
    outdated.refused(412, "COMMENT_CHANGED");
    for by in [&team.admin, ada] {
        assert_eq!(
            call(by, Method::DELETE, &address).await?.expect(204),
            Value::Null
        );
    }
    let deleted = bob.get(&address).await?.expect(200);
    assert_eq!(
        (&deleted["deleted"], &deleted["content"], &deleted["author"]),
        (&json!(true), &Value::Null, &Value::Null)
    );
    edit(ada, &comment, None)
        .await?
        .refused(409, "COMMENT_DELETED");
    let late = bob
        .post(&format!("{address}/reply"), &json!({"content": "x"}))
        .await?;
    late.refused(409, "COMMENT_DELETED");
    Ok(())
}

#[tokio::test]
async fn fifty_concurrent_replies_are_all_stored_and_counted() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let path = board(&team).await?;
    let root = post(&team.developers[0], &path, "root").await?;
    let replies = (0..50).map(|n| {
        let (by, root) = (&team.developers[n % 2], &root);
        async move { reply(by, root, &n.to_string()).await }
    });
    let mut posted: Vec<_> = try_join_all(replies)
        .await?
        .iter()
        .map(|r| id(r).to_owned())
        .collect();
    let address = format!("/comments/{}", id(&root));
    let root = team.admin.get(&address).await?.expect(200);
    assert_eq!(
        (&root["replyCount"], &root["descendantCount"]),
        (&json!(50), &json!(50))
    );
    let found = team
        .admin
        .all(&format!("{address}/replies?limit=20"))
        .await?;
    let mut found: Vec<_> = found.iter().map(|reply| id(reply).to_owned()).collect();
    posted.sort();
    found.sort();
    assert_eq!(found, posted);
    Ok(())
}

#[tokio::test]
async fn an_invalid_content_is_refused_by_field() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let path = board(&team).await?;
    let root = post(&team.developers[0], &path, "root").await?;
    for path in [path.clone(), format!("/comments/{}/reply", id(&root))] {
        for bad in [
            "",
            " \n\t ",
            "\u{200b}\u{2800}",
            "a\0b",
            "a\u{1b}[2J",
            &"x".repeat(10_001),
        ] {
            let answer = team.developers[0]
                .post(&path, &json!({"content": bad}))
                .await?;
            invalid(answer, "content");
        }
    }
    let longest = "ä".repeat(10_000);
    let posted = post(&team.developers[0], &path, &longest).await?;
    assert_eq!(posted["content"], longest);
    assert_eq!(team.admin.all(&format!("{path}?")).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn the_largest_page_of_the_largest_comments_is_served() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let path = board(&team).await?;
    let developer = &team.developers[0];
    let root = post(developer, &path, "root").await?;
    // Four bytes per character; and escaped characters, two in JSON for each.
    let largest = ["👩".repeat(10_000), format!("x{}", "\n".repeat(9_999))];
    let replies = (0..200).map(|n| reply(developer, &root, &largest[n % 2]));
    futures::stream::iter(replies)
        .buffer_unordered(8)
        .try_collect::<Vec<_>>()
        .await?;
    for list in [path, format!("/comments/{}/replies", id(&root))] {
        let page = developer.get(&format!("{list}?limit=200")).await?;
        let page = page.expect(200);
        let comments = items(&page)?;
        assert_eq!(comments.len(), 200);
        for comment in comments
            .iter()
            .filter(|comment| comment["id"] != root["id"])
        {
            let content = comment["content"].as_str().unwrap_or_default();
            assert!(largest.iter().any(|largest| largest == content));
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_repeated_post_is_one_comment() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let path = board(&team).await?;
    let developer = &team.developers[0];
    let body = json!({"content": "once"});
    let posts = (0..20).map(|_| post_with_key(developer, &path, &body, "one-key"));
    let answers = try_join_all(posts).await?;
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 201 && answer.text == answers[0].text)
    );
    assert_eq!(developer.all(&format!("{path}?")).await?.len(), 1);
    let other = json!({"content": "another"});
    let reused = post_with_key(developer, &path, &other, "one-key").await?;
    reused.refused(409, "IDEMPOTENCY_KEY_REUSED");
    Ok(())
}
