//! `backup` and `restore`: copies of the data directory.

use std::path::Path;

use slipway_runtime::life;

use crate::{
    UsageError,
    config::{KEYS, Layers},
    output,
    wiring::data_dir::{backup, restore},
};

/// Makes a backup of the data directory in `dir`.
///
/// # Errors
/// If the configuration has no data directory, or the backup cannot be made.
pub fn create(layers: &Layers, dir: &Path) -> anyhow::Result<()> {
    let settings = layers.settings(None)?;
    if !settings.uses_data_dir() {
        let text = "all data is in MongoDB and Kafka, which have their own tools for backups";
        return Err(UsageError(text.into()).into());
    }
    for key in [&KEYS.mongodb_url, &KEYS.kafka_brokers] {
        if settings.sets(key) {
            output::remark(&format!(
                "{} is set: the backup does not include that",
                key.name
            ));
        }
    }
    if let Some(path) = &settings.jwt_key_file {
        let path = path.display();
        output::remark(&format!(
            "the backup does not include the signing keys in {path}"
        ));
    }
    life::make_files_private();
    let names = backup::create(&settings.data_dir, dir, &|| true)?;
    let dir = dir.display();
    output::print(&format!(
        "Backed up {} to {dir}. To restore it: slipway restore {dir} --data-dir NEW\n",
        names.join(", ")
    ))
}

/// Copies the backup in `dir` into the data directory.
///
/// # Errors
/// If `dir` is no backup, or the data directory is not empty.
pub fn restore(layers: &Layers, dir: &Path) -> anyhow::Result<()> {
    let settings = layers.settings(None)?;
    life::make_files_private();
    let data = &settings.data_dir;
    let count = restore::restore(dir, data)?;
    output::print(&format!(
        "Restored {count} databases to {data}. Stop the Slipway whose data they were, and start \
         one with --data-dir {data}\n",
        data = data.display()
    ))
}
