//! What can be said on the command line.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use clap::{
    Arg, ArgMatches, Args, CommandFactory as _, FromArgMatches, Parser, Subcommand, ValueEnum,
    builder::{OsStringValueParser, TypedValueParser},
};
use clap_complete::Shell;

use crate::{
    commands::{
        account::{LoginArgs, LogoutArgs, ServersArgs, WhoamiArgs},
        ask::AskArgs,
        audit::AuditCommand,
        dead_letters::DeadLettersCommand,
        import::ImportArgs,
        plans::PlanCommand,
        releases::{HotfixArgs, ReleaseCommand},
        watch::WatchArgs,
        work::{CommentArgs, InboxArgs, NextArgs, PauseArgs, TaskArgs},
    },
    config::{ALL, KEYS, find},
    paths, version,
};

/// Real-time release management.
///
/// Without a command all services run in this process, with their data in
/// ./slipway-data; no other program is needed.
#[derive(Parser)]
#[command(
    version,
    long_version = version::long(),
    after_help = "Example: slipway --http-addr 127.0.0.1:0 --data-dir /var/lib/slipway"
)]
pub struct Cli {
    /// Configuration file; without it slipway.toml in the working directory, if it is there
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "SLIPWAY_CONFIG",
        value_parser = config_file(),
        help_heading = "Configuration"
    )]
    pub config: Option<PathBuf>,
    /// File that the server writes its addresses to, as JSON, when it is ready
    #[arg(long, global = true, value_name = "PATH", value_parser = paths::parser())]
    pub ready_file: Option<PathBuf>,
    /// The configuration keys given as flags.
    #[command(flatten)]
    pub overrides: Overrides,
    /// What to do; nothing is the same as `all`.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the program can do.
#[derive(Subcommand)]
pub enum Command {
    /// Run all services in this process (the same as no command)
    #[command(after_help = "Example: slipway all --data-dir /var/lib/slipway")]
    All,
    /// Run only the gateway: REST and live streams for clients
    #[command(after_help = "Example: slipway gateway --http-addr 0.0.0.0:8080 \
                      --release-url http://release:50051 --forum-url http://forum:50051 \
                      --chat-url http://chat:50051 \
                      --notify-url http://notify:50051")]
    Gateway,
    /// Run only the release service: accounts, releases and tasks; or work with releases
    ///
    /// Without a command it is the service.
    #[command(after_help = "Example: slipway release --grpc-addr 0.0.0.0:50051")]
    Release {
        /// What to do with releases.
        #[command(subcommand)]
        command: Option<ReleaseCommand>,
    },
    /// Run only the forum service: discussions of tasks
    #[command(after_help = "Example: slipway forum --grpc-addr 0.0.0.0:50051 \
                      --release-url http://release:50051")]
    Forum,
    /// Run only the chat service: the assistant
    #[command(after_help = "Example: slipway chat --grpc-addr 0.0.0.0:50051 \
                      --release-url http://release:50051 --ollama-url http://ollama:11434")]
    Chat,
    /// Run only the notification service: the activity feed, mails and incidents
    #[command(after_help = "Example: slipway notify --grpc-addr 0.0.0.0:50051 \
                      --release-url http://release:50051")]
    Notify,
    /// Create the Kafka topics, or check those that exist
    ///
    /// Each process also does this when it starts. Topics with another number of
    /// partitions are refused: records with the same key would go to other partitions.
    #[command(after_help = "Example: slipway topics --kafka-brokers kafka-1:9092,kafka-2:9092")]
    Topics {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check the configuration
    Config {
        /// What to do with it.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Sign in to a server, and keep the session for the commands after this one
    ///
    /// The server becomes the default one; the others are used by --server NAME. The session is kept
    /// in slipway/servers.json below XDG_STATE_HOME or ~/.local/state, which only you can read.
    #[command(after_help = "Example: slipway login https://slipway.example.com --name work")]
    Login(LoginArgs),
    /// End the session of a server, and forget it
    #[command(after_help = "Example: slipway logout --server work")]
    Logout(LogoutArgs),
    /// Print who is signed in, and where
    #[command(after_help = "Example: slipway whoami --server work")]
    Whoami(WhoamiArgs),
    /// List the servers that you are signed in to
    #[command(after_help = "Example: slipway servers --default work")]
    Servers(ServersArgs),
    /// Show the task that I am on, those that I can start, and what the others wait for
    #[command(after_help = "Example: slipway next")]
    Next(NextArgs),
    /// Start a task: the given one, or the only one that I can start
    #[command(after_help = "Example: slipway start 'Build images'")]
    Start(TaskArgs),
    /// Complete a task: the given one, or the one that I am on
    #[command(after_help = "Example: slipway done")]
    Done(TaskArgs),
    /// Hand a started task back: the given one, or the one that I am on
    #[command(after_help = "Example: slipway pause --reason 'the build machine is down'")]
    Pause(PauseArgs),
    /// Add an urgent task to a completed release, which reopens it (for administrators)
    #[command(after_help = "Example: slipway hotfix Spring 'Patch the parser' --owner ada")]
    Hotfix(HotfixArgs),
    /// Comment on a task
    #[command(after_help = "Example: slipway comment 'Build images' 'Done but for arm64'")]
    Comment(CommentArgs),
    /// Ask the assistant
    #[command(after_help = "Example: slipway ask what can I work on next")]
    Ask(AskArgs),
    /// List my notifications, newest first
    #[command(after_help = "Example: slipway inbox --limit 5")]
    Inbox(InboxArgs),
    /// Create a release with its tasks from a plan file, through the API
    ///
    /// The plan is a JSON object: {"name", "version"?, "description"?, "tasks": [{"title",
    /// "description"?, "assignee", "orderIndex"?, "dueAt"?, "priority"?, "tags"?,
    /// "remindBeforeMinutes"?, "recurrence"?: {"rule", "timeZone"?, "releaseId"?}}],
    /// "hotfix"?: {the same without "orderIndex"}}; or the same in YAML; or a CSV file with these
    /// names as its header and a row for each task: see docs/plans.md. All of it is checked before
    /// anything is sent.
    #[command(
        after_help = "Example: SLIPWAY_USERNAME=admin slipway import plan.json --create-users"
    )]
    Import(ImportArgs),
    /// Write the plan of a release, or of the one after it
    Plan {
        /// What to do with it.
        #[command(subcommand)]
        command: PlanCommand,
    },
    /// Follow the activity feed
    ///
    /// Prints one line for each entry, until Ctrl-C. It reconnects when the connection is
    /// lost, without missing an entry, and refreshes its token or signs in again when it
    /// expires, if it has a password.
    #[command(after_help = "Example: SLIPWAY_USERNAME=ada slipway watch --type 'task.*' --mine")]
    Watch(WatchArgs),
    /// List, read and replay events that consumers could not handle (for administrators)
    DeadLetters {
        /// What to do with them.
        #[command(subcommand)]
        command: DeadLettersCommand,
    },
    /// Copy the embedded databases, the signing keys and mails into a directory
    ///
    /// Slipway may run meanwhile: the copies show one moment, and whatever was answered before the
    /// backup began is in them. Run it on the same machine and as the same user.
    #[command(
        after_help = "Example: slipway backup /var/backups/slipway/before-upgrade \
                      --data-dir /var/lib/slipway"
    )]
    Backup {
        /// Directory for the backup, which must be empty or missing
        #[arg(value_parser = paths::parser())]
        dir: PathBuf,
    },
    /// Make a data directory from a backup
    ///
    /// Checks the backup and copies it into the data directory, which must be empty or missing.
    #[command(
        after_help = "Example: slipway restore /var/backups/slipway/before-upgrade \
                      --data-dir /var/lib/slipway-restored"
    )]
    Restore {
        /// Directory with the backup
        #[arg(value_parser = paths::parser())]
        dir: PathBuf,
    },
    /// Create the secrets that the processes of a mesh share, each in a file
    ///
    /// Creates those that are missing: jwt-key.pem with the keys that sign tokens, service-secret,
    /// webhook-secret, and admin-password for the first administrator. Give the processes their
    /// names: SLIPWAY_JWT_KEY_FILE, SLIPWAY_SERVICE_SECRET_FILE, SLIPWAY_WEBHOOK_SECRET_FILE,
    /// SLIPWAY_ADMIN_PASSWORD_FILE.
    #[command(after_help = "Example: slipway secrets /etc/slipway/secrets")]
    Secrets {
        /// Directory for the files
        #[arg(value_parser = paths::parser())]
        dir: PathBuf,
    },
    /// Ask a process on this machine whether it can serve
    ///
    /// Asks at the ops address of the same configuration. Fails, and prints what is missing, if it
    /// cannot. For health checks of containers, whose image has no other program.
    #[command(after_help = "Example: slipway healthcheck --ops-addr 127.0.0.1:9464")]
    Healthcheck,
    /// List and verify the audit trail: every change, in a chain of hashes (for administrators)
    Audit {
        /// What to do with it.
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Give an account a new password, on the host of the database
    Admin {
        /// What to do.
        #[command(subcommand)]
        command: AdminCommand,
    },
    /// Print a completion script for a shell
    #[command(after_help = "Example: slipway completions bash > /etc/bash_completion.d/slipway")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the man page, or write one for each command
    #[command(after_help = "Example: slipway man /usr/local/share/man/man1")]
    Man {
        /// Directory to write slipway.1 and the pages of the commands to, instead of printing
        #[arg(value_parser = paths::parser())]
        dir: Option<PathBuf>,
    },
}

/// What else the help of the client commands shows of the configuration.
fn is_of_clients(id: &str) -> bool {
    id == KEYS.http_addr.name || id == "config"
}

impl Cli {
    /// What was said on the command line of this process.
    ///
    /// # Errors
    /// If it is not understood, or asks for help.
    pub fn of_process() -> Result<Self, clap::Error> {
        Self::from_arg_matches(&Self::described().try_get_matches()?)
    }

    /// The command line, with each command's help showing what concerns it: the settings
    /// of servers are accepted everywhere, but shown where a server or the configuration is.
    #[must_use]
    pub fn described() -> clap::Command {
        let mut command = Self::command();
        command.build();
        let command = with_fixed_usage(command);
        command.mut_subcommands(|command| match command.get_name() {
            "import" | "plan" | "watch" | "dead-letters" | "whoami" | "next" | "start" | "done"
            | "pause" | "hotfix" | "comment" | "ask" | "inbox" | "login" => clients(command),
            "release" => hidden(command, &|id| {
                find(id).is_some_and(|key| !key.concerns(Role::Release))
            })
            .mut_subcommands(clients),
            "audit" => audit(command),
            "admin" => without(command, &|id| {
                id == "ready_file" || (find(id).is_some() && !is_of_storage(id))
            }),
            "topics" | "config" | "backup" | "restore" | "healthcheck" => {
                without(command, &|id| id == "ready_file")
            }
            "completions" | "man" | "secrets" | "logout" | "servers" => without(command, &|id| {
                find(id).is_some() || matches!(id, "config" | "ready_file")
            }),
            name => match Role::from_str(name, false) {
                Ok(role) => server(command, role),
                Err(_) => command,
            },
        })
    }
}

/// `command` and those below it with a usage line that is always the same. Otherwise the one in an
/// error shows options that are set in the environment as if they were required.
fn with_fixed_usage(mut command: clap::Command) -> clap::Command {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    command
        .override_usage(usage)
        .mut_subcommands(with_fixed_usage)
}

/// What the commands that use the database themselves show of the configuration.
fn is_of_storage(id: &str) -> bool {
    id == KEYS.data_dir.name || id == KEYS.mongodb_url.name
}

/// `audit`: all but one of its commands ask a server.
fn audit(command: clap::Command) -> clap::Command {
    hidden(command, &|id| find(id).is_some() || id == "ready_file").mut_subcommands(|command| {
        match command.get_name() {
            "verify" => without(command, &|id| {
                id == "ready_file" || (find(id).is_some() && !is_of_storage(id))
            }),
            _ => clients(command),
        }
    })
}

fn clients(command: clap::Command) -> clap::Command {
    without(command, &|id| {
        let configures = find(id).is_some() || id == "ready_file";
        configures && !is_of_clients(id)
    })
}

/// `command` with the help of a server of `role`: the keys that it reads.
fn server(command: clap::Command, role: Role) -> clap::Command {
    without(command, &|id| {
        find(id).is_some_and(|key| !key.concerns(role))
    })
}

/// The name of the configuration file. An empty one is a template that was not filled in.
fn config_file() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|name| match name.is_empty() {
        true => Err("it is empty; name a file or leave out --config and SLIPWAY_CONFIG"),
        false => paths::check(name.as_ref()).map(|()| PathBuf::from(name)),
    })
}

/// `command` and those below it, whose help leaves out some options.
fn without(command: clap::Command, leave_out: &dyn Fn(&str) -> bool) -> clap::Command {
    hidden(command, leave_out).mut_subcommands(|command| without(command, leave_out))
}

/// `command`, whose own help leaves out some options.
fn hidden(command: clap::Command, leave_out: &dyn Fn(&str) -> bool) -> clap::Command {
    command.mut_args(|arg| {
        if leave_out(arg.get_id().as_str()) {
            arg.hide(true)
        } else {
            arg
        }
    })
}

impl Command {
    /// The role that this command serves, if it serves one.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        match self {
            Self::All => Some(Role::All),
            Self::Gateway => Some(Role::Gateway),
            Self::Release { command: None } => Some(Role::Release),
            Self::Forum => Some(Role::Forum),
            Self::Chat => Some(Role::Chat),
            Self::Notify => Some(Role::Notify),
            Self::Topics { .. }
            | Self::Config { .. }
            | Self::Release { command: Some(_) }
            | Self::Login(_)
            | Self::Logout(_)
            | Self::Whoami(_)
            | Self::Servers(_)
            | Self::Next(_)
            | Self::Start(_)
            | Self::Done(_)
            | Self::Pause(_)
            | Self::Hotfix(_)
            | Self::Comment(_)
            | Self::Ask(_)
            | Self::Inbox(_)
            | Self::Import(_)
            | Self::Plan { .. }
            | Self::Watch(_)
            | Self::DeadLetters { .. }
            | Self::Backup { .. }
            | Self::Restore { .. }
            | Self::Healthcheck
            | Self::Secrets { .. }
            | Self::Audit { .. }
            | Self::Admin { .. }
            | Self::Completions { .. }
            | Self::Man { .. } => None,
        }
    }
}

/// What an operator can do with accounts.
#[derive(Subcommand)]
pub enum AdminCommand {
    /// Set the password of an account, for somebody who is locked out
    ///
    /// Prints a random password, or takes one from standard input. With the embedded databases no
    /// server may run meanwhile; with MongoDB it may. The sessions of the account end at their next
    /// refresh, after SLIPWAY_TOKEN_TTL at the latest.
    #[command(after_help = "Example: slipway admin reset-password admin --data-dir \
                      /var/lib/slipway")]
    ResetPassword {
        /// Username or email address
        account: String,
        /// Take the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
}

/// What can be done with the configuration.
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Validate the configuration; print every key, where it comes from, secrets masked
    #[command(after_help = "Example: SLIPWAY_TOKEN_TTL=2h slipway config check --role release")]
    Check {
        /// The role that the configuration is for
        #[arg(long, value_enum, default_value_t = Role::All)]
        role: Role,
        /// Fail if there are unknown SLIPWAY_… names in the environment
        #[arg(long)]
        strict: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Which services a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// All of them, in one process.
    All,
    /// The gateway.
    Gateway,
    /// The release service.
    Release,
    /// The forum service.
    Forum,
    /// The chat service.
    Chat,
    /// The notification service.
    Notify,
}

impl Role {
    /// Whether a process of this role listens for HTTP clients.
    #[must_use]
    pub fn serves_http(self) -> bool {
        matches!(self, Self::All | Self::Gateway)
    }

    /// Whether a process of this role listens for gRPC clients.
    #[must_use]
    pub fn serves_grpc(self) -> bool {
        self != Self::Gateway
    }

    /// As it is written on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Gateway => "gateway",
            Self::Release => "release",
            Self::Forum => "forum",
            Self::Chat => "chat",
            Self::Notify => "notify",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The configuration keys that were given as flags: one flag for each key of the table.
/// Not `Debug`: there may be secrets among them.
#[derive(Clone, Default)]
pub struct Overrides(pub BTreeMap<&'static str, String>);

impl FromArgMatches for Overrides {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = ALL.iter().filter_map(|key| {
            let text = matches.get_one::<String>(key.name)?;
            Some((key.name, text.clone()))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.extend(Self::from_arg_matches(matches)?.0);
        Ok(())
    }
}

impl Args for Overrides {
    fn augment_args(command: clap::Command) -> clap::Command {
        ALL.iter().fold(command, |command, key| {
            let caution = if key.secret {
                "; other users of this machine can see flags, so set it in the environment"
            } else {
                ""
            };
            let (expects, default) = (key.expects(), key.fallback.text());
            let help = format!("{}: {expects}{caution} [default: {default}]", key.help);
            let arg = Arg::new(key.name)
                .long(key.flag())
                .value_name("VALUE")
                // So that the key's format refuses them.
                .allow_negative_numbers(true)
                .help(help)
                .help_heading("Configuration")
                .global(true);
            command.arg(arg)
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests;
