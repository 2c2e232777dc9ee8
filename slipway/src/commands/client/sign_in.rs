//! Signs the client in: which server, which account, and the token or password.

use std::{
    env,
    io::{self, IsTerminal as _},
    net::SocketAddr,
    time::Duration,
};

use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};

use super::{Client, ClientError, Tokens, User};
use crate::{
    UsageError,
    config::{Layers, Secret},
    local::reached_at,
};

/// The arguments of every command that calls a server. A token or a password is never a flag,
/// because other users of the machine can see flags.
#[derive(Debug, Clone, clap::Args)]
pub struct ClientArgs {
    /// The server; without it the configured http_addr
    #[arg(long, env = "SLIPWAY_URL", value_name = "URL")]
    pub url: Option<String>,
    /// Name or email address to sign in with, unless there is a token in SLIPWAY_TOKEN (an
    /// access token, or a token for programs);
    /// the password comes from SLIPWAY_PASSWORD or is asked for
    #[arg(long, env = "SLIPWAY_USERNAME", value_name = "NAME")]
    pub username: Option<String>,
}

/// How long a command that is done waits for its sign-out.
const SIGN_OUT_TIMEOUT: Duration = Duration::from_secs(2);

/// The name and password to sign in with.
pub(super) struct Credentials {
    /// A name, or an email address.
    name: String,
    password: Secret,
}

#[derive(Serialize)]
struct Login<'a> {
    #[serde(flatten)]
    name: Name<'a>,
    password: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Name<'a> {
    Username(&'a str),
    Email(&'a str),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refresh<'a> {
    refresh_token: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    token: String,
    refresh_token: Option<String>,
    user: User,
}

/// Signs in as [`sign_in`] does, runs `work`, and signs out.
///
/// # Errors
/// As [`sign_in`], or the error of `work`.
pub async fn signed_in<T>(
    args: &ClientArgs,
    layers: &Layers,
    work: impl AsyncFnOnce(&Client, User) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (client, user) = sign_in(args, layers).await?;
    let result = work(&client, user).await;
    client.sign_out().await;
    result
}

/// Signs in as given by `args` and the environment. Returns the client and its account. The caller
/// [signs out](Client::sign_out) at the end.
///
/// # Errors
/// If the account or the server is not given, or the server refuses the sign-in.
pub async fn sign_in(args: &ClientArgs, layers: &Layers) -> anyhow::Result<(Client, User)> {
    let mut client = Client::new(base_url(args, layers)?)?;
    let tokens = client.tokens.get_mut();
    let password = variable("SLIPWAY_PASSWORD")?;
    tokens.access = variable("SLIPWAY_TOKEN")?.map(|token| bare(&token));
    if tokens.access.is_some() {
        // Used when the token has expired.
        client.credentials = args.username.clone().zip(password).map(Credentials::new);
        let user = client.get("/auth/me", &[]).await?;
        return Ok((client, user));
    }
    let Some(username) = &args.username else {
        let text = "sign in with --username (SLIPWAY_USERNAME) or a token in SLIPWAY_TOKEN";
        return Err(UsageError(text.into()).into());
    };
    let password = match password {
        Some(password) => password,
        None => ask_password(username)?,
    };
    client.credentials = Some(Credentials::new((username.clone(), password)));
    let user = client.sign_in().await?;
    Ok((client, user))
}

impl Credentials {
    pub(super) fn new((name, password): (String, Secret)) -> Self {
        Self { name, password }
    }

    fn login(&self) -> Login<'_> {
        Login {
            name: if self.name.contains('@') {
                Name::Email(&self.name)
            } else {
                Name::Username(&self.name)
            },
            password: self.password.expose(),
        }
    }
}

impl Client {
    /// Signs in with the password.
    ///
    /// # Errors
    /// [`ClientError`] if there is no password, the server cannot be reached, or it refuses.
    pub async fn sign_in(&self) -> Result<User, ClientError> {
        let credentials = self.credentials.as_ref().ok_or(ClientError::SignedOut)?;
        self.begin("/auth/login", &credentials.login()).await
    }

    /// Gets a new token after one has expired: by the refresh token, or else by the password.
    ///
    /// # Errors
    /// [`ClientError`] if it has neither, the server cannot be reached, or it refuses.
    pub async fn renew(&self) -> Result<(), ClientError> {
        // Each refresh token works once.
        let refresh = self.tokens.lock().refresh.take();
        if let Some(token) = refresh {
            let body = Refresh {
                refresh_token: token.expose(),
            };
            match self.begin("/auth/refresh", &body).await {
                Err(ClientError::Refused(_)) if self.credentials.is_some() => {}
                Err(error @ ClientError::Unreachable { .. }) => {
                    self.tokens.lock().refresh = Some(token);
                    return Err(error);
                }
                refreshed => return refreshed.map(drop),
            }
        }
        self.sign_in().await.map(drop)
    }

    /// Ends the session if this client began it: one of a token in the environment stays. If that
    /// fails, the session ends by itself when it has not been used for long enough.
    pub async fn sign_out(&self) {
        if self.tokens.lock().refresh.is_none() {
            return;
        }
        let request = self.request(Method::POST, self.url("/auth/logout", &[]));
        if let Err(error) = request.timeout(SIGN_OUT_TIMEOUT).send().await {
            tracing::debug!(%error, "failed to sign out");
        }
    }

    async fn begin(&self, path: &str, body: &impl Serialize) -> Result<User, ClientError> {
        *self.tokens.lock() = Tokens::default();
        let request = self.request(Method::POST, self.url(path, &[])).json(body);
        let session: Session = self.attempt(request).await?;
        *self.tokens.lock() = Tokens {
            access: Some(Secret::new(session.token)),
            refresh: session.refresh_token.map(Secret::new),
        };
        Ok(session.user)
    }
}

/// A secret in the environment; an empty one counts as absent.
fn variable(name: &str) -> Result<Option<Secret>, UsageError> {
    match env::var(name) {
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(UsageError(format!("{name} is not UTF-8"))),
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => secret(name, text).map(Some),
    }
}

/// Validates a secret. A control character usually means that it was read from a file with its
/// line break.
fn secret(name: &str, text: String) -> Result<Secret, UsageError> {
    if text.chars().any(char::is_control) {
        let message = "must not contain control characters such as line breaks";
        return Err(UsageError(format!("{name} {message}")));
    }
    Ok(Secret::new(text))
}

/// A token without the scheme that stands before it in the header `Authorization`.
fn bare(token: &Secret) -> Secret {
    let text = token.expose().trim();
    let bare = match text.split_once(' ') {
        Some((scheme, bare)) if scheme.eq_ignore_ascii_case("bearer") => bare.trim_start(),
        _ => text,
    };
    Secret::new(bare.to_owned())
}

fn ask_password(username: &str) -> anyhow::Result<Secret> {
    if !io::stdin().is_terminal() {
        let text = "there is no terminal to ask for the password; set SLIPWAY_PASSWORD";
        return Err(UsageError(text.into()).into());
    }
    let prompt = format!("Password of {username}: ");
    Ok(secret("the password", rpassword::prompt_password(prompt)?)?)
}

fn base_url(args: &ClientArgs, layers: &Layers) -> anyhow::Result<Url> {
    let Some(text) = &args.url else {
        let settings = layers.settings(None)?;
        let scheme = match settings.http_tls_cert_file {
            Some(_) => "https",
            None => "http",
        };
        return Ok(local_url(scheme, settings.http_addr)?);
    };
    let url = Url::parse(text).ok().filter(|url| {
        let web = matches!(url.scheme(), "http" | "https") && url.has_host();
        let bare = url.query().is_none() && url.fragment().is_none();
        web && bare && url.username().is_empty() && url.password().is_none()
    });
    let wrong = "--url must be an http or https URL such as http://127.0.0.1:8080";
    url.ok_or_else(|| UsageError(wrong.into()).into())
}

/// The URL at which a gateway that listens on `address` is reached from this machine.
fn local_url(scheme: &str, address: SocketAddr) -> Result<Url, UsageError> {
    if address.port() == 0 {
        let text = "http_addr leaves the port open: say with --url where the server is";
        return Err(UsageError(text.into()));
    }
    Url::parse(&format!("{scheme}://{}", reached_at(address)))
        .map_err(|error| UsageError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(url: &str) -> Option<String> {
        let args = ClientArgs {
            url: Some(url.into()),
            username: None,
        };
        let url = base_url(&args, &Layers::default()).ok()?;
        Some(url.to_string())
    }

    #[test]
    fn the_server_is_a_plain_web_address() {
        assert_eq!(base("http://h:1").as_deref(), Some("http://h:1/"));
        assert_eq!(
            base("https://h/slipway").as_deref(),
            Some("https://h/slipway")
        );
        for wrong in ["h:1", "ftp://h", "http://u:p@h", "http://h?x", "http://h#x"] {
            assert_eq!(base(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_unspecified_address_is_reached_on_this_machine() {
        let local = |address: &str| local_url("http", address.parse().unwrap()).map(String::from);
        assert_eq!(local("0.0.0.0:8080").unwrap(), "http://127.0.0.1:8080/");
        assert_eq!(local("[::]:8080").unwrap(), "http://[::1]:8080/");
        assert!(local("127.0.0.1:0").is_err());
    }

    #[test]
    fn a_secret_with_a_line_break_is_refused_and_not_shown() {
        let refused = secret("SLIPWAY_TOKEN", "hunter2\n".into()).unwrap_err();
        let expected = "SLIPWAY_TOKEN must not contain control characters such as line breaks";
        assert_eq!(refused.to_string(), expected);
        assert!(secret("SLIPWAY_PASSWORD", "hunter 2".into()).is_ok());
    }

    #[test]
    fn a_token_may_be_given_as_in_the_header() {
        for text in ["abc", "Bearer abc", " bearer  abc "] {
            assert_eq!(
                bare(&Secret::new(text.to_owned())).expose(),
                "abc",
                "{text}"
            );
        }
    }

    #[test]
    fn a_name_with_an_at_sign_is_an_email_address() {
        let credentials = Credentials::new(("a@b".into(), Secret::new("p".into())));
        let body = serde_json::to_value(credentials.login()).unwrap();
        assert_eq!(body, serde_json::json!({"email": "a@b", "password": "p"}));
    }
}
