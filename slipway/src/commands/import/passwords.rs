//! Writes the passwords of new developers as a table, to the terminal or a file.

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use super::users::NewUser;

/// A table for people. Names and addresses have only letters, digits and a few symbols, so nothing
/// needs escaping.
pub(super) fn table(users: &[NewUser]) -> String {
    let width = |text: fn(&NewUser) -> &str| {
        let lengths = users.iter().map(|user| text(user).chars().count());
        lengths.max().unwrap_or_default().max(8)
    };
    let (names, emails) = (width(|user| &user.username), width(|user| &user.email));
    let mut table = format!("  {:<names$}  {:<emails$}  password\n", "username", "email");
    for NewUser {
        username,
        email,
        password,
    } in users
    {
        // Writing to a String cannot fail.
        let _ = writeln!(table, "  {username:<names$}  {email:<emails$}  {password}");
    }
    table
}

/// Writes the table to a new file that only its owner can read, and syncs it to disk.
///
/// # Errors
/// If the file exists already, or cannot be written.
pub(super) fn write_file(path: &Path, users: &[NewUser]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(table(users).as_bytes())?;
    file.sync_all()
}

/// Replaces the file that [`write_file`] has made by one with the passwords of these users only.
/// Without users it is removed.
///
/// # Errors
/// If it cannot be replaced; then it stays as it is.
pub(super) fn keep_only(path: &Path, users: &[NewUser]) -> io::Result<()> {
    if users.is_empty() {
        return fs::remove_file(path);
    }
    let draft = path.with_added_extension(format!("{}.tmp", std::process::id()));
    write_file(&draft, users)?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Vec<NewUser> {
        let user = |name: &str| NewUser {
            username: name.into(),
            email: format!("{name}@example.com"),
            password: "secret-of-the-day".into(),
        };
        vec![user("ada"), user("enhancements-lead")]
    }

    #[test]
    fn the_table_has_a_column_of_passwords() {
        let table = table(&users());
        let lines: Vec<&str> = table.lines().collect();
        let column = lines[0].find("password").unwrap();
        assert_eq!(lines.len(), 3);
        assert!(
            lines[1..]
                .iter()
                .all(|line| line[column..] == *"secret-of-the-day")
        );
    }

    #[test]
    fn a_file_of_passwords_is_private_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwords");
        write_file(&path, &users()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), table(&users()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let refused = write_file(&path, &users()[..1]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), table(&users()));
    }

    #[test]
    fn a_file_of_passwords_keeps_those_of_some_users() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwords");
        write_file(&path, &users()).unwrap();
        keep_only(&path, &users()[..1]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), table(&users()[..1]));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        keep_only(&path, &[]).unwrap();
        assert!(!path.exists());
    }
}
