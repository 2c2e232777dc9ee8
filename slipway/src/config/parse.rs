//! From the text of a key to its typed value. `None` means that the text is not what the
//! key's table row expects; the row has the words for it.

use std::{
    net::{Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use notify_svc::notification::mail::{Address, Sender, SmtpUrl};
use release_svc::identity::{Email, Username};
use slipway_mongo as mongo;
use slipway_rpc::grpc::Origins;
use slipway_runtime::{
    telemetry::logs::{self, Format},
    text::is_blank,
};
use tonic::transport::Uri;

use super::Secret;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn path(text: &str) -> Option<PathBuf> {
    Some(PathBuf::from(text))
}

/// `localhost` is the one name that is taken: what a listener binds must not hang on DNS.
pub(super) fn address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?))),
        None => text.parse().ok(),
    }
}

pub(super) fn max_connections(text: &str) -> Option<u32> {
    number(text, 16..=1_000_000)
}

pub(super) fn per_client_percent(text: &str) -> Option<u32> {
    number(text, 1..=100)
}

pub(super) fn streams_per_user(text: &str) -> Option<u32> {
    number(text, 1..=100_000)
}

pub(super) fn service_urls(text: &str) -> Option<Origins> {
    text.parse().ok()
}

/// Ollama may be behind a path. No user: what is in a URL gets into logs.
pub(super) fn ollama_url(text: &str) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    let (authority, host) = (uri.authority()?.as_str(), uri.host()?);
    let plain = authority == host || (uri.port_u16().is_some() && !authority.contains('@'));
    let bare = uri.query().is_none() && !text.contains('#');
    (web && !host.is_empty() && plain && bare).then(|| text.to_owned())
}

pub(super) fn ollama_model(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '/');
    ((1..=200).contains(&text.len()) && text.chars().all(plain)).then(|| text.to_owned())
}

pub(super) fn ollama_num_ctx(text: &str) -> Option<u32> {
    number(text, 2_048..=131_072)
}

pub(super) fn ollama_timeout(text: &str) -> Option<Duration> {
    let timeout = humantime::parse_duration(text).ok()?;
    (Duration::from_secs(1)..=4 * MINUTE)
        .contains(&timeout)
        .then_some(timeout)
}

pub(super) fn chat_history(text: &str) -> Option<u32> {
    number(text, 3..=20)
}

pub(super) fn chat_concurrency(text: &str) -> Option<u32> {
    number(text, 1..=1_000)
}

pub(super) fn chat_queue(text: &str) -> Option<u32> {
    number(text, 0..=10_000)
}

fn number(text: &str, within: RangeInclusive<u32>) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits)?;
    within.contains(&number).then_some(number)
}

/// As the driver takes it; what a name in it resolves to shows when it is connected to.
pub(super) fn mongodb_url(text: &str) -> Option<Secret> {
    mongo::is_url(text).then(|| Secret::new(text.to_owned()))
}

/// As the Kafka library takes them: `host:port`, separated by commas alone.
pub(super) fn kafka_brokers(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let broker = |address: &str| {
        let Some((host, port)) = address.rsplit_once(':') else {
            return false;
        };
        let number = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
        let v6 = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let named = !host.is_empty() && host.chars().all(plain);
        number && port != "0" && (named || v6.is_some_and(|v6| v6.parse::<Ipv6Addr>().is_ok()))
    };
    text.split(',').all(broker).then(|| text.to_owned())
}

/// The rule for every account's name.
pub(super) fn username(text: &str) -> Option<Username> {
    Username::new(text).ok()
}

/// The rule for every account's email address.
pub(super) fn email(text: &str) -> Option<Email> {
    Email::new(text).ok()
}

/// Whether anybody may create an account.
pub(super) fn registration(text: &str) -> Option<bool> {
    match text {
        "open" => Some(true),
        "closed" => Some(false),
        _ => None,
    }
}

pub(super) fn registration_rate(text: &str) -> Option<NonZeroU32> {
    number(text, 1..=1_000_000).and_then(NonZeroU32::new)
}

/// Addresses that mails can be sent to.
pub(super) fn emails(text: &str) -> Option<Vec<String>> {
    let emails = text.split(',').map(str::trim);
    let emails = emails.map(|email| email.parse::<Address>().is_ok().then(|| email.to_owned()));
    emails.collect()
}

pub(super) fn webhook_secret(text: &str) -> Option<Secret> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    (visible && text.len() >= 16).then(|| Secret::new(text.to_owned()))
}

pub(super) fn service_secret(text: &str) -> Option<Secret> {
    (text.chars().count() >= 32 && !is_blank(text)).then(|| Secret::new(text.to_owned()))
}

pub(super) fn text(text: &str) -> Option<String> {
    (!is_blank(text)).then(|| text.to_owned())
}

pub(super) fn secret(text: &str) -> Option<Secret> {
    (!is_blank(text)).then(|| Secret::new(text.to_owned()))
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    text.parse().ok()
}

pub(super) fn token_ttl(text: &str) -> Option<Duration> {
    duration(text).filter(|ttl| (MINUTE..=30 * DAY).contains(ttl))
}

/// The scheme, and `tls`, decide about encryption.
pub(super) fn smtp_url(text: &str) -> Option<SmtpUrl> {
    text.parse().ok()
}

pub(super) fn mail_from(text: &str) -> Option<Sender> {
    text.parse().ok()
}

pub(super) fn mail_rate(text: &str) -> Option<NonZeroU32> {
    text.parse()
        .ok()
        .filter(|rate: &NonZeroU32| rate.get() <= 100_000)
}

pub(super) fn mail_connections(text: &str) -> Option<u32> {
    number(
        text,
        1..=notify_svc::notification::dispatch::MAX_CONNECTIONS,
    )
}

pub(super) fn mail_gather(text: &str) -> Option<Duration> {
    let longest = notify_svc::notification::gathering::LONGEST_WINDOW.unsigned_abs();
    duration(text).filter(|window| (Duration::from_secs(1)..=longest).contains(window))
}

/// It may have a path: Slipway can stand behind a proxy that gives it one.
pub(super) fn public_url(text: &str) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    let plain = !uri.authority()?.as_str().contains('@') && !uri.host()?.is_empty();
    let bare = uri.query().is_none() && !text.contains('#');
    (web && plain && bare).then(|| text.to_owned())
}

/// Of what events are recognised by: longer than the bus keeps them.
pub(super) fn retention(text: &str) -> Option<Duration> {
    duration(text).filter(|retention| *retention >= 8 * DAY)
}

pub(super) fn drain_deadline(text: &str) -> Option<Duration> {
    duration(text).filter(|deadline| (Duration::from_secs(1)..=MINUTE).contains(deadline))
}

pub(super) fn log_filter(text: &str) -> Option<String> {
    logs::parse_filter(text).ok().map(|_| text.to_owned())
}

pub(super) fn log_format(text: &str) -> Option<Format> {
    match text {
        "human" => Some(Format::Human),
        "json" => Some(Format::Json),
        _ => None,
    }
}

fn duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_numbers_or_localhost() {
        assert_eq!(address("localhost:0"), "127.0.0.1:0".parse().ok());
        assert_eq!(address("[::1]:80"), "[::1]:80".parse().ok());
        for text in ["8080", "localhost", "localhost:x", "example.com:80", ""] {
            assert!(address(text).is_none(), "{text}");
        }
    }

    #[test]
    fn ollama_is_at_an_address_without_a_user() {
        for text in ["http://127.0.0.1:11434", "https://models.example/ollama/"] {
            assert_eq!(ollama_url(text).as_deref(), Some(text));
        }
        for text in [
            "127.0.0.1:11434",
            "http://",
            "http://ada:word@ollama",
            "ftp://ollama",
        ] {
            assert!(ollama_url(text).is_none(), "{text}");
        }
        assert!(ollama_model("hf.co/ada/model:8b-q4_K_M").is_some());
        for text in ["", "a b", "a\n"] {
            assert!(ollama_model(text).is_none(), "{text}");
        }
    }

    #[test]
    fn numbers_have_bounds() {
        assert_eq!(chat_history("3"), Some(3));
        assert_eq!(chat_queue("0"), Some(0));
        for text in ["2", "21", "+5", "5.0", "five", ""] {
            assert_eq!(chat_history(text), None, "{text}");
        }
        assert_eq!(ollama_num_ctx("1024"), None);
        assert_eq!(chat_concurrency("0"), None);
        assert_eq!(ollama_timeout("5m"), None);
    }

    #[test]
    fn mongodb_is_where_its_driver_finds_it() {
        for text in [
            "mongodb://localhost",
            "mongodb://ada:s%40cret@a:27017,b:27017/?replicaSet=rs0&tls=true",
            "mongodb+srv://cluster.example",
        ] {
            assert!(mongodb_url(text).is_some(), "{text}");
        }
        for text in [
            "",
            "localhost:27017",
            "http://localhost:27017",
            "mongodb://",
            "mongodb://a:99999",
            "mongodb://ada:p@ss@a",
        ] {
            assert!(mongodb_url(text).is_none(), "{text}");
        }
    }

    #[test]
    fn brokers_are_hosts_with_ports() {
        for text in [
            "kafka:9092",
            "10.0.0.1:9092,kafka-2.example:19092",
            "[::1]:9092",
        ] {
            assert_eq!(kafka_brokers(text).as_deref(), Some(text));
        }
        for text in [
            "",
            "kafka",
            "kafka:",
            ":9092",
            "kafka:0",
            "kafka:+1",
            "kafka:99999",
            "kafka:9092,",
            "a:1, b:2",
            "kafka://a:9092",
            "::1:9092",
            "[kafka]:9092",
        ] {
            assert!(kafka_brokers(text).is_none(), "{text}");
        }
    }

    #[test]
    fn mail_servers_and_senders_are_such() {
        for text in [
            "smtp://localhost:2525",
            "smtp://ada:s%40cret@mail.example:587?tls=required",
            "smtps://mail.example",
        ] {
            assert!(smtp_url(text).is_some(), "{text}");
        }
        for text in [
            "",
            "localhost:25",
            "http://localhost",
            "smtp://x?tls=maybe",
            "smtp://x:0",
            "smtp://x:99999",
        ] {
            assert!(smtp_url(text).is_none(), "{text}");
        }
        assert!(mail_from("slipway@example.com").is_some());
        assert!(mail_from("Slipway <slipway@example.com>").is_some());
        assert!(mail_from("Bücher <post@bücher.example>").is_some());
        assert!(mail_from("pöst@example.com").is_none());
        assert!(mail_from("Slipway").is_none());
        assert!(mail_from("a@b.example\r\nBcc: c@d.example").is_none());
        assert!(mail_rate("0").is_none() && mail_rate("-1").is_none());
        assert!(mail_connections("0").is_none() && mail_connections("501").is_none());
        assert!(mail_connections("1").is_some() && mail_connections("500").is_some());
        assert!(mail_rate("100000").is_some() && mail_rate("100001").is_none());
    }

    #[test]
    fn those_who_are_alerted_have_addresses() {
        let both = ["a@x.example".to_owned(), "b@y.example".to_owned()];
        assert_eq!(emails("a@x.example, b@y.example"), Some(both.to_vec()));
        for text in ["", "a@x.example,", "a@x.example;b@y.example", "ops"] {
            assert!(emails(text).is_none(), "{text}");
        }
        assert!(webhook_secret("0123456789abcdef").is_some());
        assert!(webhook_secret("0123456789abcde").is_none());
        assert!(webhook_secret("0123456789 abcdef").is_none());
    }

    #[test]
    fn users_find_slipway_on_the_web() {
        for text in ["http://localhost:8080", "https://intranet.example/slipway/"] {
            assert!(public_url(text).is_some(), "{text}");
        }
        for text in [
            "",
            "slipway.example",
            "javascript:alert(1)",
            "https://u:p@x.example",
            "https://x/?q",
            "https://x/#y",
        ] {
            assert!(public_url(text).is_none(), "{text}");
        }
    }

    #[test]
    fn durations_keep_to_their_ranges() {
        assert_eq!(token_ttl("8h"), Some(Duration::from_secs(8 * 3600)));
        assert!(token_ttl("59s").is_none());
        assert!(token_ttl("31d").is_none());
        assert!(token_ttl("8").is_none());
        assert!(retention("8d").is_some());
        assert!(retention("7d").is_none());
        assert!(mail_gather("1s").is_some() && mail_gather("1h").is_some());
        assert!(mail_gather("999ms").is_none() && mail_gather("61m").is_none());
        assert!(drain_deadline("1s").is_some());
        assert!(drain_deadline("61s").is_none());
    }

    #[test]
    fn accounts_keep_to_the_rules_of_the_api() {
        assert!(username("release-notes.lead_1").is_some());
        assert!(username("ab").is_none());
        assert!(username("ada lovelace").is_none());
        assert!(email("admin@localhost").is_some());
        assert!(email("admin").is_none());
        assert!(username("system").is_none());
        assert_eq!(registration("open"), Some(true));
        assert_eq!(registration("closed"), Some(false));
        assert_eq!(registration("invite"), None);
        assert!(registration_rate("0").is_none() && registration_rate("1000001").is_none());
        assert!(service_secret(&"x".repeat(31)).is_none());
        assert!(service_secret(&"\u{200b}".repeat(32)).is_none());
        assert!(text("\u{feff}").is_none() && secret(" ").is_none());
    }

    #[test]
    fn booleans_and_formats_are_exact() {
        assert_eq!(boolean("true"), Some(true));
        assert!(boolean("yes").is_none());
        assert!(log_format("JSON").is_none());
        assert!(log_filter("info,slipway_bus=debug").is_some());
        assert!(log_filter("slipway=shout").is_none());
    }
}
