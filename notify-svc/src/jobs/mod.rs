//! Background work: events into the log, old entries out of it, and an eye on the
//! entries that other replicas append.

mod lookout;
mod projection;
mod pruning;

pub(crate) use lookout::Lookout;
pub(crate) use projection::Projection;
pub(crate) use pruning::Pruning;
