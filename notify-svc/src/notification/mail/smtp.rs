//! Sends mails to a mail server by SMTP, over pooled connections.

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

/// Time limit for one step of the SMTP conversation.
const STEP: Duration = Duration::from_secs(10);

/// Time limit for checking whether the server is reachable.
const PROBE: Duration = Duration::from_secs(5);

/// How long an idle connection is kept open.
const IDLE: Duration = Duration::from_secs(30);

/// Replies that are about our credentials, not about the mail (RFC 4954).
const OUR_CREDENTIALS: [u16; 4] = [530, 534, 535, 538];

/// The failure of a mail to an address that the server cannot accept.
const NEEDS_UTF8: &str = "the recipient's address has characters other than ASCII before the @, and \
    the mail server does not take such addresses (it does not offer SMTPUTF8)";

/// The certificate authorities for the mail server cannot be used.
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
    /// Sends mails from `from` to the server at `url`. On an encrypted connection, the server's
    /// certificate must be issued by `authorities`, or by a public root CA if that is `None`. Does
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
            transport = transport.tls(trusting(url, authorities)?);
        }
        Ok(Self {
            transport: transport.timeout(Some(STEP)).pool_config(pool).build(),
            from,
            deadline: DEADLINE,
        })
    }

    /// The same with a different time limit for one mail.
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
                None => describe(&error),
            },
            Err(_) => format!("the mail server did not finish within {:?}", self.deadline),
        };
        // The connection was lost or never made. If the server is reachable now, the failure may be
        // about this mail.
        match self.is_there().await {
            Ok(()) => Sending::Temporary(failure),
            Err(_) => Sending::Unreachable(failure),
        }
    }
}

/// TLS that trusts only `authorities`.
fn trusting(url: &SmtpUrl, authorities: &Authorities) -> Result<Tls, BadAuthority> {
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
            Ok(Err(error)) => Err(describe(&error)),
            Err(_) => Err(format!("the mail server did not answer within {PROBE:?}")),
        }
    }
}

/// What an error means for the mail; `None` if it is about the connection.
fn verdict(error: &Error) -> Option<Sending> {
    let description = describe(error);
    match error.status().map(u16::from) {
        Some(code) if OUR_CREDENTIALS.contains(&code) => Some(Sending::Unreachable(description)),
        Some(code) if (500..600).contains(&code) => Some(Sending::Permanent(description)),
        Some(_) => Some(Sending::Temporary(description)),
        // Only the recipient can have such an address: a sender like that is refused at start.
        None if error.is_client() && description.contains("SMTPUTF8") => {
            Some(Sending::Permanent(NEEDS_UTF8.to_owned()))
        }
        // No common mechanism, or no STARTTLS: the operator must fix it.
        None if error.is_client() => Some(Sending::Unreachable(description)),
        None if error.is_tls() => Some(Sending::Unreachable(description)),
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

/// The error with its causes, without repetitions: most errors contain their cause's text.
fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let description = error.to_string();
        if !text.contains(&description) {
            let _ = write!(text, ": {description}");
        }
        cause = error.source();
    }
    text
}
