//! `slipway.notify.v1.LogService`: translates requests, reads the sources, translates results.

use slipway_proto::{
    notify::v1::{
        self, ListLogEntriesRequest, ListLogEntriesResponse, log_service_server::LogService,
    },
    time::to_proto,
};
use slipway_rpc::{error::Fault, page};
use tonic::{Request, Response, Status};

use super::{Cursor, Entry, Filter, Kind, merge, sources::Sources};
use crate::translate;

/// Maximum number of characters of a text to search for.
const LONGEST_TEXT: usize = 200;

/// The service.
pub(crate) struct LogApi(pub(crate) Sources);

#[tonic::async_trait]
impl LogService for LogApi {
    async fn list_log_entries(
        &self,
        request: Request<ListLogEntriesRequest>,
    ) -> Result<Response<ListLogEntriesResponse>, Status> {
        let request = request.into_inner();
        let filter = filter(&request.filter.unwrap_or_default())?;
        let limit = page::limit(request.page_size, page::MAX_LIMIT)?;
        let list = format!("log?{filter:?}");
        let cursor: Option<Cursor> = page::decode_cursor(&list, &request.page_token)?;
        let cursor = cursor.unwrap_or_default();
        let mut parts = Vec::new();
        for kind in Kind::ALL.into_iter().filter(|kind| filter.includes(*kind)) {
            let reached = cursor.get(&kind).copied();
            // One more than the page has, to know whether another page follows.
            let part = self.0.part(kind, &filter, reached, limit + 1).await;
            parts.extend(part.map_err(Fault::from)?);
        }
        let (entries, next) = merge(&cursor, parts, limit as usize);
        Ok(Response::new(ListLogEntriesResponse {
            entries: entries.into_iter().map(entry).collect(),
            next_page_token: page::encode_cursor(&list, next.as_ref()),
        }))
    }
}

fn filter(wanted: &v1::LogFilter) -> Result<Filter, Fault> {
    let (from, to) = translate::period(wanted.from, wanted.to)?;
    let kinds = wanted.kinds.iter().map(|kind| kind_of(*kind));
    let mut kinds: Vec<_> = kinds.collect::<Result<_, _>>()?;
    kinds.sort_unstable();
    kinds.dedup();
    let text = wanted.text.to_lowercase();
    if text.chars().count() > LONGEST_TEXT {
        let message = format!("must have at most {LONGEST_TEXT} characters");
        return Err(Fault::invalid_field("filter.text", message));
    }
    Ok(Filter {
        kinds,
        from,
        to,
        text: Some(text).filter(|text| !text.is_empty()),
    })
}

fn kind_of(kind: i32) -> Result<Kind, Fault> {
    match v1::LogKind::try_from(kind) {
        Ok(v1::LogKind::Incident) => Ok(Kind::Incident),
        Ok(v1::LogKind::DeadLetter) => Ok(Kind::DeadLetter),
        Ok(v1::LogKind::FailedNotification) => Ok(Kind::FailedNotification),
        Ok(v1::LogKind::Act) => Ok(Kind::Act),
        Ok(v1::LogKind::Unspecified) | Err(_) => {
            let allowed = "must be INCIDENT, DEAD_LETTER, FAILED_NOTIFICATION or ACT";
            Err(Fault::invalid_field("filter.kinds", allowed))
        }
    }
}

fn entry(entry: Entry) -> v1::LogEntry {
    let kind = match entry.kind {
        Kind::Incident => v1::LogKind::Incident,
        Kind::DeadLetter => v1::LogKind::DeadLetter,
        Kind::FailedNotification => v1::LogKind::FailedNotification,
        Kind::Act => v1::LogKind::Act,
    };
    v1::LogEntry {
        kind: kind.into(),
        id: entry.id,
        time: Some(to_proto(entry.time)),
        summary: entry.summary,
        detail: entry.detail,
        r#type: entry.event_type,
        actor: entry.actor.as_ref().map(translate::user),
        open: entry.open,
        release_id: entry.release_id,
        task_id: entry.task_id,
    }
}
