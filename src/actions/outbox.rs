//! The outbox: a folder for mails while no server is named, and for requests to endpoints without
//! an address.
//!
//! Files sort by the instant their effect was announced. The effect's key is in the name, so a
//! repeated attempt overwrites its file and never makes a second. A file is whole or not there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::model::{Cause, Command};

/// A folder of undelivered effects.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    folder: PathBuf,
}

impl Outbox {
    /// The folder is made when the first file is written.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Writes the file of a command durably and gives its path. `extension` has no dot.
    ///
    /// # Errors
    /// A cause `outbox` that may pass: the disk is full, the folder cannot be written.
    pub(crate) async fn write(
        &self,
        command: &Command,
        extension: &str,
        content: Vec<u8>,
    ) -> Result<PathBuf, Cause> {
        let stamp = command.armed.to_timestamp().strftime("%Y%m%dT%H%M%S.%6fZ");
        let name = format!("{stamp}-{}.{extension}", command.key);
        let folder = self.folder.clone();
        let written = tokio::task::spawn_blocking(move || replace(&folder, &name, &content)).await;
        match written {
            Ok(Ok(path)) => Ok(path),
            Ok(Err(error)) => Err(self.cause(&error)),
            Err(error) => Err(self.cause(&error)),
        }
    }

    fn cause(&self, error: &dyn std::error::Error) -> Cause {
        let folder = self.folder.display();
        Cause::new("outbox", format!("the outbox {folder} cannot be written: {error}"))
    }
}

/// Writes beside, syncs, renames, syncs the folder.
fn replace(folder: &Path, name: &str, content: &[u8]) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let path = folder.join(name);
    let beside = folder.join(format!(".{name}.tmp"));
    let mut file = File::create(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, &path)?;
    File::open(folder)?.sync_all()?;
    Ok(path)
}
