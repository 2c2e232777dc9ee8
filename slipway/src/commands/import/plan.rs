//! The plan file: what it may hold, and everything that can be wrong with it.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::faults::Faults;

/// The size of a plan file at most, in bytes: 500 tasks with the longest descriptions.
const FILE_LIMIT: u64 = 16 * 1024 * 1024;
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
    let faults = Faults::of(&plan);
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

    /// Why a plan whose tasks are `tasks` is refused.
    fn refusal(tasks: &str) -> String {
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
        let error = refusal(r#"{"title": "T", "assignee": "ada", "order": 1}"#);
        assert!(error.contains("unknown field `order`"), "{error}");
        let error = read_text(b"{\"tasks\": []}").unwrap_err();
        assert!(error.contains("missing field `name`"), "{error}");
        let error = refusal(r#"{"title": "T", "assignee": "ada", "orderIndex": "1"}"#);
        assert!(error.contains("expected i64"), "{error}");
        assert!(read_text(b"").is_err());
    }

    #[test]
    fn plans_have_bounds() {
        let tasks = vec![r#"{"title": "T", "assignee": "ada"}"#; 501].join(",");
        let refusal = refusal(&tasks);
        assert!(refusal.contains("is not valid:\n  tasks has 501 tasks"));
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
