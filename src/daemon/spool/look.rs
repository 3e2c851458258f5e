//! What lies in the spool: the files that rules want, and what was kept long enough.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::model::{FileGlob, Instant, SPOOL_KEPT, limits};

/// Tells whether a file has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

/// The files that one of the patterns wants, by their paths in the spool: the first
/// [`limits::SPOOL_FILES`] in order. Links are not followed: whoever may lay files here shall not have the
/// daemon read others.
pub(super) fn wanted(spool: &Path, globs: &[FileGlob]) -> BTreeMap<String, Stamp> {
    let mut found = BTreeMap::new();
    let mut folders: Vec<&str> = globs.iter().map(|glob| &**glob.folder()).collect();
    folders.dedup();
    for folder in folders {
        each(&spool.join(folder), folder, 0, &mut |path, about| {
            if globs.iter().any(|glob| glob.matches(&path)) {
                let modified = (about.mtime(), about.mtime_nsec());
                found.insert(path, Stamp { inode: about.ino(), bytes: about.len(), modified });
            }
            found.len() < limits::SPOOL_FILES
        });
    }
    found
}

/// Removes what was put aside before `oldest`, and what was left half done: it is as personal as the events it
/// became.
pub(super) fn tidy(spool: &Path, oldest: Instant) {
    let oldest = oldest.as_micros() / 1_000_000;
    let entries = fs::read_dir(spool).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b".")) {
        let is_old = fs::symlink_metadata(entry.path())
            .is_ok_and(|about| about.is_file() && about.ctime() < oldest);
        if is_old && let Err(error) = fs::remove_file(entry.path()) {
            tracing::warn!(file = ?entry.path(), %error, "an old file of the spool cannot be removed");
        }
    }
    for kept in SPOOL_KEPT {
        each(&spool.join(kept), kept, 0, &mut |path, about| {
            // When it was put here, and not when it was written.
            if about.ctime() < oldest
                && let Err(error) = fs::remove_file(spool.join(&path))
            {
                tracing::warn!(file = path, %error, "an old file of the spool cannot be removed");
            }
            true
        });
    }
}

/// Visits every file below a folder, by its path in the spool, until told that it is enough.
fn each(
    folder: &Path,
    path: &str,
    depth: usize,
    visit: &mut impl FnMut(String, &Metadata) -> bool,
) -> bool {
    let is_folder = fs::symlink_metadata(folder).is_ok_and(|about| about.is_dir());
    let Ok(entries) = fs::read_dir(folder) else { return true };
    if !is_folder || depth >= limits::SPOOL_DEPTH {
        return true;
    }
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort_unstable();
    for name in names.into_iter().filter(|name| !name.starts_with('.')) {
        let (within, path) = (folder.join(&name), format!("{path}/{name}"));
        let Ok(about) = fs::symlink_metadata(&within) else { continue };
        let more = if about.is_dir() {
            each(&within, &path, depth + 1, visit)
        } else if about.is_file() {
            visit(path, &about)
        } else {
            true
        };
        if !more {
            return false;
        }
    }
    true
}
