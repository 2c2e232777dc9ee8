//! Templates of notifications, which administrators can edit.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use slipway_proto::notify::v1;
use utoipa::ToSchema;

use super::{
    Malformed, UserRef,
    proto::{self, required},
};

/// The three templates of a type.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTemplate {
    /// At most 1,000 characters. The result is one line of at most 200.
    #[schema(example = "Order {{ orderId }} is on its way")]
    subject: String,
    /// The plain text, at most 16 KiB.
    text: String,
    /// At most 64 KiB. Values of variables are escaped. `{% extends "layout.html" %}` gives
    /// the look of Slipway's own mails.
    html: String,
    /// An object with every variable of the type, at most 16 KiB. A variable that is `null` in it
    /// may be left out of events. Required for custom types, and refused for built-in types.
    #[schema(value_type = Option<Object>)]
    sample: Option<Map<String, Value>>,
}

impl NewTemplate {
    fn split(self) -> (v1::TemplateSource, String) {
        let source = v1::TemplateSource {
            subject: self.subject,
            text: self.text,
            html: self.html,
        };
        (source, self.sample.map_or_else(String::new, json))
    }

    /// The request that saves it, at any version.
    pub(crate) fn update(self, kind: String) -> v1::UpdateTemplateRequest {
        let (source, sample_json) = self.split();
        v1::UpdateTemplateRequest {
            r#type: kind,
            source: Some(source),
            sample_json,
            expected_version: None,
            must_exist: false,
        }
    }
}

fn json(fields: Map<String, Value>) -> String {
    Value::Object(fields).to_string()
}

fn object(text: &str) -> Result<Option<Map<String, Value>>, Malformed> {
    match text {
        "" => Ok(None),
        text => {
            let fields = serde_json::from_str(text).ok();
            required("sample", fields).map(Some)
        }
    }
}

/// What to render. An empty object renders the current templates with the sample.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Preview {
    /// Templates that are not saved.
    draft: Option<NewTemplate>,
    /// The variables; left out: those of the sample.
    #[schema(value_type = Option<Object>)]
    data: Option<Map<String, Value>>,
}

impl Preview {
    /// The request for the service.
    pub(crate) fn request(self, kind: String) -> v1::PreviewTemplateRequest {
        let draft = self.draft.map(NewTemplate::split);
        let (draft, sample_json) = draft.unzip();
        v1::PreviewTemplateRequest {
            r#type: kind,
            draft,
            sample_json: sample_json.unwrap_or_default(),
            data_json: self.data.map_or_else(String::new, json),
        }
    }
}

/// A rendered mail.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rendered {
    subject: String,
    text: String,
    html: String,
}

impl From<v1::PreviewTemplateResponse> for Rendered {
    fn from(rendered: v1::PreviewTemplateResponse) -> Self {
        Self {
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
        }
    }
}

/// A variable of a type.
#[derive(Debug, Serialize, ToSchema)]
struct Variable {
    name: String,
    /// Whether every event of the type has it.
    required: bool,
}

/// A type of notifications, as lists show it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TemplateSummary {
    r#type: String,
    /// Whether the type is built in.
    built_in: bool,
    /// Whether the current templates were saved by an administrator.
    edited: bool,
    /// The number of the latest version; 0 if none was ever saved.
    pub(crate) version: u64,
    variables: Vec<Variable>,
    /// Who saved the latest version.
    #[schema(required)]
    updated_by: Option<UserRef>,
    #[schema(required)]
    updated_at: Option<Timestamp>,
}

impl TryFrom<v1::Template> for TemplateSummary {
    type Error = Malformed;

    fn try_from(template: v1::Template) -> Result<Self, Malformed> {
        let variables = template.variables.into_iter().map(|variable| Variable {
            name: variable.name,
            required: variable.required,
        });
        Ok(Self {
            r#type: template.r#type,
            built_in: template.built_in,
            edited: template.edited,
            version: template.version,
            variables: variables.collect(),
            updated_by: template.updated_by.map(UserRef::try_from).transpose()?,
            updated_at: proto::optional_time("updated_at", template.updated_at)?,
        })
    }
}

/// The templates of a type.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Template {
    #[serde(flatten)]
    pub(crate) summary: TemplateSummary,
    subject: String,
    text: String,
    html: String,
    /// An example of the data.
    #[schema(required, value_type = Option<Object>)]
    sample: Option<Map<String, Value>>,
}

impl TryFrom<v1::Template> for Template {
    type Error = Malformed;

    fn try_from(mut template: v1::Template) -> Result<Self, Malformed> {
        let source = required("source", template.source.take())?;
        Ok(Self {
            subject: source.subject,
            text: source.text,
            html: source.html,
            sample: object(&template.sample_json)?,
            summary: template.try_into()?,
        })
    }
}

/// A version of a type's templates.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TemplateVersion {
    version: u64,
    /// `null`: the type was reset to the built-in templates, or was deleted.
    #[schema(required)]
    content: Option<NewTemplate>,
    saved_by: UserRef,
    saved_at: Timestamp,
}

impl TryFrom<v1::TemplateVersion> for TemplateVersion {
    type Error = Malformed;

    fn try_from(version: v1::TemplateVersion) -> Result<Self, Malformed> {
        let sample = object(&version.sample_json)?;
        let content = version.source.map(|source| NewTemplate {
            subject: source.subject,
            text: source.text,
            html: source.html,
            sample,
        });
        Ok(Self {
            version: version.version,
            content,
            saved_by: required("author", version.author)?.try_into()?,
            saved_at: proto::time("time", version.time)?,
        })
    }
}
