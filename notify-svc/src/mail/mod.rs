//! Mail: what is sent, the port it is sent through, and what came of it.
//!
//! | adapter | where mails go |
//! | --- | --- |
//! | [`SmtpMailer`] | to a mail server |
//! | [`FileMailer`] | into files, where there is no mail server |

mod files;
mod message;
mod smtp;
mod url;

use std::{str::FromStr, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use lettre::message::Mailbox;
use slipway_mesh::text::check_line;

pub use files::FileMailer;
pub use smtp::{BadAuthority, SmtpMailer};
pub use url::{MalformedUrl, SmtpUrl};

use crate::notification::{NotificationId, Subject};

/// Bytes of an address at most (RFC 5321, section 4.5.3.1.3).
const LONGEST_ADDRESS: usize = 254;

/// A text that is not an email address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an email address such as ada@example.com")]
pub struct MalformedAddress;

/// An address that mail can be sent to. It holds no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address(lettre::Address);

impl Address {
    /// What stands behind the `@`, in lower case.
    #[must_use]
    pub fn domain(&self) -> String {
        self.0.domain().to_lowercase()
    }

    /// Whether every mail server can take it.
    fn is_ascii(&self) -> bool {
        self.0.user().is_ascii() && self.0.domain().is_ascii()
    }
}

impl FromStr for Address {
    type Err = MalformedAddress;

    fn from_str(text: &str) -> Result<Self, MalformedAddress> {
        let plain = text.len() <= LONGEST_ADDRESS && check_line(text).is_ok();
        if !plain {
            return Err(MalformedAddress);
        }
        text.parse().map(Self).map_err(|_| MalformedAddress)
    }
}

/// Who mails are from: an address, perhaps with a name, as `Slipway <slipway@example.com>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender(Mailbox);

impl FromStr for Sender {
    type Err = MalformedAddress;

    fn from_str(text: &str) -> Result<Self, MalformedAddress> {
        if check_line(text).is_err() {
            return Err(MalformedAddress);
        }
        text.parse().map(Self).map_err(|_| MalformedAddress)
    }
}

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
    /// Sends a mail. Ends by itself, within [`DEADLINE`](crate::dispatch::DEADLINE) or
    /// soon after.
    async fn send(&self, mail: &Mail) -> Sending;
}

/// A mailer that can be shared.
pub type SharedMailer = Arc<dyn Mailer>;
