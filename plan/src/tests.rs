//! Plans in all formats.

use proptest::prelude::*;

use super::*;

fn read(format: Format, text: &str) -> Plan {
    let mut plan = Plan::read(text, format).unwrap_or_else(|error| panic!("{error}: {text}"));
    without_lines(&mut plan);
    plan
}

fn wrong(format: Format, text: &str) -> String {
    Plan::read(text, format).unwrap_err().to_string()
}

fn without_lines(plan: &mut Plan) {
    for task in plan.tasks.iter_mut().chain(&mut plan.hotfix) {
        task.line = None;
    }
}

const JSON: &str = r#"{"name": "Spring", "version": "2.0", "tasks": [
    {"title": "Build; then test", "assignee": "ada", "orderIndex": 10, "tags": ["ci", "a,b"],
     "dueAt": "2026-12-01T17:00:00Z", "priority": "HIGH", "remindBeforeMinutes": 60,
     "recurrence": {"rule": "FREQ=WEEKLY", "timeZone": "Europe/Berlin"}},
    {"title": "Ship", "assignee": "grace", "description": "Two\nlines"}],
    "hotfix": {"title": "Patch", "assignee": "ada"}}"#;

const YAML: &str = r#"
# A plan.
name: Spring
version: 2.0
tasks:
  - title: Build; then test
    assignee: ada
    orderIndex: 10
    tags: [ci, "a,b"]
    dueAt: 2026-12-01T17:00:00Z
    priority: HIGH
    remindBeforeMinutes: 60
    recurrence:
      rule: FREQ=WEEKLY
      timeZone: Europe/Berlin
  - title: Ship
    assignee: "@grace"
    description: |-
      Two
      lines
hotfix: {title: Patch, assignee: ada}
"#;

const CSV: &str = "Release;Version;Title;Owner;Order Index;tags;DUE_AT;priority;\
    remind-before-minutes;recurrencerule;time zone;description;hotfix;;\r\n\
    Spring;2.0;\"Build; then test\";ada;10;\"ci,\"\"a,b\"\"\";2026-12-01T17:00:00Z;HIGH;60;\
    FREQ=WEEKLY;Europe/Berlin;;;;\r\n\
    ;;;;;;;;;;;;;;\r\n\
    ;;Ship;@grace;;;;;;;;\"Two\nlines\";no;;\r\n\
    Spring;2.0;Patch;ada;;;;;;;;;yes;;\r\n\
    ;;;;;;;;;;;;;;\r\n\r\n";

#[test]
fn a_plan_is_the_same_in_every_format() {
    let plan = read(Format::Json, JSON);
    assert_eq!(plan.tasks[1].description.as_deref(), Some("Two\nlines"));
    assert_eq!(read(Format::Yaml, YAML), plan);
    assert_eq!(read(Format::Csv, CSV), plan);
    for format in Format::ALL {
        assert_eq!(read(format, &plan.write(format)), plan, "{format}");
    }
}

#[test]
fn a_format_is_known_by_the_name_of_the_file_or_by_its_text() {
    for (name, format) in [
        ("a.json", Some(Format::Json)),
        ("a.YML", Some(Format::Yaml)),
        ("a.yaml", Some(Format::Yaml)),
        ("a.b.csv", Some(Format::Csv)),
        ("a.tsv", Some(Format::Csv)),
        ("csv", None),
        ("-", None),
    ] {
        assert_eq!(Format::of_path(Path::new(name)), format, "{name}");
    }
    for (text, format) in [
        (JSON, Some(Format::Json)),
        (YAML, Some(Format::Yaml)),
        (CSV, Some(Format::Csv)),
        ("\"Title\",Owner\n", Some(Format::Csv)),
        ("Build\tada\nShip\tgrace", None),
        ("Title of a book, ada", None),
        ("", None),
    ] {
        assert_eq!(Format::of_text(text), format, "{text}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (format, text, expected) in [
        (
            Format::Yaml,
            "name: R\ntasks: []\ntaks: []",
            "taks is not known here (did you mean tasks?) (line 3, column 1)",
        ),
        (
            Format::Yaml,
            "name: R\ntasks:\n  - title: T\n",
            "tasks[0].assignee is required (line 3",
        ),
        (
            Format::Yaml,
            "name: R\ntasks:\n  - {title: T, assignee: ada, orderIndex: \"1\"}\n",
            "tasks[0].orderIndex must be a whole number from 0 to",
        ),
        (
            Format::Yaml,
            "name: R\ntasks:\n  - {title: T, assignee: ada, priority: high}\n",
            "tasks[0].priority must be LOW, NORMAL, HIGH or URGENT",
        ),
        (
            Format::Yaml,
            "name: R\nname: S\ntasks: []",
            "name is given more than once (line 2",
        ),
        (
            Format::Yaml,
            "name: R\ntasks: [[T, ada]]",
            "tasks[0] must be an object",
        ),
        (Format::Yaml, "- a", "must be an object (line 1"),
        (Format::Yaml, "name: R\ntasks: [\n", ""),
        (
            Format::Yaml,
            "name: R\ntasks: []\n---\nname: S\n",
            "a second",
        ),
        (Format::Yaml, " \n", "it is empty"),
        (
            Format::Yaml,
            "name: &a R\nversion: *a\ntasks: []",
            "an anchor (&) or an alias",
        ),
        (
            Format::Yaml,
            "name: R\ntasks: []\n<<: {version: x}",
            "a merged key (<<) is not possible here (line 3",
        ),
        (
            Format::Yaml,
            "name: !!python/object:os.system R\ntasks: []",
            "",
        ),
        (
            Format::Csv,
            "title,owner,prio\nT,ada,HIGH\n",
            "prio is not known here (did you mean priority?) (line 1)",
        ),
        (
            Format::Csv,
            "title,Owner,assignee\n",
            "assignee is given more than once (line 1, column assignee)",
        ),
        (Format::Csv, "owner\nada\n", "title is required"),
        (
            Format::Csv,
            "title;owner\nT\n",
            "owner is required (line 2, column owner)",
        ),
        (
            Format::Csv,
            "title;version\nT;1\n",
            "assignee is required (line 2)",
        ),
        (
            Format::Csv,
            "title,owner,order\n\"a\nb\",ada,1\nT,ada,1.0\n",
            "order must be a whole number from 0 to 9007199254740991, without a point or an \
             exponent (line 4, column order)",
        ),
        (
            Format::Csv,
            "title,owner,priority\nT,ada,high",
            "priority must be LOW, NORMAL, HIGH or URGENT (line 2, column priority)",
        ),
        (
            Format::Csv,
            "title,owner,hotfix\nT,ada,yes\nU,ada,x",
            "hotfix is possible for one task: a plan has one hotfix (line 3, column hotfix)",
        ),
        (
            Format::Csv,
            "release,title,owner\nR,T,ada\nS,U,ada",
            "release is not the same as in the rows above (line 3, column release)",
        ),
        (
            Format::Csv,
            "title,owner\nT,ada,x",
            "a row has more cells than the header (line 2)",
        ),
        (
            Format::Csv,
            "title,owner\nT,ada\n\"U,grace\nV,ada\n",
            "a quote that begins a cell is not closed (line 3)",
        ),
        (
            Format::Csv,
            "title,owner\n\"T\"x,ada\n",
            "text follows the closing quote of a cell (line 2)",
        ),
        (Format::Csv, "\n \n", "it is empty (line 1)"),
        (
            Format::Csv,
            "title,owner,timeZone\nT,ada,UTC",
            "timeZone is possible only with a recurrenceRule (line 2, column timeZone)",
        ),
    ] {
        let error = wrong(format, text);
        assert!(error.starts_with(expected), "{error:?} is not {expected:?}");
    }
}

#[test]
fn a_text_that_would_grow_is_refused_at_once() {
    let mut text = "name: R\ntasks:\n- &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (name, before) in ('b'..'m').zip('a'..) {
        let aliases = vec![format!("*{before}"); 9].join(",");
        text += &format!("- &{name} [{aliases}]\n");
    }
    let error = wrong(Format::Yaml, &text);
    assert!(error.contains("anchor"), "{error}");
    let deep = format!("name: {}", "[".repeat(100_000));
    let error = wrong(Format::Yaml, &deep);
    assert!(error.len() < 1_000, "{error}");
}

#[test]
fn the_kind_of_separator_may_be_said() {
    let plan = read(Format::Csv, "sep=;\ntitle;owner\na,b,c;ada\n");
    assert_eq!(plan.tasks[0].title, "a,b,c");
    let plan = Plan::read("sep=;\ntitle;owner\nT;ada\n", Format::Csv).unwrap();
    assert_eq!(plan.tasks[0].line, Some(3));
    let plan = read(Format::Csv, "Title\tOwner\r\nBuild, test; ship\tada\r\n");
    assert_eq!(plan.tasks[0].title, "Build, test; ship");
}

#[test]
fn a_text_is_never_written_as_a_formula() {
    let titles = [
        "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "'=1", "''=1", "'tis", "a=1",
    ];
    let task = |title: &str| PlannedTask {
        title: title.into(),
        assignee: "ada".into(),
        ..PlannedTask::default()
    };
    let plan = Plan {
        name: "=cmd|' /C calc'!A0".into(),
        tasks: titles.iter().map(|title| task(title)).collect(),
        ..Plan::default()
    };
    let text = plan.write(Format::Csv);
    for cell in text.split([',', '\n']) {
        assert!(
            !cell
                .trim_matches('"')
                .starts_with(['=', '+', '-', '@', '\t']),
            "{cell:?}"
        );
    }
    assert_eq!(read(Format::Csv, &text), plan);
}

#[test]
fn a_copy_keeps_owners_and_order_and_moves_what_is_due() {
    let mut plan = read(Format::Json, JSON);
    let recurrence = plan.tasks[0].recurrence.as_mut().unwrap();
    recurrence.release_id = Some("01890a5d-ac96-774b-bcce-b302099a8057".into());
    let copy = plan
        .clone()
        .copied("Summer".into(), Some("3.0".into()), Some(14));
    assert_eq!(
        (&*copy.name, copy.version.as_deref()),
        ("Summer", Some("3.0"))
    );
    let [build, ship] = copy.tasks.as_slice() else {
        panic!("{copy:?}");
    };
    assert_eq!(build.due_at.as_deref(), Some("2026-12-15T17:00:00Z"));
    assert_eq!((build.order_index, &*ship.assignee), (Some(10), "grace"));
    assert_eq!(build.recurrence.as_ref().unwrap().release_id, None);
    let copy = plan.copied("Summer".into(), None, None);
    let build = &copy.tasks[0];
    assert_eq!((&build.due_at, &build.recurrence), (&None, &None));
    assert_eq!((copy.version, build.remind_before_minutes), (None, None));
}

/// Texts that are hard for at least one of the formats.
fn any_text() -> impl Strategy<Value = String> {
    let hard = prop::sample::select(vec![
        ",",
        ";",
        "\t",
        "\"",
        "\"\"",
        "'",
        "=",
        "+",
        "-",
        "@",
        "#",
        ":",
        ": ",
        " #",
        "- ",
        "? ",
        "|",
        ">",
        "&a",
        "*a",
        "!x",
        "%",
        "`",
        "{",
        "}",
        "[",
        "]",
        "<<",
        "~",
        "null",
        "true",
        "no",
        "1.0",
        "0x1f",
        "1e3",
        ".inf",
        "2026-01-01",
        "---",
        "...",
        "é",
        "世",
        "🚢",
        "\u{feff}",
        " ",
        "\u{85}",
        "\u{2028}",
        "\\",
        "\\n",
    ]);
    let part = prop_oneof![hard.prop_map(str::to_owned), "[a-z]{1,4}"];
    prop::collection::vec(part, 1..6).prop_map(|parts| parts.concat())
}

/// One line that is not blank, as names are.
fn line() -> impl Strategy<Value = String> {
    any_text().prop_map(|text| format!("{}x", text.replace(['\t'], "")))
}

/// The same, with line breaks.
fn lines() -> impl Strategy<Value = String> {
    prop::collection::vec(line(), 1..4).prop_map(|lines| lines.join("\n"))
}

fn task() -> impl Strategy<Value = PlannedTask> {
    let recurrence = (Just("FREQ=DAILY"), prop::option::of(Just("Europe/Berlin")));
    let recurrence = recurrence.prop_map(|(rule, zone)| PlannedRecurrence {
        rule: rule.into(),
        time_zone: zone.map(Into::into),
        release_id: None,
    });
    (
        line(),
        prop::option::of(lines()),
        "[a-zA-Z0-9._-]{3,12}x",
        prop::option::of(0..=MAX_ORDER_INDEX),
        prop::option::of(prop::sample::select(Priority::ALL.to_vec())),
        prop::collection::vec(line().prop_map(|tag| tag.trim().to_owned()), 0..3),
        prop::option::of(0..=MAX_REMINDER),
        prop::option::of(recurrence),
    )
        .prop_map(
            |(title, description, assignee, order_index, priority, tags, minutes, recurrence)| {
                PlannedTask {
                    title,
                    description,
                    assignee,
                    order_index,
                    due_at: recurrence.as_ref().map(|_| "2026-12-01T17:00:00Z".into()),
                    priority,
                    tags,
                    remind_before_minutes: minutes,
                    recurrence,
                    line: None,
                }
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        name in line(),
        version in prop::option::of(line()),
        description in prop::option::of(lines()),
        tasks in prop::collection::vec(task(), 0..4),
        hotfix in prop::option::of(task()),
    ) {
        let plan = Plan { name, version, description, tasks, hotfix };
        for format in Format::ALL {
            let text = plan.write(format);
            let again = Plan::read(&text, format);
            let mut again = again.map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
            without_lines(&mut again);
            prop_assert_eq!(&again, &plan, "{}: {}", format, text);
        }
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in "\\PC*", parts in prop::collection::vec(any_text(), 0..9)) {
        for text in [text, parts.join("\n")] {
            for format in Format::ALL {
                let _ = Plan::read(&text, format);
            }
            let _ = Format::of_text(&text);
        }
    }
}
