//! The identity, release and task services, made up: they answer the same to everybody,
//! remember what they were asked, and fail as they are told.

use std::sync::Mutex;

use async_trait::async_trait;
use prost_types::Timestamp;
use slipway_proto::{
    common::v1::{Role, UserRef},
    identity::v1::{identity_service_server::IdentityService, *},
    release::v1::{release_service_server::ReleaseService, task_service_server::TaskService, *},
};
use slipway_rpc::error::Fault;
use tonic::{Request, Response, Status, metadata::MetadataMap};

pub(crate) const ADA: &str = "0190c2b8-7a5e-7c3f-8f00-0000000000aa";
pub(crate) const RELEASE: &str = "0190c2b8-7a5e-7c3f-8f00-0000000000bb";
pub(crate) const TASK: &str = "0190c2b8-7a5e-7c3f-8f00-0000000000cc";

/// What the services do instead of answering.
pub(crate) enum Trouble {
    Fault(Fault),
    Panic,
    Silence,
}

#[derive(Default)]
pub(crate) struct Core {
    trouble: Mutex<Option<Trouble>>,
    last: Mutex<Option<(MetadataMap, String)>>,
}

impl Core {
    pub(crate) fn fails(&self, fault: Fault) {
        *self.trouble.lock().unwrap() = Some(Trouble::Fault(fault));
    }

    pub(crate) fn panics(&self) {
        *self.trouble.lock().unwrap() = Some(Trouble::Panic);
    }

    pub(crate) fn is_silent(&self) {
        *self.trouble.lock().unwrap() = Some(Trouble::Silence);
    }

    /// What came along with the last call.
    pub(crate) fn metadata(&self, name: &str) -> Option<String> {
        let last = self.last.lock().unwrap();
        let (metadata, _) = last.as_ref()?;
        Some(metadata.get(name)?.to_str().unwrap().to_owned())
    }

    /// The message of the last call, as Rust writes it.
    pub(crate) fn asked(&self) -> String {
        self.last.lock().unwrap().as_ref().unwrap().1.clone()
    }

    pub(super) async fn answer<Q: std::fmt::Debug, A>(
        &self,
        request: Request<Q>,
        answer: A,
    ) -> Result<Response<A>, Status> {
        let (metadata, _, message) = request.into_parts();
        *self.last.lock().unwrap() = Some((metadata, format!("{message:?}")));
        let trouble = self.trouble.lock().unwrap().take();
        match trouble {
            None => Ok(Response::new(answer)),
            Some(Trouble::Fault(fault)) => Err(fault.into()),
            Some(Trouble::Panic) => panic!("told to"),
            Some(Trouble::Silence) => std::future::pending().await,
        }
    }
}

pub(super) fn at(seconds: i64) -> Option<Timestamp> {
    // 2026-03-01T10:00:00Z
    Some(Timestamp {
        seconds: 1_772_359_200 + seconds,
        nanos: 0,
    })
}

pub(super) fn ada() -> Option<UserRef> {
    Some(UserRef {
        id: ADA.into(),
        username: "ada".into(),
    })
}

fn user() -> User {
    User {
        id: ADA.into(),
        username: "ada".into(),
        email: "ada@example.org".into(),
        role: Role::Developer.into(),
        created_at: at(0),
    }
}

fn session() -> Option<Session> {
    Some(Session {
        token: "header.claims.signature".into(),
        expires_at: at(3600),
        user: Some(user()),
    })
}

fn task() -> Task {
    Task {
        id: TASK.into(),
        release_id: RELEASE.into(),
        release_name: "Autumn".into(),
        title: "Write the notes".into(),
        assignee: ada(),
        order_index: 3,
        status: TaskStatus::InProcess.into(),
        created_at: at(0),
        started_at: at(60),
        ..Task::default()
    }
}

fn release() -> Option<Release> {
    Some(Release {
        id: RELEASE.into(),
        name: "Autumn".into(),
        version: "2026.3".into(),
        status: ReleaseStatus::Open.into(),
        tasks: vec![task()],
        progress: Some(Progress {
            total: 1,
            completed: 0,
        }),
        created_by: ada(),
        created_at: at(0),
        revision: 7,
        ..Release::default()
    })
}

#[async_trait]
impl IdentityService for Core {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let session = session();
        self.answer(request, RegisterResponse { session }).await
    }

    async fn login(
        &self,
        request: Request<LoginRequest>,
    ) -> Result<Response<LoginResponse>, Status> {
        let session = session();
        self.answer(request, LoginResponse { session }).await
    }

    async fn get_me(
        &self,
        request: Request<GetMeRequest>,
    ) -> Result<Response<GetMeResponse>, Status> {
        let user = Some(user());
        self.answer(request, GetMeResponse { user }).await
    }

    async fn list_users(
        &self,
        request: Request<ListUsersRequest>,
    ) -> Result<Response<ListUsersResponse>, Status> {
        let answer = ListUsersResponse {
            users: vec![user()],
            next_page_token: "next".into(),
        };
        self.answer(request, answer).await
    }

    async fn resolve_users(
        &self,
        request: Request<ResolveUsersRequest>,
    ) -> Result<Response<ResolveUsersResponse>, Status> {
        let users = vec![user()];
        self.answer(request, ResolveUsersResponse { users }).await
    }

    async fn get_jwks(
        &self,
        request: Request<GetJwksRequest>,
    ) -> Result<Response<GetJwksResponse>, Status> {
        let jwks_json = r#"{"keys":[]}"#.into();
        self.answer(request, GetJwksResponse { jwks_json }).await
    }
}

#[async_trait]
impl ReleaseService for Core {
    async fn create_release(
        &self,
        request: Request<CreateReleaseRequest>,
    ) -> Result<Response<CreateReleaseResponse>, Status> {
        let release = release();
        self.answer(request, CreateReleaseResponse { release })
            .await
    }

    async fn list_releases(
        &self,
        request: Request<ListReleasesRequest>,
    ) -> Result<Response<ListReleasesResponse>, Status> {
        let releases = release().into_iter().collect();
        let next_page_token = String::new();
        let answer = ListReleasesResponse {
            releases,
            next_page_token,
        };
        self.answer(request, answer).await
    }

    async fn get_release(
        &self,
        request: Request<GetReleaseRequest>,
    ) -> Result<Response<GetReleaseResponse>, Status> {
        let release = release();
        self.answer(request, GetReleaseResponse { release }).await
    }

    async fn add_task(
        &self,
        request: Request<AddTaskRequest>,
    ) -> Result<Response<AddTaskResponse>, Status> {
        let task = Some(task());
        self.answer(request, AddTaskResponse { task }).await
    }

    async fn complete_release(
        &self,
        request: Request<CompleteReleaseRequest>,
    ) -> Result<Response<CompleteReleaseResponse>, Status> {
        let release = release();
        self.answer(request, CompleteReleaseResponse { release })
            .await
    }
}

#[async_trait]
impl TaskService for Core {
    async fn list_my_tasks(
        &self,
        request: Request<ListMyTasksRequest>,
    ) -> Result<Response<ListMyTasksResponse>, Status> {
        let blocked_by = Some(Blocker {
            code: "DEVELOPER_BUSY".into(),
            task: Some(task()),
        });
        let free = MyTask {
            task: Some(task()),
            can_start: true,
            blocked_by: None,
        };
        let blocked = MyTask {
            can_start: false,
            blocked_by,
            ..free.clone()
        };
        let answer = ListMyTasksResponse {
            tasks: vec![free, blocked],
            next_page_token: String::new(),
        };
        self.answer(request, answer).await
    }

    async fn get_task(
        &self,
        request: Request<GetTaskRequest>,
    ) -> Result<Response<GetTaskResponse>, Status> {
        let task = Some(task());
        self.answer(request, GetTaskResponse { task }).await
    }

    async fn start_task(
        &self,
        request: Request<StartTaskRequest>,
    ) -> Result<Response<StartTaskResponse>, Status> {
        let task = Some(task());
        self.answer(request, StartTaskResponse { task }).await
    }

    async fn complete_task(
        &self,
        request: Request<CompleteTaskRequest>,
    ) -> Result<Response<CompleteTaskResponse>, Status> {
        let task = Some(task());
        self.answer(request, CompleteTaskResponse { task }).await
    }
}
