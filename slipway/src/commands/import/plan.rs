//! Reads and validates the plan file.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use slipway_plan::{
    Format, Plan,
    encoding::{self, EncodingError},
};
use slipway_runtime::text::kept_line;

use super::{faults::Faults, requests::NewRelease};
use crate::text::escape;

/// The path that means standard input.
const STDIN: &str = "-";
/// Maximum bytes of a plan file. Larger than a request, because the file may be indented or in
/// UTF-16.
const FILE_LIMIT: u64 = 16 * 1024 * 1024;
/// Maximum bytes of the request that is made from a plan. The server accepts 1 MiB; this leaves
/// some room.
const REQUEST_LIMIT: usize = 900 * 1024;

/// Why a plan file cannot be imported.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    #[error("the plan {path} cannot be read: {source}")]
    Unreadable { path: String, source: io::Error },
    #[error("the plan {path} is larger than 16 MiB")]
    TooLarge { path: String },
    #[error("the plan {path} {source}")]
    NoText { path: String, source: EncodingError },
    #[error("the plan {path} is not JSON: a plan begins with {{")]
    NotJson { path: String },
    #[error("the plan {path} is malformed: {source}")]
    Malformed {
        path: String,
        source: slipway_plan::Error,
    },
    #[error("the plan {path} is not valid:{faults}")]
    Faulty { path: String, faults: Faults },
    #[error(
        "the plan {path} is too large: as a request it has {size} bytes, at most {REQUEST_LIMIT} \
         are possible; shorten its descriptions, or split it"
    )]
    TooLargeRequest { path: String, size: usize },
}

/// What is said of a plan beside its file.
#[derive(Debug, Default)]
pub(super) struct Given<'a> {
    /// Its format; without it the name of the file says it, or else its text.
    pub(super) format: Option<Format>,
    /// The name of the release instead of that in the file.
    pub(super) name: Option<&'a str>,
    /// The version of the release likewise.
    pub(super) version: Option<&'a str>,
}

/// Reads and validates the plan in the file at `path`.
pub(super) fn read(path: &Path, given: &Given<'_>) -> Result<Plan, PlanError> {
    let format = given.format.or_else(|| Format::of_path(path));
    let bytes = read_limited(path);
    let path = match path == Path::new(STDIN) {
        true => "on standard input".to_owned(),
        false => escape(&path.display().to_string()),
    };
    let bytes = match bytes {
        Ok(bytes) if bytes.len() as u64 > FILE_LIMIT => return Err(PlanError::TooLarge { path }),
        Ok(bytes) => bytes,
        Err(source) => return Err(PlanError::Unreadable { path, source }),
    };
    let text = match encoding::decode(bytes) {
        Ok(text) => text,
        Err(source) => return Err(PlanError::NoText { path, source }),
    };
    let format = format.or_else(|| Format::of_text(&text));
    let format = format.unwrap_or(Format::Json);
    let is_foreign = text.trim_start().starts_with(|c| !matches!(c, '{' | '['));
    if format == Format::Json && is_foreign {
        return Err(PlanError::NotJson { path });
    }
    let mut plan = match Plan::read(&text, format) {
        Ok(plan) => plan,
        Err(source) => return Err(PlanError::Malformed { path, source }),
    };
    // In the form that the server stores, to find the release again.
    plan.name = kept_line(given.name.unwrap_or(&plan.name));
    let version = given.version.or(plan.version.as_deref());
    plan.version = version.map(kept_line);
    let faults = Faults::of(&plan);
    if faults != Faults::default() {
        return Err(PlanError::Faulty { path, faults });
    }
    let size = NewRelease::of(&plan, true).size();
    if size > REQUEST_LIMIT {
        return Err(PlanError::TooLargeRequest { path, size });
    }
    Ok(plan)
}

/// Reads one byte more than the limit, to detect a file that is too large.
fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file: Box<dyn Read> = match path == Path::new(STDIN) {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path)?),
    };
    file.take(FILE_LIMIT + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The assignees of a plan, each once, in order of appearance. Names are compared without regard to
/// case.
pub(super) fn assignees(plan: &Plan) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for task in plan.tasks.iter().chain(&plan.hotfix) {
        if !names.iter().any(|n| n.eq_ignore_ascii_case(&task.assignee)) {
            names.push(&task.assignee);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read_text(text: &[u8]) -> Result<Plan, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.json");
        fs::write(&path, text).unwrap();
        read(&path, &Given::default()).map_err(|error| error.to_string())
    }

    /// The error for a plan with these tasks.
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
        let plan = read(Path::new(path), &Given::default()).unwrap();
        assert_eq!(plan.tasks.len(), 37);
        assert_eq!(assignees(&plan).len(), 7);
        assert!(plan.hotfix.is_some());
    }

    #[test]
    fn another_format_is_told() {
        for text in ["title,assignee\nTag it,ada\n", "name: R\ntasks: []\n"] {
            let error = read_text(text.as_bytes()).unwrap_err();
            assert!(
                error.ends_with(" is not JSON: a plan begins with {"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_format_is_that_of_the_name_or_the_given_one_or_that_of_the_text() {
        let dir = tempfile::tempdir().unwrap();
        let plan = |name: &str, text: &str, given: &Given<'_>| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            read(&path, given).map_err(|error| error.to_string())
        };
        let (csv, yaml) = ("title,owner\nTag it,ada\n", "name: R\ntasks: []\n");
        let named = Given {
            name: Some("R"),
            version: Some(" 1 "),
            ..Given::default()
        };
        for name in ["plan.csv", "plan"] {
            let plan = plan(name, csv, &named).unwrap();
            assert_eq!((&*plan.name, plan.version.as_deref()), ("R", Some("1")));
        }
        let nameless = plan("plan.csv", csv, &Given::default()).unwrap_err();
        assert!(
            nameless.contains("is not valid:\n  name is blank"),
            "{nameless}"
        );
        for name in ["plan.yml", "plan"] {
            assert_eq!(plan(name, yaml, &Given::default()).unwrap().name, "R");
        }
        let given = Given {
            format: Some(Format::Yaml),
            ..Given::default()
        };
        assert_eq!(plan("plan.json", yaml, &given).unwrap().name, "R");
        let faulty = "name,title,owner\nR,T,ada\n,\" \u{7}x\",a b\n";
        let faulty = plan("plan.csv", faulty, &Given::default()).unwrap_err();
        assert!(
            faulty.contains("\n  tasks[1].assignee (line 3) is not a"),
            "{faulty}"
        );
    }

    #[test]
    fn name_and_version_are_read_without_blanks_around_them() {
        let plan = read_text(br#"{"name": " Case ", "version": "\u00a01 ", "tasks": []}"#).unwrap();
        assert_eq!((&*plan.name, plan.version.as_deref()), ("Case", Some("1")));
    }

    #[test]
    fn a_blank_file_is_empty() {
        for blank in ["", " ", "\n", "\r\n\t\n"] {
            let error = read_text(blank.as_bytes()).unwrap_err();
            assert!(error.ends_with(" is malformed: it is empty"), "{error}");
        }
    }

    #[test]
    fn a_malformed_plan_is_refused_with_line_and_column() {
        let unknown = b"{\"name\": \"R\",\n \"tasks\": [],\n \"taks\": []}";
        let error = read_text(unknown).unwrap_err();
        assert!(
            error.contains(": taks is not known here (did you mean tasks?) (line 3, column"),
            "{error}"
        );
        let error = refusal(r#"{"title": "T", "assignee": "ada", "order": 1}"#);
        assert!(
            error.contains("tasks[0].order is not known here"),
            "{error}"
        );
        let error = read_text(b"{\"tasks\": []}").unwrap_err();
        assert!(
            error.contains(": name is required (line 1, column"),
            "{error}"
        );
        let error = refusal(r#"{"title": "T", "assignee": "ada", "orderIndex": "1"}"#);
        assert!(
            error.contains(
                "tasks[0].orderIndex must be a whole number from 0 to 9007199254740991, without a \
                 point or an exponent (line"
            ),
            "{error}"
        );
        assert!(read_text(b"").is_err());
    }

    #[test]
    fn the_size_of_plans_is_limited() {
        let tasks = vec![r#"{"title": "T", "assignee": "ada"}"#; 501].join(",");
        let refusal = refusal(&tasks);
        assert!(refusal.contains("is not valid:\n  tasks has 501 tasks"));
        let large = vec![b' '; 16 * 1024 * 1024 + 1];
        assert!(
            read_text(&large)
                .unwrap_err()
                .contains("larger than 16 MiB")
        );
        let nowhere = read(Path::new("/nowhere/plan.json"), &Given::default()).unwrap_err();
        assert!(nowhere.to_string().contains("cannot be read"));
    }

    #[test]
    fn arrays_instead_of_objects_and_duplicate_names_are_refused_with_their_place() {
        let error = read_text(br#"["R",null,null,[["T",null,"ada",null,null]],null]"#).unwrap_err();
        assert!(
            error.contains(": must be an object (line 1, column"),
            "{error}"
        );
        let task = r#"{"title": "T", "assignee": "ada"}"#;
        let error = refusal(&format!(r#"{task}, ["T", null, "ada"]"#));
        assert!(error.contains("tasks[1] must be an object"), "{error}");
        let error = refusal(r#"{"title": "T", "assignee": "ada", "assignee": "bob"}"#);
        let twice = "tasks[0].assignee is given more than once";
        assert!(error.contains(twice), "{error}");
        let error = read_text(br#"{"name": "R", "tasks": [], "hotfix": [1]}"#).unwrap_err();
        assert!(error.contains("hotfix must be an object"), "{error}");
        let error = read_text(br#"{"name": "R", "tasks": []} {}"#).unwrap_err();
        assert!(error.contains("something follows its end"), "{error}");
    }

    #[test]
    fn a_plan_may_be_utf_16_and_begin_with_a_byte_order_mark() {
        let text = "\u{feff}{\"name\": \"Été\", \"tasks\": []}";
        let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [text.as_bytes(), &utf_16] {
            assert_eq!(read_text(bytes).unwrap().name, "Été");
        }
        let error = read_text(b"{\"name\": \"\xc9t\xe9\"}").unwrap_err();
        assert!(
            error.contains("plan.json is not UTF-8 (at byte 10)"),
            "{error}"
        );
    }

    #[test]
    fn a_plan_that_does_not_fit_into_one_request_is_refused() {
        let task = |letters| {
            let description = "d".repeat(letters);
            format!(r#"{{"title": "T", "assignee": "ada", "description": "{description}"}}"#)
        };
        let plan = |letters| {
            let tasks = vec![task(letters); 450].join(",");
            read_text(format!(r#"{{"name": "R", "tasks": [{tasks}]}}"#).as_bytes())
        };
        assert_eq!(plan(1_900).unwrap().tasks.len(), 450);
        let error = plan(8_000).unwrap_err();
        assert!(
            error.contains("too large: as a request it has 36"),
            "{error}"
        );
    }

    #[test]
    fn an_assignee_is_the_same_without_regard_to_case() {
        let text = br#"{"name": "R", "tasks": [{"title": "A", "assignee": "ada"},
            {"title": "B", "assignee": "Ada"}, {"title": "C", "assignee": "bob"}]}"#;
        let plan = read_text(text).unwrap();
        assert_eq!(assignees(&plan), ["ada", "bob"]);
    }
}
