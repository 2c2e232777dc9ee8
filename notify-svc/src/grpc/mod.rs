//! `slipway.notify.v1.ActivityService`: proto in, call of the store, proto out.

mod convert;
mod dead_letters;
mod events;
mod incidents;
mod notifications;
mod preferences;
mod templates;
mod watch;

use futures::stream::BoxStream;
use jiff::Timestamp;
use slipway_proto::{
    notify::v1::{
        ActivityServiceListRequest, ActivityServiceListResponse, ActivityServiceWatchRequest,
        ActivityServiceWatchResponse, activity_service_server::ActivityService,
    },
    time::from_proto,
};
use slipway_rpc::{access::principal, error::Fault, page};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

pub(crate) use dead_letters::DeadLetterApi;
pub(crate) use events::EventApi;
pub(crate) use incidents::IncidentApi;
pub(crate) use notifications::NotificationApi;
pub(crate) use preferences::PreferenceApi;
pub(crate) use templates::TemplateApi;

use crate::{newest::Newest, store::activity::ActivityStore};
use watch::Watcher;

/// The service.
pub(crate) struct ActivityApi {
    store: ActivityStore,
    newest: Newest,
    drain: CancellationToken,
}

impl ActivityApi {
    pub(crate) fn new(store: ActivityStore, newest: Newest, drain: CancellationToken) -> Self {
        Self {
            store,
            newest,
            drain,
        }
    }
}

#[tonic::async_trait]
impl ActivityService for ActivityApi {
    async fn list(
        &self,
        request: Request<ActivityServiceListRequest>,
    ) -> Result<Response<ActivityServiceListResponse>, Status> {
        let caller = principal(&request)?;
        let request = request.into_inner();
        let query = convert::query(&request, caller.user_id)?;
        let cursors = query.to_string();
        let rest = match page::decode_cursor(&cursors, &request.page_token)? {
            Some(behind) => query.continued(behind),
            None => query,
        };
        let page = self.store.list(&rest).await.map_err(Fault::from)?;
        Ok(Response::new(ActivityServiceListResponse {
            next_page_token: page::encode_cursor(&cursors, page.next.as_ref()),
            oldest: page.oldest,
            newest: page.newest,
            entries: page.entries.into_iter().map(convert::entry).collect(),
        }))
    }

    type WatchStream = BoxStream<'static, Result<ActivityServiceWatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<ActivityServiceWatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let after = request.into_inner().after;
        let watcher = Watcher::new(
            self.store.clone(),
            self.newest.subscribe(),
            self.drain.clone(),
            after,
        );
        Ok(Response::new(watcher.into_stream()))
    }
}

/// The times between which something happened that is asked for.
///
/// # Errors
/// If one is no time of ours, or nothing can be between them.
fn period(
    from: Option<prost_types::Timestamp>,
    to: Option<prost_types::Timestamp>,
) -> Result<(Option<Timestamp>, Option<Timestamp>), Fault> {
    let time = |field: &str, time: Option<prost_types::Timestamp>| {
        let time = time.map(from_proto).transpose();
        time.map_err(|_| Fault::invalid_field(field, "must be a time of the years -9999 to 9999"))
    };
    let (from, to) = (time("from", from)?, time("to", to)?);
    if to.is_some_and(|to| from.is_some_and(|from| from > to)) {
        return Err(Fault::invalid_field("from", "must not be later than to"));
    }
    Ok((from, to))
}
