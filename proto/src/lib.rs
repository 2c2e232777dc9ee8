//! Slipway's contracts, and nothing else: the protobuf services (`proto/`), the code generated from
//! them, and the [`events`] on the bus with their JSON Schemas (`schemas/`).
//!
//! Each protobuf package is a module of the same name: `slipway.release.v1` is
//! [`release::v1`].

pub mod events;
#[cfg(feature = "testing")]
mod testing;
pub mod time;

/// `slipway.common`: definitions shared by the other packages.
pub mod common {
    /// Generated from `proto/slipway/common/v1`.
    #[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
    pub mod v1 {
        tonic::include_proto!("slipway.common.v1");
    }
}

/// `slipway.forum`: discussions.
pub mod forum {
    /// Generated from `proto/slipway/forum/v1`.
    #[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
    pub mod v1 {
        tonic::include_proto!("slipway.forum.v1");
    }
}

/// `slipway.identity`: accounts, sign-in, public keys.
pub mod identity {
    /// Generated from `proto/slipway/identity/v1`.
    #[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
    pub mod v1 {
        tonic::include_proto!("slipway.identity.v1");
    }
}

/// `slipway.release`: releases and tasks.
pub mod release {
    /// Generated from `proto/slipway/release/v1`.
    #[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
    pub mod v1 {
        tonic::include_proto!("slipway.release.v1");
    }
}

/// `slipway.notify`: activity feed, notifications, incidents, dead letters.
pub mod notify {
    /// Generated from `proto/slipway/notify/v1`.
    #[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
    pub mod v1 {
        tonic::include_proto!("slipway.notify.v1");
    }
}

/// `slipway.process`: the processes of Slipway.
pub mod process {
    /// Generated from `proto/slipway/process/v1`.
    #[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
    pub mod v1 {
        tonic::include_proto!("slipway.process.v1");
    }
}

/// `slipway.chat`: the assistant.
pub mod chat {
    /// Generated from `proto/slipway/chat/v1`.
    #[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
    pub mod v1 {
        tonic::include_proto!("slipway.chat.v1");
    }
}

/// All contracts as an encoded `FileDescriptorSet`, including comments and extensions: for
/// reflection and for the access rules.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/slipway.bin"));
