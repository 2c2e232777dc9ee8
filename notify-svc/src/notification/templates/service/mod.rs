//! `slipway.notify.v1.TemplateService`: templates as administrators edit them.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};
use slipway_proto::{
    events::UserRef,
    notify::v1::{
        DeleteTemplateRequest, DeleteTemplateResponse, GetTemplateRequest, GetTemplateResponse,
        ListTemplateVersionsRequest, ListTemplateVersionsResponse, ListTemplatesRequest,
        ListTemplatesResponse, PreviewTemplateRequest, PreviewTemplateResponse, TemplateSource,
        UpdateTemplateRequest, UpdateTemplateResponse, template_service_server::TemplateService,
    },
};
use slipway_rpc::{
    access::principal,
    error::{Fault, FieldError, Kind},
    page,
};
use slipway_runtime::clock::SharedClock;
use tonic::{Request, Response, Status};

use super::{
    Busy, Content, Current, Flaw, LONGEST_DATA, Library, OwnType, Source, Version, check, present,
    store::{OWN_TYPES, Saved, TemplateStore},
};
use crate::store::PAGE_WEIGHT;

mod translate;

/// The service.
pub(crate) struct TemplateApi {
    pub(crate) store: TemplateStore,
    pub(crate) templates: Arc<Library>,
    pub(crate) clock: SharedClock,
}

#[tonic::async_trait]
impl TemplateService for TemplateApi {
    async fn list_templates(
        &self,
        request: Request<ListTemplatesRequest>,
    ) -> Result<Response<ListTemplatesResponse>, Status> {
        const LIST: &str = "templates";
        let request = request.into_inner();
        let limit = page::limit(request.page_size, page::MAX_LIMIT)? as usize;
        let after: Option<String> = page::decode_cursor(LIST, &request.page_token)?;
        let current = self.templates.look().await.map_err(Fault::from)?;
        let mut kinds = current.kinds();
        kinds.retain(|kind| after.as_ref().is_none_or(|after| kind > after));
        let next = (kinds.len() > limit).then(|| kinds[limit - 1].clone());
        kinds.truncate(limit);
        let templates = kinds.iter().map(|kind| translate::summary(&current, kind));
        Ok(Response::new(ListTemplatesResponse {
            templates: templates.collect(),
            next_page_token: page::encode_cursor(LIST, next.as_ref()),
        }))
    }

    async fn get_template(
        &self,
        request: Request<GetTemplateRequest>,
    ) -> Result<Response<GetTemplateResponse>, Status> {
        let kind = request.into_inner().r#type;
        let current = self.templates.look().await.map_err(Fault::from)?;
        let template = translate::template(&current, &kind).ok_or_else(not_found)?;
        Ok(Response::new(GetTemplateResponse {
            template: Some(template),
        }))
    }

    async fn update_template(
        &self,
        request: Request<UpdateTemplateRequest>,
    ) -> Result<Response<UpdateTemplateResponse>, Status> {
        let author = author(&request)?;
        let request = request.into_inner();
        let current = self.templates.look().await.map_err(Fault::from)?;
        named(&current, &request.r#type)?;
        let content = content(request.source, &request.sample_json)?;
        let (templates, kind) = (current.templates().clone(), request.r#type.clone());
        let checked = self.templates.for_request(move || {
            let checked = check(&templates, &kind, &content);
            checked.map(|()| content).map_err(flawed)
        });
        let content = checked.await.map_err(busy)??;
        let expected = Expected {
            version: request.expected_version,
            there: request.must_exist,
        };
        let current = self
            .save(&request.r#type, Some(content), expected, author)
            .await?;
        Ok(Response::new(UpdateTemplateResponse {
            template: translate::template(&current, &request.r#type),
        }))
    }

    async fn delete_template(
        &self,
        request: Request<DeleteTemplateRequest>,
    ) -> Result<Response<DeleteTemplateResponse>, Status> {
        let author = author(&request)?;
        let request = request.into_inner();
        let current = self.templates.look().await.map_err(Fault::from)?;
        if !current.has(&request.r#type) {
            return Err(not_found().into());
        }
        let expected = Expected {
            version: request.expected_version,
            there: false,
        };
        if current.is_edited(&request.r#type) {
            self.save(&request.r#type, None, expected, author).await?;
        } else {
            expected.check(&current, &request.r#type)?;
        }
        Ok(Response::new(DeleteTemplateResponse {}))
    }

    async fn list_template_versions(
        &self,
        request: Request<ListTemplateVersionsRequest>,
    ) -> Result<Response<ListTemplateVersionsResponse>, Status> {
        let request = request.into_inner();
        let kind = request.r#type;
        let list = format!("template-versions?{kind}");
        let limit = page::limit(request.page_size, page::MAX_LIMIT)?;
        let before = page::decode_cursor(&list, &request.page_token)?.unwrap_or(u64::MAX);
        let versions = self.store.versions(&kind, before, limit + 1).await;
        let versions = versions.map_err(Fault::from)?;
        let current = self.templates.current();
        if versions.is_empty() && before == u64::MAX && !current.is_built_in(&kind) {
            return Err(not_found().into());
        }
        let (versions, next) = cut(versions, limit as usize);
        Ok(Response::new(ListTemplateVersionsResponse {
            versions: versions.into_iter().map(translate::version).collect(),
            next_page_token: page::encode_cursor(&list, next.as_ref()),
        }))
    }

    async fn preview_template(
        &self,
        request: Request<PreviewTemplateRequest>,
    ) -> Result<Response<PreviewTemplateResponse>, Status> {
        let request = request.into_inner();
        let kind = request.r#type;
        let current = self.templates.look().await.map_err(Fault::from)?;
        let draft = match request.draft {
            Some(draft) => {
                named(&current, &kind)?;
                Some(content(Some(draft), &request.sample_json)?)
            }
            None if current.has(&kind) => None,
            None => return Err(not_found().into()),
        };
        let data = match request.data_json.as_str() {
            "" => None,
            text if text.len() > LONGEST_DATA => {
                let message = format!("must be at most {LONGEST_DATA} bytes of JSON");
                return Err(Fault::invalid_field("data", message).into());
            }
            text => Some(object("data", text)?),
        };
        let preview = move || preview(&current, &kind, draft, data);
        let mail = self.templates.for_request(preview).await.map_err(busy)??;
        Ok(Response::new(mail))
    }
}

impl TemplateApi {
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
            let current = self.templates.look().await?;
            expected.check(&current, kind)?;
            let latest = current.number(kind);
            let version = Version {
                kind: kind.to_owned(),
                number: latest + 1,
                content: content.clone(),
                author: author.clone(),
                at: self.clock.now(),
            };
            match self.store.append(version).await? {
                Saved::Stored => {
                    tracing::info!(
                        kind,
                        number = latest + 1,
                        by = author.username,
                        "templates are changed"
                    );
                    return Ok(self.templates.look().await?);
                }
                // Whether that matters is asked again.
                Saved::Overtaken => {}
                Saved::Full => return Err(too_many()),
            }
        }
    }
}

/// How the templates of a type must be before they are changed.
struct Expected {
    /// Their version; `None`: whichever it is.
    version: Option<u64>,
    /// Whether there must be any.
    there: bool,
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
) -> Result<PreviewTemplateResponse, Fault> {
    let (templates, sample) = match draft {
        Some(content) => {
            check(current.templates(), kind, &content).map_err(flawed)?;
            let with = current.templates().with(kind, &content.source);
            (with.map_err(|error| unfit(&error))?, content.sample)
        }
        None => (current.templates().clone(), None),
    };
    let sample = sample.or_else(|| current.sample(kind));
    let data = present(&data.or(sample).unwrap_or_default());
    let subject = templates.subject(kind, &data).map_err(|e| unfit(&e))?;
    let body = templates.body(kind, &data, "ada").map_err(|e| unfit(&e))?;
    Ok(PreviewTemplateResponse {
        subject: subject.as_str().to_owned(),
        text: body.text,
        html: body.html,
    })
}

fn author<T>(request: &Request<T>) -> Result<UserRef, Fault> {
    let caller = principal(request)?;
    Ok(UserRef {
        id: caller.user_id,
        username: caller.username.clone(),
    })
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

fn content(source: Option<TemplateSource>, sample: &str) -> Result<Content, Fault> {
    let source = source.unwrap_or_default();
    Ok(Content {
        source: Source {
            subject: source.subject,
            text: source.text,
            html: source.html,
        },
        sample: match sample {
            "" => None,
            text => Some(object("sample", text)?),
        },
    })
}

/// A JSON object in a field.
pub(crate) fn object(field: &str, text: &str) -> Result<Map<String, Value>, Fault> {
    serde_json::from_str(text).map_err(|_| Fault::invalid_field(field, "must be a JSON object"))
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

fn flawed(flaws: Vec<Flaw>) -> Fault {
    let error = |flaw: Flaw| FieldError {
        field: flaw.field.to_owned(),
        message: flaw.message,
    };
    Fault::invalid(flaws.into_iter().map(error).collect())
}

fn unfit(error: &crate::notification::templates::RenderError) -> Fault {
    Fault::invalid_field("data", format!("does not fit the templates: {error}"))
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
