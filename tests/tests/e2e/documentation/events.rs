//! `docs/events-catalogue.md`: every type of event, from the catalogue, the payloads' schemas and
//! the code that decides who is told of what.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::Timestamp;
use notify_svc::{
    activity::is_shown,
    audit::is_audited,
    notification::{To, audience},
};
use serde_json::{Map, Value, json};
use slipway_bus::{Actor, Event};
use slipway_proto::events::{EventType, TOPICS, Topic};
use slipway_runtime::{request::RequestInfo, telemetry::TraceContext};
use uuid::Uuid;

use super::{introduction, is_up_to_date};

const PAGE: &str = "docs/events-catalogue.md";

#[test]
fn the_catalogue_of_events_is_the_one_of_the_code() {
    let mut page = introduction(PAGE) + summary().as_str();
    let mut types = BTreeMap::new();
    for topic in TOPICS {
        page += &of_topic(topic, &mut types);
    }
    page += "\n## Types of fields\n";
    for (name, schema) in types {
        page += &of_type(&name, &schema);
    }
    is_up_to_date(PAGE, &page);
}

/// All types in one table.
fn summary() -> String {
    let mut table = "\n## All types\n\n| type | activity feed | audit trail | who is notified |\n\
                     | --- | --- | --- | --- |\n"
        .to_owned();
    for kind in EventType::ALL {
        let (name, topic) = (kind.name(), kind.topic());
        let anchor = name.replace('.', "");
        let (shown, audited) = (yes(is_shown(&topic)), yes(is_audited(&topic)));
        let told = notified(*kind);
        writeln!(
            table,
            "| [`{name}`](#{anchor}) | {shown} | {audited} | {told} |"
        )
        .unwrap();
    }
    table
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "" }
}

/// The types of one topic. Collects the definitions that their fields refer to.
fn of_topic(topic: &Topic, types: &mut BTreeMap<String, Value>) -> String {
    let Topic {
        name,
        about,
        key,
        partitions,
    } = topic;
    let mut text =
        format!("\n## {name}\n\nFor {about}. Key: {key}. Created with {partitions} partitions.\n");
    for kind in EventType::ALL.iter().filter(|kind| kind.topic() == *topic) {
        let schema = serde_json::to_value(kind.schema()).unwrap();
        let (name, major) = (kind.name(), kind.major());
        let described = help(&schema);
        let when = described.strip_prefix(&format!("`{name}`: "));
        let when = capitalised(when.expect("its description begins with its type"));
        let told = notified(*kind);
        write!(text, "\n### `{name}`\n\n{when} Version {major}.").unwrap();
        if !told.is_empty() {
            write!(text, " Notified: {told}.").unwrap();
        }
        text += "\n\n";
        text += &fields(&schema);
        if let Some(Value::Object(definitions)) = schema.get("$defs") {
            types.extend(definitions.clone());
        }
    }
    text
}

/// A type that fields have: its own fields, or its values.
fn of_type(name: &str, schema: &Value) -> String {
    let described = help(schema);
    let mut text = format!("\n### {name}\n\n{described}\n\n");
    let Some(values) = schema["oneOf"].as_array() else {
        return text + fields(schema).as_str();
    };
    text += "| value | |\n| --- | --- |\n";
    for value in values {
        let (name, help) = (value["const"].as_str().unwrap(), help(value));
        writeln!(text, "| `{name}` | {help} |").unwrap();
    }
    text
}

/// The fields of an object: those that are always there, in their order, and then the others.
fn fields(schema: &Value) -> String {
    let required: Vec<_> = schema["required"]
        .as_array()
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let mut properties: Vec<_> = schema["properties"].as_object().unwrap().iter().collect();
    properties.sort_by_key(|(name, _)| {
        let place = required.iter().position(|known| known == name);
        (place.unwrap_or(usize::MAX), (*name).clone())
    });
    let mut table = "| field | type | | |\n| --- | --- | --- | --- |\n".to_owned();
    for (name, property) in properties {
        let optional = match required.contains(&name.as_str()) {
            true => "",
            false => "optional",
        };
        let (kind, help) = (kind_of(property), help(property));
        writeln!(table, "| `{name}` | {kind} | {optional} | {help} |").unwrap();
    }
    table
}

/// The description in a schema, on one line.
fn help(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.replace('\n', " ").replace('|', "\\|")
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

/// The alternative that is not null.
fn present(schema: &Value) -> &Value {
    let alternatives = schema["anyOf"].as_array();
    let present = alternatives.and_then(|all| all.iter().find(|one| one["type"] != "null"));
    present.unwrap_or(schema)
}

/// The name of the definition that a schema refers to.
fn definition(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

/// The JSON type; of one that may be null, the other.
fn json_type(schema: &Value) -> Option<&str> {
    match &schema["type"] {
        Value::Array(types) => types
            .iter()
            .filter_map(Value::as_str)
            .find(|name| *name != "null"),
        other => other.as_str(),
    }
}

/// The type of a field, in words.
fn kind_of(schema: &Value) -> String {
    let schema = present(schema);
    if let Some(name) = definition(schema) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    match (json_type(schema), schema["format"].as_str()) {
        (Some("string"), Some("uuid")) => "UUID".to_owned(),
        (Some("string"), Some("date-time")) => "time".to_owned(),
        (Some("string"), _) => "text".to_owned(),
        (Some("array"), _) => format!("list of {}", kind_of(&schema["items"])),
        (Some(other), _) => other.to_owned(),
        (None, _) => "any JSON".to_owned(),
    }
}

/// Who is notified of an event: the fields of its payload that name them, found by asking the
/// code about a payload in which every UUID is another.
fn notified(kind: EventType) -> String {
    if kind == EventType::SystemError {
        // Not by the audience of events.
        return "administrators, of the [incident](operations.md#incidents)".to_owned();
    }
    let schema = serde_json::to_value(kind.schema()).unwrap();
    let mut sample = Sample::of(&schema);
    let payload = sample.value(&schema, "");
    let event = event(kind, &payload);
    event.read().expect("the sample fits its schema");
    let drafts = audience::of(&event).unwrap();
    let told = drafts.iter().map(|draft| {
        let field = match &draft.to {
            To::User(id) => sample.ids[id].trim_end_matches(".id"),
            // In the sample it is the name of its field, in lower case.
            To::Address(address) => {
                let fields = payload.as_object().expect("an object").keys();
                let mut fields = fields.filter(|field| field.eq_ignore_ascii_case(address));
                fields.next().expect("the field of the address")
            }
        };
        if draft.kind == kind.name() {
            format!("`{field}`")
        } else if audience::kinds().any(|known| known == draft.kind) {
            format!("`{field}` as `{}`", draft.kind)
        } else {
            format!("`{field}` as the type in `{}`", draft.kind)
        }
    });
    told.collect::<Vec<_>>().join(", ")
}

fn event(kind: EventType, payload: &Value) -> Event {
    Event {
        id: Uuid::max(),
        event_type: kind.name().to_owned(),
        source: "/slipway/sample".to_owned(),
        subject: "sample".to_owned(),
        time: Timestamp::UNIX_EPOCH,
        dataschema: format!("{}/{}", kind.name(), kind.major()),
        actor: Actor::System,
        trace: TraceContext::current(),
        request: RequestInfo::current(),
        topic: kind.topic().name.to_owned(),
        key: "sample".to_owned(),
        data: serde_json::to_vec(payload).unwrap().into(),
    }
}

/// A payload that fits a schema, with all optional fields. Each UUID is another, and each text is
/// the path of its field.
struct Sample<'a> {
    definitions: Option<&'a Map<String, Value>>,
    /// The path of each UUID.
    ids: BTreeMap<Uuid, String>,
}

impl<'a> Sample<'a> {
    fn of(schema: &'a Value) -> Self {
        Self {
            definitions: schema["$defs"].as_object(),
            ids: BTreeMap::new(),
        }
    }

    fn value(&mut self, schema: &Value, path: &str) -> Value {
        let schema = present(schema);
        if let Some(definition) = definition(schema) {
            let definitions = self.definitions.expect("there is what is referred to");
            return self.value(&definitions[definition].clone(), path);
        }
        if let Some(values) = schema["oneOf"].as_array() {
            return values[0]["const"].clone();
        }
        match (json_type(schema), schema["format"].as_str()) {
            (Some("string"), Some("uuid")) => {
                let id = Uuid::from_u128(self.ids.len() as u128 + 1);
                self.ids.insert(id, path.to_owned());
                json!(id)
            }
            (Some("string"), Some("date-time")) => json!("2026-01-02T03:04:05Z"),
            (Some("string"), _) => json!(path),
            (Some("integer"), _) => json!(1),
            (Some("boolean"), _) => json!(true),
            (Some("array"), _) => {
                json!([self.value(&schema["items"], &format!("{path}[]"))])
            }
            (Some("object"), _) => {
                let none = Map::new();
                let properties = schema["properties"].as_object().unwrap_or(&none);
                let of = |(name, property): (&String, &Value)| {
                    let path = match path {
                        "" => name.clone(),
                        path => format!("{path}.{name}"),
                    };
                    (name.clone(), self.value(property, &path))
                };
                Value::Object(properties.iter().map(of).collect())
            }
            (None, _) => Value::Null,
            (Some(other), format) => panic!("{path} is of an unknown type: {other} {format:?}"),
        }
    }
}

#[test]
fn those_who_are_notified_are_found_in_the_payload() {
    assert_eq!(notified(EventType::TaskStarted), "");
    assert_eq!(notified(EventType::TaskAssigned), "`developerId`");
    assert_eq!(
        notified(EventType::CommentPosted),
        "`mentions[]`, `task.assignee` as `task.commented`"
    );
    assert_eq!(
        notified(EventType::NotificationRequested),
        "`recipients[]` as the type in `notificationType`"
    );
}
