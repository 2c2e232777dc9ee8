//! Between the contract's messages and this crate's terms.

use serde_json::{Map, Value};
use slipway_proto::{
    common::v1::UserRef,
    notify::v1::{Template, TemplateSource, TemplateVariable, TemplateVersion},
    time::to_proto as timestamp,
};

use crate::notification::templates::{Current, Source, Variable, Version};

/// A type without its sources.
pub(super) fn summary(current: &Current, kind: &str) -> Template {
    let version = current.version(kind);
    let variables = current.variables(kind).into_iter();
    Template {
        r#type: kind.to_owned(),
        built_in: current.is_built_in(kind),
        edited: current.is_edited(kind),
        version: current.number(kind),
        source: None,
        sample_json: String::new(),
        variables: variables.map(variable).collect(),
        updated_by: version.map(author),
        updated_at: version.map(|version| timestamp(version.at)),
    }
}

/// A type, if there are templates for it.
pub(super) fn template(current: &Current, kind: &str) -> Option<Template> {
    let source = current.source(kind)?;
    Some(Template {
        source: Some(self::source(source)),
        sample_json: current.sample(kind).map_or_else(String::new, json),
        ..summary(current, kind)
    })
}

pub(super) fn version(version: Version) -> TemplateVersion {
    let author = author(&version);
    let (source, sample) = match version.content {
        Some(content) => (Some(content.source), content.sample),
        None => (None, None),
    };
    TemplateVersion {
        version: version.number,
        source: source.map(self::source),
        sample_json: sample.map_or_else(String::new, json),
        author: Some(author),
        time: Some(timestamp(version.at)),
    }
}

fn author(version: &Version) -> UserRef {
    UserRef {
        id: version.author.id.to_string(),
        username: version.author.username.clone(),
    }
}

fn source(source: Source) -> TemplateSource {
    TemplateSource {
        subject: source.subject,
        text: source.text,
        html: source.html,
    }
}

fn variable(variable: Variable) -> TemplateVariable {
    TemplateVariable {
        name: variable.name,
        required: variable.required,
    }
}

fn json(fields: Map<String, Value>) -> String {
    Value::Object(fields).to_string()
}
