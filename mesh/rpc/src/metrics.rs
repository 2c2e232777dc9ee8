//! This crate's metrics: calls, connections, and links to services in other processes.

slipway_runtime::metrics! {
    pub fn describe;
    counter RPC_CALLS {method, code} = "slipway_rpc_calls_total", "gRPC calls served, by method and code";
    histogram RPC_SECONDS {method} = "slipway_rpc_duration_seconds", "Time a gRPC call took, by method";
    gauge RPC_IN_FLIGHT = "slipway_rpc_in_flight",
        "gRPC calls that are not answered yet, over the network or within the process";
    gauge CONNECTIONS {listener} = "slipway_connections",
        "Open client connections, by listener (http, grpc or ops)";
    counter CONNECTIONS_REFUSED {listener} = "slipway_connections_refused_total",
        "Client connections refused because all others were busy, by listener";
    counter CONNECTIONS_CLOSED {reason} = "slipway_connections_closed_total",
        "Client connections closed before their client did, by reason (idle: to make room; \
         unread: the same, with an answer that nobody reads; silent: no request came)";
    counter REQUESTS_REFUSED {listener} = "slipway_requests_refused_total",
        "Requests refused because too many were in flight, by listener";
    counter LINK_CALLS {service, code} = "slipway_link_calls_total",
        "gRPC calls made to services in other processes, by service and code";
    counter LINK_RETRIES {service} = "slipway_link_retries_total",
        "Retries of calls without side effects, by service";
    counter LINK_EJECTIONS {service, reason} = "slipway_link_ejections_total",
        "Addresses taken out of rotation, by service and reason (lost or silent)";
    gauge LINK_ADDRESSES {service} = "slipway_link_addresses", "Addresses that accept calls, by service";
    gauge LINK_OPEN {service} = "slipway_link_circuit_open",
        "1 while a service has no address that accepts calls, by service";
}
