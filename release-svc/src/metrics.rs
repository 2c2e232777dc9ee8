//! This crate's metrics.

use slipway_runtime::telemetry::metrics::Metric;

slipway_runtime::metrics! {
    pub fn describe;
    counter COMMANDS {command} = "slipway_commands_total",
        "Commands carried out, by event type of their first event";
    counter REFUSALS {code} = "slipway_refusals_total", "Commands refused by a rule, by code";
    histogram ATTEMPTS = "slipway_command_attempts_size",
        "Tries a change took because others changed the same release";
    counter REGISTRATIONS {role} = "slipway_registrations_total", "Accounts created, by role";
    counter LOGINS {outcome} = "slipway_logins_total", "Sign-ins, by outcome";
    counter PROVIDER_SIGN_INS {outcome} = "slipway_provider_sign_ins_total",
        "Answers of the identity provider, by outcome (ok, refused, invalid, unavailable, expired \
         or rejected: Slipway itself refused)";
    counter SESSIONS_STARTED {kind} = "slipway_sessions_started_total",
        "Sessions started, by kind of client (api, browser or program)";
    counter SESSIONS_ENDED {reason} = "slipway_sessions_ended_total",
        "Sessions ended, by reason (logout, revoked, refresh_reused or too_many); without those \
         that expired";
    counter SESSION_REFRESHES {outcome} = "slipway_session_refreshes_total",
        "Refreshes of sessions, by outcome (ok, invalid, superseded, reused, ended or expired)";
    counter TASKS_COMPLETED = "slipway_tasks_completed_total", "Tasks completed";
    gauge ACTIVE_DEVELOPERS = "slipway_active_developers",
        "Developers with a task in process. Of the whole database, read from it every 10 s: each \
         replica has the same value, so take the maximum, not the sum";
    gauge RELEASE_TASKS {release, version, state} = "slipway_release_tasks",
        "Tasks of the 20 newest open releases, by name and version of the release and state \
         (completed or open). Of the whole database, read from it every 10 s: take the maximum";
}

/// The declaration of [`RELEASE_TASKS`], whose series come and go.
pub(crate) fn release_tasks() -> Metric {
    let declared = METRICS.iter().find(|metric| metric.name == RELEASE_TASKS);
    *declared.expect("it is declared above")
}
