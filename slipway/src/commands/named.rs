//! Finds the task or release that was named on the command line.

use serde_json::Value;
use uuid::Uuid;

use super::{client::Client, table::short};
use crate::{UsageError, text::escape};

/// Characters that a part of an id must have.
const SHORTEST: usize = 4;

/// How many things are looked at to find one that was not named by its whole id.
const MOST: usize = 2_000;

/// A list of the API in which something is looked for.
pub(super) struct Among<'a> {
    pub(super) path: &'a str,
    pub(super) query: &'a [(&'a str, &'a str)],
    /// What its items are, such as `task`.
    pub(super) kind: &'a str,
    /// The field with the text that names an item as well.
    pub(super) title: &'a str,
}

/// The tasks of everybody.
pub(super) const TASKS: Among<'static> = Among {
    path: "/tasks",
    query: &[],
    kind: "task",
    title: "title",
};

/// The releases.
pub(super) const RELEASES: Among<'static> = Among {
    path: "/releases",
    query: &[],
    kind: "release",
    title: "name",
};

impl Among<'_> {
    /// The id of what `text` names: by its id, a part of it at its beginning or end, or its title.
    ///
    /// # Errors
    /// If there is none, or [`UsageError`] if there are several; or if the server cannot be reached
    /// or refuses.
    pub(super) async fn id(&self, client: &Client, text: &str) -> anyhow::Result<String> {
        if let Ok(id) = Uuid::parse_str(text) {
            return Ok(id.to_string());
        }
        let items: Vec<Value> = client.items(self.path, self.query, MOST).await?;
        self.find(&items, text)
    }

    fn find(&self, items: &[Value], text: &str) -> anyhow::Result<String> {
        let is_part = text.len() >= SHORTEST
            && text
                .bytes()
                .all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
        let part = text.to_ascii_lowercase();
        let title = text.trim().to_lowercase();
        let is_named = |item: &&Value| {
            let (id, name) = (field(item, "id"), field(item, self.title));
            let of_id = is_part && (id.starts_with(&part) || id.ends_with(&part));
            of_id || name.trim().to_lowercase() == title
        };
        let found: Vec<&Value> = items.iter().filter(is_named).collect();
        let (kind, text) = (self.kind, escape(text));
        match found.as_slice() {
            [item] => Ok(field(item, "id").to_owned()),
            [] => anyhow::bail!(
                "no {kind} is named {text}: give its id, {SHORTEST} characters or more of the \
                 beginning or the end of the id, or its whole {}",
                self.title
            ),
            several => {
                let list = several.iter().take(5).map(|item| self.line(item));
                let list: String = list.collect();
                let count = several.len();
                let text = format!("{count} {kind}s are named {text}:{list}");
                Err(UsageError(text).into())
            }
        }
    }

    fn line(&self, item: &Value) -> String {
        let (id, name) = (field(item, "id"), escape(field(item, self.title)));
        format!("\n  {}  {name}", escape(short(id)))
    }
}

fn field<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_task_is_named_by_a_part_of_its_id_or_by_its_title() {
        let items = [
            json!({"id": "0198aaaa-0000-7000-8000-00000000beef", "title": "Build"}),
            json!({"id": "0198aaaa-0000-7000-8000-00000000cafe", "title": "Ship"}),
            json!({"id": "0198bbbb-0000-7000-8000-00000000f00d", "title": "Ship"}),
        ];
        let find = |text| TASKS.find(&items, text).map_err(|error| error.to_string());
        for text in ["beef", "BEEF", "0000beef", "build", " Build "] {
            assert_eq!(
                find(text).unwrap(),
                items[0]["id"].as_str().unwrap(),
                "{text}"
            );
        }
        assert_eq!(find("0198b").unwrap(), items[2]["id"].as_str().unwrap());
        for text in ["0198", "Ship"] {
            assert!(
                find(text).unwrap_err().contains(" tasks are named "),
                "{text}"
            );
        }
        for text in ["eef", "", "nothing", "dead"] {
            assert!(
                find(text).unwrap_err().starts_with("no task is named"),
                "{text}"
            );
        }
    }
}
