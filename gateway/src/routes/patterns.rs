//! The patterns of texts in the OpenAPI document: ECMA 262 regular expressions.
//!
//! The code that validates a text, here or in the service, is authoritative. A pattern describes
//! the same rules as far as a regular expression can; tests compare the two with samples.

use slipway_runtime::text::{
    LINE_PATTERN, LINES_PATTERN, VISIBLE_LINE_PATTERN, VISIBLE_LINES_PATTERN,
};
use utoipa::openapi::{
    OpenApi, PathItem, RefOr,
    path::Parameter,
    schema::{ArrayItems, Schema},
};

/// The username of a new account.
const NEW_USERNAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{1,38}[A-Za-z0-9]$";

/// The username of any account: older ones may begin and end with another character.
const USERNAME: &str = "^[A-Za-z0-9._-]{3,40}$";

/// The name of a type of notifications.
const TYPE: &str = "^[a-z0-9]+([._-][a-z0-9]+)*$";

/// A type or family of activity entries; several are separated by commas.
const TYPES: &str =
    r"^[a-z][a-z0-9_]*\.(\*|[a-z][a-z0-9_]*)(,[a-z][a-z0-9_]*\.(\*|[a-z][a-z0-9_]*))*$";

/// A time of day.
const TIME: &str = "^([01][0-9]|2[0-3]):[0-5][0-9]$";

/// An idempotency key.
pub(super) const KEY: &str = "^[!-~]+$";

/// Schema, field, pattern.
const FIELDS: [(&str, &str, &str); 21] = [
    ("Registration", "username", NEW_USERNAME),
    ("NewRelease", "name", VISIBLE_LINE_PATTERN),
    ("NewRelease", "version", LINE_PATTERN),
    ("NewRelease", "description", LINES_PATTERN),
    ("NewTask", "title", VISIBLE_LINE_PATTERN),
    ("NewTask", "description", LINES_PATTERN),
    ("NewTask", "assignee", USERNAME),
    ("TaskChange", "title", VISIBLE_LINE_PATTERN),
    ("TaskChange", "description", LINES_PATTERN),
    ("TaskChange", "assignee", USERNAME),
    ("ReleaseChange", "name", VISIBLE_LINE_PATTERN),
    ("ReleaseChange", "version", LINE_PATTERN),
    ("ReleaseChange", "description", LINES_PATTERN),
    ("Pause", "reason", VISIBLE_LINES_PATTERN),
    ("NewComment", "content", VISIBLE_LINES_PATTERN),
    ("NewSession", "title", LINE_PATTERN),
    ("SessionTitle", "title", VISIBLE_LINE_PATTERN),
    ("Said", "message", VISIBLE_LINES_PATTERN),
    ("QuietHours", "start", TIME),
    ("QuietHours", "end", TIME),
    ("User", "username", USERNAME),
];

/// Path prefix, parameter, pattern.
const PARAMETERS: [(&str, &str, &str); 3] = [
    ("/activity", "type", TYPES),
    ("/admin/templates/", "type", TYPE),
    ("/events/", "eventType", TYPE),
];

/// Writes the patterns into the document.
pub(super) fn describe(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    for (schema, field, pattern) in FIELDS {
        if let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(schema)
            && let Some(field) = object.properties.get_mut(field)
        {
            set(field, pattern);
        }
    }
    for (start, name, pattern) in PARAMETERS {
        let paths = document.paths.paths.iter_mut();
        let items = paths.filter(|(path, _)| path.starts_with(start));
        for parameter in items.flat_map(|(_, item)| parameters(item)) {
            if parameter.name == name
                && let Some(schema) = &mut parameter.schema
            {
                set(schema, pattern);
            }
        }
    }
}

fn parameters(item: &mut PathItem) -> impl Iterator<Item = &mut Parameter> {
    let operations = [
        &mut item.get,
        &mut item.post,
        &mut item.put,
        &mut item.patch,
        &mut item.delete,
    ];
    let operations = operations.into_iter().flatten();
    let parameters = operations.flat_map(|operation| operation.parameters.iter_mut().flatten());
    parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    })
}

/// Sets the pattern of a text, or of the texts in a list.
fn set(schema: &mut RefOr<Schema>, pattern: &str) {
    match schema {
        RefOr::T(Schema::Object(text)) => text.pattern = Some(pattern.to_owned()),
        RefOr::T(Schema::Array(list)) => {
            if let ArrayItems::RefOrSchema(items) = &mut list.items {
                set(items, pattern);
            }
        }
        _ => {}
    }
}
