//! The access rules, read from the contracts.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, ExtensionDescriptor, MethodDescriptor, Value};
use slipway_proto::common::v1;

use super::Role;

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
                let (rule, streams) = (declared(&method, &option), method.is_server_streaming());
                (path(&method), Method { rule, streams })
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

fn declared(method: &MethodDescriptor, option: &ExtensionDescriptor) -> Rule {
    let options = method.options();
    let value = options.get_extension(option);
    let Value::Message(message) = value.as_ref() else {
        return Rule::Nobody;
    };
    let Ok(access) = message.transcode_to::<v1::Access>() else {
        return Rule::Nobody;
    };
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
                "ExchangeSession",
                "GetJwks",
                "Login",
                "RefreshSession",
                "Register",
                "StartBrowserSession",
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
                "/slipway.identity.v1.IdentityService/WatchEndedSessions",
                "/slipway.notify.v1.ActivityService/List",
                "/slipway.notify.v1.ActivityService/Watch",
                "/slipway.notify.v1.IncidentService/Report",
                "/slipway.notify.v1.IncidentService/ReportMany",
                "/slipway.notify.v1.NotificationService/ConfirmDeliveries",
            ]
        );
    }

    #[test]
    fn methods_without_a_rule_are_not_open() {
        assert_eq!(
            policies().rule("/slipway.release.v1.ReleaseService/Drop"),
            &Rule::Unknown
        );
    }
}
