//! [`DirLock`]: one process to a data directory.
//!
//! The lock is the kernel's, on a file of ours: it ends with its process however that dies. The
//! number in the file is for people only.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use super::contract::StoreError;

/// Name of the lock file in the directory.
const FILE: &str = "lock";

/// The right to use a directory, for as long as this lives.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the lock of a directory that exists, or says who has it.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when another process, or another part of this one, has it;
    /// [`StoreError::Io`] when the file cannot be opened or written.
    pub fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let failed = |error: std::io::Error| {
            StoreError::Io(format!("cannot lock {}: {error}", path.display()))
        };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                // No more than a number is ever in there.
                let mut owner = String::new();
                let _ = file.take(32).read_to_string(&mut owner);
                let owner = match owner.trim() {
                    "" => String::new(),
                    pid => format!(" (process {pid})"),
                };
                return Err(StoreError::Busy(format!(
                    "another adjutant{owner} uses {}: stop it, or name another data directory",
                    dir.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirLock::take(dir.path()).unwrap();
        let Err(StoreError::Busy(why)) = DirLock::take(dir.path()) else { panic!("taken twice") };
        assert!(why.contains(&format!("(process {})", std::process::id())), "{why}");
        assert!(why.contains(&dir.path().display().to_string()), "{why}");
        drop(first);
        DirLock::take(dir.path()).unwrap();
    }
}
