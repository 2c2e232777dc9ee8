//! Writes mails to files, for use without a mail server: one `.eml` file each, which mail programs
//! can open.

use std::{
    fmt::Display,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use rustix::fs::{Access, access};
use slipway_runtime::life::{Check, Problem};

use super::{Mail, Mailer, Sender, Sending, message::message};

/// Writes mails into a directory.
#[derive(Debug, Clone)]
pub struct FileMailer {
    dir: PathBuf,
    from: Sender,
}

impl FileMailer {
    /// Writes mails from `from` into `dir`. Creates the directory, accessible only to its owner, if
    /// it does not exist.
    ///
    /// # Errors
    /// If the directory cannot be created.
    pub fn new(dir: PathBuf, from: Sender) -> io::Result<Self> {
        builder().recursive(true).create(&dir)?;
        Ok(Self { dir, from })
    }
}

fn builder() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Creates the directory again if it was deleted, but not the data directory that it is in: without
/// that, more is wrong than the mails.
fn create_again(dir: &Path) -> io::Result<()> {
    match builder().create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created,
    }
}

#[async_trait]
impl Mailer for FileMailer {
    async fn send(&self, mail: &Mail) -> Sending {
        let bytes = match message(mail, &self.from) {
            Ok(message) => message.formatted(),
            Err(error) => return Sending::Permanent(error.to_string()),
        };
        let (dir, name) = (self.dir.clone(), mail.id.to_string());
        let written = tokio::task::spawn_blocking(move || write(&dir, &name, &bytes)).await;
        match written {
            Ok(Ok(())) => Sending::Accepted(format!("written to {}.eml", mail.id)),
            Ok(Err(error)) => Sending::Unreachable(self.unusable(error)),
            Err(error) => Sending::Unreachable(self.unusable(error)),
        }
    }

    async fn is_there(&self) -> Result<(), String> {
        // Some empty it by deleting it.
        let (dir, exists) = (self.dir.clone(), tokio::fs::try_exists(&self.dir).await);
        if matches!(exists, Ok(false)) {
            let created = tokio::task::spawn_blocking(move || create_again(&dir)).await;
            let created = created.map_err(|error| self.unusable(error))?;
            created.map_err(|error| self.unusable(error))?;
        }
        let dir = tokio::fs::metadata(&self.dir).await;
        if !dir.map_err(|error| self.unusable(error))?.is_dir() {
            return Err(self.unusable("it is a file"));
        }
        let takes_files = access(&self.dir, Access::WRITE_OK | Access::EXEC_OK);
        takes_files.map_err(|error| self.unusable(io::Error::from(error)))
    }
}

/// Unlike a mail server, a directory can be checked at any time.
#[async_trait]
impl Check for FileMailer {
    async fn check(&self) -> Result<(), Problem> {
        self.is_there().await.map_err(Problem::Unwritable)
    }
}

impl FileMailer {
    fn unusable(&self, why: impl Display) -> String {
        format!(
            "the mail directory {} cannot be used: {why}",
            self.dir.display()
        )
    }
}

/// Writes the file atomically: to a temporary file next to it, synced and then renamed. A mail that
/// is sent again replaces the first.
fn write(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    create_again(dir)?;
    let unfinished = dir.join(format!(".{name}.part"));
    let written = write_synced(&unfinished, bytes)
        .and_then(|()| fs::rename(&unfinished, dir.join(format!("{name}.eml"))));
    if written.is_err() {
        // On a full disk one would be left for each attempt.
        let _ = fs::remove_file(&unfinished);
    }
    written?;
    File::open(dir)?.sync_all()
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::notification::{NotificationId, Subject};

    fn mail(text: &str) -> Mail {
        Mail {
            id: NotificationId::at(Timestamp::UNIX_EPOCH),
            to: "ada@example.com".parse().unwrap(),
            subject: Subject::new("Hello"),
            text: text.to_owned(),
            html: String::new(),
            date: Timestamp::UNIX_EPOCH,
            trace: None,
        }
    }

    #[tokio::test]
    async fn a_mail_is_one_file_however_often_it_is_sent() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("data").join("mail");
        let mailer = FileMailer::new(place.clone(), "a@b.example".parse().unwrap()).unwrap();
        let mail = mail("first");
        for text in ["first", "second"] {
            let mail = Mail {
                text: text.to_owned(),
                ..mail.clone()
            };
            let sent = mailer.send(&mail).await;
            assert!(matches!(sent, Sending::Accepted(_)), "{sent:?}");
        }
        let files: Vec<_> = fs::read_dir(&place).unwrap().collect();
        assert_eq!(files.len(), 1);
        let written = fs::read_to_string(place.join(format!("{}.eml", mail.id))).unwrap();
        assert!(written.contains("second") && !written.contains("first"));
    }

    #[test]
    fn a_failed_attempt_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        // A directory in the way of the mail.
        fs::create_dir(dir.path().join("mail.eml")).unwrap();
        write(dir.path(), "mail", b"text").unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_directory_that_is_gone_is_created_again() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("mail");
        let mailer = FileMailer::new(place.clone(), "a@b.example".parse().unwrap()).unwrap();
        fs::remove_dir(&place).unwrap();
        assert!(matches!(
            mailer.send(&mail("x")).await,
            Sending::Accepted(_)
        ));
        fs::remove_dir_all(&place).unwrap();
        assert_eq!(mailer.is_there().await, Ok(()));
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_used_is_not_the_mails_fault() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("mail");
        let mailer = FileMailer::new(place.clone(), "a@b.example".parse().unwrap()).unwrap();
        fs::remove_dir(&place).unwrap();
        fs::write(&place, "a file").unwrap();
        let sent = mailer.send(&mail("x")).await;
        let named = format!("the mail directory {} cannot be used", place.display());
        let Sending::Unreachable(why) = sent else {
            panic!("{sent:?}")
        };
        assert!(why.starts_with(&named), "{why}");
        assert!(mailer.is_there().await.unwrap_err().starts_with(&named));
        fs::remove_file(&place).unwrap();
        assert_eq!(mailer.is_there().await, Ok(()));
    }
}
