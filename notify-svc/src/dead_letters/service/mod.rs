//! `slipway.notify.v1.DeadLetterService`: translates requests, calls [`Replays`], translates
//! results.

mod translate;

use slipway_proto::notify::v1::{
    GetDeadLetterRequest, GetDeadLetterResponse, ListDeadLettersRequest, ListDeadLettersResponse,
    ReplayDeadLetterRequest, ReplayDeadLetterResponse, ReplayDeadLettersRequest,
    ReplayDeadLettersResponse, dead_letter_service_server::DeadLetterService,
};
use slipway_rpc::{error::Fault, page};
use tonic::{Request, Response, Status};

use super::replay::Replays;

/// The service.
pub(crate) struct DeadLetterApi {
    replays: Replays,
}

impl DeadLetterApi {
    pub(crate) fn new(replays: Replays) -> Self {
        Self { replays }
    }
}

#[tonic::async_trait]
impl DeadLetterService for DeadLetterApi {
    async fn list_dead_letters(
        &self,
        request: Request<ListDeadLettersRequest>,
    ) -> Result<Response<ListDeadLettersResponse>, Status> {
        let request = request.into_inner();
        let filter = translate::filter(request.filter)?;
        self.replays.check_names(&filter).await?;
        let limit = page::limit(request.page_size, page::MAX_LIMIT)?;
        let list = format!("dead-letters?{filter}");
        let after = page::decode_cursor(&list, &request.page_token)?;
        let found = self.replays.store().list(&filter, after, limit).await;
        let found = found.map_err(Fault::from)?;
        Ok(Response::new(ListDeadLettersResponse {
            next_page_token: page::encode_cursor(&list, found.next.as_ref()),
            dead_letters: found.items.into_iter().map(translate::summary).collect(),
        }))
    }

    async fn get_dead_letter(
        &self,
        request: Request<GetDeadLetterRequest>,
    ) -> Result<Response<GetDeadLetterResponse>, Status> {
        let id = translate::id(&request.into_inner().id)?;
        let found = self.replays.get(id).await?;
        Ok(Response::new(GetDeadLetterResponse {
            dead_letter: Some(translate::dead_letter(found)),
        }))
    }

    async fn replay_dead_letter(
        &self,
        request: Request<ReplayDeadLetterRequest>,
    ) -> Result<Response<ReplayDeadLetterResponse>, Status> {
        let mut replay = translate::replay(&request)?;
        let request = request.into_inner();
        replay.edited = request.edited_payload;
        let replayed = self
            .replays
            .one(translate::id(&request.id)?, replay)
            .await?;
        Ok(Response::new(ReplayDeadLetterResponse {
            dead_letter: Some(translate::dead_letter(replayed)),
        }))
    }

    async fn replay_dead_letters(
        &self,
        request: Request<ReplayDeadLettersRequest>,
    ) -> Result<Response<ReplayDeadLettersResponse>, Status> {
        let replay = translate::replay(&request)?;
        let request = request.into_inner();
        let filter = translate::replayed(request.filter, request.all)?;
        self.replays.check_names(&filter).await?;
        let many = self.replays.many(filter, replay, request.dry_run).await?;
        let texts = |ids: Vec<_>| ids.iter().map(ToString::to_string).collect();
        Ok(Response::new(ReplayDeadLettersResponse {
            ids: texts(many.ids),
            more: many.more,
            group_gone: texts(many.group_gone),
        }))
    }
}
