//! Which methods have no effect and may be tried again, by their contracts' own word:
//! `option idempotency_level = NO_SIDE_EFFECTS`.

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
    fn streams_are_told_from_single_answers() {
        let at = |name| Method::at(&format!("/slipway.notify.v1.ActivityService/{name}"));
        assert_eq!(at("List"), Method::Read);
        assert_eq!(at("Watch"), Method::Watch);
        assert_eq!(at("Forget"), Method::Command);
    }
}
