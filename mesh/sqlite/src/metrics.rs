//! This crate's metrics: commits of SQLite databases.

slipway_runtime::metrics! {
    pub fn describe;
    histogram STORE_BATCH {store} = "slipway_store_commit_batch_size",
        "Writes that shared one commit, by store";
    histogram STORE_COMMIT_SECONDS {store} = "slipway_store_commit_duration_seconds",
        "Time a commit took, by store";
    gauge STORE_WRITABLE {store} = "slipway_store_writable",
        "0 while a database accepts no writes, else 1, by store";
}
