//! What this program is: its version, the commit it was built from, and its features.

/// The version of the program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, if the build script found one.
const COMMIT: Option<&str> = option_env!("BUILD_COMMIT");

/// The cargo features that it was built with.
pub(crate) const FEATURES: &str = if cfg!(feature = "kafka-tls") {
    "kafka,kafka-tls"
} else if cfg!(feature = "kafka") {
    "kafka"
} else {
    ""
};

/// What `slipway --version` prints after the name.
pub(crate) fn long() -> String {
    let commit = COMMIT.unwrap_or("unknown");
    let features = match FEATURES {
        "" => "none",
        some => some,
    };
    format!("{VERSION}\ncommit: {commit}\nfeatures: {features}")
}
