//! Paging, which is the same for every list.

use anyhow::Context as _;
use serde_json::Value;
use slipway_tests::{Process, Team};

use super::{LISTS, invalid, items, pluck, settled, start};

/// A process in which every list has eleven items or more for its first developer.
async fn full() -> anyhow::Result<(Process, Team)> {
    let (server, team) = start(11).await?;
    for n in 0..11 {
        team.release(&format!("release {n}"), &[0]).await?;
    }
    // Twelve registrations; of each release its creation, and its task's two entries.
    settled(&team.admin, 12 + 11 * 3).await?;
    Ok((server, team))
}

#[tokio::test]
async fn pages_joined_are_the_whole() -> anyhow::Result<()> {
    let (_server, team) = full().await?;
    let reader = &team.developers[0];
    for list in LISTS {
        let whole = reader.get(&format!("{list}&limit=200")).await?.expect(200);
        assert_eq!(whole["nextCursor"], Value::Null);
        let whole = items(&whole)?;
        assert!(whole.len() >= 11, "{list}: {}", whole.len());
        for limit in [1, 3, whole.len() - 1, whole.len()] {
            let joined = reader.all(&format!("{list}&limit={limit}")).await?;
            assert_eq!(joined, whole, "{list} by {limit}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_page_has_as_many_items_as_asked_for_and_the_last_one_no_cursor() -> anyhow::Result<()> {
    let (_server, team) = full().await?;
    let reader = &team.developers[0];
    for list in LISTS {
        let whole = reader.all(&format!("{list}&limit=200")).await?;
        let exact = reader
            .get(&format!("{list}&limit={}", whole.len()))
            .await?
            .expect(200);
        assert_eq!(items(&exact)?.len(), whole.len());
        assert_eq!(exact["nextCursor"], Value::Null, "{list}");
        let less = whole.len() - 1;
        let page = reader
            .get(&format!("{list}&limit={less}"))
            .await?
            .expect(200);
        assert_eq!(items(&page)?.len(), less);
        let cursor = page["nextCursor"].as_str().context("more follows")?;
        let rest = reader
            .get(&format!("{list}&limit=200&cursor={cursor}"))
            .await?
            .expect(200);
        assert_eq!(items(&rest)?, &whole[less..]);
    }
    Ok(())
}

#[tokio::test]
async fn a_page_has_fifty_items_unless_it_is_said() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = team.release("large", &[0; 60]).await?;
    let page = team.developers[0].get("/tasks/my").await?.expect(200);
    let tasks = release["tasks"].as_array().context("tasks")?;
    assert_eq!(pluck(items(&page)?, "id"), pluck(&tasks[..50], "id"));
    assert!(page["nextCursor"].is_string());
    Ok(())
}

#[tokio::test]
async fn a_limit_is_from_1_to_200() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for list in LISTS {
        for limit in ["0", "201", "-1", "abc", "", "1.0", "4294967297", "%31%00"] {
            let path = format!("{list}&limit={limit}");
            let message = invalid(team.admin.get(&path).await?, "limit");
            assert_eq!(message, "must be from 1 to 200");
        }
        for limit in [1, 200] {
            let path = format!("{list}&limit={limit}");
            team.admin.get(&path).await?.expect(200);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_cursor_opens_only_the_list_that_issued_it() -> anyhow::Result<()> {
    let (_server, team) = full().await?;
    let (reader, colleague) = (&team.developers[0], &team.developers[1]);
    let variants = [
        "/users?",
        "/users?q=dev",
        "/releases?",
        "/releases?status=OPEN",
        "/tasks/my?",
        "/tasks/my?status=TODO",
        "/activity?",
        "/activity?order=asc",
        "/activity?type=task.*",
        "/activity?mine=true",
    ];
    for issuer in variants {
        let page = reader.get(&format!("{issuer}&limit=1")).await?.expect(200);
        let cursor = page["nextCursor"].as_str().context("a cursor")?;
        for other in variants {
            let path = format!("{other}&cursor={cursor}");
            let answer = reader.get(&path).await?;
            if other == issuer {
                answer.expect(200);
            } else {
                let message = invalid(answer, "cursor");
                assert_eq!(message, "was not issued by this list");
            }
        }
        // What is one person's own list cannot be continued by another.
        if issuer.starts_with("/tasks/my") || issuer.contains("mine") {
            let path = format!("{issuer}&cursor={cursor}");
            invalid(colleague.get(&path).await?, "cursor");
        }
    }
    for list in LISTS {
        for cursor in ["garbage", "%00", "e30", "bnVsbA", "W10", "=="] {
            let path = format!("{list}&cursor={cursor}");
            invalid(reader.get(&path).await?, "cursor");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_is_added_meanwhile_does_not_move_the_pages() -> anyhow::Result<()> {
    let (_server, team) = full().await?;
    let before = team.admin.all("/releases?limit=200").await?;
    let first = team.admin.get("/releases?limit=4").await?.expect(200);
    team.release("meanwhile", &[]).await?;
    let cursor = first["nextCursor"].as_str().context("a cursor")?;
    let rest = format!("/releases?limit=200&cursor={cursor}");
    let rest = team.admin.get(&rest).await?.expect(200);
    let joined: Vec<_> = items(&first)?
        .iter()
        .chain(items(&rest)?)
        .cloned()
        .collect();
    assert_eq!(joined, before);
    Ok(())
}
