//! Fake identity, release and task services: they give every caller the same answer, record the
//! last request, and can be made to fail.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use futures::stream::{Pending, pending};
use prost_types::Timestamp;
use slipway_proto::{
    common::v1::{Role, UserRef},
    identity::v1::{identity_service_server::IdentityService, *},
    release::v1::{release_service_server::ReleaseService, task_service_server::TaskService, *},
};
use slipway_rpc::error::{Fault, Kind};
use tonic::{Request, Response, Status, metadata::MetadataMap};

pub(crate) const ADA: &str = "0190c2b8-7a5e-7c3f-8f00-0000000000aa";
pub(crate) const RELEASE: &str = "0190c2b8-7a5e-7c3f-8f00-0000000000bb";
pub(crate) const TASK: &str = "0190c2b8-7a5e-7c3f-8f00-0000000000cc";

/// The value of the cookie.
pub(crate) const SECRET: &str = "slb_1_2";

/// The text of a token for programs.
pub(crate) const PROGRAM: &str = "slp_1_2";

/// What a service does instead of answering.
pub(crate) enum Trouble {
    Fault(Fault),
    Panic,
    Silence,
}

#[derive(Default)]
pub(crate) struct Core {
    trouble: Mutex<Option<Trouble>>,
    last: Mutex<Option<(MetadataMap, String)>>,
    /// The token that the cookie and the token for programs are exchanged for.
    pub(super) token: Mutex<String>,
    exchanges: AtomicUsize,
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

    /// How often the cookie or the token for programs was exchanged.
    pub(crate) fn exchanges(&self) -> usize {
        self.exchanges.load(Ordering::Relaxed)
    }

    /// A metadata value of the last call.
    pub(crate) fn metadata(&self, name: &str) -> Option<String> {
        let last = self.last.lock().unwrap();
        let (metadata, _) = last.as_ref()?;
        Some(metadata.get(name)?.to_str().unwrap().to_owned())
    }

    /// The message of the last call, in `Debug` format.
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
        display_name: "Ada Lovelace".into(),
    }
}

fn account() -> Account {
    Account {
        user: Some(user()),
        state: AccountState::Active.into(),
        open_tasks: Some(3),
        takes_password: true,
    }
}

fn session() -> Option<Session> {
    Some(Session {
        token: "header.claims.signature".into(),
        expires_at: at(3600),
        user: Some(user()),
        refresh_token: "slr_1_2".into(),
        refresh_expires_at: at(86_400),
        session_id: RELEASE.into(),
    })
}

fn summary() -> SessionSummary {
    SessionSummary {
        id: RELEASE.into(),
        kind: SessionKind::Browser.into(),
        user_agent: "Firefox".into(),
        address: String::new(),
        created_at: at(0),
        last_seen_at: at(60),
        expires_at: at(86_400),
        current: true,
    }
}

fn program_token() -> Option<ProgramToken> {
    Some(ProgramToken {
        id: RELEASE.into(),
        name: "nightly build".into(),
        scope: TokenScope::Work.into(),
        prefix: "slp_1".into(),
        created_at: at(0),
        expires_at: at(86_400),
        last_used_at: None,
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
        revision: 5,
        priority: TaskPriority::Normal.into(),
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

/// Implements a service for [`Core`]: methods with a fixed answer, and, after a `;`, methods
/// written in full.
macro_rules! answers {
    (
        $service:ident:
        $($method:ident($request:ident) -> $response:ident $fields:tt)*
        $(; $($other:tt)*)?
    ) => {
        #[tonic::async_trait]
        impl $service for Core {
            $(
                async fn $method(
                    &self,
                    request: Request<$request>,
                ) -> Result<Response<$response>, Status> {
                    self.answer(request, $response $fields).await
                }
            )*

            $($($other)*)?
        }
    };
}
pub(super) use answers;

answers! { IdentityService:
    register(RegisterRequest) -> RegisterResponse { session: session() }
    login(LoginRequest) -> LoginResponse { session: session() }
    get_me(GetMeRequest) -> GetMeResponse {
        user: Some(user()),
        revision: 4,
        pending_email: String::new(),
        has_password: true,
        email_from_provider: false,
    }
    update_me(UpdateMeRequest) -> UpdateMeResponse {
        user: Some(user()),
        revision: 5,
        pending_email: "ada@other.example".into(),
        has_password: true,
        email_from_provider: false,
    }
    confirm_email(ConfirmEmailRequest) -> ConfirmEmailResponse {}
    list_users(ListUsersRequest) -> ListUsersResponse {
        users: vec![user()],
        next_page_token: "next".into(),
    }
    resolve_users(ResolveUsersRequest) -> ResolveUsersResponse { users: vec![user()] }
    get_jwks(GetJwksRequest) -> GetJwksResponse { jwks_json: r#"{"keys":[]}"#.into() }
    refresh_session(RefreshSessionRequest) -> RefreshSessionResponse { session: session() }
    logout(LogoutRequest) -> LogoutResponse {}
    list_sessions(ListSessionsRequest) -> ListSessionsResponse {
        sessions: vec![summary()],
        next_page_token: "next".into(),
    }
    end_session(EndSessionRequest) -> EndSessionResponse {}
    end_all_sessions(EndAllSessionsRequest) -> EndAllSessionsResponse {}
    change_password(ChangePasswordRequest) -> ChangePasswordResponse {}
    request_password_reset(RequestPasswordResetRequest) -> RequestPasswordResetResponse {}
    reset_password(ResetPasswordRequest) -> ResetPasswordResponse {}
    send_account_link(SendAccountLinkRequest) -> SendAccountLinkResponse {
        account: Some(account()),
    }
    issue_link_secret(IssueLinkSecretRequest) -> IssueLinkSecretResponse {
        secret: "sll_1_2".into(),
    }
    create_token(CreateTokenRequest) -> CreateTokenResponse {
        token: program_token(),
        secret: PROGRAM.into(),
    }
    list_tokens(ListTokensRequest) -> ListTokensResponse {
        tokens: program_token().into_iter().collect(),
        next_page_token: "next".into(),
    }
    revoke_token(RevokeTokenRequest) -> RevokeTokenResponse {}
    list_accounts(ListAccountsRequest) -> ListAccountsResponse {
        accounts: vec![account()],
        next_page_token: "next".into(),
    }
    get_account(GetAccountRequest) -> GetAccountResponse { account: Some(account()) }
    create_account(CreateAccountRequest) -> CreateAccountResponse { account: Some(account()) }
    update_account(UpdateAccountRequest) -> UpdateAccountResponse { account: Some(account()) }
    start_browser_session(StartBrowserSessionRequest) -> StartBrowserSessionResponse {
        secret: SECRET.into(),
        expires_at: at(86_400),
        user: Some(user()),
    };

    async fn get_sign_in_options(
        &self,
        request: Request<GetSignInOptionsRequest>,
    ) -> Result<Response<GetSignInOptionsResponse>, Status> {
        let options = GetSignInOptionsResponse {
            passwords: true,
            provider: None,
            registration: true,
        };
        self.answer(request, options).await
    }

    async fn start_provider_sign_in(
        &self,
        request: Request<StartProviderSignInRequest>,
    ) -> Result<Response<StartProviderSignInResponse>, Status> {
        self.answer(request, StartProviderSignInResponse::default())
            .await
    }

    async fn finish_provider_sign_in(
        &self,
        request: Request<FinishProviderSignInRequest>,
    ) -> Result<Response<FinishProviderSignInResponse>, Status> {
        self.answer(request, FinishProviderSignInResponse::default())
            .await
    }

    async fn exchange_session(
        &self,
        request: Request<ExchangeSessionRequest>,
    ) -> Result<Response<ExchangeSessionResponse>, Status> {
        if request.get_ref().secret != SECRET {
            let fault = Fault::new(Kind::Unauthenticated, "INVALID_SESSION", "No.");
            return Err(fault.into());
        }
        self.exchanges.fetch_add(1, Ordering::Relaxed);
        let token = self.token.lock().unwrap().clone();
        Ok(Response::new(ExchangeSessionResponse {
            token,
            expires_at: at(3600),
        }))
    }

    async fn exchange_token(
        &self,
        request: Request<ExchangeTokenRequest>,
    ) -> Result<Response<ExchangeTokenResponse>, Status> {
        if request.get_ref().secret != PROGRAM {
            let fault = Fault::new(Kind::Unauthenticated, "INVALID_TOKEN", "No.");
            return Err(fault.into());
        }
        self.exchanges.fetch_add(1, Ordering::Relaxed);
        let token = self.token.lock().unwrap().clone();
        Ok(Response::new(ExchangeTokenResponse {
            token,
            expires_at: at(3600),
        }))
    }

    type WatchEndedSessionsStream = Pending<Result<WatchEndedSessionsResponse, Status>>;

    async fn watch_ended_sessions(
        &self,
        _request: Request<WatchEndedSessionsRequest>,
    ) -> Result<Response<Self::WatchEndedSessionsStream>, Status> {
        Ok(Response::new(pending()))
    }
}

answers! { ReleaseService:
    create_release(CreateReleaseRequest) -> CreateReleaseResponse { release: release() }
    list_releases(ListReleasesRequest) -> ListReleasesResponse {
        releases: release().into_iter().collect(),
        next_page_token: String::new(),
    }
    get_release(GetReleaseRequest) -> GetReleaseResponse {
        readiness: vec![Readiness::default(); release().map_or(0, |release| release.tasks.len())],
        release: release(),
    }
    add_task(AddTaskRequest) -> AddTaskResponse { task: Some(task()) }
    update_release(UpdateReleaseRequest) -> UpdateReleaseResponse { release: release() }
    delete_release(DeleteReleaseRequest) -> DeleteReleaseResponse {}
    complete_release(CompleteReleaseRequest) -> CompleteReleaseResponse { release: release() }
}

fn my_tasks() -> Vec<MyTask> {
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
    vec![free, blocked]
}

answers! { TaskService:
    list_my_tasks(ListMyTasksRequest) -> ListMyTasksResponse {
        tasks: my_tasks(),
        next_page_token: String::new(),
    }
    list_tasks(ListTasksRequest) -> ListTasksResponse {
        tasks: vec![task()],
        next_page_token: "next".into(),
    }
    get_task(GetTaskRequest) -> GetTaskResponse {
        task: Some(task()),
        readiness: Some(Readiness::default()),
    }
    start_task(StartTaskRequest) -> StartTaskResponse { task: Some(task()) }
    pause_task(PauseTaskRequest) -> PauseTaskResponse { task: Some(task()) }
    update_task(UpdateTaskRequest) -> UpdateTaskResponse { task: Some(task()) }
    delete_task(DeleteTaskRequest) -> DeleteTaskResponse {}
    complete_task(CompleteTaskRequest) -> CompleteTaskResponse { task: Some(task()) }
}
