//! The templates as they are now: what came with Slipway, and over it what administrators
//! have saved.
//!
//! Every process keeps them in memory, looks every [`LOOK_EVERY`] which versions are new,
//! and looks at once where a type is asked for that it does not know. So a change counts
//! everywhere within that time, and at once where it was made.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    num::NonZero,
    sync::Arc,
    thread,
    time::Duration,
};

use arc_swap::ArcSwap;
use serde_json::{Map, Value};
use slipway_runtime::life::Background;
use tokio::sync::{Mutex, OnceCell};

use super::{
    Body, Content, Reader, RenderError, Source, Templates, Variable, Version, built_in, check,
    sample, store::TemplateStore, threads::Threads,
};
use crate::{notification::Subject, store::StoreError};

/// How often a process looks for changes that others have made.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Mails that wait to be rendered, at most; one more waits for a place.
const MAILS: usize = 1024;

/// Requests that wait to be rendered, at most; one more is refused.
const REQUESTS: usize = 64;

/// Too many requests wait to be rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

/// The templates of all types.
pub struct Library {
    store: TemplateStore,
    /// Mails have threads of their own: previews do not hold them up.
    for_mails: Threads,
    for_requests: Threads,
    current: ArcSwap<Current>,
    /// Of two looks at the same time, the second waits for the first.
    looking: Mutex<()>,
    /// Whether this process has looked at all.
    seen: OnceCell<()>,
}

/// The templates as they were at a moment.
#[derive(Debug, Clone)]
pub struct Current {
    /// What came with Slipway.
    built_in: Templates,
    /// That, with what was saved.
    templates: Templates,
    /// The latest version of every type that was ever saved.
    latest: BTreeMap<String, Version>,
}

impl Library {
    /// What came with Slipway; what was saved comes with the first look. Starts threads,
    /// which end with it.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn new(store: TemplateStore, public_url: &str) -> io::Result<Self> {
        let threads = thread::available_parallelism()
            .map_or(2, NonZero::get)
            .max(2);
        let built_in = Templates::built_in(public_url);
        let current = Current {
            templates: built_in.clone(),
            built_in,
            latest: BTreeMap::new(),
        };
        Ok(Self {
            store,
            for_mails: Threads::start("templates-mail", threads, MAILS)?,
            for_requests: Threads::start("templates-api", threads, REQUESTS)?,
            current: ArcSwap::from_pointee(current),
            looking: Mutex::new(()),
            seen: OnceCell::new(),
        })
    }

    /// The subject of a mail of type `kind` with these variables.
    ///
    /// # Errors
    /// If there is no such type, or its template cannot be used.
    pub async fn subject(&self, kind: &str, data: &Value) -> Result<Subject, RenderError> {
        let (current, kind, data) = (self.current(), kind.to_owned(), data.clone());
        self.for_mails
            .run(move || current.templates.subject(&kind, &data))
            .await
    }

    /// The words of a mail of type `kind` with these variables, for `recipient`.
    ///
    /// # Errors
    /// If there is no such type, or one of its templates cannot be used.
    pub async fn body(
        &self,
        kind: &str,
        data: &Value,
        recipient: impl Into<Reader>,
    ) -> Result<Body, RenderError> {
        let (current, kind, data) = (self.current(), kind.to_owned(), data.clone());
        let recipient = recipient.into();
        self.for_mails
            .run(move || current.templates.body(&kind, &data, recipient))
            .await
    }

    /// What `job` makes of templates for a request.
    ///
    /// # Errors
    /// If too many requests wait.
    pub(crate) async fn for_request<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        self.for_requests.try_run(job).await.ok_or(Busy)
    }

    /// The templates, as far as this process knows.
    #[must_use]
    pub fn current(&self) -> Arc<Current> {
        self.current.load_full()
    }

    /// Looks, if this process never has: before that it knows of nothing that was saved.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn known(&self) -> Result<(), StoreError> {
        let look = || async { self.look().await.map(|_| ()) };
        self.seen.get_or_try_init(look).await.copied()
    }

    /// The templates, looked up if `kind` is not among those that this process knows.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn with(&self, kind: &str) -> Result<Arc<Current>, StoreError> {
        let current = self.current();
        if current.has(kind) {
            return Ok(current);
        }
        self.look().await
    }

    /// Looks which versions are new.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn look(&self) -> Result<Arc<Current>, StoreError> {
        let _one_at_a_time = self.looking.lock().await;
        let current = self.current();
        let heads = self.store.heads().await?;
        let news: Vec<String> = heads
            .into_iter()
            .filter(|head| current.number(&head.kind) < head.number)
            .map(|head| head.kind)
            .collect();
        if news.is_empty() {
            return Ok(current);
        }
        let latest = self.store.latest(&news).await?;
        let next = self.for_mails.run(move || current.followed_by(latest));
        let next = Arc::new(next.await);
        self.current.store(next.clone());
        Ok(next)
    }

    /// Looks in the background until told to stop.
    pub(crate) fn spawn(self: &Arc<Self>, background: &Background) {
        let library = Arc::clone(self);
        background.repeat("reload-templates", LOOK_EVERY, move || {
            let library = Arc::clone(&library);
            async move { library.look().await.map(drop) }
        });
    }
}

impl Current {
    /// The templates.
    #[must_use]
    pub fn templates(&self) -> &Templates {
        &self.templates
    }

    /// Whether there are templates for this type.
    #[must_use]
    pub fn has(&self, kind: &str) -> bool {
        built_in::source(kind).is_some() || self.saved(kind).is_some()
    }

    /// The number of the latest version; 0 if none was ever saved.
    #[must_use]
    pub fn number(&self, kind: &str) -> u64 {
        self.latest.get(kind).map_or(0, |version| version.number)
    }

    /// The latest version, if one was ever saved.
    #[must_use]
    pub fn version(&self, kind: &str) -> Option<&Version> {
        self.latest.get(kind)
    }

    fn saved(&self, kind: &str) -> Option<&Content> {
        self.version(kind)?.content.as_ref()
    }

    /// All types that there are templates for, by name.
    #[must_use]
    pub fn kinds(&self) -> Vec<String> {
        let built_in = built_in::kinds().into_iter().map(str::to_owned);
        let kinds: BTreeSet<String> = built_in.chain(self.own_kinds()).collect();
        kinds.into_iter().collect()
    }

    /// The types that Slipway did not bring along, by name: other programs announce them.
    pub fn own_kinds(&self) -> impl Iterator<Item = String> {
        let own = self.latest.values().filter(|version| {
            version.content.is_some() && built_in::source(&version.kind).is_none()
        });
        own.map(|version| version.kind.clone())
    }

    /// Whether a type came with Slipway.
    #[must_use]
    pub fn is_built_in(&self, kind: &str) -> bool {
        built_in::source(kind).is_some()
    }

    /// Whether what counts for a type was saved by an administrator.
    #[must_use]
    pub fn is_edited(&self, kind: &str) -> bool {
        self.saved(kind).is_some()
    }

    /// Where the templates of a type come from.
    #[must_use]
    pub fn source(&self, kind: &str) -> Option<Source> {
        let saved = self.saved(kind).map(|content| content.source.clone());
        saved.or_else(|| built_in::source(kind))
    }

    /// An example of a type's data.
    #[must_use]
    pub fn sample(&self, kind: &str) -> Option<Map<String, Value>> {
        sample::of(kind).or_else(|| self.saved(kind)?.sample.clone())
    }

    /// The variables of a type.
    #[must_use]
    pub fn variables(&self, kind: &str) -> Vec<Variable> {
        let own = !self.is_built_in(kind);
        let sample = self.sample(kind);
        sample.map_or_else(Vec::new, |sample| check::variables(own, &sample))
    }

    /// These, with later versions.
    fn followed_by(&self, versions: Vec<Version>) -> Self {
        let mut next = self.clone();
        for version in versions {
            next.latest.insert(version.kind.clone(), version);
        }
        // From the ground: what was taken back must be gone.
        next.templates = self.built_in.clone();
        for (kind, version) in &next.latest {
            let Some(content) = &version.content else {
                continue;
            };
            match next.templates.with(kind, &content.source) {
                Ok(with) => next.templates = with,
                // Checked when it was saved: saved by another version of Slipway, which
                // allowed more or had other files.
                Err(error) => {
                    tracing::error!(kind, number = version.number, %error,
                        "saved template cannot be used; using the built-in one");
                }
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;
    use slipway_proto::events::UserRef;
    use uuid::Uuid;

    use super::*;

    use crate::notification::templates::store::TemplateStore;

    /// A version that an earlier Slipway let pass.
    fn stored(kind: &str, text: &str) -> Version {
        let sample = match built_in::source(kind) {
            Some(_) => None,
            None => json!({"orderId": "A-1"}).as_object().cloned(),
        };
        Version {
            kind: kind.to_owned(),
            number: 1,
            content: Some(Content {
                source: Source {
                    subject: "A subject".to_owned(),
                    text: text.to_owned(),
                    html: "<p>A mail</p>".to_owned(),
                },
                sample,
            }),
            author: UserRef {
                id: Uuid::from_u128(1),
                username: "ada".to_owned(),
            },
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[tokio::test]
    async fn a_stored_template_that_is_not_allowed_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let documents = crate::store::open(&dir.path().join("notify.db")).unwrap();
        let store = TemplateStore::new(documents);
        let library = Library::new(store.clone(), "https://slipway.example.com").unwrap();
        let sample = Value::Object(sample::of("task.assigned").unwrap());
        let usual = library.body("task.assigned", &sample, "ada").await.unwrap();
        let deep = format!("{{{{ {}1 }}}}", "-".repeat(8000));
        for version in [
            stored("task.assigned", &deep),
            stored("order-placed", "{{ 'x' * 9 }}"),
            stored("order-sent", "Order {{ orderId }}"),
        ] {
            store.append(version, &[]).await.unwrap();
        }
        library.look().await.unwrap();
        let body = library.body("task.assigned", &sample, "ada").await.unwrap();
        assert_eq!(body, usual);
        let order = json!({"orderId": "A-7"});
        assert!(library.body("order-placed", &order, "ada").await.is_err());
        let sent = library.body("order-sent", &order, "ada").await.unwrap();
        assert_eq!(sent.text, "Order A-7");
    }
}
