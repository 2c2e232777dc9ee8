//! What keys need of each other, and of the role.

use super::*;

#[test]
fn roles_know_which_services_they_need() {
    let split = || Case::new().env("SLIPWAY_SERVICE_SECRET", SECRET);
    let release = |case: Case| case.env("SLIPWAY_RELEASE_URL", "http://release:50051");
    let forum = |case: Case| case.env("SLIPWAY_FORUM_URL", "http://forum:50051");
    let chat = |case: Case| case.env("SLIPWAY_CHAT_URL", "http://chat:50051");
    let notify = |case: Case| case.env("SLIPWAY_NOTIFY_URL", "http://notify:50051");
    assert!(Case::new().settings(Role::Release).is_ok());
    for role in [Role::Forum, Role::Chat, Role::Notify] {
        assert!(release(split()).settings(role).is_ok());
        assert_eq!(split().problems(role).len(), 1);
    }
    let all = notify(chat(forum(release(split()))));
    assert!(all.settings(Role::Gateway).is_ok());
    assert_eq!(release(split()).problems(Role::Gateway).len(), 3);
    let contradiction = &release(split()).problems(Role::All)[0];
    assert!(contradiction.contains("contradicts running all services"));
    let unprotected = &release(Case::new()).problems(Role::Notify)[0];
    assert!(unprotected.starts_with("service_secret: must be set"));
}

#[test]
fn only_who_signs_needs_usable_keys() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    let missing = dir.path().join("missing.pem");
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for (path, said) in [
        (&missing, "No such file"),
        (&empty, "it is empty"),
        (&pipe, "it is a pipe"),
        (&dir.path().to_owned(), "it is a directory"),
    ] {
        let case = || Case::new().env("SLIPWAY_JWT_KEY_FILE", path.to_str().unwrap());
        for role in [Role::All, Role::Release] {
            let problem = &case().problems(role)[0];
            assert!(problem.starts_with("SLIPWAY_JWT_KEY_FILE: "), "{problem}");
            assert!(problem.contains(said), "{problem}");
        }
        let notify = case()
            .env("SLIPWAY_RELEASE_URL", "http://release:50051")
            .env("SLIPWAY_SERVICE_SECRET", SECRET);
        assert!(notify.settings(Role::Notify).is_ok());
    }
}

#[test]
fn replicas_on_one_database_are_told_their_keys() {
    let shared = || Case::new().env("SLIPWAY_MONGODB_URL", "mongodb://db");
    for role in [Role::All, Role::Release] {
        let problem = &shared().problems(role)[0];
        assert!(
            problem.starts_with("jwt_key_file: must be set"),
            "{problem}"
        );
        let settings = shared().signing().settings(role).unwrap();
        assert!(settings.uses_data_dir(), "the bus is embedded");
    }
    let notify = shared()
        .env("SLIPWAY_RELEASE_URL", "http://release:50051")
        .env("SLIPWAY_SERVICE_SECRET", SECRET)
        .env("SLIPWAY_KAFKA_BROKERS", "kafka:9092");
    let settings = notify.settings(Role::Notify).unwrap();
    assert!(
        !settings.uses_data_dir(),
        "it verifies, and keeps nothing here"
    );
}

#[test]
fn an_authority_of_the_mail_server_needs_a_mail_server_with_tls() {
    for url in [None, Some("smtp://mail.example")] {
        let case = Case::new().env("SLIPWAY_SMTP_CA_FILE", "/nowhere/ca.pem");
        let case = match url {
            Some(url) => case.env("SLIPWAY_SMTP_URL", url),
            None => case,
        };
        let problems = case.problems(Role::Notify).join("\n");
        assert!(problems.contains("when smtp_ca_file is set"), "{problems}");
        assert!(
            problems.contains("its file /nowhere/ca.pem cannot be read"),
            "{problems}"
        );
    }
}

#[test]
fn two_listeners_do_not_share_an_address_unless_the_system_chooses() {
    let same = |port: u16| {
        Case::new()
            .env("SLIPWAY_HTTP_ADDR", &format!("0.0.0.0:{port}"))
            .env("SLIPWAY_OPS_ADDR", &format!("localhost:{port}"))
    };
    let problems = same(9000).problems(Role::All);
    assert_eq!(
        problems,
        ["SLIPWAY_OPS_ADDR: is the same address as http_addr"]
    );
    assert!(same(0).settings(Role::All).is_ok());
    assert!(same(9000).settings(Role::Release).is_ok());
}

#[test]
fn the_first_administrator_obeys_the_rules_of_every_account() {
    for (name, text, message) in [
        (
            "SLIPWAY_ADMIN_PASSWORD",
            "password",
            "must not be close to one of the most common passwords",
        ),
        ("SLIPWAY_ADMIN_PASSWORD", "        ", "must not be blank"),
        (
            "SLIPWAY_ADMIN_PASSWORD",
            "Admin@LOCALHOST",
            "must not be close to the username or the email address",
        ),
        (
            "SLIPWAY_ADMIN_PASSWORD",
            "a password\n",
            "must not end with a line break; remove it",
        ),
        (
            "SLIPWAY_ADMIN_USERNAME",
            "system",
            "is reserved by Slipway; it is \"system\"",
        ),
        (
            "SLIPWAY_ADMIN_EMAIL",
            "admin",
            "must be an email address; it is \"admin\"",
        ),
    ] {
        let problems = Case::new().env(name, text).problems(Role::All);
        assert_eq!(problems, [format!("{name}: {message}")]);
    }
    let legal = Case::new().env("SLIPWAY_ADMIN_PASSWORD", "correct horse battery staple");
    assert!(legal.settings(Role::All).is_ok());
}

#[test]
fn a_closed_registration_makes_nobody_an_administrator() {
    let problems = Case::new()
        .env("SLIPWAY_REGISTRATION", "closed")
        .env("SLIPWAY_ALLOW_ADMIN_REGISTRATION", "true")
        .problems(Role::All);
    assert_eq!(
        problems,
        ["SLIPWAY_ALLOW_ADMIN_REGISTRATION: contradicts registration = closed"]
    );
}

#[test]
fn what_a_role_does_not_read_is_told_and_ignored() {
    let case = Case::new()
        .file("log = \"error\"\nchat_queue = 5")
        .env("SLIPWAY_SMTP_URL", "smtp://mail.example")
        .flag("release_url", "http://release:50051");
    let layers = Layers::collect(case.sources);
    // Nor does it need the secret of those that call each other.
    assert!(layers.settings(Some(Role::Release)).is_ok());
    let unused = layers.unused(Role::Release);
    assert_eq!(unused.len(), 3, "{unused:?}");
    assert_eq!(unused[..2], ["--release-url", "SLIPWAY_SMTP_URL"]);
    assert!(unused[2].starts_with("chat_queue in ") && unused[2].ends_with("line 2"));
    assert!(layers.unused(Role::All).is_empty());
}

#[test]
fn a_path_that_only_a_shell_expands_is_refused() {
    let paths: Vec<_> = ALL.iter().filter(|key| key.expects() == "a path").collect();
    assert!(paths.len() > 5);
    for key in paths {
        for path in ["~", "~/slipway", "~ada/slipway"] {
            let problems = Case::new().env(&key.env(), path).problems(Role::All);
            let expected = format!("{}: begins with ~, which a shell expands", key.env());
            assert!(problems.join("\n").contains(&expected), "{problems:?}");
        }
    }
    let settings = Case::new()
        .env("SLIPWAY_DATA_DIR", "./~")
        .settings(Role::All);
    assert_eq!(settings.unwrap().data_dir.to_str(), Some("./~"));
}
