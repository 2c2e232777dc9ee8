//! Files that the configuration names.

use std::{
    fs::{File, FileType, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

/// Reads a file. What is none, such as a directory or a pipe, is refused at once: reading a pipe
/// would wait for somebody who writes into it.
///
/// # Errors
/// If it is no file, or cannot be read.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let kind = file.metadata()?.file_type();
    if !kind.is_file() {
        return Err(io::Error::other(format!("it is {}", name(kind))));
    }
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    Ok(content)
}

/// Opens a file without waiting for the other end of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
}

fn name(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a directory and no file"
    } else if kind.is_fifo() {
        "a pipe and no file"
    } else {
        "a device and no file"
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    #[test]
    fn only_files_are_read_and_nothing_is_waited_for() {
        let dir = std::env::temp_dir().join(format!("slipway-file-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (file, link, pipe) = (dir.join("file"), dir.join("link"), dir.join("pipe"));
        fs::write(&file, "content").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        for path in [&file, &link] {
            assert_eq!(read(path).unwrap(), b"content");
        }
        for (path, said) in [
            (&*dir, "it is a directory"),
            (&pipe, "it is a pipe"),
            (Path::new("/dev/zero"), "it is a device"),
            (&dir.join("none"), "No such file"),
        ] {
            let error = read(path).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
