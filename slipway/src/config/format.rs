//! The formats of values: what each accepts, and how that is described.

use std::{
    net::{Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use http::HeaderValue;
use notify_svc::notification::mail::{Address, Sender, SmtpUrl};
use release_svc::{
    identity::{Email, NewPassword, Username},
    provider::{Issuer, person::ClaimPath},
};
use slipway_mongo as mongo;
use slipway_rpc::{
    grpc::{Origins, TlsError},
    http::Networks,
};
use slipway_runtime::{
    telemetry::logs,
    text::{alternatives, check_line, is_blank},
};
use tonic::transport::Uri;
use url::Url;

use super::{Secret, pem::PemFile};
use crate::paths;

/// How a user and a password stand in a URL.
const IN_URL: &str = "in the user and the password write @ as %40, : as %3A and / as %2F";

/// What the values of a key look like, and how they are read.
pub(super) struct Format<T> {
    pub(super) shape: Shape,
    parse: Box<Parse<T>>,
}

type Parse<T> = dyn Fn(&str) -> Result<T, Wrong>;

/// What the values of a key look like.
pub(super) struct Shape {
    /// What a value must be; completes "must be …".
    pub(super) expects: String,
    /// Whether values are numbers, `true` or `false`.
    pub(super) unquoted: bool,
}

/// Why a text is not a value.
pub(super) enum Wrong {
    /// It is not what the format expects.
    Unexpected,
    /// This is wrong with it; continues a sentence that begins with the key.
    Because(String),
}

impl<T> Format<T> {
    fn new(expects: impl Into<String>, parse: impl Fn(&str) -> Option<T> + 'static) -> Self {
        Self::explained(expects, move |text| parse(text).ok_or(Wrong::Unexpected))
    }

    /// A format that may know more about what is wrong.
    fn explained(
        expects: impl Into<String>,
        parse: impl Fn(&str) -> Result<T, Wrong> + 'static,
    ) -> Self {
        Self {
            shape: Shape {
                expects: expects.into(),
                unquoted: false,
            },
            parse: Box::new(parse),
        }
    }

    fn unquoted(mut self) -> Self {
        self.shape.unquoted = true;
        self
    }

    /// The value that `text` stands for.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn parse(&self, text: &str) -> Result<T, Wrong> {
        (self.parse)(text)
    }
}

pub(super) fn number<T: TryFrom<u32>>(range: RangeInclusive<u32>) -> Format<T> {
    let expects = format!("a whole number from {} to {}", range.start(), range.end());
    let parse = move |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<u32>().ok().filter(|_| digits)?;
        let within = range.contains(&number).then_some(number)?;
        T::try_from(within).ok()
    };
    Format::new(expects, parse).unquoted()
}

pub(super) fn boolean() -> Format<bool> {
    choice([("true", true), ("false", false)]).unquoted()
}

/// One of these words.
pub(super) fn choice<T: Copy + 'static, const N: usize>(
    options: [(&'static str, T); N],
) -> Format<T> {
    let words = options.map(|(word, _)| word);
    Format::new(alternatives(&words), move |text| {
        let chosen = options.iter().find(|(word, _)| *word == text);
        chosen.map(|(_, value)| *value)
    })
}

pub(super) fn duration(range: RangeInclusive<Duration>) -> Format<Duration> {
    let (shortest, longest) = (shown(*range.start()), shown(*range.end()));
    let expects = format!("a duration from {shortest} to {longest}");
    Format::new(expects, move |text| {
        let duration = humantime::parse_duration(text).ok()?;
        range.contains(&duration).then_some(duration)
    })
}

pub(super) fn duration_from(shortest: Duration) -> Format<Duration> {
    let expects = format!("a duration of {} or more", shown(shortest));
    Format::new(expects, move |text| {
        let duration = humantime::parse_duration(text).ok()?;
        (duration >= shortest).then_some(duration)
    })
}

/// A duration as people write it, in the largest unit that it is a whole number of.
fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds.is_multiple_of(length) {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

pub(super) fn path() -> Format<PathBuf> {
    Format::explained("a path", |text| {
        checked_path(text)
            .map(PathBuf::from)
            .map_err(Wrong::Because)
    })
}

fn checked_path(text: &str) -> Result<&str, String> {
    match paths::check(text.as_ref()) {
        Ok(()) => Ok(text),
        Err(wrong) => Err(format!("{wrong}; it is {text:?}")),
    }
}

/// What `read` makes of the PEM file that is named: it is read with the configuration, so that
/// what is wrong with it is reported with everything else.
pub(super) fn pem<T: 'static>(read: fn(&[u8]) -> Result<T, TlsError>) -> Format<PemFile<T>> {
    Format::explained("a path", move |text| {
        let path = checked_path(text).map_err(Wrong::Because)?;
        PemFile::read(path.into(), read)
            .map_err(|wrong| Wrong::Because(format!("its file {path} {wrong}")))
    })
}

/// `localhost` is the one name that is taken: what a listener binds must not hang on DNS.
pub(super) fn address() -> Format<SocketAddr> {
    let expects = "an IP address and a port such as 127.0.0.1:8080, or localhost:0";
    Format::new(expects, |text| match text.strip_prefix("localhost:") {
        // The parser of addresses refuses a port such as +80, that of numbers does not.
        Some(port) => format!("127.0.0.1:{port}").parse().ok(),
        None => text.parse().ok(),
    })
}

pub(super) fn networks() -> Format<Networks> {
    let expects = "IP addresses and networks in CIDR notation, separated by commas, such as \
                   10.0.0.0/8,192.0.2.7";
    Format::new(expects, |text| text.parse().ok())
}

pub(super) fn service_urls() -> Format<Origins> {
    let expects = "http or https URLs without a path, separated by commas without spaces, such as \
                   http://10.0.0.5:50051,http://10.0.0.6:50051";
    Format::new(expects, |text| text.parse().ok())
}

/// As the driver takes it; what a name in it resolves to shows when it is connected to.
pub(super) fn mongodb_url() -> Format<Secret> {
    let expects = format!(
        "a mongodb:// or mongodb+srv:// URL such as mongodb://user:password@db.example:27017; \
         {IN_URL}"
    );
    Format::explained(expects, |text| match mongo::unknown_option(text) {
        // The name of an option is no secret.
        Some(option) => Err(Wrong::Because(format!(
            "has the option {option:?}, which URLs of MongoDB do not have"
        ))),
        None if mongo::is_url(text) => Ok(Secret::new(text.to_owned())),
        None => Err(Wrong::Unexpected),
    })
}

/// As the Kafka library takes them: `host:port`, separated by commas alone.
pub(super) fn kafka_brokers() -> Format<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let broker = move |address: &str| {
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
    let expects = "addresses with ports, separated by commas without spaces, such as \
                   kafka-1:9092,kafka-2:9092";
    Format::new(expects, move |text| {
        text.split(',').all(broker).then(|| text.to_owned())
    })
}

/// The scheme, and `tls`, decide about encryption.
pub(super) fn smtp_url() -> Format<SmtpUrl> {
    let expects = format!(
        "an smtp:// or smtps:// URL such as smtp://user:password@mail.example:587?tls=required; \
         ?tls=required and ?tls=opportunistic (STARTTLS) are the only parameters; {IN_URL}"
    );
    Format::new(expects, |text| text.parse().ok())
}

/// Ollama may be behind a path. No user: what is in a URL gets into logs.
pub(super) fn ollama_url() -> Format<String> {
    let expects = "an http or https URL without a user, a query or a fragment, such as \
                   http://127.0.0.1:11434";
    Format::new(expects, web_url)
}

/// Without a path: the addresses of pages and cookies begin at the root of their host, where the
/// links of mails would miss them.
pub(super) fn public_url() -> Format<String> {
    let expects = "an http or https URL without a path, a user, a query or a fragment, such as \
                   https://slipway.example.com: the pages need a host of their own";
    Format::new(expects, |text| {
        let url = web_url(text)?;
        let path = text.parse::<Uri>().ok()?.path().to_owned();
        matches!(&*path, "" | "/").then_some(url)
    })
}

/// Each as a browser sends it.
pub(super) fn origins() -> Format<Vec<HeaderValue>> {
    let expects = "http or https origins as browsers send them, separated by commas without \
                   spaces, such as https://dashboard.example.com,http://localhost:3000";
    Format::new(expects, |text| text.split(',').map(origin).collect())
}

fn origin(text: &str) -> Option<HeaderValue> {
    let url = Url::parse(text).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https");
    (is_web && url.origin().ascii_serialization() == text).then(|| text.parse().ok())?
}

/// Others could read and change what is sent over http.
pub(super) fn issuer() -> Format<Issuer> {
    let expects = "an https URL without a user, a query or a fragment, such as \
                   https://id.example.com/realms/slipway; http is for localhost only";
    Format::new(expects, |text| text.parse().ok())
}

pub(super) fn scopes() -> Format<Vec<String>> {
    let expects = "scopes separated by single spaces, such as profile email";
    Format::new(expects, |text| {
        let is_scope =
            |scope: &str| !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic());
        let scopes: Vec<_> = text.split(' ').map(str::to_owned).collect();
        scopes.iter().all(|scope| is_scope(scope)).then_some(scopes)
    })
}

pub(super) fn claim_path() -> Format<ClaimPath> {
    let expects = "the name of a claim, with dots between the names of nested ones as in \
                   realm_access.roles, or a JSON pointer";
    Format::new(expects, |text| text.parse().ok())
}

/// Texts without commas.
pub(super) fn texts() -> Format<Vec<String>> {
    Format::new("texts separated by commas", |text| {
        let texts = text.split(',').map(str::trim);
        texts
            .map(|text| (!is_blank(text)).then(|| text.to_owned()))
            .collect()
    })
}

/// What a button says.
pub(super) fn label() -> Format<String> {
    const LONGEST: usize = 60;
    let expects = format!("one line of at most {LONGEST} characters");
    Format::new(expects, |text| {
        let fits = !is_blank(text) && text.chars().count() <= LONGEST;
        (fits && check_line(text).is_ok()).then(|| text.to_owned())
    })
}

pub(super) fn otlp_url() -> Format<String> {
    let expects = "an http or https URL with a port and without a path, such as \
                   http://127.0.0.1:4317";
    Format::new(expects, |text| {
        let uri: Uri = text.parse().ok()?;
        let is_origin = uri.port().is_some() && uri.path() == "/";
        web_url(text).filter(|_| is_origin)
    })
}

fn web_url(text: &str) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    let (authority, host) = (uri.authority()?.as_str(), uri.host()?);
    let plain = authority == host || (uri.port_u16().is_some() && !authority.contains('@'));
    let bare = uri.query().is_none() && !text.contains('#');
    (web && !host.is_empty() && plain && bare).then(|| text.to_owned())
}

/// The rule for the name of every account.
pub(super) fn username() -> Format<Username> {
    let length = Username::LENGTH;
    let expects = format!(
        "{} to {} characters of a-z A-Z 0-9 . _ -, the first and the last a letter or digit, and \
         not a name that Slipway uses itself, such as system",
        length.start(),
        length.end()
    );
    Format::explained(expects, |text| {
        Username::new(text).map_err(|rule| Wrong::Because(format!("{rule}; it is {text:?}")))
    })
}

/// The rule for the email address of every account.
pub(super) fn email() -> Format<Email> {
    Format::explained("an email address", |text| {
        Email::new(text).map_err(|rule| Wrong::Because(format!("{rule}; it is {text:?}")))
    })
}

/// The rule for passwords depends on the account, so it is checked with the other rules.
pub(super) fn password_of_account() -> Format<Secret> {
    let length = NewPassword::LENGTH;
    let expects = format!(
        "{} to {} characters, and not close to a common password, the username or the email \
         address",
        length.start(),
        length.end()
    );
    Format::new(expects, |text| Some(Secret::new(text.to_owned())))
}

/// Addresses that mails can be sent to.
pub(super) fn emails() -> Format<Vec<String>> {
    let expects = "email addresses separated by commas such as ops@example.com,oncall@example.com";
    Format::new(expects, |text| {
        let emails = text.split(',').map(str::trim);
        emails
            .map(|email| email.parse::<Address>().is_ok().then(|| email.to_owned()))
            .collect()
    })
}

pub(super) fn mail_sender() -> Format<Sender> {
    let expects = "an email address with only ASCII before the @, alone or after a name, such as \
                   Slipway <slipway@example.com>";
    Format::new(expects, |text| text.parse().ok())
}

/// Text that is not blank.
pub(super) fn text(expects: &'static str) -> Format<String> {
    Format::new(expects, |text| (!is_blank(text)).then(|| text.to_owned()))
}

/// A password of another system, which knows its own rules.
pub(super) fn password() -> Format<Secret> {
    Format::new("a password", |text| {
        (!is_blank(text)).then(|| Secret::new(text.to_owned()))
    })
}

pub(super) fn secret(shortest: usize) -> Format<Secret> {
    Format::new(format!("at least {shortest} characters"), move |text| {
        let long = text.chars().count() >= shortest && !is_blank(text);
        long.then(|| Secret::new(text.to_owned()))
    })
}

/// A secret that stands in a header.
pub(super) fn bearer_token(shortest: usize) -> Format<Secret> {
    let expects = format!("at least {shortest} visible ASCII characters without spaces");
    Format::new(expects, move |text| {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        (visible && text.len() >= shortest).then(|| Secret::new(text.to_owned()))
    })
}

pub(super) fn ollama_model() -> Format<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '/');
    let expects = "the name of a model that Ollama has, such as llama3.2 or qwen3:8b";
    Format::new(expects, move |text| {
        let named = (1..=200).contains(&text.len()) && text.chars().all(plain);
        named.then(|| text.to_owned())
    })
}

pub(super) fn log_format() -> Format<logs::Format> {
    choice([("human", logs::Format::Human), ("json", logs::Format::Json)])
}

pub(super) fn log_filter() -> Format<String> {
    let expects = "a filter such as info or info,slipway_bus=debug";
    Format::new(expects, |text| {
        logs::parse_filter(text).ok().map(|_| text.to_owned())
    })
}

#[cfg(test)]
mod tests;
