//! The gateway's metrics.

slipway_runtime::metrics! {
    pub fn describe;
    counter HTTP_REQUESTS {route, method, status} = "slipway_http_requests_total",
        "HTTP requests answered, by route template, method and status";
    histogram HTTP_SECONDS {route, method} = "slipway_http_request_duration_seconds",
        "Time to the head of the answer, by route template and method";
    gauge HTTP_IN_FLIGHT = "slipway_http_requests_in_flight",
        "HTTP requests that are not answered yet";
    gauge STREAM_CLIENTS = "slipway_stream_clients", "Clients connected to the stream of activity";
    counter STREAM_FRAMES = "slipway_stream_frames_sent_total",
        "Live entries sent to clients of the stream";
    histogram STREAM_LAG_SECONDS = "slipway_stream_lag_seconds",
        "Time from an event to the moment at which the gateway has it for its stream clients";
    counter STREAM_LAGGED = "slipway_stream_lagged_total",
        "Clients of the stream disconnected because they could not keep up";
    counter STREAM_LOST = "slipway_stream_source_lost_total",
        "Times the gateway's own stream from the activity log was lost";
}
