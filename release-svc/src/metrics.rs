//! The metrics of this crate.

use metrics::{describe_counter, describe_histogram};

/// Commands carried out, by `command`.
pub const COMMANDS: &str = "slipway_commands_total";
/// Commands refused by a rule, by `code`.
pub const REFUSALS: &str = "slipway_refusals_total";
/// Tries a change took because others changed the same release: 1 is the usual.
pub const ATTEMPTS: &str = "slipway_command_attempts_size";
/// Accounts created, by `role`.
pub const REGISTRATIONS: &str = "slipway_registrations_total";
/// Sign-ins, by `outcome`: ok, refused, throttled.
pub const LOGINS: &str = "slipway_logins_total";

pub(crate) fn describe() {
    describe_counter!(
        COMMANDS,
        "Commands carried out, by event type of their first event"
    );
    describe_counter!(REFUSALS, "Commands refused by a rule, by code");
    describe_histogram!(
        ATTEMPTS,
        "Tries a change took because others changed the same release"
    );
    describe_counter!(REGISTRATIONS, "Accounts created, by role");
    describe_counter!(LOGINS, "Sign-ins, by outcome");
}
