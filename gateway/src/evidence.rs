//! The evidence of a release, written page by page: a long history is never in memory as a whole. If
//! a page cannot be read, the response breaks off, and what has arrived is not JSON.

use std::io;

use bytes::Bytes;
use futures::{Stream, stream};
use jiff::Timestamp;
use serde_json::json;
use slipway_proto::notify::v1::{
    ListReleaseEvidenceRequest, ListReleaseEvidenceResponse,
    audit_service_client::AuditServiceClient,
};
use slipway_rpc::grpc::{Link, Outbound};
use tonic::Status;

use crate::model::Id;

/// Entries that are read at a time.
const PAGE: i32 = 200;

/// The pages of a release's history.
pub(crate) struct Pages {
    client: AuditServiceClient<Link>,
    outbound: Outbound,
    release: Id,
    token: String,
}

impl Pages {
    /// Reads for the client of `outbound`.
    pub(crate) fn new(client: AuditServiceClient<Link>, outbound: Outbound, release: Id) -> Self {
        Self {
            client,
            outbound,
            release,
            token: String::new(),
        }
    }

    /// The next page.
    ///
    /// # Errors
    /// If there is no history, or it cannot be read.
    pub(crate) async fn next(&mut self) -> Result<ListReleaseEvidenceResponse, Status> {
        let request = self.outbound.request(ListReleaseEvidenceRequest {
            release_id: self.release.to_string(),
            page_size: PAGE,
            page_token: std::mem::take(&mut self.token),
        });
        let page = self.client.list_release_evidence(request).await?;
        let page = page.into_inner();
        self.token.clone_from(&page.next_page_token);
        Ok(page)
    }
}

/// What is still to be written.
struct Rest {
    pages: Pages,
    /// The page that was read and not written yet.
    read: Option<ListReleaseEvidenceResponse>,
    /// How many entries are missing. Later ones are not part of the document.
    missing: u64,
    is_first: bool,
}

/// The document, which begins with the page `first`.
pub(crate) fn document(
    pages: Pages,
    first: ListReleaseEvidenceResponse,
    now: Timestamp,
) -> impl Stream<Item = io::Result<Bytes>> {
    let head = first.head.clone().unwrap_or_default();
    let begin = json!({
        "format": first.format,
        "releaseId": pages.release,
        "generatedAt": now,
        "head": {"number": head.number, "hash": head.hash},
        "count": first.count,
    });
    // Without its closing brace: the entries follow.
    let mut begin = begin.to_string();
    begin.pop();
    begin.push_str(",\"entries\":[");
    let rest = Rest {
        pages,
        missing: first.count,
        read: Some(first),
        is_first: true,
    };
    let begin = stream::iter([Ok(Bytes::from(begin))]);
    futures::StreamExt::chain(begin, stream::try_unfold(Some(rest), write))
}

/// Writes a page, or the end behind the last one.
async fn write(rest: Option<Rest>) -> io::Result<Option<(Bytes, Option<Rest>)>> {
    let Some(mut rest) = rest else {
        return Ok(None);
    };
    if rest.missing == 0 {
        return Ok(Some((Bytes::from_static(b"]}"), None)));
    }
    let page = match rest.read.take() {
        Some(page) => page,
        None => rest.pages.next().await.map_err(io::Error::other)?,
    };
    let mut text = String::new();
    let wanted = usize::try_from(rest.missing).unwrap_or(usize::MAX);
    for entry in page.entries_json.into_iter().take(wanted) {
        if !std::mem::take(&mut rest.is_first) {
            text.push(',');
        }
        text.push_str(&entry);
        rest.missing -= 1;
    }
    if rest.missing > 0 && rest.pages.token.is_empty() {
        return Err(io::Error::other("the history ends too early"));
    }
    Ok(Some((Bytes::from(text), Some(rest))))
}
