//! Compiles the contracts with protox, a protobuf compiler in Rust, so that building
//! Slipway needs no `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const FILES: &[&str] = &[
    "proto/slipway/chat/v1/chat.proto",
    "proto/slipway/common/v1/access.proto",
    "proto/slipway/common/v1/user_ref.proto",
    "proto/slipway/forum/v1/forum.proto",
    "proto/slipway/identity/v1/identity.proto",
    "proto/slipway/notify/v1/activity.proto",
    "proto/slipway/notify/v1/audit.proto",
    "proto/slipway/notify/v1/dead_letter.proto",
    "proto/slipway/notify/v1/incident.proto",
    "proto/slipway/notify/v1/event.proto",
    "proto/slipway/notify/v1/notification.proto",
    "proto/slipway/notify/v1/preference.proto",
    "proto/slipway/notify/v1/template.proto",
    "proto/slipway/notify/v1/log.proto",
    "proto/slipway/notify/v1/reading.proto",
    "proto/slipway/notify/v1/statistics.proto",
    "proto/slipway/process/v1/process.proto",
    "proto/slipway/release/v1/release.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES)?;
    // Encoded by protox itself: prost's own types would drop the `access` option.
    let encoded = compiler.encode_file_descriptor_set();
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("slipway.bin"), &encoded)?;
    let descriptors = prost_types::FileDescriptorSet::decode(encoded.as_slice())?;
    tonic_prost_build::configure()
        .build_transport(false)
        .compile_fds(descriptors)?;
    Ok(())
}
