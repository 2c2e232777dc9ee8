//! From a mail to the bytes that are sent.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use lettre::{
    Message,
    message::{
        Mailbox, MultiPart,
        header::{Header, HeaderName, HeaderValue},
    },
};

use slipway_mesh::text::clean_lines;

use super::{Mail, Sender};

/// Says that no person wrote this, so that nobody's absence note answers it (RFC 3834).
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The message: plain text with HTML as the alternative. Neither has a character that acts
/// on a terminal or turns the text of others around, wherever its variables come from.
///
/// # Errors
/// If it cannot be put together: its parts are checked before, so it always can.
pub(super) fn message(mail: &Mail, from: &Sender) -> Result<Message, lettre::error::Error> {
    let Sender(from) = from;
    let domain = from.email.domain();
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, mail.to.0.clone()))
        .subject(mail.subject.as_str())
        .date(system_time(mail.date))
        .message_id(Some(format!("<{}@{domain}>", mail.id)))
        .header(AutoSubmitted)
        .multipart(MultiPart::alternative_plain_html(
            clean_lines(&mail.text),
            clean_lines(&mail.html),
        ))
}

fn system_time(time: Timestamp) -> SystemTime {
    let millis = u64::try_from(time.as_millisecond()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        mail::{Address, MalformedAddress},
        notification::{NotificationId, Subject},
    };

    fn mail(to: &str, subject: &str) -> Mail {
        Mail {
            id: NotificationId::at(Timestamp::UNIX_EPOCH),
            to: to.parse().unwrap(),
            subject: Subject::new(subject),
            text: "Hello".to_owned(),
            html: "<p>Hello</p>".to_owned(),
            date: Timestamp::UNIX_EPOCH,
        }
    }

    fn formatted(mail: &Mail) -> String {
        let from = "Slipway <slipway@example.com>".parse().unwrap();
        String::from_utf8(message(mail, &from).unwrap().formatted()).unwrap()
    }

    #[test]
    fn a_message_has_an_id_that_a_repetition_shares() {
        let mail = mail("ada@example.com", "Hello");
        let line = format!("Message-ID: <{}@example.com>\r\n", mail.id);
        assert!(formatted(&mail).contains(&line));
        assert!(formatted(&mail.clone()).contains(&line));
        assert!(formatted(&mail).contains("Auto-Submitted: auto-generated\r\n"));
        assert!(formatted(&mail).contains("Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"));
    }

    #[test]
    fn what_acts_on_a_terminal_or_turns_text_around_is_left_out() {
        let mail = Mail {
            text: "Task \u{1b}[31m\u{202e}one\n\ttwo\u{9b}\u{7}".to_owned(),
            html: "<p>Task \u{1b}\u{2066}three</p>\n".to_owned(),
            ..mail("ada@example.com", "Hello")
        };
        let sent = formatted(&mail);
        assert!(sent.contains("Task [31mone\r\n\ttwo\r\n"), "{sent}");
        assert!(sent.contains("<p>Task three</p>"), "{sent}");
    }

    #[test]
    fn an_address_with_a_line_break_is_refused() {
        for text in [
            "ada@example.com\r\nBcc: eve@example.com",
            "ada@example.com\n",
            "\rada@example.com",
            "ada@example.com, eve@example.com",
            "ada@exam\0ple.com",
            "ada",
            "",
        ] {
            assert_eq!(text.parse::<Address>(), Err(MalformedAddress), "{text:?}");
        }
        let long = format!("ada@{}.example", "x".repeat(260));
        assert_eq!(long.parse::<Address>(), Err(MalformedAddress));
        for text in ["a@b\r\nBcc: <c@d>", "Eve\n <eve@example.com>"] {
            assert_eq!(text.parse::<Sender>(), Err(MalformedAddress), "{text:?}");
        }
    }

    #[test]
    fn a_subject_stays_in_its_header() {
        for subject in ["x\r\nBcc: eve@example.com", &"ü\n".repeat(5000)] {
            let text = formatted(&mail("ada@example.com", subject));
            let headers = text.split_once("\r\n\r\n").unwrap().0;
            assert!(!headers.contains("\nBcc:"), "{headers}");
            assert!(headers.lines().all(|line| line.len() < 1000), "{headers}");
        }
    }
}
