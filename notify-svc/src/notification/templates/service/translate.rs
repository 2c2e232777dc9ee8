//! Between the contract's messages and this crate's terms.

use serde_json::{Map, Value};
use slipway_proto::{
    notify::v1::{Template, TemplateSource, TemplateVariable, TemplateVersion},
    time::to_proto as timestamp,
};
use slipway_rpc::error::Fault;

use crate::{
    notification::templates::{Content, Current, LONGEST_DATA, Source, Variable, Version},
    translate::{object, user},
};

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
        updated_by: version.map(|version| user(&version.author)),
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
    let author = user(&version.author);
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

/// The templates that are to be saved, or previewed.
pub(super) fn content(source: Option<TemplateSource>, sample: &str) -> Result<Content, Fault> {
    let source = source.unwrap_or_default();
    Ok(Content {
        source: Source {
            subject: source.subject,
            text: source.text,
            html: source.html,
        },
        sample: match sample {
            "" => None,
            text => Some(object("sample_json", text)?),
        },
    })
}

/// The data of a preview; `None`: those of the sample.
pub(super) fn data(text: &str) -> Result<Option<Map<String, Value>>, Fault> {
    if text.len() > LONGEST_DATA {
        let message = format!("must be at most {LONGEST_DATA} bytes of JSON");
        return Err(Fault::invalid_field("data_json", message));
    }
    match text {
        "" => Ok(None),
        text => object("data_json", text).map(Some),
    }
}
