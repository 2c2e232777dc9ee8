//! Truncates a fault until it fits into a gRPC status.
//!
//! A status travels in HTTP/2 trailers. Clients refuse a header block above their own limit (16 KiB
//! for tonic, 8 KiB for others); the caller would then see a failed connection instead of the
//! error. So a whole status takes at most 8 KiB. A larger fault is truncated: first the names in
//! lists of several elements are shortened, then the ends of lists are dropped and counted. A
//! single object, such as the one task that blocks, is kept whole.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Fault, FieldError};

/// The fact that counts dropped elements: an object with their number by the name of the list,
/// where `errors` are invalid fields.
pub const OMITTED: &str = "omitted";

/// The name under which dropped field errors are counted.
const ERRORS: &str = "errors";

/// Bytes for the message and the details in the trailers. The rest of 8 KiB is for the names of
/// these headers and for the other headers.
const ROOM: usize = 7 * 1024 + 512;

/// Bytes for the message in the trailers. Each byte that is not a letter or a digit takes three.
const DETAIL_ROOM: usize = 3 * 1024;

/// Bytes of the details apart from the texts of the fault: type names and the domain.
const FRAME: usize = 320;

/// Bytes of the fact that counts dropped elements.
const OMITTED_ROOM: usize = 256;

/// Bytes that a fact or a field error takes apart from its texts.
const ENTRY: usize = 16;

/// Sizes in bytes to which texts in lists of several elements are shortened, in this order.
const IN_LISTS: [usize; 4] = [400, 200, 120, 80];

/// Sizes in bytes to which all texts are shortened, if that was not enough.
const ANYWHERE: [usize; 2] = [400, 100];

/// Maximum bytes of a field's name and of its message, if there is no room for all.
const FIELD: (usize, usize) = (200, 600);

/// Truncates a fault until it fits into a status.
pub(super) fn fit(fault: &mut Fault) {
    cut_detail(&mut fault.detail);
    let room = (ROOM - percent_encoded(&fault.detail)) * 3 / 4;
    let room = room.saturating_sub(fault.detail.len() + fault.code.len() + FRAME);
    if size_of_facts(&fault.facts) + size_of_fields(&fault.fields) <= room {
        return;
    }
    let room = room.saturating_sub(OMITTED_ROOM);
    let mut omitted = BTreeMap::new();
    let for_facts = if fault.fields.is_empty() {
        room
    } else {
        room / 2
    };
    cut_facts(&mut fault.facts, for_facts, &mut omitted);
    let for_fields = room.saturating_sub(size_of_facts(&fault.facts));
    let left_out = cut_fields(&mut fault.fields, for_fields);
    if left_out > 0 {
        omitted.insert(ERRORS.to_owned(), left_out);
    }
    if !omitted.is_empty() {
        let counts = omitted
            .into_iter()
            .map(|(name, count)| (name, count.into()));
        let counts = Value::Object(counts.collect());
        fault.facts.insert(OMITTED.to_owned(), counts);
    }
}

/// Truncates the sentence for people.
fn cut_detail(detail: &mut String) {
    if percent_encoded(detail) > DETAIL_ROOM {
        // The ellipsis at the end takes three bytes.
        let mut taken = 3 * '…'.len_utf8();
        let end = detail.char_indices().find(|(_, c)| {
            taken += percent_encoded(c.encode_utf8(&mut [0; 4]));
            taken > DETAIL_ROOM
        });
        if let Some((end, _)) = end {
            detail.truncate(end);
            detail.push('…');
        }
    }
}

/// Upper bound of the bytes that a text takes in the header for the message.
fn percent_encoded(text: &str) -> usize {
    let plain = text.bytes().filter(u8::is_ascii_alphanumeric).count();
    plain + 3 * (text.len() - plain)
}

fn size(value: &Value) -> usize {
    value.to_string().len()
}

fn size_of_facts(facts: &BTreeMap<String, Value>) -> usize {
    let sizes = facts.iter().map(|(name, value)| size_of_fact(name, value));
    sizes.sum()
}

fn size_of_fact(name: &str, value: &Value) -> usize {
    name.len() + size(value) + ENTRY
}

fn size_of_field(field: &FieldError) -> usize {
    field.field.len() + field.message.len() + ENTRY
}

fn size_of_fields(fields: &[FieldError]) -> usize {
    fields.iter().map(size_of_field).sum()
}

/// Truncates facts to `room` bytes, and counts in `omitted` the dropped elements.
fn cut_facts(
    facts: &mut BTreeMap<String, Value>,
    room: usize,
    omitted: &mut BTreeMap<String, usize>,
) {
    for longest in IN_LISTS {
        if size_of_facts(facts) <= room {
            return;
        }
        for value in facts.values_mut().filter(|value| has_several(value)) {
            shorten(value, longest);
        }
    }
    let mut excess = size_of_facts(facts).saturating_sub(room);
    for (name, value) in facts.iter_mut() {
        if let Value::Array(list) = value {
            let before = list.len();
            while excess > 0 && list.len() > 1 {
                let last = list.pop().unwrap_or_default();
                excess = excess.saturating_sub(size(&last) + 1);
            }
            if list.len() < before {
                omitted.insert(name.clone(), before - list.len());
            }
        }
    }
    for longest in ANYWHERE {
        if size_of_facts(facts) > room {
            facts.values_mut().for_each(|value| shorten(value, longest));
        }
    }
    while size_of_facts(facts) > room
        && let Some(largest) = facts.iter().max_by_key(|(_, value)| size(value))
    {
        let name = largest.0.clone();
        facts.remove(&name);
        *omitted.entry(name).or_default() += 1;
    }
}

/// Truncates field errors to `room` bytes; returns the number of dropped ones. Keeps the first one.
fn cut_fields(fields: &mut Vec<FieldError>, room: usize) -> usize {
    if size_of_fields(fields) <= room {
        return 0;
    }
    for field in &mut *fields {
        cut(&mut field.field, FIELD.0);
        cut(&mut field.message, FIELD.1);
    }
    let mut taken = 0;
    let fitting = fields.iter().take_while(|field| {
        taken += size_of_field(field);
        taken <= room
    });
    let fitting = fitting.count().max(1);
    let left_out = fields.len().saturating_sub(fitting);
    fields.truncate(fitting);
    left_out
}

/// Whether a fact is a list of several elements.
fn has_several(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.len() > 1)
}

/// Shortens the texts in a fact to `longest` bytes each.
fn shorten(value: &mut Value, longest: usize) {
    match value {
        Value::String(text) => cut(text, longest),
        Value::Array(list) => list.iter_mut().for_each(|value| shorten(value, longest)),
        Value::Object(members) => {
            members
                .values_mut()
                .for_each(|value| shorten(value, longest));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Shortens a text to `longest` bytes, with an ellipsis if it was longer.
fn cut(text: &mut String, longest: usize) {
    if text.len() > longest {
        text.truncate(text.floor_char_boundary(longest - '…'.len_utf8()));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use tonic::Status;

    use super::{super::Kind, *};

    /// The limit for a whole status, with the size of a header list as RFC 9113 defines it.
    const LIMIT: usize = 8 * 1024;

    /// The longest title: 200 characters of four bytes.
    fn title() -> String {
        "🚢".repeat(200)
    }

    fn task(title: &str) -> Value {
        let id = "0190c2b8-7a5e-7c3f-8f00-000000000001";
        json!({
            "id": id, "releaseId": id, "releaseName": title, "title": title,
            "orderIndex": 9_007_199_254_740_991_i64, "status": "IN_PROCESS",
            "assignee": {"id": id, "username": "a".repeat(40)},
        })
    }

    /// The size of the headers of a fault.
    fn size_of_headers(fault: &Fault) -> usize {
        let status = Status::from(fault.clone());
        let headers = status.into_http::<()>().into_parts().0.headers;
        let sizes = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 32);
        sizes.sum()
    }

    /// The fault that a client receives.
    fn received(fault: &Fault) -> Fault {
        assert!(
            size_of_headers(fault) <= LIMIT,
            "{}",
            size_of_headers(fault)
        );
        Fault::from(Status::from(fault.clone()))
    }

    #[test]
    fn a_small_fault_is_unchanged() {
        let fields = (0..20).map(|n| FieldError {
            field: format!("tasks[{n}].title"),
            message: "must not be blank".to_owned(),
        });
        let invalid = Fault::invalid(fields.collect());
        assert_eq!(received(&invalid), invalid);
        let ten: Vec<_> = (0..10).map(|n| task(&format!("Task number {n}"))).collect();
        let incomplete = Fault::new(Kind::Conflict, "RELEASE_INCOMPLETE", "10 are left.")
            .fact("remaining", 10)
            .fact("remainingTasks", ten);
        assert_eq!(received(&incomplete), incomplete);
    }

    #[test]
    fn a_single_task_is_not_shortened() {
        let sentence = format!("“{}” has to be completed first.", title());
        let fault = Fault::new(Kind::Conflict, "TASK_OUT_OF_ORDER", sentence)
            .fact("blockedBy", task(&title()));
        assert_eq!(received(&fault), fault);
        let fault = Fault::new(Kind::Conflict, "RELEASE_INCOMPLETE", "1 task is left.")
            .fact("remaining", 1)
            .fact("remainingTasks", [task(&title())]);
        assert_eq!(received(&fault), fault);
    }

    #[test]
    fn names_in_a_list_are_shortened_before_elements_are_dropped() {
        let of = |count: usize| {
            let tasks: Vec<_> = (0..count).map(|_| task(&"x".repeat(200))).collect();
            Fault::new(Kind::Conflict, "RELEASE_INCOMPLETE", "Tasks are left.")
                .fact("remaining", count)
                .fact("remainingTasks", tasks)
        };
        let ten = received(&of(10));
        let tasks = ten.facts["remainingTasks"].as_array().unwrap();
        assert_eq!(tasks.len(), 10);
        let shortened = tasks[9]["title"].as_str().unwrap();
        assert!(
            shortened.ends_with("xxx…") && shortened.len() >= 80,
            "{shortened}"
        );
        assert_eq!(tasks[9]["id"], task("")["id"]);
        assert!(!ten.facts.contains_key(OMITTED));

        let hundred = received(&of(100));
        let named = hundred.facts["remainingTasks"].as_array().unwrap().len();
        assert!(named >= 10, "{named}");
        assert_eq!(hundred.facts["remaining"], 100);
        assert_eq!(
            hundred.facts[OMITTED],
            json!({"remainingTasks": 100 - named})
        );
    }

    #[test]
    fn dropped_field_errors_are_counted() {
        let fields = (0..1_000).map(|n| FieldError {
            field: format!("tasks[{n}].assignee"),
            message: "is not a developer".to_owned(),
        });
        let fault = Fault::invalid(fields.collect());
        let received = received(&fault);
        assert_eq!(received.detail, "1000 fields are invalid.");
        let field_count = received.fields.len();
        assert!(field_count >= 80, "{field_count}");
        assert_eq!(received.fields, fault.fields[..field_count]);
        assert_eq!(
            received.facts[OMITTED],
            json!({"errors": 1_000 - field_count})
        );
    }

    #[test]
    fn long_texts_are_truncated() {
        let fault = Fault::invalid_field("types.".to_owned() + &"x".repeat(100_000), "is unknown");
        let received = received(&fault);
        assert!(received.fields[0].field.starts_with("types.xxx"));
        assert!(received.detail.starts_with("types.xxx") && received.detail.ends_with('…'));
        assert!(!received.facts.contains_key(OMITTED));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::from),
            "\\PC{0,300}".prop_map(Value::from),
            "[\"\\\\\n]{0,3000}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 64, 20, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..40).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,20}", inner, 0..8)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_fault_takes_more_than_8_kib(
            detail in "\\PC{0,2000}",
            facts in prop::collection::btree_map("[a-zA-Z]{1,30}", any_value(), 0..6),
            fields in prop::collection::vec(("\\PC{0,200}", "\\PC{0,500}"), 0..40),
        ) {
            let fields = fields.into_iter().map(|(field, message)| FieldError { field, message });
            let fault = Fault {
                facts,
                fields: fields.collect(),
                ..Fault::new(Kind::Invalid, "INVALID_ARGUMENT", detail)
            };
            prop_assert!(size_of_headers(&fault) <= LIMIT, "{}", size_of_headers(&fault));
        }
    }
}
