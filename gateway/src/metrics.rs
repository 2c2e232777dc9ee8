//! The gateway's metrics.

slipway_runtime::metrics! {
    pub(crate) fn describe;
    counter HTTP_REQUESTS = "slipway_http_requests_total",
        "HTTP requests answered, by route, method and status";
    histogram HTTP_SECONDS = "slipway_http_request_duration_seconds",
        "Time to the head of the answer, by route and method";
    gauge STREAM_CLIENTS = "slipway_stream_clients", "Clients connected to the stream of activity";
    counter STREAM_FRAMES = "slipway_stream_frames_sent_total",
        "Live entries sent to clients of the stream";
    counter STREAM_LAGGED = "slipway_stream_lagged_total",
        "Clients of the stream disconnected because they could not keep up";
    counter STREAM_LOST = "slipway_stream_source_lost_total",
        "Times the gateway's own stream from the activity log was lost";
}
