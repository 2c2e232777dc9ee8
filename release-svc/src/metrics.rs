//! This crate's metrics.

slipway_runtime::metrics! {
    pub fn describe;
    counter COMMANDS = "slipway_commands_total",
        "Commands carried out, by event type of their first event";
    counter REFUSALS = "slipway_refusals_total", "Commands refused by a rule, by code";
    histogram ATTEMPTS = "slipway_command_attempts_size",
        "Tries a change took because others changed the same release";
    counter REGISTRATIONS = "slipway_registrations_total", "Accounts created, by role";
    counter LOGINS = "slipway_logins_total", "Sign-ins, by outcome";
}
