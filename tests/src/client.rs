//! A client of the REST API.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context as _, bail};
use reqwest::{
    ClientBuilder, Method, RequestBuilder, Response,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde_json::{Value, json};

use crate::{Stream, StreamEvent};

/// Sends requests to one Slipway, as one user or anonymously.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; null if it is empty, a string if it is not JSON.
    pub body: Value,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// Reads an answer.
    pub(crate) async fn read(answer: Response) -> anyhow::Result<Self> {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await?;
        assert_ne!(status, 500, "{text}");
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.clone()))
        };
        Ok(Self {
            status,
            headers,
            body,
            text,
        })
    }

    /// The body of an answer that must have this status.
    ///
    /// # Panics
    /// If it has a different status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }

    /// The body of a refusal that must have this status and code.
    ///
    /// # Panics
    /// If it has a different status or code, or is not a problem document as specified.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        let found = (self.status, self.body["code"].as_str().unwrap_or_default());
        assert_eq!(found, (status, code), "{:#}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert!(
            !self.header("x-request-id").is_empty(),
            "{:?}",
            self.headers
        );
        assert!(!self.header("traceparent").is_empty(), "{:?}", self.headers);
        assert_eq!(self.body["status"], status);
        for field in ["type", "title", "detail", "traceId"] {
            assert!(self.body[field].is_string(), "{field}: {:#}", self.body);
        }
        self.body
    }

    /// A header; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// Clients of HTTP cannot be built without.
pub(crate) fn install_cryptography() {
    // Fails if a provider is already installed, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Client {
    /// A client of the API at `base`, not signed in.
    ///
    /// # Panics
    /// Only if no HTTP client can be created.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self::build(base, |http| http)
    }

    /// The same, with this source address: on Linux all of 127.0.0.0/8 are local addresses, so that
    /// a test can act as several clients.
    ///
    /// # Panics
    /// Only if no HTTP client can be created.
    #[must_use]
    pub fn from_address(base: &str, address: [u8; 4]) -> Self {
        Self::build(base, |http| http.local_address(IpAddr::from(address)))
    }

    /// The same, which trusts only certificates of this CA, in PEM.
    ///
    /// # Errors
    /// If it is not a certificate.
    pub fn trusting(base: &str, ca: &[u8]) -> anyhow::Result<Self> {
        let ca = reqwest::Certificate::from_pem(ca)?;
        Ok(Self::build(base, |http| http.tls_certs_only([ca])))
    }

    pub(crate) fn build(base: &str, also: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Self {
        install_cryptography();
        let http = also(reqwest::Client::builder().timeout(Duration::from_secs(60)))
            .build()
            .expect("a client without special wishes can be made");
        Self {
            http,
            base: base.to_owned(),
            token: None,
        }
    }

    /// The same, with this token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// The token; empty if not signed in.
    #[must_use]
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// The same, signed in.
    ///
    /// # Errors
    /// If signing in fails.
    pub async fn login(&self, username: &str, password: &str) -> anyhow::Result<Self> {
        let body = json!({"username": username, "password": password});
        let answer = self.post("/auth/login", &body).await?;
        if answer.status != 200 {
            bail!("{username} cannot sign in: {}", answer.body);
        }
        let token = answer.body["token"].as_str().context("a token")?;
        Ok(self.with_token(token))
    }

    /// A request for the caller to complete, with the token if there is one.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and reads the complete answer.
    ///
    /// # Errors
    /// If there is no answer.
    ///
    /// # Panics
    /// If the answer is a 500: that is always a bug.
    pub async fn send(&self, request: RequestBuilder) -> anyhow::Result<Answer> {
        Answer::read(request.send().await?).await
    }

    /// GET.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.request(Method::GET, path)).await
    }

    /// POST of a JSON body.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// POST of this text as it is, with the content type of JSON.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn post_text(&self, path: &str, body: impl Into<String>) -> anyhow::Result<Answer> {
        let request = self
            .request(Method::POST, path)
            .header(CONTENT_TYPE, "application/json")
            .body(body.into());
        self.send(request).await
    }

    /// PATCH without a body.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn patch(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.request(Method::PATCH, path)).await
    }

    /// Opens the live stream; `query` starts with `?` or is empty.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn stream(&self, query: &str, last_event_id: Option<u64>) -> anyhow::Result<Stream> {
        let mut request = self
            .request(Method::GET, &format!("/activity/stream{query}"))
            .timeout(Duration::from_secs(600));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let answer = request.send().await?;
        if answer.status() != 200 {
            bail!("{}: {}", answer.status(), answer.text().await?);
        }
        Ok(Stream::new(answer))
    }

    /// All entries of the activity feed so far, oldest first.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn feed(&self) -> anyhow::Result<Vec<Value>> {
        self.all("/activity?order=asc&limit=200").await
    }

    /// Every item of a list, from all pages; `path` must already have a query.
    ///
    /// # Errors
    /// If a page cannot be read.
    pub async fn all(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}{cursor}")).await?;
            if page.status != 200 {
                bail!("{path}: {}", page.body);
            }
            items.extend(
                page.body["items"]
                    .as_array()
                    .context("items")?
                    .iter()
                    .cloned(),
            );
            match page.body["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    /// Waits for an activity entry that `wanted` accepts, starting from the first one.
    ///
    /// # Errors
    /// If the stream ends first.
    pub async fn seen(&self, mut wanted: impl FnMut(&Value) -> bool) -> anyhow::Result<Value> {
        let mut stream = self.stream("?after=0", None).await?;
        loop {
            match stream.next().await? {
                StreamEvent::Entry { data, .. } if wanted(&data) => return Ok(data),
                _ => {}
            }
        }
    }
}
