//! The gRPC `ReleaseService`.

use std::sync::Arc;

use jiff::Timestamp;
use prost::Message as _;
use slipway_proto::release::v1::{
    AddTaskRequest, AddTaskResponse, CompleteReleaseRequest, CompleteReleaseResponse,
    CreateReleaseRequest, CreateReleaseResponse, DeleteReleaseRequest, DeleteReleaseResponse,
    GetReleaseRequest, GetReleaseResponse, ListReleasesRequest, ListReleasesResponse,
    ReleaseStatus, UpdateReleaseRequest, UpdateReleaseResponse,
    release_service_server::ReleaseService,
};
use slipway_rpc::{
    access::principal,
    error::{Fault, Kind},
    page,
};
use slipway_store::receipts::{KEY_REUSED, RECEIPT_TTL, Repeatable};
use tonic::{Request, Response, Status};

use super::{drafts, id, revision, translate};
use crate::{
    commands::{CommandContext, Commands, Target, refuse},
    identity::UserId,
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
            by.repeatable = Some(self.once(&request).await?);
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
        let developer = UserId(principal(&request)?.user_id);
        let id: ReleaseId = id("id", &request.get_ref().id)?;
        let releases = self.commands.releases();
        let found = releases.release(id).await;
        let found = found
            .map_err(Fault::from)?
            .ok_or_else(|| refuse(Refusal::ReleaseNotFound(id)))?;
        let active = releases.work_beside(&found, developer).await;
        let readiness = found.readiness(developer, active.map_err(Fault::from)?.as_ref());
        let readiness = readiness.into_iter().map(translate::short_readiness);
        Ok(Response::new(GetReleaseResponse {
            release: Some(translate::release(&found)),
            readiness: readiness.collect(),
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
        let id = id("id", &request.get_ref().id)?;
        let changed = self.change(&request, id, Release::complete, |release| {
            CompleteReleaseResponse {
                release: Some(translate::release(release)),
            }
        });
        Ok(Response::new(changed.await?))
    }

    async fn update_release(
        &self,
        request: Request<UpdateReleaseRequest>,
    ) -> Result<Response<UpdateReleaseResponse>, Status> {
        let message = request.get_ref();
        let (id, on) = (id("id", &message.id)?, revision(message.revision));
        let change = drafts::release_change(message)?;
        let step = |release: &Release, _| release.change(on, change.clone());
        let changed = self.change(&request, id, step, |release| UpdateReleaseResponse {
            release: Some(translate::release(release)),
        });
        Ok(Response::new(changed.await?))
    }

    async fn delete_release(
        &self,
        request: Request<DeleteReleaseRequest>,
    ) -> Result<Response<DeleteReleaseResponse>, Status> {
        let message = request.get_ref();
        let (id, on) = (id("id", &message.id)?, revision(message.revision));
        let step = |release: &Release, now| release.delete(on, now);
        let changed = self.change(&request, id, step, |_| DeleteReleaseResponse {});
        Ok(Response::new(changed.await?))
    }
}

impl Releases {
    /// Changes a release by `step`; without an idempotency key.
    async fn change<M: Sync, R: prost::Message>(
        &self,
        request: &Request<M>,
        release: ReleaseId,
        step: impl Fn(&Release, Timestamp) -> Result<Decision, Refusal> + Send + Sync,
        respond: fn(&Release) -> R,
    ) -> Result<R, Fault> {
        let by = CommandContext {
            principal: principal(request)?,
            repeatable: None,
        };
        let respond = |decision: &Decision| respond(&decision.release);
        let change = self
            .commands
            .change(Target::Release(release), &by, step, respond);
        change.await
    }

    /// Identifies the creation of this plan, by anybody. Once its release is deleted, the plan can
    /// be created again: its identity then includes the deleted release.
    async fn once(&self, request: &CreateReleaseRequest) -> Result<Repeatable, Fault> {
        let plan = drafts::comparable(request);
        let mut identity = format!("{}\n{}", plan.name, plan.version);
        loop {
            let once = Repeatable::of_everybody("CreateRelease", &identity, &plan);
            let since = self.commands.clock.now() - RECEIPT_TTL;
            let receipts = &self.commands.stores.receipts;
            let Some(receipt) = receipts.receipt(once.key().clone(), since).await? else {
                return Ok(once);
            };
            let created = CreateReleaseResponse::decode(&*receipt.response);
            let created =
                created.map_err(|error| Fault::internal(format_args!("a receipt: {error}")))?;
            let id = created.release.unwrap_or_default().id;
            let release: ReleaseId = self::id("release", &id)?;
            if self.commands.releases().release(release).await?.is_some() {
                return Ok(once);
            }
            identity = format!("{identity}\n{id}");
        }
    }

    async fn create(
        &self,
        request: CreateReleaseRequest,
        by: &CommandContext,
    ) -> Result<CreateReleaseResponse, Fault> {
        let draft = drafts::release(&self.commands.stores, request).await?;
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
        let draft = drafts::task(&self.commands.stores, request.task).await?;
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
