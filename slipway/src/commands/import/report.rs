//! Reports what an import has created, as text or JSON.

use std::io::{self, Write};

use serde_json::{Value, json};

use slipway_plan::{Plan, PlannedTask};

use super::users::NewUser;
use crate::{
    commands::client::Client,
    text::{escape, escape_json},
};

/// What was created so far.
#[derive(Default)]
pub(super) struct Report {
    /// The release as the server shows it.
    pub(super) release: Option<Value>,
    pub(super) users: Vec<NewUser>,
    /// The names of the accounts to be created.
    pub(super) planned: Vec<String>,
}

/// The first part of the JSON object: the new developers, with their passwords unless these are
/// written elsewhere.
pub(super) fn json_users(users: &[NewUser], with_passwords: bool) -> String {
    let mut users = json!(users);
    for user in users.as_array_mut().into_iter().flatten() {
        if let (false, Some(user)) = (with_passwords, user.as_object_mut()) {
            user.remove("password");
        }
    }
    format!("{{\"users\":{}", escape_json(&users.to_string()))
}

impl Report {
    /// The new release's id.
    pub(super) fn release_id(&self) -> Option<String> {
        let id = self.release.as_ref()?.get("id")?.as_str()?;
        Some(id.to_owned())
    }

    /// The names of the created accounts, if any. The creation of the last one may be uncertain.
    pub(super) fn registered(&self) -> Option<String> {
        let names: Vec<_> = self
            .users
            .iter()
            .map(|user| escape(&user.username))
            .collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// The names of the accounts that were to be created and were not: somebody else was faster,
    /// or the import ended before. Passwords that were shown for them are not valid.
    pub(super) fn not_created(&self) -> Vec<&str> {
        let is_created = |name: &String| self.users.iter().any(|user| user.username == *name);
        let names = self.planned.iter().filter(|name| !is_created(name));
        names.map(String::as_str).collect()
    }

    /// The second part of the JSON object.
    pub(super) fn json_rest(&self, plan: &Plan) -> String {
        let (release, hotfix) = (json!(self.release), json!(plan.hotfix));
        let not_created = json!(self.not_created());
        let rest =
            format!(",\"notCreated\":{not_created},\"release\":{release},\"hotfix\":{hotfix}}}");
        escape_json(&rest) + "\n"
    }

    /// The report as text, without passwords.
    pub(super) fn human(&self, plan: &Plan, client: &Client) -> io::Result<String> {
        let mut out = Vec::new();
        if let Some(names) = self.registered() {
            writeln!(out, "New developers: {names}")?;
        }
        let not_created = self.not_created();
        if !not_created.is_empty() {
            let names = escape(&not_created.join(", "));
            writeln!(
                out,
                "Not created by this import: {names}. Passwords shown for them are not valid."
            )?;
        }
        if let Some(id) = self.release_id() {
            self.write_release(&mut out, plan, &id)?;
            if let Some(hotfix) = &plan.hotfix {
                let url = client.url(&format!("/releases/{id}/tasks"), &[]);
                write_hotfix(&mut out, hotfix, url.as_str())?;
            }
        }
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    fn write_release(&self, out: &mut impl Write, plan: &Plan, id: &str) -> io::Result<()> {
        let tasks = self.release.as_ref().and_then(|r| r["tasks"].as_array());
        let count = tasks.map_or(plan.tasks.len(), Vec::len);
        let name = escape(&plan.name);
        let tasks = if count == 1 { "task" } else { "tasks" };
        writeln!(out, "Release {name} is created with {count} {tasks}.")?;
        writeln!(out, "  id: {}", escape(id))
    }
}

/// Reports what would be created.
pub(super) fn dry_run(plan: &Plan, users: &[NewUser], json: bool) -> String {
    let names: Vec<&str> = users.iter().map(|user| user.username.as_str()).collect();
    if json {
        let report = json!({
            "dryRun": true,
            "name": plan.name,
            "version": plan.version,
            "tasks": plan.tasks.len(),
            "newUsers": names,
        });
        return escape_json(&report.to_string()) + "\n";
    }
    let (name, count) = (escape(&plan.name), plan.tasks.len());
    let users = match names.as_slice() {
        [] => String::new(),
        names => format!("New developers: {}\n", names.join(", ")),
    };
    let tasks = if count == 1 { "task" } else { "tasks" };
    format!("Release {name} would be created with {count} {tasks}.\n{users}Nothing was created.\n")
}

/// Prints the command that adds the hotfix, because that is possible only after the release is
/// completed.
fn write_hotfix(out: &mut impl Write, hotfix: &PlannedTask, url: &str) -> io::Result<()> {
    let body = serde_json::to_string(hotfix)?;
    let (title, assignee) = (escape(&hotfix.title), escape(&hotfix.assignee));
    writeln!(out, "\nThe plan has a hotfix, \"{title}\" for {assignee}.")?;
    writeln!(
        out,
        "When the release is completed, an administrator adds it with"
    )?;
    writeln!(out, "\n  curl -X POST {} \\", quoted(url))?;
    writeln!(out, "    -H \"Authorization: Bearer $SLIPWAY_TOKEN\" \\")?;
    writeln!(out, "    -H 'Content-Type: application/json' \\")?;
    writeln!(out, "    -d {}", quoted(&escape_json(&body)))
}

/// `text` quoted as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_hotfix_command_survives_the_shell() {
        let hotfix = PlannedTask {
            title: "Ada's \u{9b}patch".into(),
            description: None,
            assignee: "ada".into(),
            order_index: None,
            due_at: None,
            priority: None,
            tags: Vec::new(),
            remind_before_minutes: None,
            recurrence: None,
            line: None,
        };
        let text = shown(|out| write_hotfix(out, &hotfix, "http://h/releases/1/tasks"));
        let body = r#"-d '{"title":"Ada'\''s \u009bpatch","assignee":"ada"}'"#;
        assert!(text.contains(body), "{text}");
    }

    #[test]
    fn the_two_parts_of_the_object_are_one_object() {
        let ada = NewUser {
            username: "ada".into(),
            email: "ada@example.com".into(),
            password: "secret".into(),
        };
        let report = Report {
            release: Some(json!({"id": "0198", "name": "R\u{9b}"})),
            users: vec![ada.clone()],
            planned: vec!["ada".into(), "bob".into()],
        };
        let plan: Plan = serde_json::from_value(json!({"name": "R", "tasks": []})).unwrap();
        for (with_passwords, expected) in [
            (
                true,
                json!({"username": "ada", "email": "ada@example.com", "password": "secret"}),
            ),
            (
                false,
                json!({"username": "ada", "email": "ada@example.com"}),
            ),
        ] {
            let users = json_users(std::slice::from_ref(&ada), with_passwords);
            let text = users + &report.json_rest(&plan);
            let read: Value = serde_json::from_str(&text).unwrap();
            let release = report.release.clone();
            let expected = json!({
                "users": [expected], "notCreated": ["bob"], "release": release, "hotfix": null,
            });
            assert_eq!(read, expected);
            assert!(text.ends_with("}\n") && text.is_ascii(), "{text}");
        }
    }

    #[test]
    fn the_release_is_named_with_its_id() {
        let report = Report {
            release: Some(json!({"id": "0198", "tasks": [{}, {}]})),
            ..Report::default()
        };
        let plan: Plan = serde_json::from_value(json!({"name": "R\u{1b}", "tasks": []})).unwrap();
        let text = shown(|out| report.write_release(out, &plan, "0198"));
        assert_eq!(
            text,
            "Release R\\u{1b} is created with 2 tasks.\n  id: 0198\n"
        );
    }
}
