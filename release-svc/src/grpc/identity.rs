//! The gRPC `IdentityService`: registration, sign-in, sessions, users and public keys.

use std::{collections::BTreeSet, net::IpAddr, pin::Pin, sync::Arc};

use futures::Stream;
use slipway_proto::{
    identity::v1::{
        Account, ChangePasswordRequest, ChangePasswordResponse, ConfirmEmailRequest,
        ConfirmEmailResponse, CreateAccountRequest, CreateAccountResponse, CreateTokenRequest,
        CreateTokenResponse, EndAllSessionsRequest, EndAllSessionsResponse, EndSessionRequest,
        EndSessionResponse, ExchangeSessionRequest, ExchangeSessionResponse, ExchangeTokenRequest,
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
        UpdateMeResponse, WatchEndedSessionsRequest, WatchEndedSessionsResponse,
        identity_service_server::IdentityService,
    },
    time::{from_proto, to_proto},
};
use slipway_rpc::{
    access::{accounts::gone, principal},
    error::Fault,
    metadata::{CLIENT_ADDRESS, CLIENT_AGENT},
    page,
};
use slipway_runtime::text::is_blank;
use slipway_store::{Document as _, receipts::Repeatable};
use tonic::{Request, Response, Status};

use super::{id, translate};
use crate::{
    accounts::{Accounts, Invitation, ProfileChange, Registrant, Registration},
    identity::{Account as StoredAccount, AccountChange, Email, UserId, credentials},
    sessions::{EndedFeed, Place, SessionId, programs::TokenDraft},
    store::{AccountFilter, Listed, ReleaseStore, UserKey},
};

/// Names that one call may resolve.
const MAX_RESOLVED: usize = 100;

pub(crate) struct Identity {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) releases: ReleaseStore,
    pub(crate) feed: Arc<EndedFeed>,
}

#[tonic::async_trait]
impl IdentityService for Identity {
    type WatchEndedSessionsStream =
        Pin<Box<dyn Stream<Item = Result<WatchEndedSessionsResponse, Status>> + Send>>;

    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let by = Registrant {
            account: principal(&request).ok(),
            place: place(&request),
        };
        // The receipt must not contain the password.
        let content = RegisterRequest {
            password: String::new(),
            ..request.get_ref().clone()
        };
        let repeatable = Repeatable::of(&request, "Register", by.account.as_deref(), &content)?;
        let message = request.into_inner();
        let role = translate::requested_role(message.role)?;
        let registration =
            Registration::new(&message.username, &message.email, &message.password, role)?;
        let session = self
            .accounts
            .register(registration, &by, repeatable)
            .await?;
        Ok(Response::new(RegisterResponse {
            session: Some(translate::signed_in(session)),
        }))
    }

    async fn login(
        &self,
        request: Request<LoginRequest>,
    ) -> Result<Response<LoginResponse>, Status> {
        let place = place(&request);
        let LoginRequest { login, password } = request.into_inner();
        let login = checked_login(&login)?;
        let session = self.accounts.login(login, password, place).await?;
        Ok(Response::new(LoginResponse {
            session: Some(translate::signed_in(session)),
        }))
    }

    async fn refresh_session(
        &self,
        request: Request<RefreshSessionRequest>,
    ) -> Result<Response<RefreshSessionResponse>, Status> {
        let place = place(&request);
        let token = request.into_inner().refresh_token;
        let session = self.accounts.sessions().refresh(&token, place).await?;
        Ok(Response::new(RefreshSessionResponse {
            session: Some(translate::signed_in(session)),
        }))
    }

    async fn logout(
        &self,
        request: Request<LogoutRequest>,
    ) -> Result<Response<LogoutResponse>, Status> {
        let caller = principal(&request)?;
        self.accounts.sessions().log_out(&caller).await?;
        Ok(Response::new(LogoutResponse {}))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let caller = principal(&request)?;
        let message = request.into_inner();
        let list = format!("account-sessions?{}", caller.user_id);
        let limit = page::limit(message.page_size, page::MAX_LIMIT)?;
        let after: Option<SessionId> = page::decode_cursor(&list, &message.page_token)?;
        let sessions = self.accounts.sessions();
        let found = sessions.list(UserId(caller.user_id), after, limit).await;
        let found = found.map_err(Fault::from)?;
        let items = found.items.iter();
        Ok(Response::new(ListSessionsResponse {
            sessions: items
                .map(|session| translate::session(session, caller.session_id))
                .collect(),
            next_page_token: page::encode_cursor(&list, found.next.as_ref()),
        }))
    }

    async fn end_session(
        &self,
        request: Request<EndSessionRequest>,
    ) -> Result<Response<EndSessionResponse>, Status> {
        let caller = principal(&request)?;
        let session = id("session_id", &request.into_inner().session_id)?;
        self.accounts.sessions().revoke(&caller, session).await?;
        Ok(Response::new(EndSessionResponse {}))
    }

    async fn end_all_sessions(
        &self,
        request: Request<EndAllSessionsRequest>,
    ) -> Result<Response<EndAllSessionsResponse>, Status> {
        let caller = principal(&request)?;
        let ended = self.accounts.sessions().revoke_all(&caller).await;
        ended.map_err(Fault::from)?;
        Ok(Response::new(EndAllSessionsResponse {}))
    }

    async fn start_browser_session(
        &self,
        request: Request<StartBrowserSessionRequest>,
    ) -> Result<Response<StartBrowserSessionResponse>, Status> {
        let place = place(&request);
        let StartBrowserSessionRequest { login, password } = request.into_inner();
        let login = checked_login(&login)?;
        let started = self.accounts.login_browser(login, password, place).await?;
        Ok(Response::new(StartBrowserSessionResponse {
            secret: started.cookie,
            expires_at: Some(to_proto(started.session.expires_at)),
            user: Some(translate::own_user(&started.user)),
        }))
    }

    async fn get_sign_in_options(
        &self,
        _request: Request<GetSignInOptionsRequest>,
    ) -> Result<Response<GetSignInOptionsResponse>, Status> {
        Ok(Response::new(GetSignInOptionsResponse {
            passwords: self.accounts.has_passwords(),
            provider: self.accounts.provider.as_deref().map(translate::provider),
            registration: self.accounts.is_open(),
        }))
    }

    async fn start_provider_sign_in(
        &self,
        request: Request<StartProviderSignInRequest>,
    ) -> Result<Response<StartProviderSignInResponse>, Status> {
        let StartProviderSignInRequest { next } = request.into_inner();
        let started = self.accounts.start_provider_sign_in(next).await?;
        Ok(Response::new(StartProviderSignInResponse {
            authorization_url: started.authorization_url,
            secret: started.cookie,
            expires_at: Some(to_proto(started.flow.expires_at)),
        }))
    }

    async fn finish_provider_sign_in(
        &self,
        request: Request<FinishProviderSignInRequest>,
    ) -> Result<Response<FinishProviderSignInResponse>, Status> {
        let place = place(&request);
        let returned = translate::returned(request.into_inner(), place);
        let finished = self.accounts.finish_provider_sign_in(returned).await;
        let (started, next) = finished?;
        Ok(Response::new(FinishProviderSignInResponse {
            secret: started.cookie,
            expires_at: Some(to_proto(started.session.expires_at)),
            user: Some(translate::own_user(&started.user)),
            next,
        }))
    }

    async fn exchange_session(
        &self,
        request: Request<ExchangeSessionRequest>,
    ) -> Result<Response<ExchangeSessionResponse>, Status> {
        let place = place(&request);
        let secret = request.into_inner().secret;
        let token = self.accounts.sessions().exchange(&secret, place).await?;
        Ok(Response::new(ExchangeSessionResponse {
            expires_at: Some(to_proto(token.expires_at)),
            token: token.text,
        }))
    }

    async fn create_token(
        &self,
        request: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        let caller = principal(&request)?;
        let CreateTokenRequest {
            name,
            scope,
            expires_at,
        } = request.into_inner();
        let scope = translate::requested_scope(scope);
        let expires_at = expires_at.map(from_proto).transpose();
        let expires_at =
            expires_at.map_err(|error| Fault::invalid_field("expires_at", error.to_string()))?;
        let draft = TokenDraft::new(&name, scope, expires_at, self.accounts.clock.now())?;
        let created = self.accounts.sessions().create_token(&caller, &draft);
        let created = created.await?;
        Ok(Response::new(CreateTokenResponse {
            token: translate::program_token(&created.session),
            secret: created.secret,
        }))
    }

    async fn list_tokens(
        &self,
        request: Request<ListTokensRequest>,
    ) -> Result<Response<ListTokensResponse>, Status> {
        let caller = principal(&request)?;
        let message = request.into_inner();
        let list = format!("account-tokens?{}", caller.user_id);
        let limit = page::limit(message.page_size, page::MAX_LIMIT)?;
        let after: Option<SessionId> = page::decode_cursor(&list, &message.page_token)?;
        let sessions = self.accounts.sessions();
        let found = sessions.tokens(UserId(caller.user_id), after, limit).await;
        let found = found.map_err(Fault::from)?;
        Ok(Response::new(ListTokensResponse {
            tokens: found
                .items
                .iter()
                .filter_map(translate::program_token)
                .collect(),
            next_page_token: page::encode_cursor(&list, found.next.as_ref()),
        }))
    }

    async fn revoke_token(
        &self,
        request: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeTokenResponse>, Status> {
        let caller = principal(&request)?;
        let token = id("token_id", &request.into_inner().token_id)?;
        let sessions = self.accounts.sessions();
        sessions.revoke_token(&caller, token).await?;
        Ok(Response::new(RevokeTokenResponse {}))
    }

    async fn exchange_token(
        &self,
        request: Request<ExchangeTokenRequest>,
    ) -> Result<Response<ExchangeTokenResponse>, Status> {
        let place = place(&request);
        let secret = request.into_inner().secret;
        let sessions = self.accounts.sessions();
        let token = sessions.exchange_token(&secret, place).await?;
        Ok(Response::new(ExchangeTokenResponse {
            expires_at: Some(to_proto(token.expires_at)),
            token: token.text,
        }))
    }

    async fn watch_ended_sessions(
        &self,
        _request: Request<WatchEndedSessionsRequest>,
    ) -> Result<Response<Self::WatchEndedSessionsStream>, Status> {
        Ok(Response::new(Box::pin(self.feed.stream())))
    }

    async fn change_password(
        &self,
        request: Request<ChangePasswordRequest>,
    ) -> Result<Response<ChangePasswordResponse>, Status> {
        let caller = principal(&request)?;
        let address = client_address(&request);
        let ChangePasswordRequest {
            current_password,
            new_password,
        } = request.into_inner();
        self.accounts
            .change_password(&caller, current_password, &new_password, address)
            .await?;
        Ok(Response::new(ChangePasswordResponse {}))
    }

    async fn request_password_reset(
        &self,
        request: Request<RequestPasswordResetRequest>,
    ) -> Result<Response<RequestPasswordResetResponse>, Status> {
        let address = client_address(&request);
        let login = checked_login(&request.get_ref().login)?;
        self.accounts.forgot_password(&login, address).await?;
        Ok(Response::new(RequestPasswordResetResponse {}))
    }

    async fn reset_password(
        &self,
        request: Request<ResetPasswordRequest>,
    ) -> Result<Response<ResetPasswordResponse>, Status> {
        let address = client_address(&request);
        let ResetPasswordRequest {
            secret,
            new_password,
            revoke_tokens,
        } = request.into_inner();
        self.accounts
            .reset_by_link(&secret, &new_password, revoke_tokens, address)
            .await?;
        Ok(Response::new(ResetPasswordResponse {}))
    }

    async fn send_account_link(
        &self,
        request: Request<SendAccountLinkRequest>,
    ) -> Result<Response<SendAccountLinkResponse>, Status> {
        let caller = principal(&request)?;
        let message = request.into_inner();
        let account = id("account_id", &message.account_id)?;
        let purpose = translate::requested_purpose(message.purpose)?;
        let account = self.accounts.send_link(&caller, account, purpose).await?;
        Ok(Response::new(SendAccountLinkResponse {
            account: Some(self.with_open_tasks(&account).await?),
        }))
    }

    async fn issue_link_secret(
        &self,
        request: Request<IssueLinkSecretRequest>,
    ) -> Result<Response<IssueLinkSecretResponse>, Status> {
        let message = request.into_inner();
        let account = id("account_id", &message.account_id)?;
        let link = id("link_id", &message.link_id)?;
        let secret = self.accounts.issue_secret(account, link).await?;
        Ok(Response::new(IssueLinkSecretResponse { secret }))
    }

    async fn get_me(
        &self,
        request: Request<GetMeRequest>,
    ) -> Result<Response<GetMeResponse>, Status> {
        let caller = principal(&request)?;
        let account = self.accounts.users().user(UserId(caller.user_id)).await;
        let account = account.map_err(Fault::from)?.ok_or_else(gone)?;
        Ok(Response::new(GetMeResponse {
            user: Some(translate::own_user(&account.user)),
            revision: account.revision,
            pending_email: self.pending_email(&account),
            has_password: self.accounts.has_password(&account),
            email_from_provider: self.accounts.has_email_of_provider(&account),
        }))
    }

    async fn update_me(
        &self,
        request: Request<UpdateMeRequest>,
    ) -> Result<Response<UpdateMeResponse>, Status> {
        let caller = principal(&request)?;
        let address = client_address(&request);
        let UpdateMeRequest {
            display_name,
            email,
            current_password,
            revision,
        } = request.into_inner();
        let change = ProfileChange::new(display_name.as_deref(), email.as_deref(), revision)?;
        let account = self
            .accounts
            .update_profile(&caller, change, current_password, address)
            .await?;
        Ok(Response::new(UpdateMeResponse {
            user: Some(translate::own_user(&account.user)),
            revision: account.revision,
            pending_email: self.pending_email(&account),
            has_password: self.accounts.has_password(&account),
            email_from_provider: self.accounts.has_email_of_provider(&account),
        }))
    }

    async fn confirm_email(
        &self,
        request: Request<ConfirmEmailRequest>,
    ) -> Result<Response<ConfirmEmailResponse>, Status> {
        let address = client_address(&request);
        let secret = request.into_inner().secret;
        self.accounts.confirm_email(&secret, address).await?;
        Ok(Response::new(ConfirmEmailResponse {}))
    }

    async fn list_users(
        &self,
        request: Request<ListUsersRequest>,
    ) -> Result<Response<ListUsersResponse>, Status> {
        let message = request.into_inner();
        let prefix = prefix(&message.query);
        let list = format!("users?{prefix}");
        let limit = page::limit(message.page_size, page::MAX_LIMIT)?;
        let after: Option<String> = page::decode_cursor(&list, &message.page_token)?;
        let users = self.accounts.users();
        let found = users.list(&prefix, after.as_deref(), limit).await;
        let found = found.map_err(Fault::from)?;
        Ok(Response::new(ListUsersResponse {
            users: found.items.iter().map(translate::public_user).collect(),
            next_page_token: page::encode_cursor(&list, found.next.as_ref()),
        }))
    }

    async fn resolve_users(
        &self,
        request: Request<ResolveUsersRequest>,
    ) -> Result<Response<ResolveUsersResponse>, Status> {
        let names = request.into_inner().usernames;
        if names.len() > MAX_RESOLVED {
            let message = format!("must be at most {MAX_RESOLVED} names");
            return Err(Fault::invalid_field("usernames", message).into());
        }
        let names: BTreeSet<_> = names.iter().map(|name| credentials::key(name)).collect();
        let keys: Vec<_> = names.into_iter().map(UserKey::Username).collect();
        let found = self.accounts.users().find(&keys).await;
        let found = found.map_err(Fault::from)?;
        Ok(Response::new(ResolveUsersResponse {
            users: found.iter().map(translate::public_user).collect(),
        }))
    }

    async fn list_accounts(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Result<Response<ListAccountsResponse>, Status> {
        let message = request.into_inner();
        let (state, invited) = translate::requested_state(message.state)?;
        let filter = AccountFilter {
            prefix: prefix(&message.query),
            role: translate::role(message.role)?,
            state,
            invited,
        };
        let list = format!("accounts?{filter:?}");
        let limit = page::limit(message.page_size, page::MAX_LIMIT)?;
        let after: Option<String> = page::decode_cursor(&list, &message.page_token)?;
        let users = self.accounts.users();
        let found = users.list_all(&filter, after.as_deref(), limit).await;
        let found = found.map_err(Fault::from)?;
        let items = found.items.iter();
        Ok(Response::new(ListAccountsResponse {
            accounts: items.map(|listed| self.listed(listed)).collect(),
            next_page_token: page::encode_cursor(&list, found.next.as_ref()),
        }))
    }

    async fn get_account(
        &self,
        request: Request<GetAccountRequest>,
    ) -> Result<Response<GetAccountResponse>, Status> {
        let id = id("id", &request.get_ref().id)?;
        let account = self.accounts.account(id).await?;
        Ok(Response::new(GetAccountResponse {
            account: Some(self.with_open_tasks(&account).await?),
        }))
    }

    async fn create_account(
        &self,
        request: Request<CreateAccountRequest>,
    ) -> Result<Response<CreateAccountResponse>, Status> {
        let caller = principal(&request)?;
        // The receipt must not contain the password.
        let content = CreateAccountRequest {
            password: String::new(),
            ..request.get_ref().clone()
        };
        let repeatable = Repeatable::of(&request, "CreateAccount", Some(&caller), &content)?;
        let message = request.into_inner();
        let role = translate::requested_role(message.role)?;
        let (name, email, password) = (&message.username, &message.email, &message.password);
        let account = if message.invite {
            if !password.is_empty() {
                let text = "must be left out: whoever is invited sets it";
                return Err(Fault::invalid_field("password", text).into());
            }
            let invitation = Invitation::new(name, email, role)?;
            self.accounts.invite(&caller, invitation, repeatable).await
        } else {
            let registration = Registration::new(name, email, password, role)?;
            let created = self.accounts.create_for(&caller, registration, repeatable);
            created.await
        };
        let account = account?;
        Ok(Response::new(CreateAccountResponse {
            account: Some(self.with_open_tasks(&account).await?),
        }))
    }

    async fn update_account(
        &self,
        request: Request<UpdateAccountRequest>,
    ) -> Result<Response<UpdateAccountResponse>, Status> {
        let caller = principal(&request)?;
        let message = request.into_inner();
        let id = id("id", &message.id)?;
        let change = AccountChange {
            role: translate::role(message.role)?,
            disabled: message.disabled,
        };
        let account = self.accounts.administer(&caller, id, change).await?;
        Ok(Response::new(UpdateAccountResponse {
            account: Some(self.with_open_tasks(&account).await?),
        }))
    }

    async fn get_jwks(
        &self,
        _request: Request<GetJwksRequest>,
    ) -> Result<Response<GetJwksResponse>, Status> {
        Ok(Response::new(GetJwksResponse {
            jwks_json: self.accounts.jwks()?,
        }))
    }
}

impl Identity {
    /// The address of an account that waits to be confirmed; empty if there is none.
    fn pending_email(&self, account: &StoredAccount) -> String {
        let pending = account.pending_email(self.accounts.clock.now());
        pending.map(Email::to_string).unwrap_or_default()
    }

    async fn with_open_tasks(&self, account: &StoredAccount) -> Result<Account, Fault> {
        let open_tasks = self.releases.open_tasks(account.user.id).await?;
        Ok(Account {
            open_tasks: Some(open_tasks),
            ..self.listed(&account.summary())
        })
    }

    fn listed(&self, listed: &Listed) -> Account {
        let admits = self.accounts.passwords.admits(&listed.user);
        translate::account(&listed.user, listed.takes_password && admits)
    }
}

/// The start of a name to search for, in lower case; empty for all.
fn prefix(query: &str) -> String {
    match is_blank(query) {
        true => String::new(),
        false => credentials::key(query),
    }
}

/// A username or an email address, without blanks around it.
fn checked_login(login: &str) -> Result<String, Fault> {
    if is_blank(login) || login.trim().len() > 254 {
        let message = "must be a username or an email address";
        return Err(Fault::invalid_field("login", message));
    }
    Ok(login.trim().to_owned())
}

/// Where the client is: what it calls itself, and its address.
fn place<T>(request: &Request<T>) -> Place {
    let text = |name| request.metadata().get(name)?.to_str().ok();
    // The gateway's own name says nothing about its client.
    let agent = match text(CLIENT_ADDRESS) {
        Some(_) => text(CLIENT_AGENT),
        None => text("user-agent"),
    };
    Place::new(agent, client_address(request))
}

/// The client's address: the one the gateway forwards (the access layer accepts this header from
/// no other caller), or else the peer's.
fn client_address<T>(request: &Request<T>) -> Option<IpAddr> {
    let forwarded = request
        .metadata()
        .get(CLIENT_ADDRESS)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    forwarded.or_else(|| request.remote_addr().map(|address| address.ip()))
}
