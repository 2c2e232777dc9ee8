//! Signs the client in: which server, which account, and the token or password.

use std::{
    env,
    io::{self, IsTerminal as _},
    net::SocketAddr,
    time::Duration,
};

use reqwest::{Method, StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::{
    Client, ClientError, Refusal, Tokens, User,
    store::{Account, Kept, Servers, Store, StoreError},
};
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
    /// A server by the name that `slipway login` gave it; without it, and without a name or token to
    /// sign in with, the default one
    #[arg(long, value_name = "NAME", conflicts_with_all = ["url", "username"])]
    pub server: Option<String>,
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
    let token = variable("SLIPWAY_TOKEN")?.map(|token| bare(&token));
    if let (Some(_), Some(_)) = (&args.server, &token) {
        let text = "SLIPWAY_TOKEN is of no server that slipway login knows: unset it, or leave out \
                    --server";
        return Err(UsageError(text.into()).into());
    }
    if token.is_none() && args.username.is_none() {
        return resume(args).await;
    }
    let mut client = Client::new(base_url(args.url.as_deref(), layers)?)?;
    let tokens = client.tokens.get_mut();
    let password = variable("SLIPWAY_PASSWORD")?;
    tokens.access = token;
    if tokens.access.is_some() {
        // Used when the token has expired.
        client.credentials = args.username.clone().zip(password).map(Credentials::new);
        let user = client.get("/auth/me", &[]).await?;
        return Ok((client, user));
    }
    let Some(username) = &args.username else {
        return Err(nobody().into());
    };
    let password = match password {
        Some(password) => password,
        None => ask_password(username)?,
    };
    client.credentials = Some(Credentials::new((username.clone(), password)));
    let user = client.sign_in().await?;
    Ok((client, user))
}

/// Goes on with the session that `slipway login` began.
async fn resume(args: &ClientArgs) -> anyhow::Result<(Client, User)> {
    let store = match Store::of_user() {
        Err(StoreError::Nowhere) if args.server.is_none() => return Err(nobody().into()),
        store => store?,
    };
    let servers = store.read()?;
    let (server, account) = servers.chosen(args)?;
    let mut client = Client::new(account.url.clone())?;
    client.tokens.get_mut().access = Some(Secret::new(account.token.clone()));
    client.server = Some(server.to_owned());
    client.kept = account.refresh_token.as_ref().map(|_| Kept {
        store,
        server: server.to_owned(),
        username: account.username.clone(),
    });
    match client.get("/auth/me", &[]).await {
        Ok(user) => Ok((client, user)),
        Err(ClientError::Refused(refusal)) if refusal.status == StatusCode::UNAUTHORIZED => {
            Err(ended(&account.url, server, &refusal).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// There is no account to sign in with.
fn nobody() -> UsageError {
    let text = "sign in with slipway login, with --username (SLIPWAY_USERNAME), or with a token in \
                SLIPWAY_TOKEN";
    UsageError(text.into())
}

fn ended(base: &Url, server: &str, refusal: &Refusal) -> ClientError {
    ClientError::SessionEnded {
        base: base.clone(),
        server: server.to_owned(),
        reason: refusal.to_string(),
    }
}

impl Servers {
    /// The server that `args` mean.
    fn chosen(&self, args: &ClientArgs) -> Result<(&str, &Account), UsageError> {
        let mut servers = self.servers.iter();
        let default = self.default.as_ref();
        let found = match (&args.server, &args.url) {
            (Some(name), _) => servers.find(|(one, _)| *one == name),
            (None, Some(url)) => {
                let url = address(url)?;
                let mut of_url: Vec<_> = servers.filter(|(_, one)| one.url == url).collect();
                of_url.sort_by_key(|(name, _)| Some(*name) != default);
                of_url.first().copied()
            }
            (None, None) => servers.find(|(name, _)| Some(*name) == default),
        };
        match (found, &args.server) {
            (Some((name, account)), _) => Ok((name, account)),
            (None, Some(name)) => Err(self.unknown(name)),
            (None, None) => Err(nobody()),
        }
    }

    /// There is no server of this name.
    pub(in crate::commands) fn unknown(&self, name: &str) -> UsageError {
        let known: Vec<_> = self.servers.keys().map(String::as_str).collect();
        let known = match known.as_slice() {
            [] => "slipway login knows no server yet".to_owned(),
            names => format!("slipway login knows {}", names.join(", ")),
        };
        UsageError(format!("there is no server {name}: {known}"))
    }
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

    /// Signs in with a name, or an email address, and a password. Returns the account and its
    /// tokens, to be kept.
    pub(in crate::commands) async fn log_in(
        &self,
        name: String,
        password: Secret,
    ) -> Result<(User, Account), ClientError> {
        let credentials = Credentials::new((name, password));
        let session = self.session("/auth/login", &credentials.login()).await?;
        let account = Account {
            url: self.base.clone(),
            username: session.user.username.clone(),
            token: session.token,
            refresh_token: session.refresh_token,
        };
        Ok((session.user, account))
    }

    /// Signs in with a token for programs. Returns the account, to be kept.
    pub(in crate::commands) async fn log_in_with(
        &mut self,
        token: Secret,
    ) -> Result<(User, Account), ClientError> {
        self.tokens.get_mut().access = Some(token.clone());
        let user: User = self.get("/auth/me", &[]).await?;
        let account = Account {
            url: self.base.clone(),
            username: user.username.clone(),
            token: token.expose().to_owned(),
            refresh_token: None,
        };
        Ok((user, account))
    }

    /// Ends the session of an account that was kept; one of a token for programs has none.
    pub(in crate::commands) async fn end(account: &Account) -> Result<(), ClientError> {
        let Some(refresh) = &account.refresh_token else {
            return Ok(());
        };
        let client = Self::new(account.url.clone());
        let client = client.map_err(|error| ClientError::unreachable(&account.url, &error))?;
        *client.tokens.lock() = Tokens {
            access: Some(Secret::new(account.token.clone())),
            refresh: Some(Secret::new(refresh.clone())),
        };
        let request = client.request(Method::POST, client.url("/auth/logout", &[]));
        match client.exchange::<()>(request).await {
            // It has ended before.
            Err(ClientError::Refused(refusal)) if refusal.status == StatusCode::UNAUTHORIZED => {
                Ok(())
            }
            answer => answer.map(drop),
        }
    }

    /// Gets a new token after one has expired: by the refresh token, or else by the password.
    ///
    /// # Errors
    /// [`ClientError`] if it has neither, the server cannot be reached, or it refuses.
    pub async fn renew(&self) -> Result<(), ClientError> {
        if let Some(kept) = &self.kept {
            return self.renew_kept(kept).await;
        }
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

    /// The same for a session that other commands use as well: what one of them has got is used.
    async fn renew_kept(&self, kept: &Kept) -> Result<(), ClientError> {
        let mut locked = kept.store.lock().await?;
        let account = locked.servers.servers.get_mut(&kept.server);
        let account =
            account.filter(|account| account.url == self.base && account.username == kept.username);
        let account = account.ok_or_else(|| ClientError::SessionEnded {
            base: self.base.clone(),
            server: kept.server.clone(),
            reason: "the session was ended by another command".into(),
        })?;
        let is_newer = {
            let tokens = self.tokens.lock();
            tokens.access.as_ref().map(Secret::expose) != Some(&*account.token)
        };
        if !is_newer {
            let refresh_token = account.refresh_token.as_deref().unwrap_or_default();
            let answer = self
                .session("/auth/refresh", &Refresh { refresh_token })
                .await;
            let session = answer.map_err(|error| match error {
                ClientError::Refused(refusal) if refusal.status.is_client_error() => {
                    ended(&self.base, &kept.server, &refusal)
                }
                error => error,
            })?;
            account.token = session.token;
            account.refresh_token = session.refresh_token;
        }
        let token = Secret::new(account.token.clone());
        if !is_newer {
            locked.save()?;
        }
        self.tokens.lock().access = Some(token);
        Ok(())
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
        let session = self.session(path, body).await?;
        *self.tokens.lock() = Tokens {
            access: Some(Secret::new(session.token)),
            refresh: session.refresh_token.map(Secret::new),
        };
        Ok(session.user)
    }

    async fn session(&self, path: &str, body: &impl Serialize) -> Result<Session, ClientError> {
        // Without a token, which may be the one that has expired.
        let request = self.http.request(Method::POST, self.url(path, &[]));
        self.attempt(request.json(body)).await
    }
}

/// A secret in the environment; an empty one counts as absent.
pub(in crate::commands) fn variable(name: &str) -> Result<Option<Secret>, UsageError> {
    match env::var(name) {
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(UsageError(format!("{name} is not UTF-8"))),
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => secret(name, text).map(Some),
    }
}

/// Validates a secret. A control character usually means that it was read from a file with its
/// line break.
pub(in crate::commands) fn secret(name: &str, text: String) -> Result<Secret, UsageError> {
    if text.chars().any(char::is_control) {
        let message = "must not contain control characters such as line breaks";
        return Err(UsageError(format!("{name} {message}")));
    }
    Ok(Secret::new(text))
}

/// A token without the scheme that stands before it in the header `Authorization`.
pub(in crate::commands) fn bare(token: &Secret) -> Secret {
    let text = token.expose().trim();
    let bare = match text.split_once(' ') {
        Some((scheme, bare)) if scheme.eq_ignore_ascii_case("bearer") => bare.trim_start(),
        _ => text,
    };
    Secret::new(bare.to_owned())
}

pub(in crate::commands) fn ask_password(username: &str) -> anyhow::Result<Secret> {
    if !io::stdin().is_terminal() {
        let text = "there is no terminal to ask for the password; set SLIPWAY_PASSWORD";
        return Err(UsageError(text.into()).into());
    }
    let prompt = format!("Password of {username}: ");
    Ok(secret("the password", rpassword::prompt_password(prompt)?)?)
}

/// The address of the server: the given one, or the configured one on this machine.
pub(in crate::commands) fn base_url(url: Option<&str>, layers: &Layers) -> anyhow::Result<Url> {
    match url {
        Some(text) => Ok(address(text)?),
        None => local_base(layers),
    }
}

/// The address of the server that the configuration is of.
pub(in crate::commands) fn local_base(layers: &Layers) -> anyhow::Result<Url> {
    let settings = layers.settings(None)?;
    let scheme = match settings.http_tls_cert_file {
        Some(_) => "https",
        None => "http",
    };
    Ok(local_url(scheme, settings.http_addr)?)
}

/// The address of a server in `text`.
fn address(text: &str) -> Result<Url, UsageError> {
    let url = Url::parse(text).ok().filter(|url| {
        let web = matches!(url.scheme(), "http" | "https") && url.has_host();
        let bare = url.query().is_none() && url.fragment().is_none();
        web && bare && url.username().is_empty() && url.password().is_none()
    });
    let wrong = "--url must be an http or https URL such as http://127.0.0.1:8080";
    url.ok_or_else(|| UsageError(wrong.into()))
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
        let url = base_url(Some(url), &Layers::default()).ok()?;
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
    fn the_server_is_the_named_one_or_that_of_the_address_or_the_default() {
        let account = |url: &str| Account {
            url: url.parse().unwrap(),
            username: "ada".into(),
            token: "t".into(),
            refresh_token: None,
        };
        let known = [
            ("a", "http://h:1"),
            ("b", "http://h:2"),
            ("c", "http://h:2"),
        ];
        let servers = Servers {
            default: Some("c".into()),
            servers: known.map(|(name, url)| (name.into(), account(url))).into(),
        };
        let chosen = |server: Option<&str>, url: Option<&str>| {
            let args = ClientArgs {
                url: url.map(Into::into),
                username: None,
                server: server.map(Into::into),
            };
            let chosen = servers.chosen(&args).map(|(name, _)| name.to_owned());
            chosen.map_err(|error| error.to_string())
        };
        assert_eq!(chosen(Some("a"), None).unwrap(), "a");
        assert_eq!(chosen(None, None).unwrap(), "c");
        assert_eq!(chosen(None, Some("http://h:2")).unwrap(), "c");
        assert_eq!(chosen(None, Some("http://h:1/")).unwrap(), "a");
        assert!(chosen(None, Some("http://h:3")).is_err());
        let unknown = chosen(Some("d"), None).unwrap_err();
        assert_eq!(unknown, "there is no server d: slipway login knows a, b, c");
    }

    #[test]
    fn a_name_with_an_at_sign_is_an_email_address() {
        let credentials = Credentials::new(("a@b".into(), Secret::new("p".into())));
        let body = serde_json::to_value(credentials.login()).unwrap();
        assert_eq!(body, serde_json::json!({"email": "a@b", "password": "p"}));
    }
}
