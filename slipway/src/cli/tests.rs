//! The command line: what it takes, refuses and explains.

use std::any::TypeId;

use super::*;

fn parse(line: &str) -> Cli {
    Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn no_command_is_all() {
    assert!(parse("slipway").command.is_none());
    assert!(matches!(parse("slipway all").command, Some(Command::All)));
}

#[test]
fn configuration_flags_are_taken_before_and_after_the_command() {
    for line in [
        "slipway --data-dir x --ready-file r notify",
        "slipway notify --data-dir x --ready-file r",
    ] {
        let cli = parse(line);
        assert_eq!(cli.overrides.0["data_dir"], "x", "{line}");
        assert_eq!(cli.ready_file, Some("r".into()), "{line}");
        assert_eq!(cli.command.and_then(|c| c.role()), Some(Role::Notify));
    }
}

#[test]
fn every_key_has_a_flag() {
    for key in ALL {
        let flag = format!("--{}", key.flag());
        let cli = Cli::try_parse_from(["slipway", flag.as_str(), "v"])
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(cli.overrides.0[key.name], "v");
    }
}

#[test]
fn every_command_shows_an_example() {
    fn check(command: &mut clap::Command) {
        let help = command.render_long_help().to_string();
        let group = command.has_subcommands() && command.get_name() != "slipway";
        assert!(group || help.contains("Example:"), "{help}");
        command.get_subcommands_mut().for_each(check);
    }
    check(&mut Cli::command().disable_help_subcommand(true));
}

/// What is printed for a command line that is refused, or asks for help.
fn refusal<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words = ["slipway"].into_iter().chain(words);
    let outcome = Cli::described().try_get_matches_from(words);
    outcome.err().unwrap().to_string()
}

#[test]
fn an_error_shows_no_option_as_required_that_is_not() {
    for (line, usage) in [
        ("--config x --nope", "slipway [OPTIONS] [COMMAND]"),
        ("watch --url http://h --nope", "slipway watch [OPTIONS]"),
        ("import --url http://h", "slipway import [OPTIONS] <PLAN>"),
        (
            "dead-letters show --username ada",
            "slipway dead-letters show [OPTIONS] <ID>",
        ),
    ] {
        let refused = refusal(line.split(' '));
        assert!(refused.contains(&format!("Usage: {usage}\n")), "{refused}");
    }
}

#[test]
fn a_path_that_only_a_shell_expands_is_refused() {
    fn check(command: &clap::Command, names: &[&str], checked: &mut usize) {
        for arg in command.get_arguments() {
            if arg.get_value_parser().type_id() != TypeId::of::<PathBuf>() {
                continue;
            }
            let value = match arg.get_long() {
                Some(long) => format!("--{long}=~/x"),
                None => "~/x".to_owned(),
            };
            let refused = refusal(names.iter().copied().chain([&*value]));
            assert!(
                refused.contains("begins with ~, which a shell"),
                "{refused}"
            );
            *checked += 1;
        }
        for command in command.get_subcommands() {
            check(command, &[names, &[command.get_name()]].concat(), checked);
        }
    }
    let mut checked = 0;
    check(&Cli::command(), &[], &mut checked);
    assert_eq!(checked, 10);
}

#[test]
fn a_number_is_made_of_digits() {
    for (line, range) in [
        ("watch --after", "from 0 to 9223372036854775807"),
        ("dead-letters list --limit", "from 1 to 4294967295"),
        ("audit list --limit", "from 1 to 4294967295"),
    ] {
        for number in ["x", "", "+5", "-1", "1.0", "99999999999999999999"] {
            let refused = refusal(line.split(' ').chain([number]));
            let expected = format!("must be a whole number {range}");
            assert!(refused.contains(&expected), "{number}: {refused}");
        }
    }
}

/// What `slipway LINE --help` prints.
fn help(line: &str) -> String {
    refusal(line.split(' ').chain(["--help"]))
}

#[test]
fn the_help_of_a_client_command_shows_what_concerns_it() {
    for line in [
        "import",
        "watch",
        "dead-letters list",
        "dead-letters show",
        "dead-letters replay",
        "audit list",
        "audit evidence",
    ] {
        let help = help(line);
        for shown in ["--url", "--username", "--config", "--http-addr", "Example:"] {
            assert!(help.contains(shown), "{shown} is not in:\n{help}");
        }
        for hidden in [
            "--data-dir",
            "--kafka-brokers",
            "--smtp-url",
            "--ready-file",
        ] {
            assert!(!help.contains(hidden), "{hidden} is in:\n{help}");
        }
        assert!(help.lines().count() < 80, "{help}");
    }
    let words = ["slipway", "watch", "--data-dir", "x"];
    let matches = Cli::described().try_get_matches_from(words);
    let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    assert_eq!(
        cli.unwrap_or_else(|e| panic!("{e}")).overrides.0["data_dir"],
        "x"
    );
}

#[test]
fn the_help_of_a_server_shows_the_settings_that_it_reads() {
    let release = help("release");
    assert!(release.contains("--data-dir") && release.contains("--token-ttl"));
    assert!(!release.contains("--release-url") && !release.contains("--chat-queue"));
    assert!(help("all").contains("--chat-queue"));
    assert!(help("config check").contains("--data-dir"));
    assert!(!help("man").contains("--data-dir"));
    let verify = help("audit verify");
    assert!(verify.contains("--data-dir") && verify.contains("--mongodb-url"));
    assert!(!verify.contains("--smtp-url") && !verify.contains("--http-addr"));
}

#[test]
fn an_empty_name_of_the_configuration_file_is_told() {
    let parsed = Cli::try_parse_from(["slipway", "--config", ""]);
    let error = parsed.err().unwrap().to_string();
    assert!(error.contains("it is empty; name a file"), "{error}");
}

#[test]
fn a_token_cannot_be_given_as_a_flag() {
    assert!(Cli::try_parse_from(["slipway", "watch", "--token", "x"]).is_err());
}
