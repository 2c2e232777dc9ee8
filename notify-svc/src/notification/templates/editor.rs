//! Editing templates: what an administrator saves, takes back, looks up and previews.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};
use slipway_proto::events::UserRef;
use slipway_rpc::error::{Fault, FieldError, Kind};
use slipway_runtime::{clock::SharedClock, text::clean_lines};
use slipway_store::outbox::Wake;

use super::{
    Body, Busy, Content, Current, Flaw, Library, OwnType, RenderError, Version,
    changed::event,
    check, present,
    store::{OWN_TYPES, Saved, TemplateStore},
};
use crate::{notification::Subject, store::PAGE_WEIGHT};

/// Edits the templates.
pub(crate) struct Editor {
    pub(crate) store: TemplateStore,
    pub(crate) library: Arc<Library>,
    pub(crate) clock: SharedClock,
    /// Woken when there are events to publish.
    pub(crate) outbox: Wake,
}

impl Editor {
    /// The first `limit` types behind `after`, by name, with the templates they are of; and
    /// behind which one there are more.
    pub(super) async fn list(
        &self,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Arc<Current>, Vec<String>, Option<String>), Fault> {
        let current = self.library.look().await?;
        let mut kinds = current.kinds();
        kinds.retain(|kind| after.as_ref().is_none_or(|after| kind > after));
        let next = (kinds.len() > limit).then(|| kinds[limit - 1].clone());
        kinds.truncate(limit);
        Ok((current, kinds, next))
    }

    /// The templates, if there are any for `kind`.
    pub(super) async fn get(&self, kind: &str) -> Result<Arc<Current>, Fault> {
        let current = self.library.look().await?;
        if current.has(kind) {
            Ok(current)
        } else {
            Err(not_found())
        }
    }

    /// Saves the templates of a type, if they are as `expected` and can be used. Returns
    /// the templates with them.
    pub(super) async fn update(
        &self,
        kind: &str,
        content: Content,
        expected: Expected,
        author: UserRef,
    ) -> Result<Arc<Current>, Fault> {
        let current = self.library.look().await?;
        named(&current, kind)?;
        let (templates, checked) = (current.templates().clone(), kind.to_owned());
        let checked = self.library.for_request(move || {
            let checked = check(&templates, &checked, &content);
            let flawed = |flaws| flawed("source", flaws);
            checked.map(|()| content).map_err(flawed)
        });
        let content = checked.await.map_err(busy)??;
        self.save(kind, Some(content), expected, author).await
    }

    /// Returns to what came with Slipway, if the templates are as `expected`; a type that
    /// did not come with it is gone then.
    pub(super) async fn delete(
        &self,
        kind: &str,
        expected: Expected,
        author: UserRef,
    ) -> Result<(), Fault> {
        let current = self.get(kind).await?;
        if current.is_edited(kind) {
            self.save(kind, None, expected, author).await?;
            return Ok(());
        }
        expected.check(&current, kind)
    }

    /// The versions of a type before `before`, newest first, and before which one there are
    /// more.
    pub(super) async fn versions(
        &self,
        kind: &str,
        before: Option<u64>,
        limit: u32,
    ) -> Result<(Vec<Version>, Option<u64>), Fault> {
        let smaller = before.unwrap_or(u64::MAX);
        let versions = self.store.versions(kind, smaller, limit + 1).await?;
        if versions.is_empty() && before.is_none() && !self.library.current().is_built_in(kind) {
            return Err(not_found());
        }
        Ok(cut(versions, limit as usize))
    }

    /// A mail of type `kind` as it would be, see [`preview`].
    pub(super) async fn preview(
        &self,
        kind: String,
        draft: Option<Content>,
        data: Option<Map<String, Value>>,
    ) -> Result<(Subject, Body), Fault> {
        let current = self.library.look().await?;
        if draft.is_some() {
            named(&current, &kind)?;
        } else if !current.has(&kind) {
            return Err(not_found());
        }
        let preview = move || preview(&current, &kind, draft, data);
        self.library.for_request(preview).await.map_err(busy)?
    }

    /// Stores the next version, if the templates are as `expected`. Returns the templates
    /// with it.
    async fn save(
        &self,
        kind: &str,
        content: Option<Content>,
        expected: Expected,
        author: UserRef,
    ) -> Result<Arc<Current>, Fault> {
        loop {
            let current = self.library.look().await?;
            expected.check(&current, kind)?;
            let latest = current.number(kind);
            let version = Version {
                kind: kind.to_owned(),
                number: latest + 1,
                content: content.clone(),
                author: author.clone(),
                at: self.clock.now(),
            };
            let event = event(&current, &version);
            match self.store.append(version, &[event]).await? {
                Saved::Stored => {
                    self.outbox.wake(author.id);
                    tracing::info!(
                        kind,
                        number = latest + 1,
                        by = author.username,
                        "templates changed"
                    );
                    return Ok(self.library.look().await?);
                }
                // Whether that matters is asked again.
                Saved::Overtaken => {}
                Saved::Full => return Err(too_many()),
            }
        }
    }
}

/// How the templates of a type must be before they are changed.
pub(super) struct Expected {
    /// Their version; `None`: whichever it is.
    pub(super) version: Option<u64>,
    /// Whether there must be any.
    pub(super) there: bool,
}

impl Expected {
    fn check(&self, current: &Current, kind: &str) -> Result<(), Fault> {
        let is_other = |expected| expected != current.number(kind);
        if self.version.is_some_and(is_other) || (self.there && !current.has(kind)) {
            return Err(changed());
        }
        Ok(())
    }
}

/// A mail of type `kind` as it would be: with the templates of `draft`, or those there are,
/// and with `data`, or the sample.
fn preview(
    current: &Current,
    kind: &str,
    draft: Option<Content>,
    data: Option<Map<String, Value>>,
) -> Result<(Subject, Body), Fault> {
    let (templates, sample) = match draft {
        Some(content) => {
            let checked = check(current.templates(), kind, &content);
            checked.map_err(|flaws| flawed("draft", flaws))?;
            let with = current.templates().with(kind, &content.source);
            (with.map_err(|error| unfit(&error))?, content.sample)
        }
        None => (current.templates().clone(), None),
    };
    let sample = sample.or_else(|| current.sample(kind));
    let data = present(&data.or(sample).unwrap_or_default());
    let subject = templates.subject(kind, &data).map_err(|e| unfit(&e))?;
    let body = templates.body(kind, &data, "ada").map_err(|e| unfit(&e))?;
    // As in the mail.
    let body = Body {
        text: clean_lines(&body.text),
        html: clean_lines(&body.html),
    };
    Ok((subject, body))
}

/// Whether a type may be saved: it came with Slipway, or has a name of its own.
fn named(current: &Current, kind: &str) -> Result<(), Fault> {
    if current.is_built_in(kind) {
        return Ok(());
    }
    kind.parse::<OwnType>()
        .map(|_| ())
        .map_err(|error| Fault::invalid_field("type", error.to_string()))
}

/// The versions that fit on a page of `limit`, and behind which one the next begins.
fn cut(mut versions: Vec<Version>, limit: usize) -> (Vec<Version>, Option<u64>) {
    let mut weight = 0;
    let fits = versions.iter().take(limit).take_while(|version| {
        let fits = weight < PAGE_WEIGHT;
        weight += version.weight();
        fits
    });
    let fits = fits.count();
    let more = versions.len() > fits;
    versions.truncate(fits);
    let last = versions.last().map(|version| version.number);
    (versions, last.filter(|_| more))
}

/// The fault about templates in the field `source` of a request.
fn flawed(source: &str, flaws: Vec<Flaw>) -> Fault {
    let error = |flaw: Flaw| FieldError {
        field: match flaw.field {
            "sample" => "sample_json".to_owned(),
            part => format!("{source}.{part}"),
        },
        message: flaw.message,
    };
    Fault::invalid(flaws.into_iter().map(error).collect())
}

fn unfit(error: &RenderError) -> Fault {
    Fault::invalid_field("data_json", format!("does not fit the templates: {error}"))
}

/// Too many templates are checked and rendered for requests at this moment.
pub(crate) fn busy(_: Busy) -> Fault {
    Fault::new(
        Kind::RateLimited,
        "TEMPLATES_BUSY",
        "Too many templates are being rendered at the moment. Try again.",
    )
    .retry_after(Duration::from_secs(1))
}

fn changed() -> Fault {
    Fault::new(
        Kind::Conflict,
        "TEMPLATE_CHANGED",
        "The templates were changed meanwhile. Look at them again.",
    )
}

fn too_many() -> Fault {
    Fault::new(
        Kind::Conflict,
        "TOO_MANY_TYPES",
        format!("There are {OWN_TYPES} types of your own already. Delete one first."),
    )
}

fn not_found() -> Fault {
    Fault::new(
        Kind::NotFound,
        "TEMPLATE_NOT_FOUND",
        "There are no templates for this type.",
    )
}
