//! The routes, from the document at /openapi.json. What is the same for all of them is tested on
//! all of them, so none is forgotten.

use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Map, Value, json};
use slipway_tests::{Answer, Client};

use super::UNKNOWN;

/// A path with an unknown id for each parameter, and its operations.
pub(super) type Path = (String, Vec<(Method, Value)>);

/// The document.
pub(super) async fn document(client: &Client) -> anyhow::Result<Value> {
    Ok(client.get("/openapi.json").await?.expect(200))
}

/// Every path of the document with unknown ids, and its operations.
pub(super) async fn paths(client: &Client) -> anyhow::Result<Vec<Path>> {
    let paths = operations(&document(client).await?)?;
    assert!(paths.len() > 12, "{paths:?}");
    let filled = |(template, operations): Path| (fill(&template, &Map::new()), operations);
    Ok(paths.into_iter().map(filled).collect())
}

/// Every path of the document, with its operations.
pub(super) fn operations(document: &Value) -> anyhow::Result<Vec<Path>> {
    let mut paths = Vec::new();
    for (template, item) in document["paths"].as_object().context("paths")? {
        let mut operations = Vec::new();
        for (method, operation) in item.as_object().context("operations")? {
            operations.push((method.to_uppercase().parse()?, operation.clone()));
        }
        paths.push((template.clone(), operations));
    }
    Ok(paths)
}

/// A path with `things` as its parameters, by the segment before each (`/tasks/{id}` is `tasks`),
/// or with an unknown id.
pub(super) fn fill(template: &str, things: &Map<String, Value>) -> String {
    let parts: Vec<_> = template.split('/').collect();
    let mut path = Vec::new();
    for (n, part) in parts.iter().enumerate() {
        path.push(if part.starts_with('{') {
            things
                .get(parts[n - 1])
                .and_then(Value::as_str)
                .unwrap_or(UNKNOWN)
        } else {
            *part
        });
    }
    path.join("/")
}

/// Every list, as the template of its path.
pub(super) async fn lists(client: &Client) -> anyhow::Result<Vec<String>> {
    let mut lists = Vec::new();
    for (template, operations) in operations(&document(client).await?)? {
        for (method, operation) in operations {
            let takes = |name| {
                let parameters = operation["parameters"].as_array();
                parameters.is_some_and(|parameters| parameters.iter().any(|p| p["name"] == name))
            };
            if method == Method::GET && (takes("cursor") || takes("limit")) {
                assert!(takes("cursor") && takes("limit"), "{template}");
                lists.push(template.clone());
            }
        }
    }
    assert!(lists.len() > 12, "{lists:?}");
    Ok(lists)
}

/// A route with a body.
#[derive(Debug)]
pub(super) struct Taking {
    pub(super) method: Method,
    pub(super) path: String,
    /// A body that meets the schema.
    pub(super) good: Value,
    /// A field of the body, one of the required fields if there are any.
    pub(super) field: String,
    /// Whether the field is required.
    pub(super) required: bool,
    /// The JSON Schema types that the field may have.
    types: Vec<String>,
}

impl Taking {
    /// Sends this body.
    pub(super) async fn send(&self, client: &Client, body: &Value) -> anyhow::Result<Answer> {
        self.send_text(client, body.to_string()).await
    }

    /// Sends this text with the content type of JSON.
    pub(super) async fn send_text(
        &self,
        client: &Client,
        body: impl Into<reqwest::Body>,
    ) -> anyhow::Result<Answer> {
        let request = client.request(self.method.clone(), &self.path);
        let request = request.header("content-type", "application/json");
        client.send(request.body(body)).await
    }

    /// A value of an allowed type.
    pub(super) fn value(&self) -> Value {
        value(&self.types)
    }

    /// Values of all types that are not allowed.
    pub(super) fn wrong(&self) -> Vec<Value> {
        let all = [
            ("string", json!("text")),
            ("number", json!(7.5)),
            ("boolean", json!(true)),
            ("array", json!(["a"])),
            ("object", json!({})),
            ("null", Value::Null),
        ];
        let not_its = all.into_iter();
        let not_its = not_its.filter(|(name, _)| !self.types.iter().any(|own| own == name));
        not_its.map(|(_, value)| value).collect()
    }
}

fn value(types: &[String]) -> Value {
    match types.first().map(String::as_str) {
        Some("boolean") => json!(true),
        Some("integer") => json!(1),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!("text"),
    }
}

/// Every route whose body has a schema of its own. Without the webhooks, which have their own
/// secret and schemas defined by their senders, and without the replay of a single dead letter,
/// whose body is the event.
pub(super) async fn routes_with_a_body(client: &Client) -> anyhow::Result<Vec<Taking>> {
    let document = document(client).await?;
    let (mut routes, mut left_out) = (Vec::new(), Vec::new());
    for (template, operations) in operations(&document)? {
        for (method, operation) in operations {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            if operation["security"][0]["webhook"].is_array() {
                continue;
            }
            if schema.is_null() {
                assert!(operation["requestBody"].is_null(), "{method} {template}");
                continue;
            }
            let schema = resolve(&document, schema);
            let required = operation["requestBody"]["required"] == true;
            if required && schema["additionalProperties"] == false {
                let path = fill(&template, &Map::new());
                routes.push(taking(&document, schema, method, path)?);
            } else {
                left_out.push(template.clone());
            }
        }
    }
    assert_eq!(left_out, ["/admin/dead-letters/{id}/replay"]);
    Ok(routes)
}

fn taking(
    document: &Value,
    schema: &Value,
    method: Method,
    path: String,
) -> anyhow::Result<Taking> {
    let properties = schema["properties"].as_object().context("properties")?;
    let required: Vec<_> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    let required: Vec<_> = required.into_iter().filter_map(Value::as_str).collect();
    let mut good = json!({});
    for name in &required {
        let schema = &properties[*name];
        good[*name] = match &resolve(document, schema)["enum"][0] {
            Value::Null => value(&types(document, schema)),
            first => first.clone(),
        };
    }
    let field = required.first().copied().map_or_else(
        || {
            let named = |(_, schema): &(&String, &Value)| !types(document, schema).is_empty();
            properties.iter().find(named).map(|(name, _)| name.clone())
        },
        |name| Some(name.to_owned()),
    );
    let field = field.with_context(|| format!("{path} has a field"))?;
    Ok(Taking {
        types: types(document, &properties[&field]),
        required: required.contains(&field.as_str()),
        method,
        path,
        good,
        field,
    })
}

/// The types of a schema; none if it has several variants.
fn types(document: &Value, schema: &Value) -> Vec<String> {
    let name = |value: &Value| value.as_str().map(str::to_owned);
    match &resolve(document, schema)["type"] {
        Value::Array(types) => types.iter().filter_map(name).collect(),
        one => name(one).into_iter().collect(),
    }
}

fn resolve<'a>(document: &'a Value, mut schema: &'a Value) -> &'a Value {
    while let Some(reference) = schema["$ref"].as_str() {
        schema = document
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or(&Value::Null);
    }
    schema
}
