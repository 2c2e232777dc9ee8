//! Follows the activity stream, and resumes it after a lost connection.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::Context as _;
use futures::StreamExt as _;
use reqwest::StatusCode;
use serde::Deserialize;
use sse_stream::{Sse, SseStream};

use super::{
    backoff::Backoff,
    entry::{Entry, Gap},
    output::Output,
};
use crate::{
    commands::client::{Client, ClientError, innermost},
    output::UNWRITABLE,
};

/// The error for events that do not match the API.
const NOT_UNDERSTOOD: &str = "the server has sent an event that does not match the API";

const TOKEN_EXPIRED: &str = "the token has expired";
const SESSION_ENDED: &str = "the session has ended";

/// Maximum bytes of one event.
const LONGEST_EVENT: usize = 4 * 1024 * 1024;

/// Why the server ends a stream.
#[derive(Deserialize)]
struct Goodbye {
    reason: String,
}

/// A reader of the activity stream that keeps its position.
pub(super) struct Follower<'a> {
    client: &'a Client,
    filter: Vec<(&'a str, &'a str)>,
    /// The number of the last event seen, or of the start position.
    last: Option<String>,
    backoff: Backoff,
    output: Output<'a>,
    /// Whether the connection was lost and is not restored yet.
    lost: bool,
    /// Whether the token has expired or its session has ended.
    signed_out: bool,
}

impl<'a> Follower<'a> {
    pub(super) fn new(
        client: &'a Client,
        filter: Vec<(&'a str, &'a str)>,
        after: Option<u64>,
        output: Output<'a>,
    ) -> Self {
        Self {
            client,
            filter,
            last: after.map(|after| after.to_string()),
            backoff: Backoff::new(),
            output,
            lost: false,
            signed_out: false,
        }
    }

    /// Follows until the server refuses or the output is closed.
    pub(super) async fn follow(&mut self) -> anyhow::Result<()> {
        loop {
            let reason = self.read_once().await?;
            let delay = self.backoff.delay(rand::random());
            if !self.lost {
                self.lost = true;
                self.output.remark(&format!("{reason}; connecting again"));
            }
            tokio::time::sleep(delay).await;
        }
    }

    /// Reads one connection to its end; returns why it ended.
    async fn read_once(&mut self) -> anyhow::Result<String> {
        let signs_in = std::mem::take(&mut self.signed_out);
        if signs_in && let Err(error) = self.client.renew().await {
            self.signed_out = true;
            return if is_final(&error) {
                Err(error.into())
            } else {
                Ok(error.to_string())
            };
        }
        let opened = self
            .client
            .stream("/activity/stream", &self.filter, self.last.as_deref())
            .await;
        let response = match opened {
            Ok(response) => response,
            Err(error) if is_signed_out(&error) && self.client.can_renew() && !signs_in => {
                self.signed_out = true;
                return Ok(TOKEN_EXPIRED.into());
            }
            Err(error) if is_final(&error) => return Err(error.into()),
            Err(error) => return Ok(error.to_string()),
        };
        if self.lost {
            self.lost = false;
            self.output.remark("connected again");
        }
        self.backoff.reset();
        let since_event = AtomicUsize::new(0);
        let bytes = response.bytes_stream().map(|bytes| {
            let bytes = bytes.map_err(io::Error::other)?;
            let before = since_event.fetch_add(bytes.len(), Ordering::Relaxed);
            match before + bytes.len() > LONGEST_EVENT {
                true => Err(io::Error::other("an event is too long")),
                false => Ok(bytes),
            }
        });
        let mut events = SseStream::from_bytes_stream(bytes);
        while let Some(event) = events.next().await {
            since_event.store(0, Ordering::Relaxed);
            match event {
                Ok(event) if event.event.as_deref() == Some("goodbye") => {
                    return Ok(self.goodbye(event.data.as_deref()).into());
                }
                Ok(event) => self.take(event)?,
                Err(error) => return Ok(format!("the connection is lost: {}", innermost(&error))),
            }
        }
        Ok("the server has closed the connection".into())
    }

    /// Why the server ends the stream.
    fn goodbye(&mut self, data: Option<&str>) -> &'static str {
        let goodbye = data.and_then(|data| serde_json::from_str::<Goodbye>(data).ok());
        let reason = match goodbye.as_ref().map(|goodbye| &*goodbye.reason) {
            Some("token_expired") => TOKEN_EXPIRED,
            Some("session_ended") => SESSION_ENDED,
            _ => return "the server is going down",
        };
        self.signed_out = true;
        reason
    }

    fn take(&mut self, event: Sse) -> anyhow::Result<()> {
        if let Some(milliseconds) = event.retry {
            self.backoff.begin_with(Duration::from_millis(milliseconds));
        }
        match (event.event.as_deref(), &event.data) {
            (Some("gap"), Some(data)) => {
                let gap: Gap = serde_json::from_str(data).context(NOT_UNDERSTOOD)?;
                let position = event.id.as_deref().and_then(|id| id.parse().ok());
                self.output.remark(&gap.sentence(position));
            }
            (_, Some(data)) => {
                let entry: Entry = serde_json::from_str(data).context(NOT_UNDERSTOOD)?;
                let printed = self.output.entry(&entry, data);
                printed.context(UNWRITABLE)?;
            }
            (_, None) => {}
        }
        // The block without data at the start of the stream has a position too.
        if event.id.is_some() {
            self.last = event.id;
        }
        Ok(())
    }
}

/// Whether the server refuses the token.
fn is_signed_out(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused(refusal) if refusal.status == StatusCode::UNAUTHORIZED)
}

/// Whether a retry cannot help: the token is invalid or expired, or the request is wrong. All other
/// errors are temporary.
fn is_final(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } => false,
        ClientError::Malformed { .. }
        | ClientError::SignedOut
        | ClientError::SessionEnded { .. }
        | ClientError::Store(_) => true,
        ClientError::Refused(refusal) => {
            refusal.status.is_client_error()
                && refusal.status != StatusCode::TOO_MANY_REQUESTS
                && refusal.status != StatusCode::REQUEST_TIMEOUT
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::script::{Reply, Script, header};

    /// Entry `sequence` as the server sends it.
    macro_rules! entry {
        ($sequence:literal) => {
            concat!(
                "id: ",
                $sequence,
                "\nevent: task.started\ndata: {\"sequence\": ",
                $sequence,
                ", \"type\": \"task.started\",\ndata: \"time\": \"2026-11-21T10:32:05Z\", ",
                "\"summary\": \"ada\\u001b started\"}\n\n"
            )
        };
    }

    /// The printed entries, the remarks, and the final error.
    async fn follow(script: &Script, json: bool, after: Option<u64>) -> [String; 3] {
        let client = Client::new(script.url.clone()).unwrap();
        follow_as(client, json, after).await
    }

    async fn follow_as(client: Client, json: bool, after: Option<u64>) -> [String; 3] {
        let (mut entries, mut remarks) = (Vec::new(), Vec::new());
        let output = Output {
            json,
            colour: false,
            entries: &mut entries,
            remarks: &mut remarks,
        };
        let mut follower = Follower::new(&client, vec![("mine", "true")], after, output);
        let end = follower.follow().await.unwrap_err().to_string();
        [entries, remarks, end.into()].map(|text| String::from_utf8(text).unwrap())
    }

    #[tokio::test]
    async fn a_lost_stream_is_resumed_where_it_broke_off() {
        let script = Script::start(vec![
            Reply::Events(concat!("retry: 1\nid: 4\n\n", entry!(5))),
            Reply::Cut,
            Reply::Events(concat!(
                "id: 8\nevent: gap\ndata: {\"from\":6,\"to\":8}\n\n",
                entry!(9),
                "event: goodbye\ndata: {}\n\n"
            )),
            Reply::Json(401, r#"{"code": "UNAUTHENTICATED", "detail": "Sign in."}"#),
        ])
        .await;
        let [entries, remarks, end] = follow(&script, false, None).await;
        assert_eq!(
            entries,
            "#5 2026-11-21 10:32:05Z task.started  ada\\u{1b} started\n\
             #9 2026-11-21 10:32:05Z task.started  ada\\u{1b} started\n"
        );
        let remarks: Vec<&str> = remarks.lines().collect();
        assert_eq!(remarks.len(), 4, "{remarks:?}");
        let closed = "slipway: the server has closed the connection; connecting again";
        assert_eq!(remarks[0], closed);
        assert_eq!(remarks[1], "slipway: connected again");
        assert!(remarks[2].contains("#6 to #8 are gone"));
        assert!(remarks[3].contains("going down"));
        assert_eq!(end, "UNAUTHENTICATED: Sign in.");
        let requests = script.requests().await;
        let places = requests.iter().map(|r| header(r, "last-event-id"));
        let expected = [None, Some("5"), Some("5"), Some("9")];
        assert!(places.eq(expected), "{requests:#?}");
        assert!(requests[0].starts_with("GET /activity/stream?mine=true "));
    }

    #[tokio::test]
    async fn when_the_token_has_expired_it_signs_in_again_and_resumes() {
        const SESSION: &str =
            r#"{"token": "new", "user": {"username": "ada", "role": "DEVELOPER"}}"#;
        let script = Script::start(vec![
            Reply::Events(concat!(
                "retry: 1\n\n",
                entry!(5),
                "event: goodbye\ndata: {\"reason\":\"token_expired\"}\n\n"
            )),
            Reply::Json(200, SESSION),
            Reply::Events(entry!(6)),
            Reply::Json(401, "{}"),
            Reply::Json(200, SESSION),
            // A new token that is refused will not become valid.
            Reply::Json(401, "{}"),
        ])
        .await;
        let client = Client::new(script.url.clone()).unwrap();
        let client = client.with_password("ada", "engine no. 1");
        let [entries, remarks, end] = follow_as(client, false, None).await;
        assert!(
            entries.contains("#5 ") && entries.contains("#6 "),
            "{entries}"
        );
        let remark = "the token has expired; connecting again";
        assert!(remarks.contains(remark), "{remarks}");
        assert_eq!(end, "HTTP 401: Unauthorized");
        let requests = script.requests().await;
        let paths = requests.iter().filter_map(|r| r.split(' ').nth(1));
        let (stream, login) = ("/activity/stream?mine=true", "/auth/login");
        assert!(paths.eq([stream, login, stream, stream, login, stream]));
        assert_eq!(header(&requests[2], "authorization"), Some("Bearer new"));
        assert_eq!(header(&requests[2], "last-event-id"), Some("5"));
    }

    #[tokio::test]
    async fn without_a_password_an_expired_token_is_an_error() {
        let goodbye = "retry: 1\n\nevent: goodbye\ndata: {\"reason\":\"token_expired\"}\n\n";
        let script = Script::start(vec![Reply::Events(goodbye)]).await;
        let [_, _, end] = follow(&script, false, None).await;
        assert!(
            end.starts_with("the token has expired; with --username"),
            "{end}"
        );
    }

    #[tokio::test]
    async fn a_stream_without_entries_has_a_position_too() {
        let script = Script::start(vec![
            Reply::Events("retry: 1\nid: 7\n\n"),
            Reply::Json(403, "{}"),
        ])
        .await;
        let [entries, _, end] = follow(&script, false, Some(3)).await;
        assert_eq!(
            (entries.as_str(), end.as_str()),
            ("", "HTTP 403: Forbidden")
        );
        let requests = script.requests().await;
        assert_eq!(header(&requests[0], "last-event-id"), Some("3"));
        assert_eq!(header(&requests[1], "last-event-id"), Some("7"));
    }

    #[tokio::test]
    async fn an_endless_event_is_read_up_to_a_limit() {
        let endless = format!("retry: 1\n\ndata: {}", "x".repeat(2 * LONGEST_EVENT));
        let script =
            Script::start(vec![Reply::Events(endless.leak()), Reply::Json(403, "{}")]).await;
        let [entries, remarks, _] = follow(&script, false, None).await;
        assert_eq!(entries, "");
        assert!(remarks.contains("an event is too long"), "{remarks}");
    }

    #[tokio::test]
    async fn json_is_one_object_per_line() {
        let script = Script::start(vec![
            Reply::Events(concat!("retry: 1\n\n", entry!(5))),
            Reply::Json(400, "{}"),
        ])
        .await;
        let [entries, _, _] = follow(&script, true, None).await;
        assert_eq!(entries.lines().count(), 1);
        let entry: serde_json::Value = serde_json::from_str(&entries).unwrap();
        assert_eq!(entry["sequence"], 5);
    }
}
