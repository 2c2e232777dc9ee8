//! Tests of `GET /activity/stream`.

use std::time::Duration;

use axum::body::Body;
use futures::StreamExt as _;
use gateway::StreamConfig;
use http::Method;
use serde_json::json;
use tower::ServiceExt as _;

use crate::support::{Gateway, RELEASE, Reader, STREAMS_PER_USER, TTL};

#[tokio::test(start_paused = true)]
async fn a_stream_starts_with_the_reconnection_delay_and_its_position() {
    let gateway = Gateway::new();
    gateway.log.grow(2);
    let mut reader = gateway.stream("", None).await;
    let headers = reader.response.headers();
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["cache-control"], "private, no-store");
    assert_eq!(headers["x-accel-buffering"], "no");
    assert!(headers.contains_key("x-request-id"));
    let opening = reader.next().await.unwrap();
    assert_eq!((opening.retry, opening.id), (Some(2000), Some(2)));
    assert_eq!((opening.event, opening.data), (None, None));
}

#[tokio::test(start_paused = true)]
async fn an_entry_arrives_as_it_is_documented() {
    let gateway = Gateway::new();
    let mut reader = gateway.stream("", None).await;
    gateway.log.grow(3);
    assert_eq!(reader.numbers(2).await, [1, 2]);
    let block = reader.next().await.unwrap();
    assert_eq!(block.id, Some(3));
    assert!(block.is("release.created"));
    assert_eq!(
        block.data.unwrap(),
        json!({
            "sequence": 3,
            "id": "00000000-0000-0000-0000-000000000003",
            "type": "release.created",
            "time": "1970-01-01T00:00:00Z",
            "actor": null,
            "subject": RELEASE,
            "summary": "Entry\n3",
            "data": {"number": 3},
        })
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_position_only_new_entries_arrive() {
    let gateway = Gateway::new();
    gateway.log.grow(5);
    let mut reader = gateway.stream("", None).await;
    gateway.log.grow(2);
    assert_eq!(reader.numbers(2).await, [6, 7]);
}

#[tokio::test(start_paused = true)]
async fn the_header_takes_precedence_over_the_parameter() {
    let gateway = Gateway::new();
    gateway.log.grow(5);
    let mut reader = gateway.stream("?after=1", Some(3)).await;
    assert_eq!(reader.numbers(2).await, [4, 5]);
    let mut reader = gateway.stream("?after=1", None).await;
    assert_eq!(reader.numbers(4).await, [2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn the_last_event_may_be_named_in_the_address() {
    let gateway = Gateway::new();
    gateway.log.grow(5);
    for (query, header, expected) in [
        ("?lastEventId=2", None, &[3, 4, 5][..]),
        // The reconnection of a client that started with `after`.
        ("?after=1&lastEventId=3", None, &[4, 5]),
        ("?lastEventId=1", Some(4), &[5]),
        ("?after=2&lastEventId=", None, &[3, 4, 5]),
    ] {
        let mut reader = gateway.stream(query, header).await;
        assert_eq!(reader.numbers(expected.len()).await, expected, "{query}");
    }
    for bad in ["x", "-1", "1.5", "1&lastEventId=2"] {
        let path = format!("/activity/stream?lastEventId={bad}");
        gateway.get(&path).await.invalid("lastEventId");
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_header_counts_as_absent() {
    let gateway = Gateway::new();
    gateway.log.grow(3);
    drop(gateway.stream("", None).await);
    let request = gateway
        .request(Method::GET, "/activity/stream?after=1")
        .header("last-event-id", "");
    let response = gateway
        .router
        .clone()
        .oneshot(request.body(Body::empty()).unwrap());
    let mut reader = Reader::of(response.await.unwrap());
    assert_eq!(reader.numbers(2).await, [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_position_is_refused() {
    let gateway = Gateway::new();
    drop(gateway.stream("", None).await);
    for bad in ["x", "-1", "1.5", "99999999999999999999"] {
        let request = gateway
            .request(Method::GET, "/activity/stream")
            .header("last-event-id", bad);
        let answer = gateway.send(request.body(axum::body::Body::empty()).unwrap());
        answer.await.invalid("Last-Event-ID");
    }
    for (first, second) in [("1", "2"), ("1", "1"), ("", "1")] {
        let request = gateway
            .request(Method::GET, "/activity/stream")
            .header("last-event-id", first)
            .header("last-event-id", second);
        let answer = gateway.send(request.body(Body::empty()).unwrap());
        answer.await.invalid("Last-Event-ID");
    }
    gateway
        .get("/activity/stream?after=x")
        .await
        .invalid("after");
    gateway
        .get("/activity/stream?since=1")
        .await
        .invalid("since");
    gateway
        .get("/activity/stream?type=Task")
        .await
        .invalid("type");
}

#[tokio::test(start_paused = true)]
async fn deleted_entries_are_a_gap() {
    let gateway = Gateway::new();
    gateway.log.grow(9);
    gateway.log.forget(6);
    let mut reader = gateway.stream("", Some(2)).await;
    reader.next().await.unwrap();
    let gap = reader.next().await.unwrap();
    assert!(gap.is("gap"));
    assert_eq!(gap.data.unwrap(), json!({"from": 3, "to": 6}));
    assert_eq!(reader.numbers(3).await, [7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn entries_that_do_not_exist_yet_are_a_gap() {
    let gateway = Gateway::new();
    gateway.log.grow(4);
    let mut reader = gateway.stream("", Some(9)).await;
    reader.next().await.unwrap();
    let gap = reader.next().await.unwrap();
    assert!(gap.is("gap"));
    assert_eq!(
        (gap.id, gap.data.unwrap()),
        (Some(4), json!({"from": 5, "to": 9}))
    );
    gateway.log.grow(2);
    assert_eq!(reader.numbers(2).await, [5, 6]);
}

#[tokio::test(start_paused = true)]
async fn filters_apply_to_missed_and_new_entries() {
    let release = format!("?releaseId={RELEASE}");
    for query in [
        "?type=release.*",
        "?type=release.created,chat.*",
        &release,
        "?mine=true",
    ] {
        let gateway = Gateway::new();
        gateway.log.grow(6);
        let mut reader = gateway.stream(query, Some(0)).await;
        gateway.log.grow(6);
        assert_eq!(reader.numbers(4).await, [3, 6, 9, 12], "{query}");
    }
    let gateway = Gateway::new();
    let mut reader = gateway.stream("?mine=true&type=task.*", None).await;
    gateway.log.grow(6);
    let block = reader.next().await.unwrap();
    assert_eq!(block.retry, Some(2000));
    assert_eq!(reader.next().await.unwrap().comment.unwrap(), "keep-alive");
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_sends_keep_alive_comments() {
    let gateway = Gateway::new();
    let mut reader = gateway.stream("", None).await;
    reader.next().await.unwrap();
    let started = tokio::time::Instant::now();
    for beat in 1..=3_u32 {
        assert_eq!(reader.next().await.unwrap().comment.unwrap(), "keep-alive");
        assert_eq!(started.elapsed().as_secs(), u64::from(beat) * 15);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_sends_a_goodbye() {
    let gateway = Gateway::new();
    let mut reader = gateway.stream("", None).await;
    reader.next().await.unwrap();
    gateway.drain.cancel();
    let goodbye = reader.next().await.unwrap();
    assert!(goodbye.is("goodbye"));
    assert_eq!(goodbye.data.unwrap(), json!({"reason": "shutdown"}));
    assert_eq!(reader.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_sends_a_goodbye() {
    let gateway = Gateway::new();
    let mut reader = gateway.stream("", None).await;
    let started = tokio::time::Instant::now();
    let goodbye = loop {
        let block = reader.next().await.unwrap();
        if block.event.is_some() {
            break block;
        }
    };
    assert_eq!(started.elapsed().as_secs(), TTL.as_secs());
    assert_eq!(goodbye.data.unwrap(), json!({"reason": "token_expired"}));
    assert_eq!(reader.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_cannot_keep_up_is_disconnected_and_resumes() {
    let gateway = Gateway::with_stream(StreamConfig {
        reader_bound: 4,
        ..StreamConfig::default()
    });
    let mut slow = gateway.stream("", None).await;
    gateway.log.grow(20);
    settle().await;
    assert_eq!(slow.next().await.unwrap().id, Some(0));
    assert_eq!(slow.next().await, None);
    let mut resumed = gateway.stream("", Some(0)).await;
    assert_eq!(resumed.numbers(20).await, (1..=20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_unavailable_log_is_answered_with_503() {
    let gateway = Gateway::new();
    drop(gateway.stream("", None).await);
    gateway.log.set_unavailable(true);
    settle().await;
    let answer = gateway.get("/activity/stream").await;
    answer.problem(503, "UNAVAILABLE");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test(start_paused = true)]
async fn readers_do_not_notice_a_short_outage_of_the_log() {
    let gateway = Gateway::new();
    let mut reader = gateway.stream("", None).await;
    gateway.log.grow(2);
    assert_eq!(reader.numbers(2).await, [1, 2]);
    gateway.log.set_unavailable(true);
    gateway.log.grow(3);
    // Longer than the longest reconnection delay; time is paused.
    tokio::time::advance(Duration::from_secs(7)).await;
    settle().await;
    gateway.log.set_unavailable(false);
    gateway.log.grow(1);
    assert_eq!(reader.numbers(4).await, [3, 4, 5, 6]);
}

#[tokio::test(start_paused = true)]
async fn readers_get_a_gap_for_entries_deleted_before_the_gateway_read_them() {
    let gateway = Gateway::new();
    gateway.log.grow(2);
    let mut reader = gateway.stream("", None).await;
    reader.next().await.unwrap();
    gateway.log.set_unavailable(true);
    gateway.log.grow(8);
    gateway.log.forget(5);
    settle().await;
    gateway.log.set_unavailable(false);
    assert_eq!(reader.next().await, None);
    let mut resumed = gateway.stream("", Some(2)).await;
    resumed.next().await.unwrap();
    assert_eq!(
        resumed.next().await.unwrap().data.unwrap(),
        json!({"from": 3, "to": 5})
    );
    assert_eq!(resumed.numbers(5).await, [6, 7, 8, 9, 10]);
}

#[tokio::test(start_paused = true)]
async fn when_the_log_is_restored_from_an_older_backup_readers_learn_of_it_and_go_on_live() {
    let gateway = Gateway::new();
    gateway.log.grow(5);
    let mut reader = gateway.stream("", None).await;
    reader.next().await.unwrap();
    gateway.log.restore(3);
    assert_eq!(reader.next().await, None);
    let mut resumed = gateway.stream("", Some(5)).await;
    resumed.next().await.unwrap();
    let gap = resumed.next().await.unwrap();
    assert_eq!(
        (gap.id, gap.data.unwrap()),
        (Some(3), json!({"from": 4, "to": 5}))
    );
    gateway.log.grow(2);
    assert_eq!(resumed.numbers(2).await, [4, 5]);
}

/// Runs all tasks that are ready, without advancing time.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn missed_entries_are_sent_in_pieces_of_limited_size() {
    let gateway = Gateway::new();
    gateway.log.grow_large(40, 10_000);
    drop(gateway.stream("", None).await);
    let request = gateway.request(Method::GET, "/activity/stream?after=0");
    let response = gateway
        .router
        .clone()
        .oneshot(request.body(Body::empty()).unwrap());
    let mut body = response.await.unwrap().into_body().into_data_stream();
    let (mut text, mut largest) = (String::new(), 0);
    while text.matches("event: ").count() < 40 {
        let piece = body.next().await.unwrap().unwrap();
        largest = largest.max(piece.len());
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert_eq!(largest, 512);
    let numbers: Vec<u64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("id: ")?.parse().ok())
        .collect();
    assert_eq!(numbers, (0..=40).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn the_open_streams_of_an_account_are_limited() {
    let gateway = Gateway::new();
    let mut open = Vec::new();
    for _ in 0..STREAMS_PER_USER {
        open.push(gateway.stream("", None).await);
    }
    let answer = gateway.get("/activity/stream").await;
    answer.problem(429, "TOO_MANY_STREAMS");
    assert_eq!(answer.header("retry-after"), "1");
    open.pop();
    drop(gateway.stream("", None).await);
}
