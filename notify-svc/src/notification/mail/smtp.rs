//! Mails to a mail server, over connections that are kept.

use std::{fmt::Write as _, time::Duration};

use async_trait::async_trait;
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    transport::smtp::{
        Error, PoolConfig,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
        response::Response,
    },
};
use slipway_rpc::grpc::Authorities;

use super::{
    Mail, Mailer, Sender, Sending,
    message::message,
    url::{Encryption, SmtpUrl},
};
use crate::notification::dispatch::{DEADLINE, MAX_CONNECTIONS};

/// How long the server may take for one step of the conversation.
const STEP: Duration = Duration::from_secs(10);

/// How long it may take to see whether the server is there at all.
const PROBE: Duration = Duration::from_secs(5);

/// How long a connection may be idle before it is closed.
const IDLE: Duration = Duration::from_secs(30);

/// Replies that are about our credentials, not about the mail (RFC 4954).
const OUR_CREDENTIALS: [u16; 4] = [530, 534, 535, 538];

/// What is said of a mail to an address that the server cannot take.
const NEEDS_UTF8: &str = "the recipient's address has characters other than ASCII before the @, and \
    the mail server does not take such addresses (it does not offer SMTPUTF8)";

/// Authorities that cannot vouch for a mail server, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the authorities of the mail server cannot be used: {0}")]
pub struct BadAuthority(String);

/// Sends by SMTP.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Sender,
    deadline: Duration,
}

impl SmtpMailer {
    /// Mails from `from`, to the server at `url`. Where that is encrypted, `authorities`
    /// vouch for the server; without them those who vouch for servers of the internet. Does
    /// not connect yet. Must be called within a runtime.
    ///
    /// # Errors
    /// If the authorities cannot be used.
    pub fn new(
        url: &SmtpUrl,
        authorities: Option<&Authorities>,
        from: Sender,
    ) -> Result<Self, BadAuthority> {
        let pool = PoolConfig::new()
            .max_size(MAX_CONNECTIONS)
            .idle_timeout(IDLE);
        let transport = url.transport();
        let mut transport = transport.map_err(|error| BadAuthority(error.to_string()))?;
        if let Some(authorities) = authorities {
            transport = transport.tls(vouched_for(url, authorities)?);
        }
        Ok(Self {
            transport: transport.timeout(Some(STEP)).pool_config(pool).build(),
            from,
            deadline: DEADLINE,
        })
    }

    /// The same, giving the server less time for a mail.
    #[must_use]
    pub fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    async fn try_send(&self, message: Message) -> Sending {
        let failure = match tokio::time::timeout(self.deadline, self.transport.send(message)).await
        {
            Ok(Ok(response)) => return Sending::Accepted(answer(&response)),
            Ok(Err(error)) => match verdict(&error) {
                Some(sending) => return sending,
                None => told(&error),
            },
            Err(_) => format!("the mail server did not finish within {:?}", self.deadline),
        };
        // The line is gone, or never was. Whether that is about this mail shows in whether
        // the server is there.
        match self.is_there().await {
            Ok(()) => Sending::Temporary(failure),
            Err(_) => Sending::Unreachable(failure),
        }
    }
}

/// How to speak to a server for which only `authorities` vouch.
fn vouched_for(url: &SmtpUrl, authorities: &Authorities) -> Result<Tls, BadAuthority> {
    let bad = |error: Error| BadAuthority(error.to_string());
    let certificates = Certificate::from_pem(authorities.pem()).map_err(bad)?;
    let parameters = TlsParameters::builder(url.host().to_owned())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(certificates)
        .build()
        .map_err(bad)?;
    Ok(match url.encryption() {
        Encryption::None => Tls::None,
        Encryption::Opportunistic => Tls::Opportunistic(parameters),
        Encryption::Required => Tls::Required(parameters),
        Encryption::Wrapped => Tls::Wrapper(parameters),
    })
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Sending {
        match message(mail, &self.from) {
            Ok(message) => self.try_send(message).await,
            Err(error) => Sending::Permanent(error.to_string()),
        }
    }

    async fn is_there(&self) -> Result<(), String> {
        match tokio::time::timeout(PROBE, self.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("the mail server closed the connection".to_owned()),
            Ok(Err(error)) => Err(told(&error)),
            Err(_) => Err(format!("the mail server did not answer within {PROBE:?}")),
        }
    }
}

/// What an error says about the mail; `None` if it is about the connection.
fn verdict(error: &Error) -> Option<Sending> {
    let said = told(error);
    match error.status().map(u16::from) {
        Some(code) if OUR_CREDENTIALS.contains(&code) => Some(Sending::Unreachable(said)),
        Some(code) if (500..600).contains(&code) => Some(Sending::Permanent(said)),
        Some(_) => Some(Sending::Temporary(said)),
        // Only the recipient can have such an address: that of a sender is refused before.
        None if error.is_client() && said.contains("SMTPUTF8") => {
            Some(Sending::Permanent(NEEDS_UTF8.to_owned()))
        }
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

/// The error with its causes, each once: most errors repeat their cause.
fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            let _ = write!(text, ": {said}");
        }
        cause = error.source();
    }
    text
}
