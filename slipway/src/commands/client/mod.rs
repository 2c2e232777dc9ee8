//! A small client of the REST API, for commands.

use std::time::Duration;

use parking_lot::Mutex;
use reqwest::{
    Method, Request, RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use self::{refusal::retry_after, sign_in::Credentials};
use crate::{config::Secret, output};

mod error;
mod list;
mod refusal;
mod sign_in;
mod store;

pub use error::ClientError;
pub(super) use error::innermost;
pub(super) use list::{Listed, Listing};
pub use refusal::Refusal;
pub use sign_in::{ClientArgs, sign_in, signed_in};
pub(super) use sign_in::{ask_password, bare, base_url, local_base, secret, variable};
use store::Kept;
pub use store::StoreError;
pub(super) use store::{Account, Servers, Store};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Read timeout. The server sends a keep-alive on its streams every 15 s, so two may be missing.
const SILENCE: Duration = Duration::from_secs(45);
/// The delays before retries of a request whose connection was lost.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_millis(600),
    Duration::from_millis(1800),
];
/// Waits of at least this length are reported to the user.
const NOTICED: Duration = Duration::from_secs(1);
/// If the server asks to wait longer than this, the command fails instead of waiting.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Maximum bytes of an answer. The largest answers of the API have 40 MiB.
const LONGEST_ANSWER: usize = 64 * 1024 * 1024;

/// A signed-in connection to a server.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    tokens: Mutex<Tokens>,
    /// Used to sign in again when the session has ended.
    credentials: Option<Credentials>,
    /// The name of the server, if `slipway login` gave it one.
    server: Option<String>,
    /// Where the session is kept for the commands after this one.
    kept: Option<Kept>,
}

/// The tokens of the session.
#[derive(Default)]
struct Tokens {
    access: Option<Secret>,
    /// For the next access token; none if the access token came from the environment.
    refresh: Option<Secret>,
}

/// An account as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct User {
    /// The account's name.
    pub username: String,
    /// `ADMIN` or `DEVELOPER`.
    pub role: String,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items of the page.
    pub items: Vec<T>,
    /// Where the next page starts, if there is one.
    pub next_cursor: Option<String>,
}

impl Client {
    /// A client of the server at `base` that is not signed in.
    pub(super) fn new(base: Url) -> reqwest::Result<Self> {
        // An error means that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE)
            // The password must not be sent to another server than the given one.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            http,
            base,
            tokens: Mutex::default(),
            credentials: None,
            server: None,
            kept: None,
        })
    }

    /// The name of the server, if `slipway login` gave it one.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// The address of `path` on this server.
    #[must_use]
    pub fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Sends a GET request.
    ///
    /// # Errors
    /// [`ClientError`] if the server cannot be reached or refuses.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        self.exchange(self.request(Method::GET, self.url(path, query)))
            .await
    }

    /// Sends a POST request with the idempotency key `key`, so that it is safe to repeat when the
    /// answer was lost: the server runs it once and repeats its answer.
    ///
    /// # Errors
    /// [`ClientError`] if the server cannot be reached or refuses.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        key: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let request = self
            .request(Method::POST, self.url(path, &[]))
            .header("idempotency-key", key)
            .json(body);
        self.exchange(request).await
    }

    /// Sends a PATCH request. It may be repeated when the answer was lost: then a refusal
    /// [may say](Refusal::may_be_done) that it was carried out before.
    ///
    /// # Errors
    /// [`ClientError`] if the server cannot be reached or refuses.
    pub async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ClientError> {
        let request = self.request(Method::PATCH, self.url(path, &[]));
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        self.exchange(request).await
    }

    /// The first `most` items of a list.
    ///
    /// # Errors
    /// [`ClientError`] if the server cannot be reached or refuses.
    pub async fn items<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        most: usize,
    ) -> Result<Vec<T>, ClientError> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        while items.len() < most {
            let limit = (most - items.len()).min(list::PAGE).to_string();
            let mut query = query.to_vec();
            query.push(("limit", &limit));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: Page<T> = self.get(path, &query).await?;
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(items)
    }

    /// Sends a POST request whose answer is an event stream, without retries.
    ///
    /// # Errors
    /// [`ClientError`] if the server cannot be reached or refuses.
    pub async fn post_for_stream(
        &self,
        path: &str,
        key: &str,
        body: &impl Serialize,
    ) -> Result<Response, ClientError> {
        let request = || {
            let request = self.request(Method::POST, self.url(path, &[]));
            let request = request.header("idempotency-key", key).json(body);
            request.header(ACCEPT, "text/event-stream")
        };
        match self.open(request()).await {
            Err(ClientError::Refused(refusal)) if refusal.is_expiry() && self.can_renew() => {
                self.renew().await?;
                self.open(request()).await
            }
            opened => opened,
        }
    }

    /// Opens an event stream, without retries: the caller resumes after a loss, because it knows
    /// the position.
    ///
    /// # Errors
    /// [`ClientError`] if the server cannot be reached or refuses.
    pub async fn stream(
        &self,
        path: &str,
        query: &[(&str, &str)],
        last_event_id: Option<&str>,
    ) -> Result<Response, ClientError> {
        let mut request = self
            .request(Method::GET, self.url(path, query))
            .header(ACCEPT, "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        self.open(request).await
    }

    async fn open(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = beginning(response, LONGEST_ANSWER).await;
        let body = body.map_err(|e| self.unreachable(&e))?;
        Err(Refusal::read(status, &headers, &body).into())
    }

    /// Whether it can get a new token when one has expired.
    pub(super) fn can_renew(&self) -> bool {
        self.credentials.is_some() || self.kept.is_some() || self.tokens.lock().refresh.is_some()
    }

    /// The client with a password.
    #[cfg(test)]
    pub(super) fn with_password(mut self, name: &str, password: &str) -> Self {
        let password = Secret::new(password.to_owned());
        self.credentials = Some(Credentials::new((name.to_owned(), password)));
        self
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url);
        match &self.tokens.lock().access {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    /// Sends a request. If its token has expired, sends it again with a new one.
    async fn exchange<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, ClientError> {
        let again = request.try_clone();
        match (self.attempt(request).await, again) {
            (Err(ClientError::Refused(refusal)), Some(again))
                if refusal.is_expiry() && self.can_renew() =>
            {
                self.renew().await?;
                let again = match &self.tokens.lock().access {
                    Some(token) => again.headers(bearer(token)),
                    None => again,
                };
                self.attempt(again).await
            }
            (answer, _) => answer,
        }
    }

    /// Sends a request, with retries until it is answered or [`PAUSES`] are used up.
    async fn attempt<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, ClientError> {
        // Values from outside, such as the token, may make the request invalid.
        let request = request.timeout(REQUEST_TIMEOUT).build();
        let request = request.map_err(|error| self.unreachable(&error))?;
        let mut pauses = PAUSES.iter();
        let mut is_lost = false;
        loop {
            let attempt = request
                .try_clone()
                .expect("the body is in memory, and such a request can be cloned");
            let answer = self.read(attempt).await;
            is_lost |= answer.is_err();
            let pause = match &answer {
                Ok((status, headers, _)) => asked_to_wait(*status, headers),
                Err(_) => Some(Duration::ZERO),
            };
            if let (Some(asked), Some(pause)) = (pause, pauses.next()) {
                self.remark_wait(asked);
                tokio::time::sleep(asked.max(*pause)).await;
                continue;
            }
            let (status, headers, body) = answer.map_err(|error| self.unreachable(&error))?;
            if !status.is_success() {
                let mut refusal = Refusal::read(status, &headers, &body);
                refusal.repeated = is_lost;
                return Err(refusal.into());
            }
            // An answer without content is read as null.
            let body = if body.is_empty() { b"null" } else { &*body };
            return serde_json::from_slice(body).map_err(|source| ClientError::Malformed {
                base: self.base.clone(),
                source,
            });
        }
    }

    async fn read(&self, request: Request) -> reqwest::Result<(StatusCode, HeaderMap, Vec<u8>)> {
        let response = self.http.execute(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = beginning(response, LONGEST_ANSWER).await?;
        Ok((status, headers, body))
    }

    /// Reports a long wait on standard error.
    fn remark_wait(&self, wait: Duration) {
        if wait < NOTICED {
            return;
        }
        let (base, wait) = (&self.base, humantime::format_duration(wait));
        output::remark(&format!("{base} asks to wait; trying again in {wait}"));
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        ClientError::unreachable(&self.base, error)
    }
}

/// The header with a token, which replaces the one of a request.
fn bearer(token: &Secret) -> HeaderMap {
    let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
    value
        .into_iter()
        .map(|value| (AUTHORIZATION, value))
        .collect()
}

/// The first `most` bytes of an answer. This also bounds an endless answer, which then cannot be
/// parsed.
async fn beginning(mut response: Response, most: usize) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() < most
        && let Some(chunk) = response.chunk().await?
    {
        let room = most - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(body)
}

/// How long the server asks to wait: it is busy, limits the rate, or still works on an earlier
/// attempt of the same request.
fn asked_to_wait(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let may_change = matches!(
        status,
        StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    retry_after(headers).filter(|wait| may_change && *wait <= LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use reqwest::header::RETRY_AFTER;
    use serde_json::{Value, json};

    use super::*;
    use crate::commands::script::{Reply, Script, header};

    fn client(base: &str) -> Client {
        Client::new(base.parse().unwrap()).unwrap()
    }

    #[test]
    fn paths_and_queries_are_joined_to_the_base() {
        let url = client("http://h:1").url("/users", &[("q", "a&b c")]);
        assert_eq!(url.as_str(), "http://h:1/users?q=a%26b+c");
        let url = client("https://h/slipway/").url("/releases", &[]);
        assert_eq!(url.as_str(), "https://h/slipway/releases");
    }

    #[test]
    fn only_an_answer_that_may_change_soon_is_waited_for() {
        let mut headers = HeaderMap::new();
        let busy = StatusCode::CONFLICT;
        assert_eq!(asked_to_wait(busy, &headers), None);
        headers.insert(RETRY_AFTER, "2".parse().unwrap());
        assert_eq!(asked_to_wait(busy, &headers), Some(Duration::from_secs(2)));
        assert_eq!(asked_to_wait(StatusCode::FORBIDDEN, &headers), None);
        headers.insert(RETRY_AFTER, "900".parse().unwrap());
        assert_eq!(asked_to_wait(busy, &headers), None);
    }

    #[tokio::test]
    async fn a_lost_answer_is_asked_for_again_with_the_same_key() {
        let replies = vec![Reply::Cut, Reply::Json(201, r#"{"id": 1}"#)];
        let script = Script::start(replies).await;
        let client = Client::new(script.url.clone()).unwrap();
        let answer: Value = client
            .post("/releases", "k-1", &json!({"name": "R"}))
            .await
            .unwrap();
        assert_eq!(answer["id"], 1);
        let requests = script.requests().await;
        assert_eq!(requests.len(), 2);
        for request in requests {
            assert!(request.starts_with("POST /releases HTTP/1.1"));
            assert_eq!(header(&request, "idempotency-key"), Some("k-1"));
            assert!(request.ends_with(r#"{"name":"R"}"#));
        }
    }

    #[tokio::test]
    async fn a_request_that_cannot_be_sent_is_an_error() {
        let client = client("http://127.0.0.1:1");
        client.tokens.lock().access = Some(Secret::new("a\nb".into()));
        let answer = client.get::<Value>("/auth/me", &[]).await;
        assert!(matches!(answer, Err(ClientError::Unreachable { .. })));
        let stream = client.stream("/activity/stream", &[], Some("1\n2")).await;
        assert!(matches!(stream, Err(ClientError::Unreachable { .. })));
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_a_limit() {
        for (most, read) in [(3, "[1,"), (5, "[1,2]"), (9, "[1,2]")] {
            let script = Script::start(vec![Reply::Json(200, "[1,2]")]).await;
            let http = client("http://127.0.0.1:1").http;
            let answer = http.get(script.url.clone()).send().await.unwrap();
            let body = beginning(answer, most).await.unwrap();
            assert_eq!(body, read.as_bytes());
        }
    }

    #[tokio::test]
    async fn an_expired_token_is_refreshed_and_the_request_repeated() {
        const EXPIRED: &str = r#"{"code": "TOKEN_EXPIRED", "detail": "The token has expired."}"#;
        const NEXT: &str = r#"{"token": "t2", "refreshToken": "r2",
            "user": {"username": "ada", "role": "DEVELOPER"}}"#;
        let script = Script::start(vec![
            Reply::Json(401, EXPIRED),
            Reply::Json(200, NEXT),
            Reply::Json(201, r#"{"id": 1}"#),
        ])
        .await;
        let client = Client::new(script.url.clone()).unwrap();
        *client.tokens.lock() = Tokens {
            access: Some(Secret::new("t1".into())),
            refresh: Some(Secret::new("r1".into())),
        };
        let answer: Value = client.post("/releases", "k-1", &json!({})).await.unwrap();
        assert_eq!(answer["id"], 1);
        let requests = script.requests().await;
        assert!(
            requests[1].starts_with("POST /auth/refresh "),
            "{requests:?}"
        );
        assert!(requests[1].ends_with(r#"{"refreshToken":"r1"}"#));
        assert_eq!(header(&requests[1], "authorization"), None);
        assert_eq!(header(&requests[2], "authorization"), Some("Bearer t2"));
        assert_eq!(header(&requests[2], "idempotency-key"), Some("k-1"));
    }

    #[tokio::test]
    async fn a_refusal_is_not_repeated() {
        let body = r#"{"code": "FORBIDDEN", "detail": "Only administrators may do this."}"#;
        let script = Script::start(vec![Reply::Json(403, body)]).await;
        let client = Client::new(script.url.clone()).unwrap();
        let answer = client.get::<Value>("/admin", &[]).await;
        assert_eq!(
            answer.unwrap_err().to_string(),
            "FORBIDDEN: Only administrators may do this."
        );
    }
}
