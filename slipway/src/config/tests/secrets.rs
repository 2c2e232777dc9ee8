//! Secrets are never shown.

use super::*;

#[test]
fn what_could_be_a_secret_is_not_shown() {
    for (name, text) in [
        ("SLIPWAY_SMTP_URL", "smtp://ada:hunter2@mail.example:99999"),
        (
            "SLIPWAY_MONGODB_URL",
            "mongodb://ada:hunter2@db.example:99999",
        ),
        (
            "SLIPWAY_MONGODB_URL",
            "mongodb://ada:hunter2@db.example/?retries=3",
        ),
        ("SLIPWAY_PUBLIC_URL", "http://ada:hunter2@slipway.example"),
        ("SLIPWAY_WEBHOOK_SECRET", "hunter2"),
    ] {
        let problems = Case::new().env(name, text).problems(Role::All).join("\n");
        assert!(
            problems.contains(name) && !problems.contains("hunter2"),
            "{problems}"
        );
        assert_eq!(
            problems.contains("\"retries\""),
            text.contains("retries"),
            "{problems}"
        );
    }
}

#[test]
fn no_secret_is_shown_by_debug_or_by_any_problem() {
    let settings = Case::new()
        .env("SLIPWAY_ADMIN_PASSWORD", SECRET)
        .env("SLIPWAY_SERVICE_SECRET", SECRET)
        .env("SLIPWAY_MONGODB_URL", &format!("mongodb://ada:{SECRET}@db"))
        .signing()
        .env("SLIPWAY_SMTP_URL", "smtps://ada:hunter2@mail.example")
        .settings(Role::All)
        .unwrap();
    let shown = format!("{settings:?}");
    assert!(
        !shown.contains(SECRET) && !shown.contains("hunter2"),
        "{shown}"
    );

    let malformed = Case::new()
        .env("SLIPWAY_SERVICE_SECRET", "hunter2")
        .env("SLIPWAY_RELEASE_URL", "http://user:hunter2@release")
        .env("SLIPWAY_MONGODB_URL", "mongodb://user:hunter2@a b")
        .env("SLIPWAY_SMTP_URL", "smtp://user:hunter2@mail?tls=maybe")
        .flag("admin_password", "hunter2");
    let broken = Case::new().file("log = \"info\"\nadmin_password = \"hunter2");
    let number = Case::new().file("admin_password = 12345678");
    for (case, place) in [
        (
            malformed,
            "--admin-password: must have 8 to 128 characters, blanks at the ends not counted",
        ),
        (broken, "line 2"),
        (number, "must be text in quotes"),
    ] {
        let problems = case.problems(Role::Release).join("\n");
        assert!(problems.contains(place), "{problems}");
        assert!(!problems.contains("hunter2"), "{problems}");
        assert!(!problems.contains("12345678"), "{problems}");
    }
}

#[cfg(unix)]
#[test]
fn what_is_not_text_is_named_but_not_shown() {
    use std::os::unix::ffi::OsStringExt as _;
    let mut case = Case::new();
    let value = std::ffi::OsString::from_vec(b"hunter2\xff".to_vec());
    case.sources
        .env
        .push(("SLIPWAY_ADMIN_PASSWORD".into(), value));
    let problems = case.problems(Role::All);
    assert_eq!(problems, ["SLIPWAY_ADMIN_PASSWORD: is not UTF-8"]);
}

#[test]
fn a_secret_can_be_read_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    fs::write(&path, format!("{SECRET}\n")).unwrap();
    let path = path.to_str().unwrap();
    let settings = Case::new()
        .file("service_secret = \"another-one-that-is-long-enough-for-it\"")
        .env("SLIPWAY_SERVICE_SECRET_FILE", path)
        .settings(Role::All)
        .unwrap();
    assert_eq!(settings.service_secret.unwrap().expose(), SECRET);
    for (case, expected) in [
        (
            Case::new().env("SLIPWAY_SERVICE_SECRET", SECRET),
            "SLIPWAY_SERVICE_SECRET_FILE: is set, and SLIPWAY_SERVICE_SECRET too",
        ),
        // A flag is stronger.
        (
            Case::new().flag("service_secret", "short"),
            "--service-secret: must",
        ),
    ] {
        let problems = case
            .env("SLIPWAY_SERVICE_SECRET_FILE", path)
            .problems(Role::All);
        assert!(problems[0].starts_with(expected), "{problems:?}");
    }
}

#[test]
fn a_file_without_a_secret_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (empty, short) = (dir.path().join("empty"), dir.path().join("short"));
    fs::write(&empty, "\n").unwrap();
    fs::write(&short, "hunter2").unwrap();
    for (path, expected) in [
        (empty, "SLIPWAY_SERVICE_SECRET_FILE: is empty"),
        (short, "SLIPWAY_SERVICE_SECRET_FILE: must"),
        (dir.path().join("none"), "none cannot be read: No such file"),
    ] {
        let case = Case::new().env("SLIPWAY_SERVICE_SECRET_FILE", path.to_str().unwrap());
        let problems = case.problems(Role::All);
        assert!(problems[0].contains(expected), "{problems:?}");
        assert!(!problems[0].contains("hunter2"), "{problems:?}");
    }
}

#[test]
fn no_key_is_called_as_the_file_of_a_secret() {
    for key in ALL.iter().filter(|key| key.secret) {
        assert!(
            find(&format!("{}_file", key.name)).is_none(),
            "{}",
            key.name
        );
    }
}

#[test]
fn no_secret_has_a_control_character() {
    for key in ALL.iter().filter(|key| key.secret) {
        for text in ["a secret of many characters, 0123456789\r\n", "a\tsecret"] {
            let problems = Case::new().env(&key.env(), text).problems(Role::All);
            let problem = problems.join("\n");
            assert!(
                problem.contains(&format!("{}: must not", key.env())),
                "{problem}"
            );
            assert!(problem.contains("control character") || problem.contains("line break"));
            assert!(!problem.contains("0123456789"), "{problem}");
        }
    }
}

#[test]
fn the_parts_of_a_mongodb_url_that_must_be_escaped_are_told() {
    for url in [
        "mongodb://ada:hun@ter@db",
        "mongodb://ada:hun:ter@db",
        "mongodb://ada:hun/ter@db",
    ] {
        let problems = Case::new()
            .env("SLIPWAY_MONGODB_URL", url)
            .problems(Role::All);
        let problem = problems.join("\n");
        assert!(
            problem.contains("write @ as %40, : as %3A and / as %2F"),
            "{problem}"
        );
        assert!(!problem.contains("hun"), "{problem}");
    }
    let escaped = Case::new()
        .env("SLIPWAY_MONGODB_URL", "mongodb://ada:p%40%3A%2Fss@db")
        .signing();
    assert!(escaped.settings(Role::All).is_ok());
}
