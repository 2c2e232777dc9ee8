//! The names of fields in errors. A service names a field by its path in the request's protobuf
//! message, for gRPC clients; REST clients get the name that the API has for it.

/// Fields whose path continues with a text of the client: the name of a type, or of a field of its
/// JSON.
const OPEN: [(&str, &str); 3] = [
    ("data_json", "data"),
    ("preferences.muted", "types"),
    ("preferences.wanted", "types"),
];

/// Parameters of lists that are fields of a filter.
const PARAMETERS: [(&str, &str); 5] = [
    ("conditions.text", "q"),
    ("filter.event_type", "type"),
    ("filter.kinds", "kind"),
    ("filter.text", "q"),
    ("filter.types", "type"),
];

/// Messages whose fields are fields of the body, or parameters.
const MESSAGES: [&str; 5] = ["conditions.", "filter.", "preferences.", "source.", "task."];

/// Fields whose names differ in more than letter case.
const FIELDS: [(&str, &str); 7] = [
    ("assignee_username", "assignee"),
    ("confirmations", "deliveries"),
    ("edited_payload", "payload"),
    ("login", "username"),
    ("page_size", "limit"),
    ("page_token", "cursor"),
    ("sample_json", "sample"),
];

/// The API's name for the field at this path of a request to a service.
pub(crate) fn in_api(path: &str) -> String {
    for (field, name) in OPEN {
        if let Some(rest) = path.strip_prefix(field)
            && (rest.is_empty() || rest.starts_with('.'))
        {
            return format!("{name}{rest}");
        }
    }
    if let Some(name) = named(&PARAMETERS, path) {
        return name.to_owned();
    }
    let mut messages = MESSAGES.iter();
    let path = messages
        .find_map(|message| path.strip_prefix(message))
        .unwrap_or(path);
    let parts: Vec<_> = path.split('.').map(part).collect();
    parts.join(".")
}

/// The name of one part of a path, such as `tasks[2]`.
fn part(part: &str) -> String {
    let (field, index) = part.split_at(part.find('[').unwrap_or(part.len()));
    let name = named(&FIELDS, field).map_or_else(|| camel_case(field), str::to_owned);
    name + index
}

fn named(names: &[(&str, &'static str)], field: &str) -> Option<&'static str> {
    let found = names.iter().find(|(known, _)| *known == field);
    found.map(|(_, name)| *name)
}

fn camel_case(field: &str) -> String {
    let mut words = field.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_its_name_in_the_api() {
        for (path, name) in [
            ("name", "name"),
            ("page_size", "limit"),
            ("page_token", "cursor"),
            ("tasks[2].order_index", "tasks[2].orderIndex"),
            ("tasks[2].assignee_id", "tasks[2].assigneeId"),
            ("tasks[2].assignee_username", "tasks[2].assignee"),
            ("task.due_at", "dueAt"),
            ("filter.release_id", "releaseId"),
            ("filter.text", "q"),
            ("filter.types", "type"),
            ("filter", "filter"),
            ("confirmations[3].at", "deliveries[3].at"),
            ("source.html", "html"),
            ("draft.html", "draft.html"),
            ("data_json", "data"),
            ("data_json.my_field", "data.my_field"),
            (
                "preferences.muted.task.stale_detected",
                "types.task.stale_detected",
            ),
            ("preferences.quiet_hours.time_zone", "quietHours.timeZone"),
            ("Idempotency-Key", "Idempotency-Key"),
        ] {
            assert_eq!(in_api(path), name);
        }
    }
}
