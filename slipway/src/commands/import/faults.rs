//! Validates the content of a plan, and collects all faults.

use std::{collections::HashMap, fmt};

use release_svc::{
    identity::Username,
    release::{RecurrenceDraft, ReleaseId, RemindBefore, Rule, Tags, values::due_at},
};
use slipway_plan::{MAX_ORDER_INDEX, Plan, PlannedRecurrence, PlannedTask};
use slipway_runtime::{rfc3339, text, zone::UnknownZone};

/// The limits of the API.
const MAX_TASKS: usize = 500;
const MAX_TITLE: usize = 200;
const MAX_DESCRIPTION: usize = 8_000;
const MAX_VERSION: usize = 100;

/// The faults of a plan, each with its field.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Faults {
    list: Vec<String>,
    /// The line of the task that is validated, if its format has lines.
    line: Option<u64>,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list
            .iter()
            .try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl Faults {
    /// The faults of `plan`.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut faults = Self::default();
        faults.name("name", &plan.name);
        faults.one_line("version", text(&plan.version), MAX_VERSION);
        faults.description("description", text(&plan.description));
        if plan.tasks.len() > MAX_TASKS {
            let count = plan.tasks.len();
            faults.add(
                "tasks",
                &format!("has {count} tasks, at most {MAX_TASKS} are possible"),
            );
        }
        let mut taken: HashMap<i64, usize> = HashMap::new();
        for (at, task) in plan.tasks.iter().enumerate() {
            let place = format!("tasks[{at}]");
            faults.line = task.line;
            faults.task(&place, task);
            let Some(index) = task.order_index else {
                continue;
            };
            if !(0..=MAX_ORDER_INDEX).contains(&index) {
                let text = format!("is not from 0 to {MAX_ORDER_INDEX}");
                faults.add(&format!("{place}.orderIndex"), &text);
            }
            if let Some(first) = taken.insert(index, at) {
                let text = format!("is {index}, which tasks[{first}] has already");
                faults.add(&format!("{place}.orderIndex"), &text);
            }
        }
        if let Some(hotfix) = &plan.hotfix {
            faults.line = hotfix.line;
            faults.task("hotfix", hotfix);
            if hotfix.order_index.is_some() {
                faults.add("hotfix.orderIndex", "is not possible: a hotfix comes last");
            }
        }
        faults.line = None;
        faults
    }

    fn add(&mut self, place: &str, text: &str) {
        let line = self.line.map(|line| format!(" (line {line})"));
        let line = line.unwrap_or_default();
        self.list.push(format!("{place}{line} {text}"));
    }

    fn task(&mut self, place: &str, task: &PlannedTask) {
        self.name(&format!("{place}.title"), &task.title);
        self.description(&format!("{place}.description"), text(&task.description));
        if !Username::is_well_formed(&task.assignee) {
            let rule = match task.assignee.contains('@') {
                true => "is not a username: an email address is not accepted here",
                false => "is not a username: 3 to 40 of a-z A-Z 0-9 . _ -",
            };
            self.add(&format!("{place}.assignee"), rule);
        }
        if let Err(rule) = Tags::new(task.tags.iter().map(String::as_str)) {
            self.add(&format!("{place}.tags"), rule);
        }
        let reminder = task.remind_before_minutes;
        let reminder = reminder.map(|minutes| u32::try_from(minutes).unwrap_or(u32::MAX));
        if let Some(Err(rule)) = reminder.map(RemindBefore::new) {
            self.add(&format!("{place}.remindBeforeMinutes"), rule);
        }
        let due = task.due_at.as_deref().map(|text| {
            let time = rfc3339::parse(text).map_err(|error| error.to_string());
            time.and_then(|time| due_at(time).map_err(str::to_owned))
        });
        if let Some(recurrence) = &task.recurrence {
            let draft = self.recurrence(&format!("{place}.recurrence"), recurrence);
            match (draft, &due) {
                (_, None) => {
                    let rule = "is required: a recurring task has a due time";
                    self.add(&format!("{place}.dueAt"), rule);
                }
                (Some(draft), Some(Ok(due))) => {
                    if let Err(wrong) = draft.starting(*due) {
                        self.add(&format!("{place}.recurrence.rule"), &wrong.to_string());
                    }
                }
                _ => {}
            }
        }
        if let Some(Err(rule)) = due {
            self.add(&format!("{place}.dueAt"), &rule);
        }
    }

    fn recurrence(
        &mut self,
        place: &str,
        recurrence: &PlannedRecurrence,
    ) -> Option<RecurrenceDraft> {
        let mut note = |name: &str, rule: String| self.add(&format!("{place}.{name}"), &rule);
        let rule = Rule::new(&recurrence.rule).map_err(|wrong| note("rule", wrong.into()));
        let zone = recurrence.time_zone.as_deref().unwrap_or("UTC").parse();
        let zone = zone.map_err(|wrong: UnknownZone| note("timeZone", wrong.to_string()));
        let release = recurrence.release_id.as_deref().map(str::parse);
        let release: Result<Option<ReleaseId>, _> = release.transpose();
        if release.is_err() {
            note("releaseId", "is not the id of a release".to_owned());
        }
        Some(RecurrenceDraft {
            rule: rule.ok()?,
            time_zone: zone.ok()?,
            release: release.ok()?,
        })
    }

    fn name(&mut self, place: &str, text: &str) {
        if text::is_blank(text) {
            self.add(place, "is blank");
        }
        self.one_line(place, text, MAX_TITLE);
    }

    fn one_line(&mut self, place: &str, text: &str, limit: usize) {
        if let Err(rule) = text::check_line(text) {
            self.add(place, rule);
        }
        self.length(place, text, limit);
    }

    fn description(&mut self, place: &str, text: &str) {
        if let Err(rule) = text::check_lines(text) {
            self.add(place, rule);
        }
        self.length(place, text, MAX_DESCRIPTION);
    }

    fn length(&mut self, place: &str, text: &str, limit: usize) {
        if text.chars().count() > limit {
            self.add(place, &format!("is longer than {limit} characters"));
        }
    }
}

/// The text, or an empty text, which passes every rule.
fn text(optional: &Option<String>) -> &str {
    optional.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(plan: &str) -> Vec<String> {
        Faults::of(&serde_json::from_str(plan).unwrap()).list
    }

    /// The faults of a plan with these tasks.
    fn fault(tasks: &str) -> String {
        faults(&format!(r#"{{"name": "R", "tasks": [{tasks}]}}"#)).join("; ")
    }

    #[test]
    fn each_fault_is_named_with_its_field() {
        for (task, expected) in [
            (
                r#"{"title": " ", "assignee": "ada"}"#,
                "tasks[0].title is blank",
            ),
            (
                r#"{"title": "T\nU", "assignee": "ada"}"#,
                "tasks[0].title must be one line",
            ),
            (
                r#"{"title": "T", "assignee": "ada", "description": "a\tb\u0007"}"#,
                "tasks[0].description must not contain control characters",
            ),
            (
                r#"{"title": "T", "assignee": ""}"#,
                "tasks[0].assignee is not a username: 3 to 40",
            ),
            (
                r#"{"title": "T", "assignee": "ada@example.com"}"#,
                "tasks[0].assignee is not a username: an email address",
            ),
            (
                r#"{"title": "T", "assignee": "a b c"}"#,
                "tasks[0].assignee is not a username",
            ),
            (
                r#"{"title": "T", "assignee": "ada", "orderIndex": -1}"#,
                "tasks[0].orderIndex is not from 0 to 9007199254740991",
            ),
            (
                r#"{"title": "T", "assignee": "ada", "dueAt": "13 May"}"#,
                "tasks[0].dueAt must be a date with a time and an offset (RFC 3339), such as",
            ),
            (
                r#"{"title": "T", "assignee": "ada", "dueAt": "2024-02-30T00:00:00Z"}"#,
                "tasks[0].dueAt must be a date with a time and an offset (RFC 3339), such as",
            ),
            (
                r#"{"title": "T", "assignee": "ada", "dueAt": "2024-02-28 10:00:00Z"}"#,
                "tasks[0].dueAt must be a date with a time and an offset (RFC 3339), such as",
            ),
            (
                r#"{"title": "T", "assignee": "ada", "dueAt": "0001-01-01T00:00:00Z"}"#,
                "tasks[0].dueAt must be a time of the years 2000 to 2200",
            ),
            (
                r#"{"title": "T", "assignee": "ada", "tags": ["ui", " "]}"#,
                "tasks[0].tags must not have a blank tag",
            ),
            (
                r#"{"title": "T", "assignee": "ada", "remindBeforeMinutes": 43201}"#,
                "tasks[0].remindBeforeMinutes must be from 0 to 43200",
            ),
            (
                r#"{"title": "T", "assignee": "ada", "dueAt": "2026-01-05T09:00:00Z",
                    "recurrence": {"rule": "FREQ=HOURLY"}}"#,
                "tasks[0].recurrence.rule must have DAILY, WEEKLY, MONTHLY or YEARLY as FREQ",
            ),
            (
                r#"{"title": "T", "assignee": "ada", "dueAt": "2026-01-05T09:00:00Z",
                    "recurrence": {"rule": "FREQ=DAILY", "timeZone": "Mars/Olympus"}}"#,
                "tasks[0].recurrence.timeZone must be the name of an IANA time zone",
            ),
            (
                r#"{"title": "T", "assignee": "ada", "dueAt": "2026-01-05T09:00:00Z",
                    "recurrence": {"rule": "FREQ=DAILY;UNTIL=20260104"}}"#,
                "tasks[0].recurrence.rule has no date after the first due time",
            ),
            (
                r#"{"title": "T", "assignee": "ada", "recurrence": {"rule": "FREQ=DAILY"}}"#,
                "tasks[0].dueAt is required: a recurring task has a due time",
            ),
        ] {
            let error = fault(task);
            assert!(error.contains(expected), "{error}");
        }
        let long = format!(r#"{{"title": "{}", "assignee": "ada"}}"#, "x".repeat(201));
        assert!(fault(&long).contains("longer than 200"));
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let text = r#"{"name": "", "tasks": [
            {"title": "A", "assignee": "ada", "orderIndex": 1},
            {"title": "", "assignee": "bob", "orderIndex": 1}],
            "hotfix": {"title": "H", "assignee": "x", "orderIndex": 3}}"#;
        let faults = faults(text);
        for expected in [
            "name is blank",
            "tasks[1].title is blank",
            "tasks[1].orderIndex is 1, which tasks[0] has already",
            "hotfix.assignee",
            "hotfix.orderIndex",
        ] {
            let found = faults.iter().any(|fault| fault.starts_with(expected));
            assert!(found, "{expected} in {faults:?}");
        }
        assert_eq!(faults.len(), 5);
    }
}
