//! [`Spool`]: a folder into which people and programs lay files of rows, for `files` triggers.
//!
//! A file that a rule wants is read once it has stopped growing, and is then put into `done/` or
//! `refused/` beside a report and the rows that were rejected. Each row is an event with an identity,
//! so a file that a crash leaves half read is simply read again: nothing starts twice, nothing is
//! passed over. The rules in force say which files are wanted; the others are left where they are.

mod intake;
mod look;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::model::{FileGlob, Span};

use super::clock::Clock;
use super::handle::Handle;
use intake::{BrokenOff, Intake};
use look::Stamp;

/// How often the spool is looked at. Looking is also how it is known that a file stands still, which
/// works on file systems of other machines as well.
const LOOK: Duration = Duration::from_secs(1);
/// Looks after which a file that could not be read is tried again.
const PATIENCE: u64 = 60;
/// Looks between two looks for what was kept long enough.
const TIDY: u64 = 3_600;

/// See the room's description.
pub struct Spool {
    folder: Arc<PathBuf>,
    keep: Span,
    handle: Handle,
}

impl Spool {
    /// Of a folder. What was read is kept there for as long as events are: `keep`.
    #[must_use]
    pub fn new(folder: PathBuf, keep: Span, handle: Handle) -> Self {
        Self { folder: Arc::new(folder), keep, handle }
    }

    /// Reads what comes, one file after the other, until told to stop; what is being read then is read
    /// again at the next start.
    pub async fn watch(self, stop: CancellationToken) {
        let clock = Clock::start();
        let mut before: HashMap<String, Stamp> = HashMap::new();
        let mut failed: HashMap<String, (Stamp, u64)> = HashMap::new();
        for look in 0_u64.. {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => return,
            }
            let globs: Arc<Vec<FileGlob>> =
                Arc::new(self.handle.rules().globs().into_iter().cloned().collect());
            if look % TIDY == 0 {
                let (folder, oldest) = (self.folder.clone(), clock.wall() - self.keep);
                drop(tokio::task::spawn_blocking(move || look::tidy(&folder, oldest)).await);
            }
            if globs.is_empty() {
                continue;
            }
            let (folder, wanted) = (self.folder.clone(), globs.clone());
            let looked = tokio::task::spawn_blocking(move || look::wanted(&folder, &wanted)).await;
            let Ok(found) = looked else { return };
            failed.retain(|path, _| found.contains_key(path));
            for (path, stamp) in &found {
                let tired =
                    failed.get(path).is_some_and(|(then, until)| then == stamp && look < *until);
                if before.get(path) != Some(stamp) || tired {
                    continue;
                }
                match self.read(path, &globs, &stop).await {
                    Ok(()) => {}
                    Err(BrokenOff::Stopping) => return,
                    Err(BrokenOff::File(error)) => {
                        tracing::error!(
                            file = path, %error,
                            "a file of the spool cannot be taken in; it stays there, and is tried again"
                        );
                        failed.insert(path.clone(), (stamp.clone(), look + PATIENCE));
                    }
                }
            }
            before = found.into_iter().collect();
        }
    }

    async fn read(
        &self,
        path: &str,
        globs: &[FileGlob],
        stop: &CancellationToken,
    ) -> Result<(), BrokenOff> {
        // All patterns that match name the same folder, and so the same events.
        let Some(glob) = globs.iter().find(|glob| glob.matches(path)) else { return Ok(()) };
        let intake = Intake {
            spool: self.folder.clone(),
            path: path.to_owned(),
            glob: glob.clone(),
            handle: self.handle.clone(),
            runtime: tokio::runtime::Handle::current(),
            stop: stop.clone(),
        };
        match tokio::task::spawn_blocking(move || intake.run()).await {
            Ok(Ok(report)) => {
                let (rows, accepted, known) = (report.rows, report.accepted, report.known);
                let rejected = report.rejected;
                match &report.error {
                    None => {
                        tracing::info!(
                            file = path,
                            rows,
                            accepted,
                            known,
                            rejected,
                            "a file was read"
                        );
                    }
                    Some(error) => tracing::warn!(
                        file = path, rows, accepted, known, rejected, %error,
                        "a file was refused: its report says why"
                    ),
                }
                Ok(())
            }
            Ok(Err(broken_off)) => Err(broken_off),
            Err(broken_off) => Err(BrokenOff::File(broken_off.into())),
        }
    }
}
