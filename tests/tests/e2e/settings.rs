//! The configuration as a person gives it (file, environment, flags), and what the program says of
//! itself.

use slipway_tests::{Options, Process, process};

#[tokio::test]
async fn all_configuration_errors_are_reported_before_anything_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::default()
        .env("SLIPWAY_TOKEN_TTL", "a while")
        .env("SLIPWAY_HTTP_ADDR", "here")
        .arg("--drain-deadline")
        .arg("never");
    let (status, output, errors) = process::run(dir.path(), &options).await.unwrap();
    assert_eq!((status.code(), output.as_str()), (Some(2), ""));
    for key in ["SLIPWAY_TOKEN_TTL", "SLIPWAY_HTTP_ADDR", "drain-deadline"] {
        assert!(errors.contains(key), "{key} is not in: {errors}");
    }
    assert!(!dir.path().join("data").exists());
}

#[tokio::test]
async fn unknown_environment_variables_are_logged_and_refused_only_by_a_strict_check() {
    let kubernetes = "SLIPWAY_RELEASE_PORT";
    let unknown = Options::default()
        .env("SLIPWAY_TOKEN_TLL", "1h")
        .env(kubernetes, "tcp://10.0.0.1:50051");
    let meant = "SLIPWAY_TOKEN_TLL; did you mean SLIPWAY_TOKEN_TTL?";
    let server = Process::start_with(&unknown).await.unwrap();
    server.signal("TERM").await.unwrap();
    let (status, log) = server.ended().await.unwrap();
    assert!(status.success(), "{log}");
    assert!(log.contains(meant) && log.contains(kubernetes), "{log}");

    let dir = tempfile::tempdir().unwrap();
    let check = unknown.arg("config").arg("check");
    let (status, _, errors) = process::run(dir.path(), &check).await.unwrap();
    assert!(status.success(), "{errors}");
    assert!(
        errors.contains(meant) && errors.contains(kubernetes),
        "{errors}"
    );
    let strict = check.arg("--strict");
    let (status, output, errors) = process::run(dir.path(), &strict).await.unwrap();
    assert_eq!((status.code(), output.as_str()), (Some(2), ""), "{errors}");
    assert!(
        errors.contains(meant) && errors.contains(kubernetes),
        "{errors}"
    );
}

#[tokio::test]
async fn a_first_admin_that_no_account_may_be_is_refused_by_the_check_and_by_the_start() {
    for (name, text, rule) in [
        ("SLIPWAY_ADMIN_USERNAME", "ab", "must be 3 to 40 characters"),
        ("SLIPWAY_ADMIN_USERNAME", "System", "is reserved"),
        ("SLIPWAY_ADMIN_EMAIL", "admin", "must be an email address"),
        (
            "SLIPWAY_ADMIN_EMAIL",
            "\"a b\"@x.org",
            "must be an email address",
        ),
        (
            "SLIPWAY_ADMIN_PASSWORD",
            "short",
            "must have 8 to 128 characters",
        ),
        (
            "SLIPWAY_ADMIN_PASSWORD",
            "Admin@localhost",
            "must not be close to the username",
        ),
        (
            "SLIPWAY_ADMIN_PASSWORD",
            "password2031",
            "one of the most common passwords",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let start = Options::default().env(name, text);
        for options in [start.clone(), start.arg("config").arg("check")] {
            let (status, output, errors) = process::run(dir.path(), &options).await.unwrap();
            assert_eq!((status.code(), output.as_str()), (Some(2), ""), "{errors}");
            assert!(
                errors.contains(name) && errors.contains(rule),
                "{text}: {errors}"
            );
        }
        assert!(!dir.path().join("data").exists());
    }
}

#[tokio::test]
async fn a_role_names_the_settings_that_it_does_not_read() {
    let options = Options::default()
        .arg("release")
        .arg("--release-url")
        .arg("http://127.0.0.1:1");
    let server = Process::start_with(&options).await.unwrap();
    server.signal("TERM").await.unwrap();
    let (status, log) = server.ended().await.unwrap();
    assert!(status.success(), "{log}");
    let told = log
        .lines()
        .find(|line| line.contains("does not use these settings"));
    assert!(
        told.is_some_and(|line| line.contains("--release-url")),
        "{log}"
    );
}

#[tokio::test]
async fn an_empty_name_of_the_configuration_file_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::default().env("SLIPWAY_CONFIG", "");
    let (status, _, errors) = process::run(dir.path(), &options).await.unwrap();
    assert_eq!(status.code(), Some(2), "{errors}");
    assert!(
        errors.contains("it is empty") && errors.contains("SLIPWAY_CONFIG"),
        "{errors}"
    );
}

#[tokio::test]
async fn the_program_describes_itself() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (
            &["--version"][..],
            &["slipway 0.", "commit: ", "features: kafka"][..],
        ),
        (&["completions", "bash"], &["_slipway()", "--http-addr"]),
        (&["man"], &[".TH slipway 1", "SLIPWAY_CONFIG"]),
    ] {
        let options = arguments
            .iter()
            .fold(Options::default(), |all, one| all.arg(*one));
        let (status, output, errors) = process::run(dir.path(), &options).await.unwrap();
        assert!(status.success(), "{errors}");
        for text in expected {
            assert!(output.contains(text), "{text} is not in: {output}");
        }
    }
    let pages = Options::default().arg("man").arg("pages");
    let (status, _, errors) = process::run(dir.path(), &pages).await.unwrap();
    assert!(status.success(), "{errors}");
    for page in ["slipway.1", "slipway-release.1", "slipway-config-check.1"] {
        assert!(dir.path().join("pages").join(page).exists(), "{page}");
    }
    let pages = std::fs::read_dir(dir.path().join("pages")).unwrap();
    let names = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
    let of_help: Vec<_> = names.filter(|name| name.contains("-help")).collect();
    assert_eq!(of_help, [""; 0]);
}

#[tokio::test]
async fn unknown_names_in_the_file_and_on_the_command_line_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("slipway.toml"), "token_tll = \"1h\"").unwrap();
    let file = process::run(dir.path(), &Options::default()).await.unwrap();
    let flag = Options::default().arg("--token-tll").arg("1h");
    let flag = process::run(dir.path(), &flag).await.unwrap();
    for (status, _, errors) in [file, flag] {
        assert_eq!(status.code(), Some(2), "{errors}");
        assert!(errors.contains("tll"), "{errors}");
    }
}
