//! Starts a forum-svc with a fake release-svc, which has one task and two users, records the
//! callers, and can be made unavailable.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use forum_svc::{Dependencies, Stores};
use jiff::SignedDuration;
use slipway_bus::{Bus as _, EmbeddedBus, Event, SharedBus, TopicSpec};
use slipway_proto::{
    DESCRIPTOR_SET,
    common::v1::UserRef,
    events::{FORUM, TOPICS},
    fake,
    forum::v1::{
        Comment, GetCommentRequest, ListCommentsRequest, PostCommentRequest, PostReplyRequest,
        forum_service_client::ForumServiceClient,
    },
    identity::v1::{
        ChangePasswordRequest, ChangePasswordResponse, ConfirmEmailRequest, ConfirmEmailResponse,
        CreateAccountRequest, CreateAccountResponse, CreateTokenRequest, CreateTokenResponse,
        EndAllSessionsRequest, EndAllSessionsResponse, EndSessionRequest, EndSessionResponse,
        ExchangeSessionRequest, ExchangeSessionResponse, ExchangeTokenRequest,
        ExchangeTokenResponse, FinishProviderSignInRequest, FinishProviderSignInResponse,
        GetAccountRequest, GetAccountResponse, GetJwksRequest, GetJwksResponse, GetMeRequest,
        GetMeResponse, GetSignInOptionsRequest, GetSignInOptionsResponse, IssueLinkSecretRequest,
        IssueLinkSecretResponse, ListAccountsRequest, ListAccountsResponse, ListSessionsRequest,
        ListSessionsResponse, ListTokensRequest, ListTokensResponse, ListUsersRequest,
        ListUsersResponse, LoginRequest, LoginResponse, LogoutRequest, LogoutResponse,
        RefreshSessionRequest, RefreshSessionResponse, RegisterRequest, RegisterResponse,
        RequestPasswordResetRequest, RequestPasswordResetResponse, ResetPasswordRequest,
        ResetPasswordResponse, ResolveUsersRequest, ResolveUsersResponse, RevokeTokenRequest,
        RevokeTokenResponse, SendAccountLinkRequest, SendAccountLinkResponse,
        StartBrowserSessionRequest, StartBrowserSessionResponse, StartProviderSignInRequest,
        StartProviderSignInResponse, UpdateAccountRequest, UpdateAccountResponse, UpdateMeRequest,
        UpdateMeResponse, User, WatchEndedSessionsRequest, WatchEndedSessionsResponse,
        identity_service_server::{IdentityService, IdentityServiceServer},
    },
    release::v1::{
        CompleteTaskRequest, CompleteTaskResponse, DeleteTaskRequest, DeleteTaskResponse,
        GetTaskRequest, GetTaskResponse, ListMyTasksRequest, ListMyTasksResponse, ListTasksRequest,
        ListTasksResponse, PauseTaskRequest, PauseTaskResponse, StartTaskRequest,
        StartTaskResponse, Task, UpdateTaskRequest, UpdateTaskResponse,
        task_service_server::{TaskService, TaskServiceServer},
    },
};
use slipway_rpc::{
    access::{
        AccessLayer, Issuer, Keyring, Policies, Role, ServiceSecret, ServiceTokens, StreamLimits,
        Verifier, principal,
    },
    error::{Fault, Kind},
    grpc::{Link, Middleware, Outbound},
};
use slipway_runtime::{
    clock::{Clock as _, ManualClock, SystemClock},
    life::{Background, Health},
};
use tonic::{Request, Response, Status, codegen::BoxStream, service::Routes};
use uuid::Uuid;

pub(crate) const TASK: &str = "0190c2b8-7a5e-7c3f-8f00-0000000000cc";
pub(crate) const UNKNOWN: &str = "0190c2b8-7a5e-7c3f-8f00-0000000000ff";
pub(crate) const ADA: Uuid = Uuid::from_u128(0xada);
pub(crate) const BOB: Uuid = Uuid::from_u128(0xb0b);
const ADMIN: Uuid = Uuid::from_u128(0xad);

/// The fake release-svc.
#[derive(Default)]
pub(crate) struct Release {
    unavailable: Mutex<bool>,
    deleted: Mutex<bool>,
    /// The callers, by the forwarded token.
    callers: Mutex<Vec<String>>,
}

impl Release {
    /// Deletes the task.
    pub(crate) fn delete_task(&self) {
        *self.deleted.lock().unwrap() = true;
    }

    pub(crate) fn set_unavailable(&self, unavailable: bool) {
        *self.unavailable.lock().unwrap() = unavailable;
    }

    /// The callers since the last call of this method.
    pub(crate) fn callers(&self) -> Vec<String> {
        std::mem::take(&mut self.callers.lock().unwrap())
    }

    fn asked<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let caller = principal(request)?.username.clone();
        self.callers.lock().unwrap().push(caller);
        if *self.unavailable.lock().unwrap() {
            return Err(Status::unavailable("connection refused"));
        }
        Ok(())
    }
}

fn user_ref(id: Uuid, username: &str) -> UserRef {
    UserRef {
        id: id.to_string(),
        username: username.into(),
    }
}

fake! { TaskService for Release:
    list_my_tasks(ListMyTasksRequest) -> ListMyTasksResponse
    list_tasks(ListTasksRequest) -> ListTasksResponse
    start_task(StartTaskRequest) -> StartTaskResponse
    pause_task(PauseTaskRequest) -> PauseTaskResponse
    update_task(UpdateTaskRequest) -> UpdateTaskResponse
    delete_task(DeleteTaskRequest) -> DeleteTaskResponse
    complete_task(CompleteTaskRequest) -> CompleteTaskResponse
    ;

    async fn get_task(
        &self,
        request: Request<GetTaskRequest>,
    ) -> Result<Response<GetTaskResponse>, Status> {
        self.asked(&request)?;
        if request.get_ref().id != TASK || *self.deleted.lock().unwrap() {
            return Err(Fault::new(Kind::NotFound, "TASK_NOT_FOUND", "There is none.").into());
        }
        let task = Some(Task {
            id: TASK.into(),
            release_id: Uuid::from_u128(7).to_string(),
            release_name: "Autumn".into(),
            title: "Write the notes".into(),
            assignee: Some(user_ref(ADA, "ada")),
            ..Task::default()
        });
        Ok(Response::new(GetTaskResponse {
            task,
            readiness: None,
        }))
    }
}

fake! { IdentityService for Release:
    register(RegisterRequest) -> RegisterResponse
    login(LoginRequest) -> LoginResponse
    get_me(GetMeRequest) -> GetMeResponse
    list_users(ListUsersRequest) -> ListUsersResponse
    get_jwks(GetJwksRequest) -> GetJwksResponse
    get_sign_in_options(GetSignInOptionsRequest) -> GetSignInOptionsResponse
    start_provider_sign_in(StartProviderSignInRequest) -> StartProviderSignInResponse
    finish_provider_sign_in(FinishProviderSignInRequest) -> FinishProviderSignInResponse
    refresh_session(RefreshSessionRequest) -> RefreshSessionResponse
    logout(LogoutRequest) -> LogoutResponse
    list_sessions(ListSessionsRequest) -> ListSessionsResponse
    end_session(EndSessionRequest) -> EndSessionResponse
    change_password(ChangePasswordRequest) -> ChangePasswordResponse
    update_me(UpdateMeRequest) -> UpdateMeResponse
    confirm_email(ConfirmEmailRequest) -> ConfirmEmailResponse
    request_password_reset(RequestPasswordResetRequest) -> RequestPasswordResetResponse
    reset_password(ResetPasswordRequest) -> ResetPasswordResponse
    send_account_link(SendAccountLinkRequest) -> SendAccountLinkResponse
    issue_link_secret(IssueLinkSecretRequest) -> IssueLinkSecretResponse
    list_accounts(ListAccountsRequest) -> ListAccountsResponse
    get_account(GetAccountRequest) -> GetAccountResponse
    create_account(CreateAccountRequest) -> CreateAccountResponse
    update_account(UpdateAccountRequest) -> UpdateAccountResponse
    end_all_sessions(EndAllSessionsRequest) -> EndAllSessionsResponse
    start_browser_session(StartBrowserSessionRequest) -> StartBrowserSessionResponse
    exchange_session(ExchangeSessionRequest) -> ExchangeSessionResponse
    create_token(CreateTokenRequest) -> CreateTokenResponse
    list_tokens(ListTokensRequest) -> ListTokensResponse
    revoke_token(RevokeTokenRequest) -> RevokeTokenResponse
    exchange_token(ExchangeTokenRequest) -> ExchangeTokenResponse
    ;

    type WatchEndedSessionsStream = BoxStream<WatchEndedSessionsResponse>;

    async fn watch_ended_sessions(
        &self,
        _request: Request<WatchEndedSessionsRequest>,
    ) -> Result<Response<Self::WatchEndedSessionsStream>, Status> {
        unreachable!("watch_ended_sessions")
    }

    async fn resolve_users(
        &self,
        request: Request<ResolveUsersRequest>,
    ) -> Result<Response<ResolveUsersResponse>, Status> {
        self.asked(&request)?;
        let names = &request.get_ref().usernames;
        let users = [(BOB, "Bob"), (ADA, "ada")].into_iter();
        let users = users.filter(|(_, name)| names.contains(&name.to_lowercase()));
        let users = users.map(|(id, name)| User {
            id: id.to_string(),
            username: name.into(),
            ..User::default()
        });
        let users = users.collect();
        Ok(Response::new(ResolveUsersResponse { users }))
    }
}

pub(crate) struct Forum {
    pub(crate) client: ForumServiceClient<Link>,
    pub(crate) release: Arc<Release>,
    pub(crate) ada: Outbound,
    pub(crate) bob: Outbound,
    pub(crate) admin: Outbound,
    /// Another service, with a service token.
    pub(crate) process: Outbound,
    pub(crate) nobody: Outbound,
    clock: Arc<ManualClock>,
    bus: SharedBus,
    background: Background,
    _dir: tempfile::TempDir,
}

impl Forum {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let bus = EmbeddedBus::open(&dir.path().join("bus.db"), clock.clone()).unwrap();
        let topics: Vec<_> = TOPICS.iter().map(TopicSpec::from).collect();
        bus.create_topics(&topics).await.unwrap();
        let bus: SharedBus = Arc::new(bus);
        let keys = Arc::new(Keyring::ephemeral());
        let secret = ServiceSecret::random();
        let verifier = Verifier::with_keys(keys.jwks(), secret.clone(), clock.clone());
        let policies = Policies::from_descriptor_set(DESCRIPTOR_SET).unwrap();
        let access = AccessLayer::new(
            Arc::new(policies),
            Arc::new(verifier),
            StreamLimits::new(100, 1000),
        );
        let middleware = Middleware::new(access);
        let release = Arc::new(Release::default());
        let release_routes = Routes::new(TaskServiceServer::from_arc(Arc::clone(&release)))
            .add_service(IdentityServiceServer::from_arc(Arc::clone(&release)));
        let background = Background::default();
        let routes = forum_svc::build(Dependencies {
            stores: Stores::sqlite(&dir.path().join("forum.db")).unwrap(),
            release: Link::local(middleware.wrap(release_routes)),
            bus: bus.clone(),
            clock: clock.clone(),
            background: background.clone(),
            health: Health::default(),
        });
        let issuer = Issuer::new(keys, Duration::from_secs(24 * 3600), clock.clone());
        let signed_in = |id, name: &str, role| {
            Outbound::with_token(issuer.issue(id, name, role, None).unwrap().text)
        };
        Self {
            client: ForumServiceClient::new(Link::local(middleware.wrap(routes))),
            release,
            ada: signed_in(ADA, "ada", Role::Developer),
            bob: signed_in(BOB, "Bob", Role::Developer),
            admin: signed_in(ADMIN, "admin", Role::Admin),
            process: Outbound::with_token(
                ServiceTokens::new(secret, "gateway", clock.clone()).current(),
            ),
            nobody: Outbound::default(),
            clock,
            bus,
            background,
            _dir: dir,
        }
    }

    /// Advances the clock until the cached tasks are expired.
    pub(crate) fn later(&self) {
        self.clock.advance(SignedDuration::from_mins(5));
    }

    pub(crate) async fn post(&self, by: &Outbound, text: &str) -> Result<Comment, Fault> {
        let request = by.request(PostCommentRequest {
            task_id: TASK.into(),
            content: text.into(),
        });
        let posted = self.client.clone().post_comment(request).await;
        Ok(posted?.into_inner().comment.unwrap())
    }

    pub(crate) async fn reply(
        &self,
        by: &Outbound,
        to: &Comment,
        text: &str,
    ) -> Result<Comment, Fault> {
        let request = by.request(PostReplyRequest {
            comment_id: to.id.clone(),
            content: text.into(),
        });
        let posted = self.client.clone().post_reply(request).await;
        Ok(posted?.into_inner().comment.unwrap())
    }

    pub(crate) async fn get(&self, id: &str) -> Result<Comment, Fault> {
        let request = self.ada.request(GetCommentRequest { id: id.into() });
        let found = self.client.clone().get_comment(request).await;
        Ok(found?.into_inner().comment.unwrap())
    }

    pub(crate) async fn list(&self, task: &str) -> Result<Vec<Comment>, Fault> {
        let request = self.ada.request(ListCommentsRequest {
            task_id: task.into(),
            ..ListCommentsRequest::default()
        });
        let found = self.client.clone().list_comments(request).await;
        Ok(found?.into_inner().comments)
    }

    /// Stops the background work and returns the published events, `count` or more.
    pub(crate) async fn events(self, count: usize) -> Vec<Event> {
        self.background.stop(Duration::from_secs(10)).await;
        let topics = [FORUM.name.to_owned()];
        let mut subscription = self.bus.subscribe("test", &topics).await.unwrap();
        let mut events = Vec::new();
        while events.len() < count {
            for delivery in subscription.next(1_000).await.unwrap() {
                events.push(Event::from_record(&delivery.record).unwrap());
            }
        }
        events
    }
}
