//! Classifies methods by their contract. Methods with `option idempotency_level = NO_SIDE_EFFECTS`
//! may be retried.

use std::{collections::HashMap, sync::LazyLock};

use prost_reflect::{
    DescriptorPool, MethodDescriptor,
    prost_types::{MethodOptions, method_options},
};
use slipway_proto::DESCRIPTOR_SET;

/// How a call may be sent and retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// No side effects, one answer.
    Read,
    /// No side effects, a stream of answers.
    Watch,
    /// May have side effects.
    Command,
}

/// Methods of the infrastructure, which are not in our contracts.
const INFRASTRUCTURE: &[&str] = &[
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/List",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// The label of all paths that are not a method.
const UNKNOWN: &str = "unknown";

static BY_PATH: LazyLock<HashMap<String, Method>> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(DESCRIPTOR_SET).expect("a test reads the contracts");
    pool.services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| (path(&method), declared(&method)))
        .collect()
});

impl Method {
    /// The method at a request path such as `/slipway.release.v1.TaskService/GetTask`. A path that
    /// is not in the contracts may have side effects.
    pub(crate) fn at(path: &str) -> Self {
        BY_PATH.get(path).copied().unwrap_or(Self::Command)
    }
}

/// The label of a request path in metrics and logs. A client can invent any number of paths, so all
/// unknown ones share one label.
pub(super) fn label(path: &str) -> &'static str {
    let declared = BY_PATH.get_key_value(path).map(|(path, _)| path.as_str());
    let infrastructure = || INFRASTRUCTURE.iter().copied().find(|known| *known == path);
    declared.or_else(infrastructure).unwrap_or(UNKNOWN)
}

fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

fn declared(method: &MethodDescriptor) -> Method {
    let descriptor = method.method_descriptor_proto();
    let level = descriptor
        .options
        .as_ref()
        .map(MethodOptions::idempotency_level);
    if level != Some(method_options::IdempotencyLevel::NoSideEffects) {
        Method::Command
    } else if method.is_server_streaming() {
        Method::Watch
    } else {
        Method::Read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prefixes of the names of methods without side effects.
    const VERBS: &[&str] = &["Get", "List", "Resolve", "Watch"];

    #[test]
    fn exactly_the_reading_methods_are_declared_free_of_side_effects() {
        assert!(BY_PATH.len() > 10);
        for (path, method) in BY_PATH.iter() {
            let name = path.rsplit('/').next().unwrap();
            let reads = VERBS.iter().any(|verb| name.starts_with(verb));
            assert_eq!(*method != Method::Command, reads, "{path} is {method:?}");
        }
    }

    #[test]
    fn unknown_paths_share_one_label() {
        let known = "/slipway.release.v1.TaskService/StartTask";
        assert_eq!(label(known), known);
        assert_eq!(
            label("/grpc.health.v1.Health/Check"),
            "/grpc.health.v1.Health/Check"
        );
        for path in [
            "/grpc.health.v1.Health/Chuck",
            "/slipway.release.v1.TaskService/",
            "/",
            "*",
        ] {
            assert_eq!(label(path), UNKNOWN);
        }
    }

    #[test]
    fn streams_are_distinguished_from_single_answers() {
        let at = |name| Method::at(&format!("/slipway.notify.v1.ActivityService/{name}"));
        assert_eq!(at("List"), Method::Read);
        assert_eq!(at("Watch"), Method::Watch);
        assert_eq!(at("Forget"), Method::Command);
    }
}
