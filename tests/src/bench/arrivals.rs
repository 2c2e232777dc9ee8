//! Many listeners of the stream, and when each of them heard of what.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use tokio::{io::AsyncReadExt as _, net::TcpStream, sync::Notify};

use super::{
    load::{histogram, note},
    wire::{self, Connection},
};

/// What has not arrived after this time never will.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is read of a stream at once.
const PIECE: usize = 2 * 1024;

/// Notes arrivals for as long as its listeners are connected.
#[derive(Default)]
pub(crate) struct Arrivals {
    noted: Mutex<Noted>,
    all_here: Notify,
}

#[derive(Default)]
struct Noted {
    /// The sequence number of the next entry.
    next: u64,
    listeners: usize,
    /// By ascending sequence number.
    sent: Vec<Sent>,
}

/// A command, and the first entry that it makes.
struct Sent {
    sequence: u64,
    at: Instant,
    /// How long it took to each listener so far.
    after: Vec<Duration>,
}

/// From the sending of a command to its arrival, in microseconds.
pub(crate) struct Delays {
    /// At each listener.
    pub(crate) each: Histogram<u64>,
    /// At the last listener of each event.
    pub(crate) last: Histogram<u64>,
}

impl Arrivals {
    /// Connects listeners; returns when all are.
    ///
    /// # Errors
    /// If one is refused.
    pub(crate) async fn listen(
        self: &Arc<Self>,
        address: SocketAddr,
        token: &str,
        listeners: usize,
    ) -> anyhow::Result<()> {
        let request = format!("GET /activity/stream{}", wire::tail(token)).into_bytes();
        for _ in 0..listeners {
            let connection = Connection::open(address).await?;
            let (stream, begun) = connection.stream(&request).await?;
            tokio::spawn(listen(stream, begun, Arc::clone(self)));
        }
        self.noted.lock().listeners = listeners;
        Ok(())
    }

    /// Entries from this number on are of interest.
    pub(crate) fn begin(&self, first: u64) {
        self.noted.lock().next = first;
    }

    /// To be said just before a command is sent that makes so many entries. The first of them
    /// counts.
    pub(crate) fn send(&self, entries: u64) {
        let mut noted = self.noted.lock();
        let sent = Sent {
            sequence: noted.next,
            after: Vec::with_capacity(noted.listeners),
            at: Instant::now(),
        };
        noted.next += entries;
        noted.sent.push(sent);
    }

    /// Waits until every listener has everything, and returns how long it took.
    ///
    /// # Errors
    /// If something does not arrive.
    pub(crate) async fn delays(&self) -> anyhow::Result<Delays> {
        let everywhere = async {
            while !self.noted.lock().complete() {
                self.all_here.notified().await;
            }
        };
        let in_time = tokio::time::timeout(TIMEOUT, everywhere).await;
        let noted = self.noted.lock();
        in_time.with_context(|| noted.missing())?;
        let mut delays = Delays {
            each: histogram(),
            last: histogram(),
        };
        for sent in &noted.sent {
            for after in &sent.after {
                note(&mut delays.each, *after);
            }
            if let Some(last) = sent.after.iter().max() {
                note(&mut delays.last, *last);
            }
        }
        Ok(delays)
    }

    fn arrived(&self, sequence: u64) {
        let mut noted = self.noted.lock();
        let listeners = noted.listeners;
        let place = noted
            .sent
            .binary_search_by_key(&sequence, |sent| sent.sequence);
        if let Some(sent) = place.ok().and_then(|place| noted.sent.get_mut(place)) {
            sent.after.push(sent.at.elapsed());
            if sent.after.len() == listeners {
                self.all_here.notify_one();
            }
        }
    }
}

impl Noted {
    fn complete(&self) -> bool {
        let here = |sent: &Sent| sent.after.len() == self.listeners;
        self.sent.iter().all(here)
    }

    fn missing(&self) -> String {
        let arrived: usize = self.sent.iter().map(|sent| sent.after.len()).sum();
        let expected = self.sent.len() * self.listeners;
        format!("{arrived} of {expected} entries have arrived")
    }
}

async fn listen(
    mut stream: TcpStream,
    begun: Vec<u8>,
    arrivals: Arc<Arrivals>,
) -> anyhow::Result<()> {
    let mut lines = Lines::default();
    lines.feed(&begun, |_| {});
    let mut piece = [0; PIECE];
    loop {
        match stream.read(&mut piece).await? {
            0 => bail!("the stream has ended"),
            read => lines.feed(&piece[..read], |sequence| arrivals.arrived(sequence)),
        }
    }
}

/// Finds the numbers of entries in a stream of server-sent events, whose chunked
/// transfer it need not take apart: chunks begin and end at line breaks.
#[derive(Default)]
struct Lines {
    /// The beginning of the line that is not complete: no more of it than is needed.
    begun: Vec<u8>,
    /// The number of the block that is not complete.
    id: Option<u64>,
}

impl Lines {
    fn feed(&mut self, mut bytes: &[u8], mut entry: impl FnMut(u64)) {
        /// `id: ` and the longest number.
        const NEEDED: usize = 24;
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let room = NEEDED.saturating_sub(self.begun.len());
            self.begun.extend_from_slice(&bytes[..end.min(room)]);
            bytes = &bytes[end + 1..];
            if let Some(number) = self.begun.strip_prefix(b"id: ") {
                let number = std::str::from_utf8(number).ok();
                self.id = number.and_then(|number| number.parse().ok());
            } else if self.begun.starts_with(b"data: ")
                && let Some(id) = self.id.take()
            {
                entry(id);
            }
            self.begun.clear();
        }
        let room = NEEDED.saturating_sub(self.begun.len());
        self.begun
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}
