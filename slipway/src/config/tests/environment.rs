//! Names and values in the environment.

use super::*;

#[test]
fn a_password_of_digits_in_the_environment_stays_as_it_is() {
    let settings = Case::new()
        .env("SLIPWAY_ADMIN_PASSWORD", "00123456")
        .settings(Role::All)
        .unwrap();
    assert_eq!(settings.admin_password.unwrap().expose(), "00123456");
}

#[test]
fn an_empty_value_is_not_taken_for_an_absent_one() {
    let problems = Case::new()
        .env("SLIPWAY_RELEASE_URL", "")
        .problems(Role::All);
    assert_eq!(
        problems,
        ["SLIPWAY_RELEASE_URL: is empty; leave it out or give it a value"]
    );
}

#[test]
fn names_of_the_client_commands_are_not_unknown() {
    let mut case = Case::new();
    for name in ["CONFIG", "URL", "TOKEN", "USERNAME", "PASSWORD"] {
        case = case.env(&format!("SLIPWAY_{name}"), "x");
    }
    assert!(case.env("PATH", "/bin").settings(Role::All).is_ok());
}

#[test]
fn unknown_names_in_the_environment_are_warnings_that_name_the_key_that_was_meant() {
    let case = Case::new()
        .env("SLIPWAY_COLOUR", "blue")
        .env("SLIPWAY_TOKEN_TLL", "1h")
        .env("SLIPWAY_TOKN", "hunter2")
        .env("SLIPWAY_HTTP_PORT", "8080");
    let layers = Layers::collect(case.sources);
    assert!(layers.settings(Some(Role::All)).is_ok());
    let warnings: Vec<_> = layers.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "the environment: unknown key SLIPWAY_COLOUR",
            "the environment: unknown key SLIPWAY_TOKEN_TLL; did you mean SLIPWAY_TOKEN_TTL?",
            "the environment: unknown key SLIPWAY_TOKN; did you mean SLIPWAY_TOKEN?",
            "the environment: unknown key SLIPWAY_HTTP_PORT; did you mean SLIPWAY_HTTP_ADDR?",
        ]
    );
}

#[test]
fn names_that_kubernetes_sets_are_one_warning_and_suggest_nothing() {
    let names = [
        "SLIPWAY_HTTP_PORT",
        "SLIPWAY_HTTP_PORT_8080_TCP_ADDR",
        "SLIPWAY_PORT",
        "SLIPWAY_RELEASE_PORT",
        "SLIPWAY_RELEASE_PORT_50051_TCP",
        "SLIPWAY_RELEASE_PORT_50051_TCP_PROTO",
        "SLIPWAY_RELEASE_SERVICE_PORT",
        "SLIPWAY_RELEASE_SERVICE_PORT_GRPC",
        "SLIPWAY_SERVICE_HOST",
        "SLIPWAY_SERVICE_PORT",
        "SLIPWAY_SERVICE_PORT_HTTP",
    ];
    let mut case = Case::new();
    for name in names {
        case = case.env(name, "tcp://10.0.0.1:50051");
    }
    let layers = Layers::collect(case.sources);
    let settings = layers.settings(Some(Role::All)).unwrap();
    assert!(settings.release_url.is_none());
    let [warning] = layers.warnings() else {
        panic!("{:?}", layers.warnings());
    };
    let expected = format!("unknown keys {};", names.join(", "));
    assert!(warning.message.starts_with(&expected), "{warning}");
    assert!(!warning.message.contains("did you mean"), "{warning}");
    assert!(!warning.message.contains("10.0.0.1"), "{warning}");
}

#[cfg(unix)]
#[test]
fn what_is_not_text_in_an_unknown_name_is_no_error() {
    use std::os::unix::ffi::OsStringExt as _;
    let mut case = Case::new();
    let value = std::ffi::OsString::from_vec(b"\xff".to_vec());
    case.sources.env.push(("SLIPWAY_COLOUR".into(), value));
    assert!(case.settings(Role::All).is_ok());
}
