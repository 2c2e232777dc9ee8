//! What an import has created, for people and for programs.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{
    plan::{Plan, PlannedTask},
    users::NewUser,
};
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
}

impl Report {
    /// The new release's id.
    pub(super) fn release_id(&self) -> Option<String> {
        let id = self.release.as_ref()?.get("id")?.as_str()?;
        Some(id.to_owned())
    }

    /// Prints everything as one JSON object.
    pub(super) fn print_json(&self, plan: &Plan) -> io::Result<()> {
        let report = json!({
            "release": self.release,
            "users": self.users,
            "hotfix": plan.hotfix,
        });
        writeln!(io::stdout(), "{}", escape_json(&report.to_string()))
    }

    /// Prints everything for a person.
    pub(super) fn print_human(&self, plan: &Plan, client: &Client) -> io::Result<()> {
        let mut out = io::stdout().lock();
        self.write_users(&mut out)?;
        let Some(id) = self.release_id() else {
            return Ok(());
        };
        self.write_release(&mut out, plan, &id)?;
        if let Some(hotfix) = &plan.hotfix {
            let url = client.url(&format!("/releases/{id}/tasks"), &[]);
            write_hotfix(&mut out, hotfix, url.as_str())?;
        }
        Ok(())
    }

    fn write_users(&self, out: &mut impl Write) -> io::Result<()> {
        if self.users.is_empty() {
            return Ok(());
        }
        let width = |text: fn(&NewUser) -> &str| {
            let lengths = self.users.iter().map(|user| text(user).chars().count());
            lengths.max().unwrap_or_default().max(8)
        };
        let (names, emails) = (width(|user| &user.username), width(|user| &user.email));
        writeln!(
            out,
            "New developers; their passwords are shown only here:\n"
        )?;
        writeln!(
            out,
            "  {:<names$}  {:<emails$}  password",
            "username", "email"
        )?;
        for user in &self.users {
            let (name, email) = (escape(&user.username), escape(&user.email));
            writeln!(out, "  {name:<names$}  {email:<emails$}  {}", user.password)?;
        }
        writeln!(out)
    }

    fn write_release(&self, out: &mut impl Write, plan: &Plan, id: &str) -> io::Result<()> {
        let tasks = self.release.as_ref().and_then(|r| r["tasks"].as_array());
        let count = tasks.map_or(plan.tasks.len(), Vec::len);
        let name = escape(&plan.name);
        writeln!(out, "Release {name} is created with {count} tasks.")?;
        writeln!(out, "  id: {}", escape(id))
    }
}

/// A hotfix cannot be added before the release is completed, so the command for it is
/// printed.
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

/// `text` as one word of a shell.
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
        };
        let text = shown(|out| write_hotfix(out, &hotfix, "http://h/releases/1/tasks"));
        let body = r#"-d '{"title":"Ada'\''s \u009bpatch","assignee":"ada"}'"#;
        assert!(text.contains(body), "{text}");
    }

    #[test]
    fn new_developers_are_a_table_with_their_passwords() {
        let user = |name: &str| NewUser {
            username: name.into(),
            email: format!("{name}@example.com"),
            password: "secret-of-the-day".into(),
        };
        let report = Report {
            release: None,
            users: vec![user("ada"), user("enhancements-lead")],
        };
        let text = shown(|out| report.write_users(out));
        let lines: Vec<&str> = text.lines().collect();
        let column = lines[2].find("password").unwrap();
        assert!(
            lines[3..5]
                .iter()
                .all(|line| line[column..] == *"secret-of-the-day")
        );
        assert_eq!(shown(|out| Report::default().write_users(out)), "");
    }

    #[test]
    fn the_release_is_named_with_its_id() {
        let report = Report {
            release: Some(json!({"id": "0198", "tasks": [{}, {}]})),
            users: Vec::new(),
        };
        let plan: Plan = serde_json::from_value(json!({"name": "R\u{1b}", "tasks": []})).unwrap();
        let text = shown(|out| report.write_release(out, &plan, "0198"));
        assert_eq!(
            text,
            "Release R\\u{1b} is created with 2 tasks.\n  id: 0198\n"
        );
    }
}
