//! What the visitor has read.

use axum::response::Response;
use slipway_proto::notify::v1::UpdateReadPositionRequest;
use slipway_rpc::error::Fault;

use super::Sent;

/// Marks what a page shows as read.
pub(super) async fn mark(sent: Sent) -> Response {
    let request = sent.request(UpdateReadPositionRequest {
        sequence: sent.fields.get("sequence").parse().ok(),
        notification_id: sent.line("notification"),
    });
    let mut service = sent.services().reading.clone();
    let answer = service.update_read_position(request).await;
    let outcome = answer.map(|_| sent.back()).map_err(Fault::from);
    sent.end(outcome).await
}
