//! Paging, which works the same for every list.

use anyhow::Context as _;
use serde_json::Value;

use super::{
    full::{ENOUGH, Full, List},
    invalid, items, pluck, start,
};

#[tokio::test]
async fn the_pages_make_up_the_list() -> anyhow::Result<()> {
    let full = Full::new().await?;
    for List { path, reader } in full.lists() {
        let whole = reader.get(&format!("{path}?limit=200")).await?.expect(200);
        assert_eq!(whole["nextCursor"], Value::Null);
        let whole = items(&whole)?;
        assert!(whole.len() >= ENOUGH, "{path}: {}", whole.len());
        for limit in [1, 3, whole.len() - 1, whole.len()] {
            let joined = reader.all(&format!("{path}?limit={limit}")).await?;
            assert_eq!(joined, whole, "{path} by {limit}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_page_has_the_requested_number_and_the_last_one_no_cursor() -> anyhow::Result<()> {
    let full = Full::new().await?;
    for List { path, reader } in full.lists() {
        let get = async |query: String| {
            let answer = reader.get(&format!("{path}?{query}")).await?;
            anyhow::Ok(answer.expect(200))
        };
        let whole = reader.all(&format!("{path}?limit=200")).await?;
        let exact = get(format!("limit={}", whole.len())).await?;
        assert_eq!(items(&exact)?.len(), whole.len());
        assert_eq!(exact["nextCursor"], Value::Null, "{path}");
        let less = whole.len() - 1;
        let page = get(format!("limit={less}")).await?;
        assert_eq!(items(&page)?.len(), less);
        let cursor = page["nextCursor"].as_str().context("more follows")?;
        let rest = get(format!("limit=200&cursor={cursor}")).await?;
        assert_eq!(items(&rest)?, &whole[less..], "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn a_page_has_fifty_items_by_default() -> anyhow::Result<()> {
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
    let full = Full::new().await?;
    for List { path, reader } in &full.lists {
        for limit in [
            "0",
            "201",
            "-1",
            "%2B5",
            "010",
            "abc",
            "",
            "1.0",
            "4294967297",
        ] {
            let answer = reader.get(&format!("{path}?limit={limit}")).await?;
            let range = "must be a whole number from 1 to 200, without a sign or leading zeros";
            assert_eq!(invalid(answer, "limit"), range, "{path}");
        }
        for limit in [1, 200] {
            let path = format!("{path}?limit={limit}");
            reader.get(&path).await?.expect(200);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_cursor_is_valid_only_for_its_list() -> anyhow::Result<()> {
    let full = Full::new().await?;
    let colleague = &full.team.developers[1];
    let mut variants: Vec<_> = full
        .lists()
        .map(|list| (format!("{}?", list.path), &list.reader))
        .collect();
    for (path, query) in [
        ("/users", "q=dev"),
        ("/releases", "status=OPEN"),
        ("/tasks/my", "status=TODO"),
        ("/activity", "order=asc"),
        ("/activity", "type=task.*"),
        ("/activity", "mine=true"),
        ("/notifications", "status=SENT"),
    ] {
        variants.push((format!("{path}?{query}"), &full.team.developers[0]));
    }
    for (issuer, reader) in &variants {
        let page = reader.get(&format!("{issuer}&limit=1")).await?.expect(200);
        let cursor = page["nextCursor"].as_str().context("a cursor")?;
        for (other, reader) in &variants {
            let answer = reader.get(&format!("{other}&cursor={cursor}")).await?;
            if other == issuer {
                answer.expect(200);
            } else {
                let message = invalid(answer, "cursor");
                assert_eq!(message, "was not issued by this list", "{issuer} {other}");
            }
        }
        // One user's list cannot be continued by another user.
        let own = [
            "/tasks/my",
            "/notifications",
            "/chat/sessions",
            "/auth/sessions",
        ];
        if own.iter().any(|own| issuer.starts_with(own)) || issuer.contains("mine") {
            let path = format!("{issuer}&cursor={cursor}");
            invalid(colleague.get(&path).await?, "cursor");
        }
    }
    for List { path, reader } in &full.lists {
        for cursor in ["garbage", "%00", "e30", "bnVsbA", "W10", "=="] {
            let path = format!("{path}?cursor={cursor}");
            invalid(reader.get(&path).await?, "cursor");
        }
    }
    Ok(())
}

#[tokio::test]
async fn additions_do_not_move_the_pages() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for n in 0..ENOUGH {
        team.release(&format!("release {n}"), &[]).await?;
    }
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
