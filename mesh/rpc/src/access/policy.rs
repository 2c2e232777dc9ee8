//! The access rules, read from the contracts.

use std::{collections::HashMap, sync::Arc};

use prost_reflect::{DescriptorPool, ExtensionDescriptor, MethodDescriptor, Value};
use slipway_proto::common::v1;

use super::{Principal, Role, Scope};
use crate::{
    error::{Fault, Kind},
    grpc::Method as Class,
};

const OPTION: &str = "slipway.common.v1.access";

const HEALTH: &str = "/grpc.health.v1.Health/";

/// Services for the infrastructure that reveal nothing: open to everyone.
const OPEN_SERVICES: &[&str] = &[
    HEALTH,
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

/// What a method requires of its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Nothing.
    Public,
    /// A valid token of one of these roles.
    Authenticated(Vec<Role>),
    /// The method declares no rule: every call is refused.
    Nobody,
    /// The method does not exist.
    Unknown,
}

/// The rules of all methods.
#[derive(Debug)]
pub struct Policies {
    by_path: HashMap<String, Method>,
}

#[derive(Debug)]
struct Method {
    rule: Rule,
    streams: bool,
    /// Whether programs may not call it, whatever their scope.
    sign_in_only: bool,
}

/// The contracts cannot be read: an error of the build, not of a request.
#[derive(Debug, thiserror::Error)]
#[error("the descriptor set cannot be read: {0}")]
pub struct PolicyError(String);

impl Policies {
    /// Reads the rules from an encoded `FileDescriptorSet`.
    ///
    /// # Errors
    /// If it is not a descriptor set, or does not define the option.
    pub fn from_descriptor_set(encoded: &[u8]) -> Result<Self, PolicyError> {
        let pool =
            DescriptorPool::decode(encoded).map_err(|error| PolicyError(error.to_string()))?;
        let option = pool
            .get_extension_by_name(OPTION)
            .ok_or_else(|| PolicyError(format!("{OPTION} is not defined")))?;
        let by_path = pool
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>())
            .map(|method| {
                let access = access(&method, &option);
                let declared = Method {
                    rule: access.as_ref().map_or(Rule::Nobody, declared),
                    streams: method.is_server_streaming(),
                    sign_in_only: access.is_some_and(|access| access.sign_in_only),
                };
                (path(&method), declared)
            })
            .collect();
        Ok(Self { by_path })
    }

    /// The rule for a request path such as `/slipway.release.v1.TaskService/StartTask`.
    #[must_use]
    pub fn rule(&self, path: &str) -> &Rule {
        if is_open(path) {
            return &Rule::Public;
        }
        self.by_path
            .get(path)
            .map_or(&Rule::Unknown, |method| &method.rule)
    }

    /// Whether the answer at a request path may be a stream. Always `true` for the infrastructure
    /// services: some of their methods stream.
    #[must_use]
    pub fn streams(&self, path: &str) -> bool {
        is_open(path) || self.by_path.get(path).is_some_and(|method| method.streams)
    }

    /// Whether anybody may call the method at a request path and it has an effect: it signs in, or
    /// does something like it.
    #[must_use]
    pub fn signs_in(&self, path: &str) -> bool {
        !is_open(path) && *self.rule(path) == Rule::Public && Class::at(path) == Class::Command
    }

    /// The caller as whom a method is carried out: with the scope [`Scope::Work`], an admin acts as
    /// a developer.
    ///
    /// # Errors
    /// `SIGN_IN_REQUIRED` if no program may call the method; `SCOPE_REQUIRED` if the caller is a
    /// program whose scope is too small.
    pub fn within_scope(
        &self,
        path: &str,
        principal: Arc<Principal>,
    ) -> Result<Arc<Principal>, Fault> {
        let Some(scope) = principal.scope else {
            return Ok(principal);
        };
        let method = self.by_path.get(path);
        if method.is_some_and(|method| method.sign_in_only) {
            return Err(sign_in_required());
        }
        let has_effects = Class::at(path) == Class::Command;
        match scope {
            Scope::Read if has_effects => Err(scope_required(Scope::Work)),
            Scope::Work if has_effects && principal.role == Role::Admin => {
                if let Some(Rule::Authenticated(roles)) = method.map(|method| &method.rule)
                    && !roles.contains(&Role::Developer)
                {
                    return Err(scope_required(Scope::Admin));
                }
                Ok(Arc::new(Principal {
                    role: Role::Developer,
                    ..Principal::clone(&principal)
                }))
            }
            Scope::Read | Scope::Work | Scope::Admin => Ok(principal),
        }
    }

    /// Every method's path and rule.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Rule)> {
        self.by_path
            .iter()
            .map(|(path, method)| (path.as_str(), &method.rule))
    }
}

/// Whether a request path is one of the health service.
pub(super) fn is_health(path: &str) -> bool {
    path.starts_with(HEALTH)
}

fn is_open(path: &str) -> bool {
    OPEN_SERVICES.iter().any(|open| path.starts_with(open))
}

fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

fn sign_in_required() -> Fault {
    Fault::new(
        Kind::Forbidden,
        "SIGN_IN_REQUIRED",
        "A token for programs may not do this. Sign in yourself.",
    )
}

/// The error if a token for programs may not do what needs `scope`.
#[must_use]
pub fn scope_required(scope: Scope) -> Fault {
    let scope = scope.as_str();
    Fault::new(
        Kind::Forbidden,
        "SCOPE_REQUIRED",
        format!("The token may not do this: it needs the scope {scope}."),
    )
    .fact("scope", scope)
}

/// What the method declares, if that can be read.
fn access(method: &MethodDescriptor, option: &ExtensionDescriptor) -> Option<v1::Access> {
    let options = method.options();
    let value = options.get_extension(option);
    let Value::Message(message) = value.as_ref() else {
        return None;
    };
    message.transcode_to::<v1::Access>().ok()
}

fn declared(access: &v1::Access) -> Rule {
    match access.level() {
        v1::AccessLevel::Unspecified => Rule::Nobody,
        v1::AccessLevel::Public => Rule::Public,
        v1::AccessLevel::Authenticated => {
            if access.roles.is_empty() {
                return Rule::Authenticated(Role::ACCOUNTS.to_vec());
            }
            let roles: Option<Vec<_>> = access.roles().map(Role::from_proto).collect();
            roles.map_or(Rule::Nobody, Rule::Authenticated)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies() -> Policies {
        Policies::from_descriptor_set(slipway_proto::DESCRIPTOR_SET).unwrap()
    }

    #[test]
    fn every_method_declares_who_may_call_it() {
        let policies = policies();
        let mut count = 0;
        for (path, rule) in policies.iter() {
            assert!(!matches!(rule, Rule::Nobody), "{path} declares no access");
            count += 1;
        }
        assert!(count > 10, "only {count} methods were found");
    }

    #[test]
    fn only_signing_in_is_public() {
        let policies = policies();
        let mut public: Vec<_> = policies
            .iter()
            .filter(|(_, rule)| **rule == Rule::Public)
            .map(|(path, _)| path.rsplit('/').next().unwrap())
            .collect();
        public.sort_unstable();
        assert_eq!(
            public,
            [
                "ConfirmEmail",
                "ExchangeSession",
                "ExchangeToken",
                "FinishProviderSignIn",
                "GetJwks",
                "GetSignInOptions",
                "Login",
                "RefreshSession",
                "Register",
                "RequestPasswordReset",
                "ResetPassword",
                "StartBrowserSession",
                "StartProviderSignIn",
            ]
        );
    }

    #[test]
    fn planning_is_for_admins() {
        let policies = policies();
        for method in [
            "ReleaseService/CreateRelease",
            "ReleaseService/AddTask",
            "ReleaseService/CompleteRelease",
            "ReleaseService/UpdateRelease",
            "ReleaseService/DeleteRelease",
            "TaskService/DeleteTask",
        ] {
            assert_eq!(
                policies.rule(&format!("/slipway.release.v1.{method}")),
                &Rule::Authenticated(vec![Role::Admin])
            );
        }
    }

    #[test]
    fn a_service_may_call_only_methods_that_allow_its_role() {
        let policies = policies();
        let mut for_services: Vec<_> = policies
            .iter()
            .filter(|(_, rule)| matches!(rule, Rule::Authenticated(roles) if roles.contains(&Role::Service)))
            .map(|(path, _)| path)
            .collect();
        for_services.sort_unstable();
        assert_eq!(
            for_services,
            [
                "/slipway.identity.v1.IdentityService/IssueLinkSecret",
                "/slipway.identity.v1.IdentityService/WatchEndedSessions",
                "/slipway.notify.v1.ActivityService/List",
                "/slipway.notify.v1.ActivityService/Watch",
                "/slipway.notify.v1.IncidentService/Report",
                "/slipway.notify.v1.IncidentService/ReportMany",
                "/slipway.notify.v1.NotificationService/ConfirmDeliveries",
            ]
        );
    }

    fn caller(role: Role, scope: Option<Scope>) -> Arc<Principal> {
        Arc::new(Principal {
            user_id: uuid::Uuid::nil(),
            username: "ada".into(),
            role,
            session_id: None,
            scope,
            expires_at: jiff::Timestamp::MAX,
        })
    }

    /// The role as which a caller carries out a method, or the code of the refusal.
    fn acting(
        policies: &Policies,
        path: &str,
        role: Role,
        scope: Option<Scope>,
    ) -> Result<Role, &'static str> {
        let acting = policies.within_scope(path, caller(role, scope));
        let acting = acting.map_err(|fault| match &*fault.code {
            "SIGN_IN_REQUIRED" => "sign in",
            "SCOPE_REQUIRED" => "scope",
            other => panic!("{other}"),
        })?;
        Ok(acting.role)
    }

    #[test]
    fn a_sign_in_is_needed_for_what_makes_or_ends_access() {
        let policies = policies();
        let mut found: Vec<_> = policies
            .by_path
            .iter()
            .filter(|(_, method)| method.sign_in_only)
            .map(|(path, _)| path.rsplit('/').next().unwrap())
            .collect();
        found.sort_unstable();
        assert_eq!(
            found,
            [
                "ChangePassword",
                "CreateToken",
                "EndAllSessions",
                "EndSession",
                "Logout",
                "RevokeToken",
                "UpdateMe",
            ]
        );
    }

    #[test]
    fn every_method_is_within_a_scope_by_its_declaration() {
        let policies = policies();
        for (path, method) in &policies.by_path {
            let may = |role, scope| acting(&policies, path, role, Some(scope));
            for role in Role::ACCOUNTS {
                assert_eq!(acting(&policies, path, role, None), Ok(role), "{path}");
                let read = may(role, Scope::Read);
                let work = may(role, Scope::Work);
                let admin = may(role, Scope::Admin);
                if method.sign_in_only {
                    let refused = Err("sign in");
                    assert_eq!((read, work, admin), (refused, refused, refused), "{path}");
                    continue;
                }
                assert_eq!(admin, Ok(role), "{path}");
                if Class::at(path) != Class::Command {
                    assert_eq!((read, work), (Ok(role), Ok(role)), "{path}");
                    continue;
                }
                assert_eq!(read, Err("scope"), "{path}");
                let for_developers = match &method.rule {
                    Rule::Authenticated(roles) => roles.contains(&Role::Developer),
                    _ => true,
                };
                // Whoever may not call it at all is refused by the role, as without a scope.
                match role == Role::Admin && !for_developers {
                    true => assert_eq!(work, Err("scope"), "{path}"),
                    false => assert_eq!(work, Ok(Role::Developer), "{path}"),
                }
            }
        }
    }

    #[test]
    fn methods_without_a_rule_are_not_open() {
        assert_eq!(
            policies().rule("/slipway.release.v1.ReleaseService/Drop"),
            &Rule::Unknown
        );
    }
}
