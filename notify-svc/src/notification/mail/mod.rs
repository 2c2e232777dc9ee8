//! Mail: what is sent, the port it is sent through, and what came of it.
//!
//! | adapter | where mails go |
//! | --- | --- |
//! | [`SmtpMailer`] | to a mail server |
//! | [`FileMailer`] | into files, where there is no mail server |

mod address;
mod files;
mod message;
mod smtp;
mod url;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

pub use address::{Address, MalformedAddress, Sender};
pub use files::FileMailer;
pub use smtp::{BadAuthority, SmtpMailer};
pub use url::{MalformedUrl, SmtpUrl};

use super::{NotificationId, Subject};

/// A mail, ready to be sent.
#[derive(Debug, Clone)]
pub struct Mail {
    /// The notification it is; its `Message-ID` is derived from it, so that a mail that
    /// is sent twice can be recognised.
    pub id: NotificationId,
    /// To whom.
    pub to: Address,
    /// What about.
    pub subject: Subject,
    /// The plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
    /// When it was written.
    pub date: Timestamp,
}

/// What came of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sending {
    /// The server took it, and what it said.
    Accepted(String),
    /// Not now, and why. If the line dropped, the server may have taken it.
    Temporary(String),
    /// Never, and why.
    Permanent(String),
    /// The server cannot be reached or does not talk to us: it is not about this mail.
    Unreachable(String),
}

/// The port.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Sends a mail. Ends by itself, within [`DEADLINE`](crate::notification::dispatch::DEADLINE) or
    /// soon after.
    async fn send(&self, mail: &Mail) -> Sending;

    /// Whether mails can be sent, found out without one. Ends by itself, within seconds.
    ///
    /// # Errors
    /// Why they cannot.
    async fn is_there(&self) -> Result<(), String>;
}

/// A mailer that can be shared.
pub type SharedMailer = Arc<dyn Mailer>;
