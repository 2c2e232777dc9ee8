//! Names of the metadata keys of calls, in addition to gRPC's own.

/// The idempotency key, with which a client may safely repeat a command.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The id of the client's request, as in the HTTP header of this name.
pub const REQUEST_ID: &str = "x-request-id";

/// The address of the client behind the gateway. The access layer removes it from a call that has
/// no service token in [`SERVICE_TOKEN`].
pub const CLIENT_ADDRESS: &str = "slipway-client-address";

/// What the client behind the gateway calls itself: its `user-agent`. Removed like
/// [`CLIENT_ADDRESS`].
pub const CLIENT_AGENT: &str = "slipway-client-agent";

/// The token of the service that forwards a call, in addition to the user's own token in
/// `authorization`. The access layer removes it, so no handler sees it.
pub const SERVICE_TOKEN: &str = "slipway-service-token";
