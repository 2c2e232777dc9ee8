//! Converts a mail to the message that is sent.

use std::time::{Duration, SystemTime};

use email_encoding::headers::{rfc2047, writer::EmailWriter};
use jiff::Timestamp;
use lettre::{
    Message,
    message::{
        Mailbox, MultiPart,
        header::{Header, HeaderName, HeaderValue},
    },
};

use slipway_runtime::text::clean_lines;

use super::{Mail, Sender, address::ENCODED_WORD};

/// Marks the mail as automatic, so that out-of-office replies do not answer it (RFC 3834).
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

/// The id of the trace that the mail belongs to, as in the logs.
#[derive(Debug, Clone)]
struct TraceId(String);

impl Header for TraceId {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("X-Trace-Id")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}

/// The message: plain text with HTML as the alternative. Characters that control a terminal or
/// change the direction of text are removed from both, whatever the variables contain.
///
/// # Errors
/// If it cannot be assembled. Its parts are checked before, so this does not happen.
pub(super) fn message(mail: &Mail, from: &Sender) -> Result<Message, lettre::error::Error> {
    let from = from.mailbox();
    let domain = from.email.domain();
    let mut message = Message::builder();
    if let Some(trace) = mail.trace {
        message = message.header(TraceId(trace.trace_id()));
    }
    message
        .from(from.clone())
        .to(Mailbox::new(None, mail.to.as_lettre().clone()))
        .raw_header(subject(mail.subject.as_str()))
        .date(system_time(mail.date))
        .message_id(Some(format!("<{}@{domain}>", mail.id)))
        .header(AutoSubmitted)
        .multipart(MultiPart::alternative_plain_html(
            clean_lines(&mail.text),
            clean_lines(&mail.html),
        ))
}

/// The subject header. Non-ASCII characters are encoded, word by word. A text that looks encoded is
/// encoded as a whole: otherwise a mail program would decode it, perhaps to line breaks, fake
/// headers or reversed text.
fn subject(text: &str) -> HeaderValue {
    const NAME: &str = "Subject";
    let name = HeaderName::new_from_ascii_str(NAME);
    if !text.contains(ENCODED_WORD) {
        return HeaderValue::new(name, text.to_owned());
    }
    let mut encoded = String::new();
    let mut writer = EmailWriter::new(&mut encoded, NAME.len() + ": ".len(), 0, false);
    rfc2047::encode(text, &mut writer).expect("a String can always be written to");
    drop(writer);
    HeaderValue::dangerous_new_pre_encoded(name, text.to_owned(), encoded)
}

fn system_time(time: Timestamp) -> SystemTime {
    let millis = u64::try_from(time.as_millisecond()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use proptest::prelude::*;

    use super::*;
    use crate::notification::{NotificationId, Subject};

    fn mail(to: &str, subject: &str) -> Mail {
        Mail {
            id: NotificationId::at(Timestamp::UNIX_EPOCH),
            to: to.parse().unwrap(),
            subject: Subject::new(subject),
            text: "Hello".to_owned(),
            html: "<p>Hello</p>".to_owned(),
            date: Timestamp::UNIX_EPOCH,
            trace: None,
        }
    }

    fn formatted(mail: &Mail) -> String {
        formatted_from(mail, "Slipway <slipway@example.com>")
    }

    fn formatted_from(mail: &Mail, from: &str) -> String {
        let message = message(mail, &from.parse().unwrap()).unwrap();
        String::from_utf8(message.formatted()).unwrap()
    }

    /// The header with this name, with all of its lines.
    fn header<'a>(formatted: &'a str, name: &str) -> &'a str {
        let begin = formatted.find(&format!("{name}: ")).unwrap() + name.len() + 2;
        let rest = &formatted[begin..];
        let ends = rest.match_indices("\r\n").map(|(at, _)| at);
        let end = ends.into_iter().find(|at| !rest[at + 2..].starts_with(' '));
        &rest[..end.unwrap()]
    }

    /// The text that a mail program shows. Parts it does not decode must not look encoded.
    fn shown(header: &str) -> String {
        const BEGIN: &str = "=?utf-8?b?";
        let line = header.replace("\r\n", "");
        let (mut rest, mut text) = (line.as_str(), String::new());
        while let Some((plain, encoded)) = rest.split_once(BEGIN) {
            assert!(!plain.contains("=?"), "{header}");
            let (word, behind) = encoded.split_once("?=").unwrap();
            text.push_str(plain);
            text.push_str(std::str::from_utf8(&STANDARD.decode(word).unwrap()).unwrap());
            // The space between two encoded words is not part of the text.
            let next = behind.strip_prefix(' ');
            rest = next
                .filter(|next| next.starts_with(BEGIN))
                .unwrap_or(behind);
        }
        assert!(!rest.contains("=?"), "{header}");
        text + rest
    }

    #[test]
    fn a_repeated_message_has_the_same_id() {
        let mail = mail("ada@example.com", "Hello");
        let line = format!("Message-ID: <{}@example.com>\r\n", mail.id);
        assert!(formatted(&mail).contains(&line));
        assert!(formatted(&mail.clone()).contains(&line));
        assert!(formatted(&mail).contains("Auto-Submitted: auto-generated\r\n"));
        assert!(formatted(&mail).contains("Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"));
    }

    #[test]
    fn terminal_and_direction_controls_are_removed() {
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
    fn a_subject_stays_in_its_header() {
        for subject in ["x\r\nBcc: eve@example.com", &"ü\n".repeat(5000)] {
            let text = formatted(&mail("ada@example.com", subject));
            let headers = text.split_once("\r\n\r\n").unwrap().0;
            assert!(!headers.contains("\nBcc:"), "{headers}");
            assert!(headers.lines().all(|line| line.len() < 1000), "{headers}");
        }
    }

    #[test]
    fn a_text_that_looks_encoded_is_shown_as_typed() {
        for text in [
            "Hotfix for you: =?utf-8?q?a=0D=0ABcc:_eve=40evil.example?=",
            "=?UTF-8?B?4oCuZXhl?= ünd =?iso-8859-1?q?=0A?=",
            "=?",
            "a=?b",
        ] {
            let sent = formatted(&mail("ada@example.com", text));
            assert_eq!(shown(header(&sent, "Subject")), text);
            let from = formatted_from(
                &mail("ada@example.com", "x"),
                &format!("\"{text}\" <a@b.c>"),
            );
            let expected = format!("{text} <a@b.c>");
            assert_eq!(shown(header(&from, "From")), expected);
        }
    }

    #[test]
    fn a_non_ascii_domain_is_sent_in_ascii() {
        let mail = mail("ada@bücher.example", "x");
        let sent = formatted_from(&mail, "Bücher <post@bücher.example>");
        let headers = sent.split_once("\r\n\r\n").unwrap().0;
        assert!(headers.is_ascii(), "{headers}");
        assert_eq!(header(&sent, "To"), "ada@xn--bcher-kva.example");
        let id = format!("<{}@xn--bcher-kva.example>", mail.id);
        assert_eq!(header(&sent, "Message-ID"), id);
        let from = "Bücher <post@xn--bcher-kva.example>";
        assert_eq!(shown(header(&sent, "From")), from);
    }

    proptest! {
        #[test]
        fn a_subject_is_shown_as_it_was_typed(
            parts in prop::collection::vec(
                prop_oneof![
                    "=\\?[a-zA-Z0-9-]{1,8}\\?[bqBQ]\\?[a-zA-Z0-9=_]{0,20}\\?=",
                    "[=? ]{1,4}",
                    "[a-zA-Z ]{1,30}",
                    "\\PC{1,10}",
                ],
                1..10,
            ),
        ) {
            let subject = Subject::new(&parts.concat());
            let sent = formatted(&mail("ada@example.com", subject.as_str()));
            prop_assert_eq!(shown(header(&sent, "Subject")), subject.as_str());
        }
    }
}
