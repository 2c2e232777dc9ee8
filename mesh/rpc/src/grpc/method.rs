//! The methods there are. Which of them have no effect and may be tried again is declared in
//! the contracts: `option idempotency_level = NO_SIDE_EFFECTS`.

use std::{collections::HashMap, sync::LazyLock};

use prost_reflect::{
    DescriptorPool, MethodDescriptor,
    prost_types::{MethodOptions, method_options},
};
use slipway_proto::DESCRIPTOR_SET;

/// What a call means to the way it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// No effect, one answer.
    Read,
    /// No effect, a stream of answers.
    Watch,
    /// It may have an effect.
    Command,
}

/// Methods of the infrastructure, which our contracts do not declare.
const INFRASTRUCTURE: &[&str] = &[
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/List",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// The label of every path at which there is no method.
const UNKNOWN: &str = "unknown";

static BY_PATH: LazyLock<HashMap<String, Method>> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(DESCRIPTOR_SET).expect("a test reads the contracts");
    pool.services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| (path(&method), declared(&method)))
        .collect()
});

impl Method {
    /// The method at a request path such as `/slipway.release.v1.TaskService/GetTask`.
    /// What is not in the contracts may have an effect.
    pub(super) fn at(path: &str) -> Self {
        BY_PATH.get(path).copied().unwrap_or(Self::Command)
    }
}

/// What a request path is called in metrics and logs. Anybody can make up paths without end,
/// so what is no method has one name for all.
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

    /// How the names of methods without an effect begin.
    const VERBS: &[&str] = &["Get", "List", "Resolve", "Watch"];

    #[test]
    fn whatever_only_reads_says_so_and_nothing_else_does() {
        assert!(BY_PATH.len() > 10);
        for (path, method) in BY_PATH.iter() {
            let name = path.rsplit('/').next().unwrap();
            let reads = VERBS.iter().any(|verb| name.starts_with(verb));
            assert_eq!(*method != Method::Command, reads, "{path} is {method:?}");
        }
    }

    #[test]
    fn made_up_paths_have_one_label() {
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
    fn streams_are_told_from_single_answers() {
        let at = |name| Method::at(&format!("/slipway.notify.v1.ActivityService/{name}"));
        assert_eq!(at("List"), Method::Read);
        assert_eq!(at("Watch"), Method::Watch);
        assert_eq!(at("Forget"), Method::Command);
    }
}
