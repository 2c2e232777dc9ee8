//! The documentation is true: its shell blocks run as they stand and print what is shown below
//! them, its tables are those of the program, its links lead somewhere.

mod data_model;
mod events;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use clap::ValueEnum as _;
use notify_svc::notification::audience;
use rustix::process::{Pid, Signal, kill_process_group};
use slipway::{
    cli::Role,
    config::{ALL, Fallback, Key, find},
};
use slipway_runtime::telemetry::metrics::Metric;
use slipway_tests::{Authority, Options, Process, process};
use tokio::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/slipway.toml");

/// Directories with pages of the documentation.
const PAGES: [&str; 4] = ["", "docs", "docs/decisions", "backbones"];

/// A README that is read in five minutes has no more bytes.
const LONGEST_README: usize = 8_192;

/// What a walk-through prints between two of its blocks.
const SEPARATOR: &str = "@@@ the next block @@@\n";

/// A walk-through has taken this long when it hangs.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Commands of a walk-through, and what its page says they print.
struct Block {
    commands: String,
    output: String,
}

fn read(path: &str) -> String {
    let path = Path::new(ROOT).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every page of the documentation.
fn pages() -> Vec<PathBuf> {
    let entries = PAGES.iter().flat_map(|dir| {
        let dir = Path::new(ROOT).join(dir);
        fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
    });
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

/// The fenced blocks of a text: what follows the opening fence, and the lines inside.
fn fences(text: &str) -> Vec<(&str, String)> {
    let (mut blocks, mut lines) = (Vec::new(), text.lines());
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let inside = lines.by_ref().take_while(|line| *line != "```");
            blocks.push((
                language,
                inside.fold(String::new(), |text, l| text + l + "\n"),
            ));
        }
    }
    blocks
}

/// The `sh` blocks, each with the `text` block that follows it, if one does.
fn walk_through(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut shown = true;
    for (language, text) in fences(&read(page)) {
        match language {
            "sh" => blocks.push(Block {
                commands: text,
                output: String::new(),
            }),
            "text" => {
                assert!(!shown, "nothing prints this:\n{text}");
                blocks.last_mut().expect("a block precedes").output = text;
            }
            _ => {}
        }
        shown = language != "sh";
    }
    blocks
}

/// Whether `line` is `shown`, in which `…` stands for anything.
fn fits(shown: &str, line: &str) -> bool {
    let mut pieces = shown.split('…');
    let Some(mut rest) = pieces.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[tokio::test]
async fn the_walk_through_runs_as_it_stands_and_prints_what_it_shows() {
    runs_as_it_stands("docs/walkthrough.md").await;
}

#[tokio::test]
async fn the_tour_of_the_readme_runs_as_it_stands_and_prints_what_it_shows() {
    runs_as_it_stands("README.md").await;
}

#[tokio::test]
async fn the_assistant_answers_as_its_page_shows() {
    runs_as_it_stands("docs/assistant.md").await;
}

#[tokio::test]
async fn the_demo_runs_as_it_stands_and_prints_what_it_shows() {
    // It starts Slipway itself.
    let dir = tempfile::tempdir().unwrap();
    let env = ["SLIPWAY_HTTP_ADDR", "SLIPWAY_GRPC_ADDR", "SLIPWAY_OPS_ADDR"]
        .map(|name| (name, process::free_address()));
    prints_what_it_shows("docs/demo.md", dir.path(), &env).await;
}

async fn runs_as_it_stands(page: &str) {
    let server = Process::start().await.unwrap();
    let data = server.data.path().join("data").display().to_string();
    let env = [
        ("SLIPWAY_URL", server.http.clone()),
        ("SLIPWAY_DATA_DIR", data),
        (
            "SLIPWAY_ADMIN_PASSWORD",
            slipway_tests::ADMIN_PASSWORD.to_owned(),
        ),
    ];
    prints_what_it_shows(page, server.data.path(), &env).await;
}

/// Runs the blocks of a page, and compares what they print. `dir` is for files.
async fn prints_what_it_shows(page: &str, dir: &Path, env: &[(&str, String)]) {
    let blocks = walk_through(page);
    assert!(blocks.len() > 3, "{page} has a walk-through");
    let mut script = String::new();
    for block in &blocks {
        writeln!(script, "{}echo -n '{SEPARATOR}'", block.commands).unwrap();
    }
    let path = dir.join("walk-through.sh");
    fs::write(&path, script).unwrap();
    // What it leaves in the background must not keep an output open that is waited for.
    let errors = dir.join("errors.txt");
    let mut command = Command::new("bash");
    command
        .args(["-euo", "pipefail"])
        .arg(&path)
        .current_dir(ROOT)
        .env_remove("SLIPWAY_TEST_REQUIRED")
        .env("TMPDIR", dir)
        .env("SLIPWAY", env!("CARGO_BIN_EXE_slipway-under-test"))
        .envs(env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&errors).unwrap())
        .process_group(0);
    let shell = command.spawn().expect("there is a bash");
    let id = shell.id().and_then(|id| id.try_into().ok());
    let group = id.and_then(Pid::from_raw).expect("it runs");
    let Ok(output) = tokio::time::timeout(TIMEOUT, shell.wait_with_output()).await else {
        // With what it has started in the background.
        kill_process_group(group, Signal::KILL).unwrap();
        panic!("{page} does not come to its end");
    };
    let output = output.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = fs::read_to_string(&errors).unwrap();

    let mut outputs = printed.split(SEPARATOR).map(str::lines);
    for Block {
        commands,
        output: shown,
    } in &blocks
    {
        let lines: Vec<&str> = outputs.next().map(Iterator::collect).unwrap_or_default();
        let expected: Vec<&str> = shown.lines().collect();
        let same = lines.len() == expected.len()
            && expected
                .iter()
                .zip(&lines)
                .all(|(shown, line)| fits(shown, line));
        let lines = lines.join("\n");
        assert!(
            same,
            "{commands}\nshows\n{shown}\nprinted\n{lines}\n{errors}"
        );
    }
    assert!(output.status.success(), "{errors}");
}

#[tokio::test]
async fn the_walk_through_stops_at_a_failed_sign_in() {
    let server = Process::start().await.unwrap();
    let blocks = walk_through("docs/walkthrough.md");
    let pasted: String = blocks.iter().map(|b| b.commands.as_str()).collect();
    // Without -e, as in a terminal: what follows is tried although the sign-in failed. Nothing
    // changes while it waits.
    let without_waiting = "sleep() { :; }";
    let output = Command::new("bash")
        .args([
            "-c",
            &format!("{without_waiting}\n{pasted}\napi \"$ADMIN\" GET /users"),
        ])
        .current_dir(ROOT)
        .env("TMPDIR", server.data.path())
        .env("SLIPWAY", env!("CARGO_BIN_EXE_slipway-under-test"))
        .env("SLIPWAY_DATA_DIR", server.data.path().join("data"))
        .env("SLIPWAY_URL", &server.http)
        .env("SLIPWAY_ADMIN_PASSWORD", "not the password")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(TIMEOUT, output)
        .await
        .expect("the commands come to their end")
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("The sign-in failed: {\"code\":\"INVALID_CREDENTIALS\""),
        "{errors}"
    );
    assert!(errors.contains("Waited in vain for: grep"), "{errors}");
    assert!(
        errors.ends_with("Nobody is signed in: see the failed sign-in above.\n"),
        "{errors}"
    );
}

#[test]
fn three_dots_stand_for_anything() {
    assert!(fits("plain", "plain"));
    assert!(fits("id: …", "id: 7"));
    assert!(fits("#… started … in …", "#3 started x in y"));
    assert!(!fits("plain", "plain and more"));
    assert!(!fits("#… started …", "#3 ended x"));
    assert!(!fits("a…b", "a c"));
}

/// Where the table of the configuration stands.
const TABLE: &str = "docs/configuration.md";

/// Writes `text` to the page, and fails, unless it is there already.
fn is_up_to_date(page: &str, text: &str) {
    if read(page) != text {
        fs::write(Path::new(ROOT).join(page), text).unwrap();
        panic!("{page} was not up to date, and is now: commit it");
    }
}

/// What stands on a page before its first section: it is written by hand.
fn introduction(page: &str) -> String {
    let text = read(page);
    let (introduction, _) = text.split_once("\n## ").expect("there is an introduction");
    introduction.to_owned()
}

#[test]
fn the_configuration_table_is_the_one_of_the_program() {
    let row = |key: &&Key| {
        let fallback = match key.fallback {
            Fallback::Value(value) => format!("`{value}`"),
            Fallback::Unset { meaning, .. } => meaning.to_owned(),
        };
        let (mut name, help, expects) = (key.env(), key.help, key.expects());
        if key.secret {
            name = format!("{name}`, `{}", key.env_file());
        }
        format!("| `{name}` | {fallback} | {help} | {expects} |\n")
    };
    let rows: String = ALL.iter().map(row).collect();
    let page = read(TABLE);
    let (before, table) = page.split_once("| `SLIPWAY_").expect("there is a table");
    let (_, after) = table.split_once("\n\n").expect("something follows");
    is_up_to_date(TABLE, &format!("{before}{rows}\n{after}"));
}

#[test]
fn the_list_of_metrics_is_the_one_of_the_program() {
    const PAGE: &str = "docs/metrics.md";
    let row = |metric: &Metric| {
        let labels: Vec<_> = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let (name, labels) = (metric.name, labels.join(", "));
        format!(
            "| `{name}` | {:?} | {labels} | {} |\n",
            metric.kind, metric.help
        )
    };
    let lists = slipway::metrics::ALL.iter().map(|(part, metrics)| {
        let rows: String = metrics.iter().map(row).collect();
        format!("\n## {part}\n\n| name | kind | labels | |\n| --- | --- | --- | --- |\n{rows}")
    });
    is_up_to_date(
        PAGE,
        &(introduction(PAGE) + lists.collect::<String>().as_str()),
    );
}

/// A key in the example: what it is, and a line that sets it, commented out.
fn example(key: &Key) -> String {
    let (value, without) = match key.fallback {
        Fallback::Value(value) => (value, String::new()),
        Fallback::Unset { meaning, example } => (example, format!(" Without it: {meaning}.")),
    };
    let quote = if key.is_unquoted() { "" } else { "\"" };
    let everywhere = Role::value_variants()
        .iter()
        .all(|role| key.concerns(*role));
    let roles: Vec<_> = key.roles.iter().map(|role| role.as_str()).collect();
    let roles = match everywhere {
        true => String::new(),
        false => format!(" Only for: {}.", roles.join(", ")),
    };
    let (name, help, expects) = (key.name, key.help, key.expects());
    let text = format!("{help}.{without} A value is {expects}.{roles}");
    format!("\n{}# {name} = {quote}{value}{quote}\n", comment(&text))
}

/// Lines of a comment.
fn comment(text: &str) -> String {
    let mut lines = vec![String::from("#")];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a first line");
        if line.len() + word.len() < 98 {
            *line += " ";
            *line += word;
        } else {
            lines.push(format!("# {word}"));
        }
    }
    lines.join("\n") + "\n"
}

#[tokio::test]
async fn the_example_configuration_has_every_key_and_is_valid() {
    const PAGE: &str = "docs/slipway.toml";
    let text = read(PAGE);
    let (introduction, _) = text.split_once("\n\n").expect("there is an introduction");
    let examples: String = ALL.iter().map(|key| example(key)).collect();
    is_up_to_date(PAGE, &format!("{introduction}\n{examples}"));
    let in_use = text
        .replace("# ", "")
        // What else there is about TLS would have no effect.
        .replace("kafka_tls = false", "kafka_tls = true")
        .lines()
        .fold(String::new(), |text, line| {
            let assigns = line
                .split_once(" = ")
                .is_some_and(|(name, _)| find(name).is_some());
            text + if assigns { line } else { "" } + "\n"
        });
    let dir = tempfile::tempdir().unwrap();
    // The files that it names are read with it.
    let authority = Authority::new("example").unwrap();
    authority.write(&dir.path().join("tls")).unwrap();
    let path = dir.path().join("in-use.toml");
    fs::write(&path, in_use).unwrap();
    for (file, role) in [(EXAMPLE, "all"), (path.to_str().unwrap(), "gateway")] {
        let options = ["--config", file, "config", "check", "--role", role]
            .into_iter()
            .fold(Options::default(), Options::arg);
        let (status, output, errors) = process::run(dir.path(), &options).await.unwrap();
        assert!(status.success(), "{errors}");
        assert!(
            output.contains(&format!("valid for the {role} role")),
            "{output}"
        );
    }
}

#[test]
fn the_readme_is_short() {
    let length = read("README.md").len();
    assert!(length <= LONGEST_README, "{length} bytes");
}

/// The anchors that a page's headings have, as Git hosts derive them.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let texts = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    texts
        .map(|text| text.chars().filter(kept).collect::<String>())
        .map(|text| text.replace(' ', "-"))
        .collect()
}

#[test]
fn links_lead_to_files_and_headings_that_are_there() {
    let mut count = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => page.clone(),
                file => page.parent().expect("a page is in a directory").join(file),
            };
            let page = page.display();
            assert!(path.exists(), "{page} links to {target}");
            if !anchor.is_empty() {
                let anchors = anchors(&fs::read_to_string(&path).unwrap());
                assert!(
                    anchors.iter().any(|a| a == anchor),
                    "{page} links to {target}"
                );
            }
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn the_index_has_every_page() {
    for dir in ["docs", "docs/decisions"] {
        let index = read(&format!("{dir}/README.md"));
        let dir = Path::new(ROOT).join(dir);
        for page in pages() {
            let name = page.file_name().unwrap().to_str().unwrap();
            if page.parent() == Some(dir.as_path()) && name != "README.md" {
                let link = format!("]({name})");
                assert!(index.contains(&link), "the index lacks {}", page.display());
            }
        }
    }
}

/// The directories of the workspace's crates.
fn members() -> Vec<String> {
    let manifest = read("Cargo.toml");
    let members = manifest.split_once("members = [").unwrap().1;
    let members = members.split_once(']').unwrap().0;
    let members = members
        .split(',')
        .map(|member| member.trim().trim_matches('"'));
    members.map(str::to_owned).collect()
}

#[test]
fn the_table_of_crates_has_every_member_of_the_workspace() {
    let readme = read("README.md");
    for member in members() {
        let row = format!("| [{member}]({member}/src/lib.rs) |");
        assert!(readme.contains(&row), "{member}");
    }
}

#[tokio::test]
async fn the_table_of_who_is_told_what_has_every_type() {
    let process = Process::start().await.unwrap();
    let admin = process.admin().await.unwrap();
    let preferences = admin.get("/preferences").await.unwrap().expect(200);
    let types = preferences["types"].as_object().unwrap().keys();
    // Nobody can switch the others off.
    let others = audience::kinds().filter(|kind| audience::is_of_access(kind));
    let others: Vec<&str> = others.collect();
    let types: BTreeSet<_> = types.map(String::as_str).chain(others).collect();
    let page = read("docs/notifications.md");
    let (_, table) = page.split_once("## Who is told what\n\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let mut named: Vec<_> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    named.sort_unstable();
    assert_eq!(named, types.into_iter().collect::<Vec<_>>());
}

#[test]
fn metrics_that_are_named_exist() {
    let known = slipway::metrics::ALL
        .iter()
        .flat_map(|(_, metrics)| *metrics);
    let known: BTreeSet<_> = known.map(|metric| metric.name).collect();
    let mut count = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let words = text.split('`');
        for name in words.filter(|word| word.starts_with("slipway_")) {
            let page = page.display();
            assert!(known.contains(name), "{page}: {name}");
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}
