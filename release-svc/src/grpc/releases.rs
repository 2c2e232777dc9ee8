//! The gRPC `ReleaseService`.

use std::sync::Arc;

use slipway_proto::release::v1::{
    AddTaskRequest, AddTaskResponse, CompleteReleaseRequest, CompleteReleaseResponse,
    CreateReleaseRequest, CreateReleaseResponse, GetReleaseRequest, GetReleaseResponse,
    ListReleasesRequest, ListReleasesResponse, ReleaseStatus,
    release_service_server::ReleaseService,
};
use slipway_rpc::{
    access::principal,
    error::{Fault, Kind},
    page,
};
use slipway_store::receipts::{KEY_REUSED, Repeatable};
use tonic::{Request, Response, Status};

use super::{drafts, id, translate};
use crate::{
    commands::{CommandContext, Commands, Target, refuse},
    release::{Decision, Refusal, Release, ReleaseEvent, ReleaseId},
    store::ReleaseFilter,
};

pub(crate) struct Releases {
    pub(crate) commands: Arc<Commands>,
}

#[tonic::async_trait]
impl ReleaseService for Releases {
    async fn create_release(
        &self,
        request: Request<CreateReleaseRequest>,
    ) -> Result<Response<CreateReleaseResponse>, Status> {
        let mut by = by(&request, "CreateRelease")?;
        let request = request.into_inner();
        let once = request.once;
        if once {
            let plan = drafts::comparable(&request);
            let identity = format!("{}\n{}", plan.name, plan.version);
            let of_everybody = Repeatable::of_everybody("CreateRelease", &identity, &plan);
            by.repeatable = Some(of_everybody);
        }
        let created = self.commands.once(&by, self.create(request, &by));
        let created = created.await.map_err(|fault| {
            if once && fault.code == KEY_REUSED {
                exists()
            } else {
                fault
            }
        });
        Ok(Response::new(created?))
    }

    async fn list_releases(
        &self,
        request: Request<ListReleasesRequest>,
    ) -> Result<Response<ListReleasesResponse>, Status> {
        let message = request.into_inner();
        let filter = match message.status() {
            ReleaseStatus::Unspecified if message.status != 0 => {
                let allowed = "must be OPEN or COMPLETED";
                return Err(Fault::invalid_field("status", allowed).into());
            }
            ReleaseStatus::Unspecified => None,
            ReleaseStatus::Open => Some(ReleaseFilter::Open),
            ReleaseStatus::Completed => Some(ReleaseFilter::Completed),
        };
        let list = format!("releases?{filter:?}");
        let limit = page::limit(message.page_size, page::MAX_LIMIT)?;
        let after = page::decode_cursor(&list, &message.page_token)?;
        let found = self.commands.releases().list(filter, after, limit).await;
        let found = found.map_err(Fault::from)?;
        Ok(Response::new(ListReleasesResponse {
            releases: found.items.iter().map(translate::summary).collect(),
            next_page_token: page::encode_cursor(&list, found.next.as_ref()),
        }))
    }

    async fn get_release(
        &self,
        request: Request<GetReleaseRequest>,
    ) -> Result<Response<GetReleaseResponse>, Status> {
        let id: ReleaseId = id("id", &request.get_ref().id)?;
        let found = self.commands.releases().release(id).await;
        let found = found
            .map_err(Fault::from)?
            .ok_or_else(|| refuse(Refusal::ReleaseNotFound(id)))?;
        Ok(Response::new(GetReleaseResponse {
            release: Some(translate::release(&found)),
        }))
    }

    async fn add_task(
        &self,
        request: Request<AddTaskRequest>,
    ) -> Result<Response<AddTaskResponse>, Status> {
        let by = by(&request, "AddTask")?;
        let added = self.commands.once(&by, self.add(request.into_inner(), &by));
        Ok(Response::new(added.await?))
    }

    async fn complete_release(
        &self,
        request: Request<CompleteReleaseRequest>,
    ) -> Result<Response<CompleteReleaseResponse>, Status> {
        let by = CommandContext {
            principal: principal(&request)?,
            repeatable: None,
        };
        let release: ReleaseId = id("id", &request.get_ref().id)?;
        let response = self.commands.change(
            Target::Release(release),
            &by,
            Release::complete,
            |decision| CompleteReleaseResponse {
                release: Some(translate::release(&decision.release)),
            },
        );
        Ok(Response::new(response.await?))
    }
}

impl Releases {
    async fn create(
        &self,
        request: CreateReleaseRequest,
        by: &CommandContext,
    ) -> Result<CreateReleaseResponse, Fault> {
        let draft = drafts::release(&self.commands.stores.users, request).await?;
        let respond = |decision: &Decision| CreateReleaseResponse {
            release: Some(translate::release(&decision.release)),
        };
        self.commands.create(draft, by, respond).await
    }

    async fn add(
        &self,
        request: AddTaskRequest,
        by: &CommandContext,
    ) -> Result<AddTaskResponse, Fault> {
        let release: ReleaseId = id("release_id", &request.release_id)?;
        let draft = drafts::task(&self.commands.stores.users, request.task).await?;
        let change = self.commands.change(
            Target::Release(release),
            by,
            |release, now| release.add_task(draft.clone(), now),
            |decision| AddTaskResponse {
                task: added(decision),
            },
        );
        change.await
    }
}

/// Another request with `once` has just created a release of this name and version.
fn exists() -> Fault {
    Fault::new(
        Kind::Conflict,
        "RELEASE_EXISTS",
        "Somebody has just created another release of this name and version.",
    )
}

fn by<M: prost::Message>(request: &Request<M>, method: &str) -> Result<CommandContext, Fault> {
    let principal = principal(request)?;
    let repeatable = Repeatable::of(request, method, Some(&principal), request.get_ref())?;
    Ok(CommandContext {
        principal,
        repeatable,
    })
}

/// The task that a decision added.
fn added(decision: &Decision) -> Option<slipway_proto::release::v1::Task> {
    decision
        .events
        .iter()
        .find_map(|event| match event {
            ReleaseEvent::TaskCreated(id) => decision.release.placed(*id),
            _ => None,
        })
        .map(translate::placed_task)
}
