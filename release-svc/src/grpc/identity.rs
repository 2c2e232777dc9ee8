//! The gRPC `IdentityService`: registration, sign-in, users and public keys.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use slipway_proto::identity::v1::{
    GetJwksRequest, GetJwksResponse, GetMeRequest, GetMeResponse, ListUsersRequest,
    ListUsersResponse, LoginRequest, LoginResponse, RegisterRequest, RegisterResponse,
    ResolveUsersRequest, ResolveUsersResponse, identity_service_server::IdentityService,
};
use slipway_rpc::{
    access::{accounts::gone, principal},
    error::Fault,
    metadata::CLIENT_ADDRESS,
    page,
};
use slipway_runtime::text::is_blank;
use slipway_store::receipts::Repeatable;
use tonic::{Request, Response, Status};

use super::translate;
use crate::{
    accounts::{Accounts, Registrant, Registration},
    identity::{UserId, credentials},
    store::UserKey,
};

/// Names that one call may resolve.
const MAX_RESOLVED: usize = 100;

pub(crate) struct Identity {
    pub(crate) accounts: Arc<Accounts>,
}

#[tonic::async_trait]
impl IdentityService for Identity {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let by = Registrant {
            account: principal(&request).ok(),
            address: client_address(&request),
        };
        // The receipt must not contain the password.
        let content = RegisterRequest {
            password: String::new(),
            ..request.get_ref().clone()
        };
        let repeatable = Repeatable::of(&request, "Register", by.account.as_deref(), &content)?;
        let message = request.into_inner();
        let role = translate::requested_role(message.role)
            .ok_or_else(|| Fault::invalid_field("role", "must be DEVELOPER or ADMIN"))?;
        let registration =
            Registration::new(&message.username, &message.email, &message.password, role)?;
        let session = self
            .accounts
            .register(registration, &by, repeatable)
            .await?;
        Ok(Response::new(RegisterResponse {
            session: Some(translate::session(session)),
        }))
    }

    async fn login(
        &self,
        request: Request<LoginRequest>,
    ) -> Result<Response<LoginResponse>, Status> {
        let address = client_address(&request);
        let LoginRequest { login, password } = request.into_inner();
        if is_blank(&login) || login.trim().len() > 254 {
            let message = "must be a username or an email address";
            return Err(Fault::invalid_field("login", message).into());
        }
        let login = login.trim().to_owned();
        let session = self.accounts.login(login, password, address).await?;
        Ok(Response::new(LoginResponse {
            session: Some(translate::session(session)),
        }))
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
        }))
    }

    async fn list_users(
        &self,
        request: Request<ListUsersRequest>,
    ) -> Result<Response<ListUsersResponse>, Status> {
        let message = request.into_inner();
        let prefix = match is_blank(&message.query) {
            true => String::new(),
            false => credentials::key(&message.query),
        };
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

    async fn get_jwks(
        &self,
        _request: Request<GetJwksRequest>,
    ) -> Result<Response<GetJwksResponse>, Status> {
        Ok(Response::new(GetJwksResponse {
            jwks_json: self.accounts.jwks()?,
        }))
    }
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
