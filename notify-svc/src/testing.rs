//! A mail server for tests and benchmarks: it speaks SMTP on its own port, stores the mails it
//! accepts, and can be told to fail. Also has harmful templates, and secrets of links.

pub mod harmful;
mod links;

pub use links::MadeUpLinks;

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    io::{
        AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader,
    },
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

/// The server's reaction to a mail.
#[derive(Debug, Clone)]
pub enum Reaction {
    /// Accepts it.
    Accept,
    /// Answers `RCPT` with this line.
    Recipient(&'static str),
    /// Answers the whole mail with this line.
    Data(&'static str),
    /// Does not answer the whole mail.
    Stall,
    /// Accepts it when told to.
    Hold(Arc<Notify>),
    /// Closes the connection instead of answering the whole mail, and has not accepted it.
    Drop,
    /// Closes the connection instead of answering the whole mail, and has accepted it.
    TakeAndDrop,
}

/// How connections are encrypted.
#[derive(Clone, Default)]
pub enum Encryption {
    /// Not encrypted.
    #[default]
    None,
    /// With STARTTLS; accepts no mail before it.
    StartTls(Arc<ServerConfig>),
    /// From the first byte.
    Wrapped(Arc<ServerConfig>),
}

/// A mail that the server accepted.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The sender in its envelope.
    pub from: String,
    /// The recipient in its envelope.
    pub to: String,
    /// Its headers and body, as sent.
    pub text: String,
    /// When it was complete.
    pub at: Instant,
}

impl Taken {
    /// The first header with this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (headers, _) = self.text.split_once("\r\n\r\n")?;
        let mut lines = headers.split("\r\n");
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

#[derive(Default)]
struct Shared {
    script: Mutex<HashMap<String, VecDeque<Reaction>>>,
    taken: Mutex<Vec<Taken>>,
    credentials: Mutex<Vec<String>>,
    /// Whether it accepts only ASCII addresses.
    ascii_only: AtomicBool,
    count: watch::Sender<usize>,
}

/// A mail server. Stops, with all its connections, when dropped.
pub struct SmtpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: AbortHandle,
}

impl SmtpServer {
    /// Starts a server on a free port.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start() -> Self {
        Self::start_on("127.0.0.1:0".parse().expect("an address")).await
    }

    /// Starts a server with this encryption.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start_encrypted(encryption: Encryption) -> Self {
        let address = "127.0.0.1:0".parse().expect("an address");
        Self::listening(address, encryption).await
    }

    /// Starts a server at this address, as after an outage.
    ///
    /// # Panics
    /// If the port is in use.
    pub async fn start_on(address: SocketAddr) -> Self {
        Self::listening(address, Encryption::None).await
    }

    async fn listening(address: SocketAddr, encryption: Encryption) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let shared = Arc::new(Shared::default());
        let address = listener.local_addr().expect("it is bound");
        let listening = tokio::spawn(listen(listener, encryption, shared.clone())).abort_handle();
        Self {
            address,
            shared,
            listening,
        }
    }

    /// The server's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Sets the reactions to the next mails to `to`, in this order; later mails are accepted.
    pub fn will(&self, to: &str, reactions: impl IntoIterator<Item = Reaction>) {
        let reactions = reactions.into_iter().collect();
        self.shared.script.lock().insert(to.to_owned(), reactions);
    }

    /// Accepts only ASCII addresses from now on, as most servers do.
    pub fn take_ascii_only(&self) {
        self.shared.ascii_only.store(true, Ordering::Relaxed);
    }

    /// The accepted mails, in order.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        self.shared.taken.lock().clone()
    }

    /// The credentials of clients, as received; only over an encrypted connection.
    #[must_use]
    pub fn credentials(&self) -> Vec<String> {
        self.shared.credentials.lock().clone()
    }

    /// How many mails it accepted.
    #[must_use]
    pub fn count(&self) -> usize {
        *self.shared.count.borrow()
    }

    /// Waits until it has accepted this many mails.
    ///
    /// # Panics
    /// If they do not arrive within `limit`.
    pub async fn wait_for(&self, count: usize, limit: Duration) {
        let mut counts = self.shared.count.subscribe();
        let enough = counts.wait_for(|taken| *taken >= count);
        let in_time = tokio::time::timeout(limit, enough).await;
        assert!(in_time.is_ok(), "{} of {count} mails came", self.count());
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, encryption: Encryption, shared: Arc<Shared>) {
    // Dropped with this task, so connections break when the server stops.
    let mut lines = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while lines.try_join_next().is_some() {}
        let (shared, encryption) = (Arc::clone(&shared), encryption.clone());
        lines.spawn(async move {
            // A client that disconnects does not matter to the server.
            let _ = answer(stream, encryption, &shared).await;
        });
    }
}

/// One connection: one conversation, or two with STARTTLS between them.
async fn answer(stream: TcpStream, encryption: Encryption, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    match encryption {
        Encryption::None => {
            let mut line = greeted(stream).await?;
            talk(&mut line, Security::Open, shared).await?;
        }
        Encryption::Wrapped(config) => {
            let stream = TlsAcceptor::from(config).accept(stream).await?;
            let mut line = greeted(stream).await?;
            talk(&mut line, Security::Encrypted, shared).await?;
        }
        Encryption::StartTls(config) => {
            let mut line = greeted(stream).await?;
            if let End::StartTls = talk(&mut line, Security::StartTlsFirst, shared).await? {
                let stream = TlsAcceptor::from(config).accept(line.into_inner()).await?;
                talk(&mut BufReader::new(stream), Security::Encrypted, shared).await?;
            }
        }
    }
    Ok(())
}

async fn greeted<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> std::io::Result<BufReader<S>> {
    let mut line = BufReader::new(stream);
    line.write_all(b"220 test ESMTP\r\n").await?;
    Ok(line)
}

/// What a conversation may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    Open,
    StartTlsFirst,
    Encrypted,
}

impl Security {
    fn greeting(self, ascii_only: bool) -> &'static str {
        match self {
            Self::Open if ascii_only => "250-test\r\n250 8BITMIME",
            Self::Open => "250-test\r\n250-8BITMIME\r\n250 SMTPUTF8",
            Self::StartTlsFirst => "250-test\r\n250 STARTTLS",
            Self::Encrypted => "250-test\r\n250-AUTH PLAIN\r\n250-8BITMIME\r\n250 SMTPUTF8",
        }
    }
}

/// How a conversation ended.
enum End {
    Over,
    StartTls,
}

/// One conversation.
async fn talk<L: AsyncBufRead + AsyncWrite + Unpin>(
    line: &mut L,
    security: Security,
    shared: &Shared,
) -> std::io::Result<End> {
    let (mut from, mut to, mut command) = (String::new(), String::new(), String::new());
    let mut reaction = Reaction::Accept;
    loop {
        command.clear();
        if line.read_line(&mut command).await? == 0 {
            return Ok(End::Over);
        }
        let verb = command.get(..4).unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => security.greeting(shared.ascii_only.load(Ordering::Relaxed)),
            "STAR" if security == Security::StartTlsFirst => {
                line.write_all(b"220 2.0.0 go on\r\n").await?;
                return Ok(End::StartTls);
            }
            "MAIL" | "AUTH" if security == Security::StartTlsFirst => "530 5.7.0 STARTTLS first",
            "AUTH" => {
                shared.credentials.lock().push(command.trim().to_owned());
                "235 2.7.0 welcome"
            }
            "MAIL" => {
                from = address(&command).to_owned();
                "250 2.1.0 ok"
            }
            "RCPT" => {
                to = address(&command).to_owned();
                reaction = shared.reaction(&to);
                match reaction {
                    Reaction::Recipient(answer) => answer,
                    _ => "250 2.1.5 ok",
                }
            }
            "DATA" => {
                line.write_all(b"354 go on\r\n").await?;
                let text = data(line).await?;
                if let Reaction::Hold(release) = &reaction {
                    release.notified().await;
                }
                match shared.react(&reaction, (&from, &to), text) {
                    Answer::Line(answer) => answer,
                    Answer::Never => return std::future::pending().await,
                    Answer::Close => return Ok(End::Over),
                }
            }
            "QUIT" => {
                line.write_all(b"221 2.0.0 bye\r\n").await?;
                return Ok(End::Over);
            }
            _ => "250 2.0.0 ok",
        };
        line.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

/// The text between the angle brackets.
fn address(command: &str) -> &str {
    let inside = command
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or("", |(address, _)| address)
}

/// Reads up to the line with the single dot.
async fn data<L: AsyncBufRead + Unpin>(line: &mut L) -> std::io::Result<String> {
    let mut text = String::new();
    loop {
        let begin = text.len();
        if line.read_line(&mut text).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if text[begin..] == *".\r\n" {
            text.truncate(begin);
            return Ok(text);
        }
    }
}

enum Answer {
    Line(&'static str),
    Never,
    Close,
}

impl Shared {
    fn reaction(&self, to: &str) -> Reaction {
        let mut script = self.script.lock();
        let next = script.get_mut(to).and_then(VecDeque::pop_front);
        next.unwrap_or(Reaction::Accept)
    }

    fn react(&self, reaction: &Reaction, (from, to): (&str, &str), text: String) -> Answer {
        match reaction {
            Reaction::Accept | Reaction::Hold(_) | Reaction::TakeAndDrop => {
                self.taken.lock().push(Taken {
                    from: from.to_owned(),
                    to: to.to_owned(),
                    text,
                    at: Instant::now(),
                });
                self.count.send_modify(|count| *count += 1);
                match reaction {
                    Reaction::TakeAndDrop => Answer::Close,
                    _ => Answer::Line("250 2.0.0 taken"),
                }
            }
            Reaction::Recipient(answer) | Reaction::Data(answer) => Answer::Line(answer),
            Reaction::Stall => Answer::Never,
            Reaction::Drop => Answer::Close,
        }
    }
}
