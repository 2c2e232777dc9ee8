//! Many answers of a slow model, streamed concurrently: the delay that Slipway adds, and its
//! memory.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use reqwest::Method;
use serde_json::json;
use slipway_tests::{Client, Options, Process, Team, team::id};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    load::{histogram, millis, note},
    probe::Memory,
    report::Line,
};

/// Number of users who ask concurrently, each in a session of their own.
const STREAMS: usize = 100;

/// Words of an answer.
const WORDS: usize = 60;

/// The model's time for each word.
const PACE: Duration = Duration::from_millis(50);

/// When a client received its first word and its whole answer.
struct Timing {
    first: Duration,
    whole: Duration,
}

/// All users ask at the same time.
pub(super) async fn answers() -> anyhow::Result<Vec<Line>> {
    let options = Options::default()
        .env("SLIPWAY_OLLAMA_URL", slow_model().await?)
        .env("SLIPWAY_CHAT_CONCURRENCY", STREAMS.to_string());
    let process = Process::start_with(&options).await?;
    let team = Team::new(&process, STREAMS).await?;
    let owners: Vec<usize> = (0..STREAMS).collect();
    team.release("Benchmark", &owners).await?;
    let sessions = try_join_all(team.developers.iter().map(session)).await?;
    let before = Memory::of(&process)?;
    let asking = team.developers.iter().zip(&sessions);
    let asking = try_join_all(asking.map(|(client, session)| ask(client, session)));
    let half = tokio::time::sleep(PACE * (WORDS / 2) as u32);
    let (timings, during) = tokio::join!(asking, async {
        half.await;
        Memory::of(&process)
    });
    let (timings, during) = (timings?, during?);

    let model = PACE * WORDS as u32;
    let (mut first, mut added) = (histogram(), histogram());
    for timing in timings {
        // The model itself takes this long for the first word.
        note(&mut first, timing.first.saturating_sub(PACE));
        note(&mut added, timing.whole.saturating_sub(model));
    }
    let row = |what: &str, times: &hdrhistogram::Histogram<u64>| {
        let (p50, p99) = (millis(times, 0.5), millis(times, 0.99));
        Line::new(
            format!("{what}, {STREAMS} answers at once"),
            format!("p50 {p50:.0} ms, p99 {p99:.0} ms"),
        )
        .figures(&[("p50Ms", p50), ("p99Ms", p99)])
    };
    let (now, was) = (during.now, before.now);
    Ok(vec![
        row("first word, beyond the model's time", &first),
        row("whole answer, beyond the model's time", &added),
        Line::new(
            format!("memory with {STREAMS} answers being written"),
            format!("{now:.0} MB ({was:.0} MB before)"),
        )
        .figures(&[("megabytes", now), ("megabytesBefore", was)]),
    ])
}

async fn session(client: &Client) -> anyhow::Result<String> {
    let session = client.post("/chat/session", &json!({})).await?;
    Ok(id(&session.expect(201)).to_owned())
}

async fn ask(client: &Client, session: &str) -> anyhow::Result<Timing> {
    let began = Instant::now();
    let request = client
        .request(Method::POST, &format!("/chat/{session}/message"))
        .header("accept", "text/event-stream")
        .json(&json!({"message": "What is next for me?"}));
    let mut answer = request.send().await?;
    ensure!(answer.status() == 200, "{}", answer.status());
    let (mut text, mut first) = (String::new(), None);
    while let Some(piece) = answer.chunk().await? {
        text.push_str(&String::from_utf8_lossy(&piece));
        if text.contains("event: token") {
            first.get_or_insert_with(|| began.elapsed());
        }
    }
    ensure!(text.contains("event: done"), "{text}");
    Ok(Timing {
        first: first.context("a word")?,
        whole: began.elapsed(),
    })
}

/// A server with the parts of Ollama's API that are needed.
async fn slow_model() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(speak(stream));
        }
    });
    Ok(url)
}

async fn speak(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = vec![0; 64 * 1024];
    // Every request fits into the buffer.
    let read = stream.read(&mut request).await?;
    if !request[..read].starts_with(b"POST /api/chat ") {
        let nothing = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return stream.write_all(nothing).await;
    }
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    for word in 0..=WORDS {
        let done = word == WORDS;
        if !done {
            tokio::time::sleep(PACE).await;
        }
        let content = if done { "" } else { "word " };
        let line = json!({"message": {"role": "assistant", "content": content}, "done": done});
        let line = format!("{line}\n");
        let chunk = format!("{:x}\r\n{line}\r\n", line.len());
        stream.write_all(chunk.as_bytes()).await?;
    }
    stream.write_all(b"0\r\n\r\n").await
}
