//! The stored collections of all services, for the documentation.

use slipway_store::Schema;

/// The collections of each service, with the service's name.
pub const ALL: &[(&str, Schema)] = &[
    (release_svc::SERVICE, release_svc::store::COLLECTIONS),
    (forum_svc::SERVICE, forum_svc::store::COLLECTIONS),
    (chat_svc::SERVICE, chat_svc::store::COLLECTIONS),
    (notify_svc::SERVICE, notify_svc::store::COLLECTIONS),
];
