//! Mail: the message, the port that sends it, and the result of sending.
//!
//! | adapter | where mails go |
//! | --- | --- |
//! | [`SmtpMailer`] | to a mail server |
//! | [`FileMailer`] | to files, without a mail server |

mod address;
mod files;
mod message;
mod smtp;
mod url;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use slipway_runtime::telemetry::TraceContext;

pub use address::{Address, MalformedAddress, Sender};
pub use files::FileMailer;
pub use smtp::{BadAuthority, SmtpMailer};
pub use url::{MalformedUrl, SmtpUrl};

use super::{NotificationId, Subject};

/// A mail, ready to be sent.
#[derive(Debug, Clone)]
pub struct Mail {
    /// The notification's id. The `Message-ID` is derived from it, so that a mail that is sent
    /// twice can be recognised.
    pub id: NotificationId,
    /// The recipient.
    pub to: Address,
    /// The subject.
    pub subject: Subject,
    /// The plain text.
    pub text: String,
    /// The HTML text.
    pub html: String,
    /// When it was written.
    pub date: Timestamp,
    /// The trace that it belongs to, if any.
    pub trace: Option<TraceContext>,
}

/// The result of sending a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sending {
    /// The server accepted it, with this reply.
    Accepted(String),
    /// It failed temporarily, for this reason. If the connection dropped, the server may have
    /// accepted it.
    Temporary(String),
    /// It failed for good, for this reason.
    Permanent(String),
    /// The server is unreachable or refuses us: the failure is not about this mail.
    Unreachable(String),
}

/// The port through which mails are sent.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Sends a mail. Has its own time limit: [`DEADLINE`](crate::notification::dispatch::DEADLINE),
    /// or a little longer.
    async fn send(&self, mail: &Mail) -> Sending;

    /// Checks whether mails can be sent, without sending one. Takes at most a few seconds.
    ///
    /// # Errors
    /// Why they cannot be sent.
    async fn is_there(&self) -> Result<(), String>;
}

/// A mailer that can be shared.
pub type SharedMailer = Arc<dyn Mailer>;
