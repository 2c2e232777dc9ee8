//! The gateway's metrics: their names and help texts.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// HTTP requests answered, by `route` (its template), `method` and `status`.
pub(crate) const HTTP_REQUESTS: &str = "slipway_http_requests_total";
/// Time to the head of the answer, by `route` and `method`.
pub(crate) const HTTP_SECONDS: &str = "slipway_http_request_duration_seconds";
/// Clients connected to the stream of activity.
pub(crate) const STREAM_CLIENTS: &str = "slipway_stream_clients";
/// Live entries sent to clients of the stream.
pub(crate) const STREAM_FRAMES: &str = "slipway_stream_frames_sent_total";
/// Clients disconnected because they could not keep up.
pub(crate) const STREAM_LAGGED: &str = "slipway_stream_lagged_total";
/// Times the gateway's own stream from the activity log was lost.
pub(crate) const STREAM_LOST: &str = "slipway_stream_source_lost_total";

/// Describes them to the recorder.
pub(crate) fn describe() {
    describe_counter!(
        HTTP_REQUESTS,
        "HTTP requests answered, by route, method and status"
    );
    describe_histogram!(
        HTTP_SECONDS,
        Unit::Seconds,
        "Time to the head of the answer, by route and method"
    );
    describe_gauge!(
        STREAM_CLIENTS,
        "Clients connected to the stream of activity"
    );
    describe_counter!(STREAM_FRAMES, "Live entries sent to clients of the stream");
    describe_counter!(
        STREAM_LAGGED,
        "Clients of the stream disconnected because they could not keep up"
    );
    describe_counter!(
        STREAM_LOST,
        "Times the gateway's own stream from the activity log was lost"
    );
}
