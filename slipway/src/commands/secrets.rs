//! `secrets`: creates what the processes of a mesh must share.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use anyhow::Context as _;
use rand::distr::{Alphanumeric, SampleString as _};
use slipway_rpc::access::Keyring;

use crate::output;

/// Characters of a random secret: over 200 bits.
const LENGTH: usize = 40;

/// The file with the keys that sign tokens.
const KEYS: &str = "jwt-key.pem";

/// The file with the password of the first administrator.
const PASSWORD: &str = "admin-password";

/// Files with random text.
const SECRETS: [&str; 3] = [PASSWORD, "service-secret", "webhook-secret"];

/// Creates the files that are missing in the directory `dir`, and prints their names, and the
/// password if it is new.
///
/// # Errors
/// If one cannot be read or written.
pub fn run(dir: &Path) -> anyhow::Result<()> {
    let mut private = fs::DirBuilder::new();
    let made = private.recursive(true).mode(0o750).create(dir);
    made.with_context(|| format!("{} cannot be created", dir.display()))?;
    let mut created = Vec::new();
    let keys = dir.join(KEYS);
    if !keys.exists() {
        created.push(KEYS);
    }
    Keyring::load_or_create(&keys)?;
    for name in SECRETS {
        let path = dir.join(name);
        if create(&path).with_context(|| format!("{} cannot be written", path.display()))? {
            created.push(name);
        }
    }
    let place = dir.display();
    let mut text = match created.as_slice() {
        [] => format!("{place} has all secrets already.\n"),
        names => format!("Created {} in {place}.\n", names.join(", ")),
    };
    if created.contains(&PASSWORD) {
        let password = fs::read_to_string(dir.join(PASSWORD))?;
        text += &format!("The password of the first administrator is {password}\n");
    }
    output::print(&text)
}

/// Creates a file with a random secret, readable for its group: the program that sends alerts needs
/// one of them. Returns false if it exists.
fn create(path: &Path) -> io::Result<bool> {
    let mut options = OpenOptions::new();
    let mut file = match options.write(true).create_new(true).mode(0o640).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        opened => opened?,
    };
    let secret = Alphanumeric.sample_string(&mut rand::rng(), LENGTH);
    file.write_all(secret.as_bytes())?;
    file.sync_all()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exists_stays_and_what_is_missing_is_created() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("secrets");
        run(&dir).unwrap();
        let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
        let (keys, service) = (read(KEYS), read("service-secret"));
        assert_eq!(service.len(), LENGTH);
        assert_ne!(service, read("webhook-secret"));
        fs::remove_file(dir.join("webhook-secret")).unwrap();
        run(&dir).unwrap();
        assert_eq!((read(KEYS), read("service-secret")), (keys, service));
        assert_eq!(read("webhook-secret").len(), LENGTH);
    }
}
