//! Translates domain types to proto messages.

use slipway_proto::{
    common::v1 as common, identity::v1 as identity, release::v1 as proto, time::to_proto as time,
};
use slipway_rpc::{
    access::{Role, Scope},
    error::Fault,
};
use uuid::Uuid;

use crate::{
    accounts::Returned,
    identity::{DisplayName, User, UserRef, UserState, links::Purpose},
    provider::{BroughtBack, Provider},
    release::{
        Blocker, PlacedTask, Priority, Readiness, Recurrence, Release, ReleaseState, RemindBefore,
        TaskState,
    },
    sessions::{Place, Session, SessionKind, SignedIn, secret::Secret},
    store::ReleaseSummary,
};

fn user_ref(user: UserRef) -> common::UserRef {
    common::UserRef {
        id: user.id.to_string(),
        username: user.username,
    }
}

/// An account as its owner sees it.
pub(super) fn own_user(user: &User) -> identity::User {
    identity::User {
        email: user.email.to_string(),
        ..public_user(user)
    }
}

/// An account as others see it: without its email address.
pub(super) fn public_user(user: &User) -> identity::User {
    identity::User {
        id: user.id.to_string(),
        username: user.username.to_string(),
        email: String::new(),
        role: user.role.to_proto().into(),
        created_at: Some(time(user.created_at)),
        display_name: user
            .display_name
            .as_ref()
            .map(DisplayName::to_string)
            .unwrap_or_default(),
    }
}

/// An account as admins see it.
pub(super) fn account(user: &User, takes_password: bool) -> identity::Account {
    let state = match user.state {
        UserState::Disabled => identity::AccountState::Disabled,
        UserState::Active if user.invited => identity::AccountState::Invited,
        UserState::Active => identity::AccountState::Active,
    };
    identity::Account {
        user: Some(own_user(user)),
        state: state.into(),
        open_tasks: None,
        takes_password,
    }
}

/// The identity provider as people see it.
pub(super) fn provider(provider: &Provider) -> identity::IdentityProvider {
    identity::IdentityProvider {
        name: provider.config().name.clone(),
        available: provider.is_available(),
        sign_out_url: provider.sign_out_url().map_or_else(String::new, Into::into),
    }
}

/// A browser that comes back from the identity provider.
pub(super) fn returned(message: identity::FinishProviderSignInRequest, place: Place) -> Returned {
    Returned {
        cookie: message.secret,
        state: message.state,
        brought: BroughtBack {
            code: message.code,
            issuer: message.issuer,
            error: message.error,
        },
        place,
    }
}

/// The condition on the state of accounts, by its proto number: the state, and whether they wait for
/// the answer to an invitation.
pub(super) fn requested_state(state: i32) -> Result<(Option<UserState>, Option<bool>), Fault> {
    match identity::AccountState::try_from(state) {
        Ok(identity::AccountState::Unspecified) => Ok((None, None)),
        Ok(identity::AccountState::Active) => Ok((Some(UserState::Active), Some(false))),
        Ok(identity::AccountState::Disabled) => Ok((Some(UserState::Disabled), None)),
        Ok(identity::AccountState::Invited) => Ok((Some(UserState::Active), Some(true))),
        Err(_) => {
            let message = "must be ACTIVE, INVITED or DISABLED";
            Err(Fault::invalid_field("state", message))
        }
    }
}

/// The requested purpose of a link, by its proto number.
pub(super) fn requested_purpose(purpose: i32) -> Result<Purpose, Fault> {
    match identity::LinkPurpose::try_from(purpose) {
        Ok(identity::LinkPurpose::ResetPassword) => Ok(Purpose::ResetPassword),
        Ok(identity::LinkPurpose::Invitation) => Ok(Purpose::Invitation),
        Ok(identity::LinkPurpose::Unspecified) | Err(_) => {
            let message = "must be RESET_PASSWORD or INVITATION";
            Err(Fault::invalid_field("purpose", message))
        }
    }
}

/// The requested role of an account, by its proto number; developer by default.
pub(super) fn requested_role(role: i32) -> Result<Role, Fault> {
    Ok(self::role(role)?.unwrap_or(Role::Developer))
}

/// The role of an account, by its proto number; `None` if it is unspecified.
pub(super) fn role(role: i32) -> Result<Option<Role>, Fault> {
    match common::Role::try_from(role) {
        Ok(common::Role::Unspecified) => Ok(None),
        Ok(common::Role::Developer) => Ok(Some(Role::Developer)),
        Ok(common::Role::Admin) => Ok(Some(Role::Admin)),
        Ok(common::Role::Service) | Err(_) => {
            Err(Fault::invalid_field("role", "must be DEVELOPER or ADMIN"))
        }
    }
}

pub(super) fn signed_in(signed_in: SignedIn) -> identity::Session {
    identity::Session {
        user: Some(own_user(&signed_in.user)),
        expires_at: Some(time(signed_in.token.expires_at)),
        token: signed_in.token.text,
        refresh_token: signed_in.refresh_token,
        refresh_expires_at: Some(time(signed_in.session.expires_at)),
        session_id: signed_in.session.id.to_string(),
    }
}

/// A session in the list of a caller whose token is of the session `current`.
pub(super) fn session(session: &Session, current: Option<Uuid>) -> identity::SessionSummary {
    let kind = match session.kind {
        SessionKind::Api => identity::SessionKind::Api,
        SessionKind::Browser => identity::SessionKind::Browser,
        // Not in the list of sessions.
        SessionKind::Program => identity::SessionKind::Unspecified,
    };
    let address = session.place.address;
    identity::SessionSummary {
        id: session.id.to_string(),
        kind: kind.into(),
        user_agent: session.place.user_agent.clone(),
        address: address
            .map(|address| address.to_string())
            .unwrap_or_default(),
        created_at: Some(time(session.created_at)),
        last_seen_at: Some(time(session.last_seen_at)),
        expires_at: Some(time(session.expires_at)),
        current: current == Some(session.id.0),
    }
}

/// The requested scope, by its proto number.
pub(super) fn requested_scope(scope: i32) -> Option<Scope> {
    match identity::TokenScope::try_from(scope).ok()? {
        identity::TokenScope::Unspecified => None,
        identity::TokenScope::Read => Some(Scope::Read),
        identity::TokenScope::Work => Some(Scope::Work),
        identity::TokenScope::Admin => Some(Scope::Admin),
    }
}

/// A token for programs; `None` if the session is of a sign-in.
pub(super) fn program_token(session: &Session) -> Option<identity::ProgramToken> {
    let program = session.program.as_ref()?;
    let scope = match program.scope {
        Scope::Read => identity::TokenScope::Read,
        Scope::Work => identity::TokenScope::Work,
        Scope::Admin => identity::TokenScope::Admin,
    };
    Some(identity::ProgramToken {
        id: session.id.to_string(),
        name: program.name.clone(),
        scope: scope.into(),
        prefix: Secret::public_part(session.kind, session.id),
        created_at: Some(time(session.created_at)),
        expires_at: Some(time(session.expires_at)),
        last_used_at: program.last_used_at.map(time),
    })
}

/// A release with its tasks.
pub(super) fn release(release: &Release) -> proto::Release {
    let count = |tasks: usize| u32::try_from(tasks).unwrap_or(u32::MAX);
    let progress = (count(release.tasks.len()), count(release.completed_tasks()));
    proto::Release {
        tasks: release
            .tasks
            .iter()
            .map(|task| placed_task(release.place(task)))
            .collect(),
        ..head(release, progress)
    }
}

/// A release in a list.
pub(super) fn summary(summary: &ReleaseSummary) -> proto::Release {
    head(&summary.release, (summary.total, summary.completed))
}

fn head(release: &Release, (total, completed): (u32, u32)) -> proto::Release {
    let (status, completed_at) = match release.state {
        ReleaseState::Open => (proto::ReleaseStatus::Open, None),
        ReleaseState::Completed { at } => (proto::ReleaseStatus::Completed, Some(time(at))),
    };
    proto::Release {
        id: release.id.to_string(),
        name: release.name.to_string(),
        description: release.description.to_string(),
        version: release.version.to_string(),
        status: status.into(),
        tasks: Vec::new(),
        progress: Some(proto::Progress { total, completed }),
        created_by: Some(user_ref(release.created_by.clone())),
        created_at: Some(time(release.created_at)),
        completed_at,
        reopened_count: release.reopened_count,
        revision: release.revision.0,
    }
}

/// Whether the caller could start a task.
pub(super) fn readiness(readiness: Readiness) -> proto::Readiness {
    let blocker = readiness.blocker.map(|blocker| match blocker {
        Blocker::Predecessor(task) => ("TASK_OUT_OF_ORDER", task),
        Blocker::OwnWork(task) => ("DEVELOPER_BUSY", task),
    });
    proto::Readiness {
        can_start: readiness.can_start,
        blocked_by: blocker.map(|(code, task)| proto::Blocker {
            code: code.to_owned(),
            task: Some(placed_task(task)),
        }),
    }
}

/// The same in a release, which has the descriptions of its tasks already.
pub(super) fn short_readiness(readiness: Readiness) -> proto::Readiness {
    let mut readiness = self::readiness(readiness);
    if let Some(Some(task)) = readiness.blocked_by.as_mut().map(|by| by.task.as_mut()) {
        task.description = String::new();
    }
    readiness
}

pub(super) fn placed_task(placed: PlacedTask) -> proto::Task {
    let task = placed.task;
    let worked_ms = task.worked_ms();
    let (status, started_at, completed_at) = match task.state {
        TaskState::Todo => (proto::TaskStatus::Todo, None, None),
        TaskState::InProcess { started_at, .. } => {
            (proto::TaskStatus::InProcess, Some(started_at), None)
        }
        TaskState::Completed {
            started_at,
            completed_at,
        } => (
            proto::TaskStatus::Completed,
            Some(started_at),
            Some(completed_at),
        ),
    };
    proto::Task {
        id: task.id.to_string(),
        release_id: placed.release_id.to_string(),
        release_name: placed.release_name.into(),
        title: task.title.into(),
        description: task.description.into(),
        assignee: Some(user_ref(task.assignee)),
        order_index: task.order_index.get(),
        status: status.into(),
        hotfix: task.hotfix,
        created_at: Some(time(task.created_at)),
        started_at: started_at.map(time),
        completed_at: completed_at.map(time),
        due_at: task.due_at.map(time),
        revision: task.revision.0,
        priority: priority(task.priority).into(),
        tags: task.tags.iter().map(str::to_owned).collect(),
        remind_before_minutes: task.remind_before.map(RemindBefore::minutes),
        worked_ms,
        recurrence: task.recurrence.as_deref().map(recurrence),
    }
}

fn recurrence(recurrence: &Recurrence) -> proto::Recurrence {
    let release = recurrence.release;
    proto::Recurrence {
        rule: recurrence.rule.to_string(),
        time_zone: recurrence.time_zone.name().to_owned(),
        release_id: release.map(|id| id.to_string()).unwrap_or_default(),
        starts_at: Some(time(recurrence.start)),
    }
}

fn priority(priority: Priority) -> proto::TaskPriority {
    match priority {
        Priority::Low => proto::TaskPriority::Low,
        Priority::Normal => proto::TaskPriority::Normal,
        Priority::High => proto::TaskPriority::High,
        Priority::Urgent => proto::TaskPriority::Urgent,
    }
}
