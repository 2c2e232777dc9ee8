//! The names of metadata that calls carry, beside gRPC's own.

/// Metadata with the key under which a client may repeat a command safely.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Metadata with the address of the client behind the gateway. The access layer removes it
/// from a call that does not show a service's token as [`SERVICE_TOKEN`].
pub const CLIENT_ADDRESS: &str = "slipway-client-address";

/// Metadata with the token of the service that forwards a call, beside the user's own token
/// in `authorization`. The access layer removes it: no handler sees it.
pub const SERVICE_TOKEN: &str = "slipway-service-token";
