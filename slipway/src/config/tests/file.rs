//! What a configuration file may say, and where it is told to be wrong.

use super::*;

#[test]
fn a_file_that_was_asked_for_must_exist_and_replaces_the_default_one() {
    let mut case = Case::new().file("log = \"error\"");
    let other = case.dir.path().join("other.conf");
    case.sources.file = Some(other.clone());
    fs::write(&other, "allow_admin_registration = true").unwrap();
    let settings = Layers::collect(case.sources).settings(None).unwrap();
    assert_eq!(settings.log, "info");
    assert!(settings.allow_admin_registration);

    let mut case = Case::new();
    case.sources.file = Some("/nowhere/slipway.toml".into());
    let problems = case.problems(Role::All);
    assert!(problems[0].starts_with("/nowhere/slipway.toml: cannot be read"));
}

#[test]
fn a_default_file_that_is_a_link_to_nowhere_is_not_taken_for_no_file() {
    let case = Case::new();
    std::os::unix::fs::symlink("nowhere", &case.sources.default_file).unwrap();
    let problems = case.problems(Role::All);
    assert!(problems[0].contains("cannot be read"), "{problems:?}");
}

#[test]
fn numbers_and_truth_values_need_no_quotes_in_the_file() {
    let settings = Case::new()
        .file("mail_rate = 60\nchat_queue = 1_000\nallow_admin_registration = true")
        .settings(Role::All)
        .unwrap();
    assert_eq!(settings.mail_rate.get(), 60);
    assert_eq!(settings.chat_queue, 1_000);
    assert!(settings.allow_admin_registration);
}

#[test]
fn a_value_of_another_kind_is_told_what_to_write() {
    for (line, expected) in [
        ("mail_rate = 6.5", "must be a whole number from 1 to 100000"),
        ("mail_rate = -1", "must be a whole number from 1 to 100000"),
        (
            "mail_rate = true",
            "must be a whole number from 1 to 100000",
        ),
        ("kafka_tls = 1", "must be true or false"),
        ("token_ttl = 8", "must be text in quotes: a duration"),
        ("http_addr = 8080", "must be text in quotes: an IP address"),
        ("log = true", "must be text in quotes: a filter"),
        (
            "alert_emails = [\"a@b.example\"]",
            "must be text in quotes: email addresses separated by commas",
        ),
        (
            "smtp_url = { host = \"mail.example\" }",
            "must be text in quotes: an smtp://",
        ),
    ] {
        let problems = Case::new().file(line).problems(Role::All).join("\n");
        assert!(problems.contains(expected), "{line}: {problems}");
    }
}

#[test]
fn a_syntax_error_is_placed_by_file_line_and_column_without_quoting_the_file() {
    for text in [
        "log = \"info\"\nadmin_password = \"hunter2",
        "log = \"info\"\nadmin_password = hunter2",
        "log = \"info\"\nhunter2",
        "log = \"info\"\nlog = \"hunter2\"",
        "log = \"info\"\n[hunter2",
        "log = \"info\"\nmail_rate = 007",
    ] {
        let problems = Case::new().file(text).problems(Role::All);
        let [problem] = problems.as_slice() else {
            panic!("{text}: {problems:?}");
        };
        assert!(problem.contains("slipway.toml"), "{problem}");
        assert!(problem.contains("line 2, column "), "{text}: {problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
        assert!(!problem.contains("TOML parse error"), "{problem}");
        let sets_key = text.contains("admin_password");
        assert_eq!(
            problem.contains(" (admin_password) "),
            sets_key,
            "{problem}"
        );
    }
}

#[test]
fn a_file_may_begin_with_a_byte_order_mark_or_be_utf_16() {
    let text = "\u{feff}log = \"error\"";
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [text.as_bytes().to_vec(), utf_16] {
        let case = Case::new();
        fs::write(case.dir.path().join("slipway.toml"), bytes).unwrap();
        assert_eq!(case.settings(Role::All).unwrap().log, "error");
    }
    let case = Case::new();
    fs::write(case.dir.path().join("slipway.toml"), b"log = \"\xff\"").unwrap();
    let problems = case.problems(Role::All);
    assert!(
        problems[0].contains("slipway.toml: is not UTF-8"),
        "{problems:?}"
    );
}

#[test]
fn what_is_wrong_in_a_file_is_placed_by_its_line() {
    let file = "# Grüße\nlog = \"info\"\n\nmail_rate = 0\ncolour = \"blue\"\n[gateway]\nport = 1";
    let problems = Case::new().file(file).problems(Role::All).join("\n");
    for place in [
        "slipway.toml, line 4: must be a whole number",
        "slipway.toml, line 5: unknown key colour",
        "slipway.toml, line 6: there is no table [gateway]",
    ] {
        assert!(problems.contains(place), "{place} is not in: {problems}");
    }
}
