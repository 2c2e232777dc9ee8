//! Checks the committed JSON Schemas against the code.
//!
//! `UPDATE_SCHEMAS=1 cargo test -p slipway-proto` writes the schema of a new type. A committed
//! schema may only gain optional fields.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{collections::BTreeSet, env, fs, path::PathBuf};

use serde_json::Value;
use slipway_proto::events::{EventType, TOPICS};

fn path(kind: EventType) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("schemas")
        .join(format!("{}.{}.json", kind.name(), kind.major()))
}

fn generated(kind: EventType) -> Value {
    let mut schema = serde_json::to_value(kind.schema()).unwrap();
    // The order of objects depends on the features that other crates enable.
    schema.sort_all_objects();
    schema
}

#[test]
fn committed_schemas_are_those_of_the_code() {
    for &kind in EventType::ALL {
        let text = serde_json::to_string_pretty(&generated(kind)).unwrap() + "\n";
        let path = path(kind);
        if env::var_os("UPDATE_SCHEMAS").is_some() {
            if let Ok(old) = fs::read_to_string(&path) {
                assert_compatible(
                    kind.name(),
                    &serde_json::from_str(&old).unwrap(),
                    &generated(kind),
                );
            }
            fs::write(&path, &text).unwrap();
        }
        let committed =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(committed, text, "{} has drifted", kind.name());
    }
}

#[test]
fn every_schema_belongs_to_an_event() {
    let known: BTreeSet<_> = EventType::ALL.iter().copied().map(path).collect();
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas");
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        assert!(known.contains(&path), "{} is nobody's", path.display());
    }
}

#[test]
fn every_type_is_published_on_a_declared_topic() {
    for &kind in EventType::ALL {
        assert!(TOPICS.contains(&kind.topic()), "{}", kind.name());
    }
}

#[test]
fn incompatible_changes_are_refused() {
    let old = serde_json::json!({
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
        "required": ["a"],
    });
    let broken = [
        serde_json::json!({"properties": {"a": {"type": "string"}}, "required": ["a"]}),
        serde_json::json!({"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a"]}),
        serde_json::json!({"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": []}),
        serde_json::json!({"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a", "b"]}),
    ];
    for new in broken {
        assert!(incompatibility(&old, &new).is_some(), "{new} was accepted");
    }
    let grown = serde_json::json!({
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}, "c": {"type": "string"}},
        "required": ["a"],
    });
    assert_eq!(incompatibility(&old, &grown), None);
}

fn assert_compatible(event_type: &str, old: &Value, new: &Value) {
    if let Some(why) = incompatibility(old, new) {
        panic!("{event_type}: {why}; add an optional field or a new major version");
    }
}

/// Why readers or writers of `old` would break with `new`; ignores comments.
fn incompatibility(old: &Value, new: &Value) -> Option<String> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            if names(old.get("required")) != names(new.get("required")) {
                return Some("its required fields changed".into());
            }
            old.iter()
                .filter(|(key, _)| !matches!(key.as_str(), "description" | "title" | "required"))
                .find_map(|(key, value)| match new.get(key) {
                    None => Some(format!("{key} is gone")),
                    Some(other) => incompatibility(value, other),
                })
        }
        (old, new) => (old != new).then(|| format!("{old} became {new}")),
    }
}

fn names(required: Option<&Value>) -> BTreeSet<String> {
    let Some(Value::Array(names)) = required else {
        return BTreeSet::new();
    };
    names.iter().map(ToString::to_string).collect()
}
