//! Background work: events into the log and into the queue of notifications, accounts into
//! the read model, dead letters onto their desk, what is old out of the stores, and an eye
//! on the entries that other replicas append.

mod desk;
mod forgetting;
mod incidents;
mod lookout;
mod notifying;
mod projection;
mod pruning;
mod recipients;

use slipway_bus::{TopicSpec, consumer::Group};

pub(crate) use desk::Desk;
pub(crate) use forgetting::Forgetting;
pub(crate) use incidents::spawn as incidents;
pub(crate) use lookout::Lookout;
pub(crate) use notifying::Notifying;
pub(crate) use projection::Projection;
pub(crate) use pruning::Pruning;
pub(crate) use recipients::Recipients;

/// The topics that the consumer groups have for themselves.
pub(crate) fn own_topics() -> Vec<TopicSpec> {
    let groups = [
        projection::group(),
        notifying::group(),
        recipients::group(),
        incidents::group(),
    ];
    groups.iter().flat_map(Group::own_topics).collect()
}
