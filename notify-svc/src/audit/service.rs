//! `slipway.notify.v1.AuditService`: translates requests, calls the store, translates results.

use jiff::Timestamp;
use slipway_proto::{
    events::FieldChange,
    notify::v1::{
        AuditChange, AuditEntry, AuditFilter, AuditHead, ListAuditEntriesRequest,
        ListAuditEntriesResponse, ListReleaseEvidenceRequest, ListReleaseEvidenceResponse,
        audit_service_server::AuditService,
    },
    time::to_proto,
};
use slipway_rpc::{
    error::{Fault, Kind},
    page,
};
use slipway_runtime::id;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{Entry, Filter, changes, evidence, store::AuditStore};
use crate::{activity::type_patterns, translate::period};

/// The service.
pub(crate) struct AuditApi(pub(crate) AuditStore);

#[tonic::async_trait]
impl AuditService for AuditApi {
    async fn list_audit_entries(
        &self,
        request: Request<ListAuditEntriesRequest>,
    ) -> Result<Response<ListAuditEntriesResponse>, Status> {
        let request = request.into_inner();
        let filter = filter(&request.filter.unwrap_or_default())?;
        let limit = page::limit(request.page_size, page::MAX_LIMIT)?;
        let list = format!("audit?{filter}");
        let after = page::decode_cursor(&list, &request.page_token)?;
        let found = self.0.list(&filter, after, limit).await;
        let found = found.map_err(Fault::from)?;
        Ok(Response::new(ListAuditEntriesResponse {
            next_page_token: page::encode_cursor(&list, found.next.as_ref()),
            entries: found.items.into_iter().map(entry).collect(),
        }))
    }

    async fn list_release_evidence(
        &self,
        request: Request<ListReleaseEvidenceRequest>,
    ) -> Result<Response<ListReleaseEvidenceResponse>, Status> {
        let request = request.into_inner();
        let release = id::parse(&request.release_id)
            .map_err(|error| Fault::invalid_field("release_id", error.to_string()))?;
        let limit = page::limit(request.page_size, page::MAX_LIMIT)?;
        let list = format!("evidence?{release}");
        let after = page::decode_cursor(&list, &request.page_token)?;
        let release = release.to_string();
        // The head is read last, so it is not before an entry that is counted.
        let count = self.0.count_of(&release).await.map_err(Fault::from)?;
        let head = self.0.head().await.map_err(Fault::from)?;
        if count == 0 {
            return Err(not_found().into());
        }
        let found = self.0.history(&release, after, limit).await;
        let found = found.map_err(Fault::from)?;
        let entries = found.items.iter().map(serde_json::to_string);
        let entries = entries.collect::<Result<_, _>>().map_err(Fault::internal)?;
        Ok(Response::new(ListReleaseEvidenceResponse {
            entries_json: entries,
            next_page_token: page::encode_cursor(&list, found.next.as_ref()),
            head: Some(AuditHead {
                number: head.number,
                hash: head.hash,
            }),
            count,
            format: evidence::FORMAT.to_owned(),
        }))
    }
}

fn filter(wanted: &AuditFilter) -> Result<Filter, Fault> {
    let (from, to) = period(wanted.from, wanted.to)?;
    Ok(Filter {
        task: optional_id("filter.task_id", &wanted.task_id)?,
        release: optional_id("filter.release_id", &wanted.release_id)?,
        user: optional_id("filter.user_id", &wanted.user_id)?,
        types: type_patterns(&wanted.types)?,
        from,
        to,
    })
}

fn optional_id(field: &str, text: &str) -> Result<Option<Uuid>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let id = id::parse(text);
    id.map(Some)
        .map_err(|error| Fault::invalid_field(field, error.to_string()))
}

fn entry(entry: Entry) -> AuditEntry {
    let time = |text: &str| text.parse::<Timestamp>().ok().map(to_proto);
    let actor = slipway_proto::common::v1::UserRef {
        id: entry.actor_id.clone(),
        username: entry.actor_name.clone(),
    };
    AuditEntry {
        changes: changes::of(&entry).into_iter().map(change).collect(),
        number: entry.number,
        time: time(&entry.time),
        recorded_at: time(&entry.recorded_at),
        actor: (!entry.actor_id.is_empty()).then_some(actor),
        event_id: entry.event_id,
        r#type: entry.event_type,
        request_id: entry.request_id,
        trace_id: entry.trace_id,
        address: entry.address,
        subject: entry.subject,
        release_id: entry.release_id,
        task_id: entry.task_id,
        user_id: entry.user_id,
        data_json: entry.data,
        previous_hash: entry.previous_hash,
        hash: entry.hash,
    }
}

fn change(change: FieldChange) -> AuditChange {
    AuditChange {
        field: change.field,
        from_json: change.from.to_string(),
        to_json: change.to.to_string(),
    }
}

fn not_found() -> Fault {
    Fault::new(
        Kind::NotFound,
        "RELEASE_NOT_FOUND",
        "Nothing is recorded of a release with this id.",
    )
}
