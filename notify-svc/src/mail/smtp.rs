//! Mails to a mail server, over connections that are kept.

use std::{fmt::Write as _, time::Duration};

use async_trait::async_trait;
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    transport::smtp::{Error, PoolConfig, response::Response},
};

use super::{Address, Mail, Mailer, Sender, Sending, message::message};
use crate::dispatch::{CONCURRENCY, DEADLINE};

/// How long the server may take for one step of the conversation.
const STEP: Duration = Duration::from_secs(10);

/// How long it may take to see whether the server is there at all.
const PROBE: Duration = Duration::from_secs(5);

/// How long a connection may be idle before it is closed.
const IDLE: Duration = Duration::from_secs(30);

/// Replies that are about our credentials, not about the mail (RFC 4954).
const OUR_CREDENTIALS: [u16; 4] = [530, 534, 535, 538];

/// A text that is not the URL of a mail server. Says nothing of the text: it may hold a
/// password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an smtp:// or smtps:// URL such as smtp://user:password@mail.example:587?tls=required"
)]
pub struct MalformedUrl;

/// Sends by SMTP.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Sender,
    deadline: Duration,
}

impl SmtpMailer {
    /// Mails from `from`, to the server at `url`: `smtp://` (with `?tls=required` or
    /// `?tls=opportunistic` for STARTTLS) or `smtps://`, with user and password if they
    /// are needed. Does not connect yet. Must be called within a runtime.
    ///
    /// # Errors
    /// If the URL is malformed.
    pub fn new(url: &str, from: Sender) -> Result<Self, MalformedUrl> {
        let pool = PoolConfig::new()
            .max_size(u32::try_from(CONCURRENCY).unwrap_or(u32::MAX))
            .idle_timeout(IDLE);
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|_| MalformedUrl)?
            .timeout(Some(STEP))
            .pool_config(pool)
            .build();
        Ok(Self {
            transport,
            from,
            deadline: DEADLINE,
        })
    }

    /// The same, giving the server less time for a mail.
    #[must_use]
    pub fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Whether `text` is a URL that [`SmtpMailer::new`] takes.
    #[must_use]
    pub fn is_url(text: &str) -> bool {
        AsyncSmtpTransport::<Tokio1Executor>::from_url(text).is_ok()
    }

    /// Whether the URL has a password that would be sent unencrypted.
    #[must_use]
    pub fn exposes_password(url: &str) -> bool {
        let plain = url.starts_with("smtp://") && !url.contains("tls=required");
        plain && url.contains('@')
    }

    async fn try_send(&self, message: Message, to: &Address) -> Sending {
        let failure = match tokio::time::timeout(self.deadline, self.transport.send(message)).await
        {
            Ok(Ok(response)) => return Sending::Accepted(answer(&response)),
            Ok(Err(error)) => match verdict(&error, to) {
                Some(sending) => return sending,
                None => told(&error),
            },
            Err(_) => format!("the mail server did not finish within {:?}", self.deadline),
        };
        // The line is gone, or never was. Whether that is about this mail shows in whether
        // the server is there.
        match tokio::time::timeout(PROBE, self.transport.test_connection()).await {
            Ok(Ok(true)) => Sending::Temporary(failure),
            _ => Sending::Unreachable(failure),
        }
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Sending {
        match message(mail, &self.from) {
            Ok(message) => self.try_send(message, &mail.to).await,
            Err(error) => Sending::Permanent(error.to_string()),
        }
    }
}

/// What an error says about the mail; `None` if it is about the connection.
fn verdict(error: &Error, to: &Address) -> Option<Sending> {
    let said = told(error);
    match error.status().map(u16::from) {
        Some(code) if OUR_CREDENTIALS.contains(&code) => Some(Sending::Unreachable(said)),
        Some(code) if (500..600).contains(&code) => Some(Sending::Permanent(said)),
        Some(_) => Some(Sending::Temporary(said)),
        // Only an address makes a message that not every server can take.
        None if error.is_client() && !to.is_ascii() => Some(Sending::Permanent(said)),
        // No mechanism in common, no STARTTLS: for the operator to set right.
        None if error.is_client() => Some(Sending::Unreachable(said)),
        None if error.is_tls() => Some(Sending::Unreachable(said)),
        None => None,
    }
}

fn answer(response: &Response) -> String {
    let mut text = response.code().to_string();
    for line in response.message() {
        let _ = write!(text, " {line}");
    }
    text
}

/// The error with its causes.
fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error).and_then(std::error::Error::source);
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_without_tls_is_noticed() {
        for (url, exposes) in [
            ("smtp://localhost:2525", false),
            ("smtp://u:p@mail.example:587?tls=required", false),
            ("smtps://u:p@mail.example", false),
            ("smtp://u:p@mail.example", true),
            ("smtp://u:p@mail.example?tls=opportunistic", true),
        ] {
            assert!(SmtpMailer::is_url(url), "{url}");
            assert_eq!(SmtpMailer::exposes_password(url), exposes, "{url}");
        }
    }
}
