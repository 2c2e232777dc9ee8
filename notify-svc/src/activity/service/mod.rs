//! `slipway.notify.v1.ActivityService`: translates requests, calls the store, translates results.

mod translate;
mod watch;

use futures::stream::BoxStream;
use slipway_proto::notify::v1::{
    ActivityServiceListRequest, ActivityServiceListResponse, ActivityServiceWatchRequest,
    ActivityServiceWatchResponse, activity_service_server::ActivityService,
};
use slipway_rpc::{access::principal, error::Fault, page};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{log_end::LogEnd, store::ActivityStore};
pub(crate) use translate::type_patterns;
use watch::Watcher;

/// The service.
pub(crate) struct ActivityApi {
    store: ActivityStore,
    log_end: LogEnd,
    drain: CancellationToken,
}

impl ActivityApi {
    pub(crate) fn new(store: ActivityStore, log_end: LogEnd, drain: CancellationToken) -> Self {
        Self {
            store,
            log_end,
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
        let query = translate::query(&request, caller.user_id)?;
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
            entries: page.entries.into_iter().map(translate::entry).collect(),
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
            self.log_end.subscribe(),
            self.drain.clone(),
            after,
        );
        Ok(Response::new(watcher.into_stream()))
    }
}
