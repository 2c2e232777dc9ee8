//! The plan file: what it may hold, and everything that can be wrong with it.

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::config;

/// The size of a plan file at most, in bytes: 500 tasks with the longest descriptions.
const FILE_LIMIT: u64 = 16 * 1024 * 1024;
/// The limits of the API.
const MAX_TASKS: usize = 500;
const MAX_TITLE: usize = 200;
const MAX_DESCRIPTION: usize = 8_000;

/// A release to be created.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) description: Option<String>,
    pub(super) tasks: Vec<PlannedTask>,
    /// For later, when the release is completed.
    pub(super) hotfix: Option<PlannedTask>,
}

/// A task to be created; written as JSON it is the body that the API takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PlannedTask {
    pub(super) title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    pub(super) assignee: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) order_index: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) due_at: Option<String>,
}

/// Why a plan file cannot be imported.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    #[error("the plan {path} cannot be read: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the plan {path} is larger than 16 MiB")]
    TooLarge { path: PathBuf },
    /// The source says in which line and column.
    #[error("the plan {path} is malformed: {source}")]
    Malformed {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("the plan {path} is not valid:{faults}")]
    Faulty { path: PathBuf, faults: Faults },
}

/// Everything that is wrong in a plan, each with the field it is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Faults(Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

/// The plan in the file at `path`, checked whole, and the file's SHA-256 in hexadecimal.
pub(super) fn read(path: &Path) -> Result<(Plan, String), PlanError> {
    let path = path.to_owned();
    let bytes = match read_limited(&path) {
        Ok(bytes) if bytes.len() as u64 > FILE_LIMIT => return Err(PlanError::TooLarge { path }),
        Ok(bytes) => bytes,
        Err(source) => return Err(PlanError::Unreadable { path, source }),
    };
    let plan: Plan = match serde_json::from_slice(&bytes) {
        Ok(plan) => plan,
        Err(source) => return Err(PlanError::Malformed { path, source }),
    };
    let faults = plan.faults();
    if faults != Faults::default() {
        return Err(PlanError::Faulty { path, faults });
    }
    let digest = Sha256::digest(&bytes);
    let digest = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((plan, digest))
}

/// One byte more than the limit tells a file that is too large.
fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(FILE_LIMIT + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Plan {
    /// Who has tasks in this plan, each once, in the order in which they appear. Names
    /// differ without regard to case.
    pub(super) fn assignees(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for task in self.tasks.iter().chain(&self.hotfix) {
            if !names.iter().any(|n| n.eq_ignore_ascii_case(&task.assignee)) {
                names.push(&task.assignee);
            }
        }
        names
    }

    fn faults(&self) -> Faults {
        let mut faults = Faults::default();
        faults.name("name", &self.name);
        faults.description("description", self.description.as_deref());
        if self.tasks.len() > MAX_TASKS {
            let count = self.tasks.len();
            faults.add(
                "tasks",
                &format!("has {count} tasks, at most {MAX_TASKS} are possible"),
            );
        }
        let mut taken: HashMap<i64, usize> = HashMap::new();
        for (at, task) in self.tasks.iter().enumerate() {
            let place = format!("tasks[{at}]");
            faults.task(&place, task);
            let Some(index) = task.order_index else {
                continue;
            };
            if index < 0 {
                faults.add(&format!("{place}.orderIndex"), "is below 0");
            }
            if let Some(first) = taken.insert(index, at) {
                let text = format!("is {index}, as that of tasks[{first}]");
                faults.add(&format!("{place}.orderIndex"), &text);
            }
        }
        if let Some(hotfix) = &self.hotfix {
            faults.task("hotfix", hotfix);
            if hotfix.order_index.is_some() {
                faults.add("hotfix.orderIndex", "is not possible: a hotfix comes last");
            }
        }
        faults
    }
}

impl Faults {
    fn add(&mut self, place: &str, text: &str) {
        self.0.push(format!("{place} {text}"));
    }

    fn task(&mut self, place: &str, task: &PlannedTask) {
        self.name(&format!("{place}.title"), &task.title);
        self.description(&format!("{place}.description"), task.description.as_deref());
        if config::username(&task.assignee).is_none() {
            let rule = "is not a username: 3 to 40 of a-z A-Z 0-9 . _ -";
            self.add(&format!("{place}.assignee"), rule);
        }
        let due_at = task.due_at.as_deref().map(str::parse::<Timestamp>);
        if let Some(Err(_)) = due_at {
            let rule = "is not a time such as 2024-05-13T23:00:00Z";
            self.add(&format!("{place}.dueAt"), rule);
        }
    }

    fn name(&mut self, place: &str, text: &str) {
        if text.trim().is_empty() {
            self.add(place, "is empty");
        }
        if text.chars().count() > MAX_TITLE {
            self.add(place, &format!("is longer than {MAX_TITLE} characters"));
        }
    }

    fn description(&mut self, place: &str, text: Option<&str>) {
        if text.is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
            self.add(
                place,
                &format!("is longer than {MAX_DESCRIPTION} characters"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read_text(text: &[u8]) -> Result<(Plan, String), String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.json");
        fs::write(&path, text).unwrap();
        read(&path).map_err(|error| error.to_string())
    }

    /// What is wrong with a plan whose tasks are `tasks`.
    fn fault(tasks: &str) -> String {
        let text = format!(r#"{{"name": "R", "tasks": [{tasks}]}}"#);
        read_text(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_real_plan_is_read() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/data/kubernetes-1.31.json"
        );
        let (plan, digest) = read(Path::new(path)).unwrap();
        assert_eq!(plan.tasks.len(), 37);
        assert_eq!(plan.assignees().len(), 7);
        assert!(plan.hotfix.is_some());
        assert_eq!(digest.len(), 64);
    }

    #[test]
    fn a_malformed_plan_is_refused_with_line_and_column() {
        let unknown = b"{\"name\": \"R\",\n \"tasks\": [],\n \"taks\": []}";
        let error = read_text(unknown).unwrap_err();
        assert!(error.contains("unknown field `taks`"), "{error}");
        assert!(error.contains("line 3 column"), "{error}");
        let error = fault(r#"{"title": "T", "assignee": "ada", "order": 1}"#);
        assert!(error.contains("unknown field `order`"), "{error}");
        let error = read_text(b"{\"tasks\": []}").unwrap_err();
        assert!(error.contains("missing field `name`"), "{error}");
        let error = fault(r#"{"title": "T", "assignee": "ada", "orderIndex": "1"}"#);
        assert!(error.contains("expected i64"), "{error}");
        assert!(read_text(b"").is_err());
    }

    #[test]
    fn each_fault_is_named_with_its_field() {
        for (task, expected) in [
            (
                r#"{"title": " ", "assignee": "ada"}"#,
                "tasks[0].title is empty",
            ),
            (
                r#"{"title": "T", "assignee": ""}"#,
                "tasks[0].assignee is not a username",
            ),
            (
                r#"{"title": "T", "assignee": "a b c"}"#,
                "tasks[0].assignee is not a username",
            ),
            (
                r#"{"title": "T", "assignee": "ada", "orderIndex": -1}"#,
                "tasks[0].orderIndex is below 0",
            ),
            (
                r#"{"title": "T", "assignee": "ada", "dueAt": "13 May"}"#,
                "tasks[0].dueAt is not a time",
            ),
            (
                r#"{"title": "T", "assignee": "ada", "dueAt": "2024-02-30T00:00:00Z"}"#,
                "tasks[0].dueAt is not a time",
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
        let text = br#"{"name": "", "tasks": [
            {"title": "A", "assignee": "ada", "orderIndex": 1},
            {"title": "", "assignee": "bob", "orderIndex": 1}],
            "hotfix": {"title": "H", "assignee": "x", "orderIndex": 3}}"#;
        let error = read_text(text).unwrap_err();
        for expected in [
            "name is empty",
            "tasks[1].title is empty",
            "tasks[1].orderIndex is 1, as that of tasks[0]",
            "hotfix.assignee",
            "hotfix.orderIndex",
        ] {
            assert!(error.contains(expected), "{expected} in {error}");
        }
        assert_eq!(error.lines().count(), 6);
    }

    #[test]
    fn plans_have_bounds() {
        let tasks = vec![r#"{"title": "T", "assignee": "ada"}"#; 501].join(",");
        assert!(fault(&tasks).contains("tasks has 501 tasks"));
        let large = vec![b' '; 16 * 1024 * 1024 + 1];
        assert!(
            read_text(&large)
                .unwrap_err()
                .contains("larger than 16 MiB")
        );
        let nowhere = read(Path::new("/nowhere/plan.json")).unwrap_err();
        assert!(nowhere.to_string().contains("cannot be read"));
    }

    #[test]
    fn an_assignee_is_the_same_without_regard_to_case() {
        let text = br#"{"name": "R", "tasks": [{"title": "A", "assignee": "ada"},
            {"title": "B", "assignee": "Ada"}, {"title": "C", "assignee": "bob"}]}"#;
        let (plan, _) = read_text(text).unwrap();
        assert_eq!(plan.assignees(), ["ada", "bob"]);
    }
}
