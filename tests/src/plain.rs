//! A browser without scripts: it opens pages and sends forms, and keeps cookies.

use std::collections::BTreeMap;

use form_urlencoded::Serializer;
use reqwest::{
    Method, RequestBuilder,
    header::{ACCEPT, CONTENT_TYPE, COOKIE, SET_COOKIE},
    redirect::Policy,
};

use crate::{Answer, Client};

/// What browsers send when they open an address.
pub const HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// Where a form comes from: what a browser says about it.
pub const OWN_PAGE: &[(&str, &str)] = &[("sec-fetch-site", "same-origin")];

/// A browser of one person, which follows no redirect by itself.
pub struct PlainBrowser {
    client: Client,
    /// Their values, by name.
    cookies: BTreeMap<String, String>,
}

impl PlainBrowser {
    /// A browser that is not signed in.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self {
            client: Client::build(base, |http| http.redirect(Policy::none())),
            cookies: BTreeMap::new(),
        }
    }

    /// Signs in by the form.
    ///
    /// # Errors
    /// If there is no answer.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn sign_in(&mut self, name: &str, password: &str) -> anyhow::Result<()> {
        let fields = [("name", name), ("password", password), ("next", "/")];
        let answer = self.send("/ui/sign-in", &fields).await?;
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, "/"),
            "{}",
            answer.text
        );
        Ok(())
    }

    /// The same browser with another server, such as another replica: cookies ignore ports.
    #[must_use]
    pub fn at(self, base: &str) -> Self {
        Self {
            cookies: self.cookies,
            ..Self::new(base)
        }
    }

    /// A cookie, if it has one of this name.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// Opens a page.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn open(&mut self, path: &str) -> anyhow::Result<Answer> {
        let request = self.client.request(Method::GET, path);
        self.answer(request).await
    }

    /// The same, with these headers.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn open_with(
        &mut self,
        headers: &[(&str, &str)],
        path: &str,
    ) -> anyhow::Result<Answer> {
        let mut request = self.client.request(Method::GET, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.answer(request).await
    }

    /// Sends a form of a page of this server.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn send(&mut self, action: &str, fields: &[(&str, &str)]) -> anyhow::Result<Answer> {
        self.send_from(OWN_PAGE, action, fields).await
    }

    /// Sends a form, with these headers about its origin.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn send_from(
        &mut self,
        origin: &[(&str, &str)],
        action: &str,
        fields: &[(&str, &str)],
    ) -> anyhow::Result<Answer> {
        let body = Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut request = self.client.request(Method::POST, action);
        for (name, value) in origin {
            request = request.header(*name, *value);
        }
        let kind = "application/x-www-form-urlencoded";
        self.answer(request.header(CONTENT_TYPE, kind).body(body))
            .await
    }

    /// Sends a form of a page of this server with a file.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn send_file(
        &mut self,
        action: &str,
        fields: &[(&str, &str)],
        name: &str,
        file: &[u8],
    ) -> anyhow::Result<Answer> {
        const BOUNDARY: &str = "----a-boundary";
        let mut body = Vec::new();
        for (field, value) in fields {
            let head = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{field}\"");
            body.extend_from_slice(format!("{head}\r\n\r\n{value}\r\n").as_bytes());
        }
        let head = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; \
             filename=\"{name}\"\r\ncontent-type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(file);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let mut request = self.client.request(Method::POST, action);
        for (name, value) in OWN_PAGE {
            request = request.header(*name, *value);
        }
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        self.answer(request.header(CONTENT_TYPE, kind).body(body))
            .await
    }

    async fn answer(&mut self, request: RequestBuilder) -> anyhow::Result<Answer> {
        let mut request = request.header(ACCEPT, HTML);
        let cookies = self.cookies.iter();
        let cookies: Vec<_> = cookies
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        let answer = self.client.send(request).await?;
        for set in answer.headers.get_all(SET_COOKIE) {
            let pair = set.to_str()?.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match value {
                "" => self.cookies.remove(name),
                _ => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        Ok(answer)
    }
}
