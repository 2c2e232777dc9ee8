//! Tells the program which commit it is built from. The files of the repository are read, so that
//! no git is needed; outside of a checkout there is no commit.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Some(commit) = git_dir().and_then(|dir| commit(&dir)) {
        println!("cargo::rustc-env=BUILD_COMMIT={commit}");
    }
}

/// The directory of git's files for this checkout: `.git`, or what a file `.git` names, as in a
/// worktree.
fn git_dir() -> Option<PathBuf> {
    let git = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.git");
    if git.is_dir() {
        return Some(git);
    }
    let dir = fs::read_to_string(&git).ok()?;
    Some(git.parent()?.join(dir.strip_prefix("gitdir:")?.trim()))
}

/// The commit that is checked out.
fn commit(dir: &Path) -> Option<String> {
    let head = read(&dir.join("HEAD"))?;
    // It changes with every commit, also where HEAD names the same branch as before.
    let _ = read(&dir.join("logs/HEAD"));
    let Some(branch) = head.strip_prefix("ref: ") else {
        return Some(head);
    };
    // The branches of a worktree are with those of the repository.
    let common = read(&dir.join("commondir")).map_or(dir.to_owned(), |common| dir.join(common));
    read(&common.join(branch)).or_else(|| {
        let packed = read(&common.join("packed-refs"))?;
        let mut lines = packed.lines().filter_map(|line| line.split_once(' '));
        lines
            .find(|(_, name)| *name == branch)
            .map(|(commit, _)| commit.to_owned())
    })
}

/// The text of a file; the build is repeated when it changes. One that is not there is not
/// watched: cargo would build again every time.
fn read(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    println!("cargo::rerun-if-changed={}", path.display());
    Some(text.trim().to_owned())
}
