//! Background work: events into the log, old entries out of it, and an eye on the
//! entries that other replicas append; dead letters onto their desk.

mod desk;
mod lookout;
mod projection;
mod pruning;

pub(crate) use desk::Desk;
pub(crate) use lookout::Lookout;
pub(crate) use projection::Projection;
pub(crate) use pruning::Pruning;
