//! One file of the spool: read, handed to the engine row by row, and put aside with its report.
//!
//! In this order: a marker in the spool says that it is being read → its rows become events, durable
//! one after the other → the report and the rejects are written → `file.done` → the file is put aside
//! → the marker goes. After a crash anywhere in between all of it is done again, and what was done is known.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::OFlags;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::model::{Draft, FileGlob, Input, Map, Refusal, Reply, SPOOL_KEPT, limits};
use crate::triggers::{self, FileReport, Row, Rows};

use super::super::handle::{Handle, Unavailable, in_order};

/// Rest before rows are offered again that there was no room for.
const REST: Duration = Duration::from_millis(500);

/// Why a file was not read to its end. It stays where it is.
pub(super) enum BrokenOff {
    /// The daemon stops.
    Stopping,
    /// The file or the folder cannot be used.
    File(io::Error),
}

impl From<io::Error> for BrokenOff {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

/// A file that is to be read.
pub(super) struct Intake {
    pub(super) spool: Arc<PathBuf>,
    /// Its path within the spool.
    pub(super) path: String,
    pub(super) glob: FileGlob,
    pub(super) handle: Handle,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) stop: CancellationToken,
}

/// A row on its way to the engine.
struct Offered {
    row: Row,
    draft: Draft,
}

impl Intake {
    /// Reads it. Blocks for as long as that takes.
    pub(super) fn run(&self) -> Result<FileReport, BrokenOff> {
        let place = self.spool.join(&self.path);
        let no_link = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let mut file = OpenOptions::new().read(true).custom_flags(no_link).open(&place)?;
        let content = triggers::content_of(&mut file)?;
        file.rewind()?;
        let mut report = FileReport::of(&self.path, content);
        let marker = self.spool.join(format!(".{content}.reading"));
        report.resumed = marker.exists();
        // Also finds out, before a row is taken in, whether anything can be written here.
        File::create(&marker)?;
        let mut rejects = Rejects::open(self.spool.join(format!(".{content}.rejects")))?;
        let input = Box::new(io::BufReader::new(file));
        match triggers::format_of(&self.path).and_then(|format| Rows::open(format, input)) {
            Ok(rows) => self.rows(rows, &mut report, &mut rejects)?,
            Err(error) => report.error = Some(error.0.into()),
        }
        let aside = self.aside(&report)?;
        rejects.keep(report.rejected > 0, &with_ending(&aside, "rejects.ndjson"))?;
        write(&with_ending(&aside, "report.json"), &report)?;
        self.tell(&report)?;
        fs::rename(&place, &aside)?;
        fs::remove_file(&marker)?;
        for folder in [&place, &aside].into_iter().filter_map(|path| path.parent()) {
            File::open(folder)?.sync_all()?;
        }
        Ok(report)
    }

    fn rows(
        &self,
        rows: Rows,
        report: &mut FileReport,
        rejects: &mut Rejects,
    ) -> Result<(), BrokenOff> {
        let mut waiting = Vec::with_capacity(limits::ROWS_UNDER_WAY);
        for row in rows {
            let mut row = match row {
                Ok(row) => row,
                Err(error) => {
                    report.error = Some(error.0.into());
                    break;
                }
            };
            report.rows += 1;
            let data = std::mem::replace(&mut row.data, Ok(Map::new()));
            let made = data.and_then(|data| {
                triggers::from_row(&self.glob, &self.path, report.content, row.number, data)
                    .map_err(|error| error.to_string())
            });
            match made {
                Ok(draft) => waiting.push(Offered { row, draft }),
                Err(why) => rejects.add(report, &row, &why)?,
            }
            if waiting.len() == limits::ROWS_UNDER_WAY {
                self.offer(std::mem::take(&mut waiting), report, rejects)?;
            }
        }
        self.offer(waiting, report, rejects)
    }

    /// Hands rows to the engine and waits until it has decided them, and again for those it had no room for.
    fn offer(
        &self,
        mut waiting: Vec<Offered>,
        report: &mut FileReport,
        rejects: &mut Rejects,
    ) -> Result<(), BrokenOff> {
        while !waiting.is_empty() {
            if self.stop.is_cancelled() {
                return Err(BrokenOff::Stopping);
            }
            if self.handle.takes_events().is_err() {
                std::thread::sleep(REST);
                continue;
            }
            let inputs = waiting.iter().map(|offered| {
                let input = Input::Event(Box::new(offered.draft.clone()));
                self.handle.submit(input)
            });
            let replies = self.runtime.block_on(in_order(inputs));
            let mut again = Vec::new();
            for (offered, reply) in waiting.into_iter().zip(replies) {
                match reply {
                    Ok(Reply::Accepted { duplicate: true, .. }) if !report.resumed => {
                        report.known += 1;
                    }
                    Ok(Reply::Accepted { .. } | Reply::Done(_)) => report.accepted += 1,
                    Ok(Reply::Refused(Refusal::Conflict { .. })) => rejects.add(
                        report,
                        &offered.row,
                        "a row with this `id` came before, and said something else",
                    )?,
                    Ok(Reply::Refused(why)) => {
                        rejects.add(report, &offered.row, &why.to_string())?;
                    }
                    Err(Unavailable::Busy(_) | Unavailable::DiskFull) => again.push(offered),
                    Err(_) => return Err(BrokenOff::Stopping),
                }
            }
            waiting = again;
        }
        Ok(())
    }

    /// Has the engine hear of it, unless it has.
    fn tell(&self, report: &FileReport) -> Result<(), BrokenOff> {
        loop {
            let event = Input::Event(Box::new(report.event()));
            match self.runtime.block_on(self.handle.submit(event)) {
                Ok(_) => return Ok(()),
                Err(Unavailable::Busy(_) | Unavailable::DiskFull) if !self.stop.is_cancelled() => {
                    std::thread::sleep(REST);
                }
                Err(_) => return Err(BrokenOff::Stopping),
            }
        }
    }

    /// Where it is put aside: a folder that is there, and a name that is free unless its content has it.
    fn aside(&self, report: &FileReport) -> Result<PathBuf, BrokenOff> {
        let [done, refused] = SPOOL_KEPT;
        let kept = if report.error.is_none() { done } else { refused };
        let mut aside = self.spool.join(kept).join(&self.path);
        if let Some(folder) = aside.parent() {
            fs::create_dir_all(folder)?;
        }
        if aside.exists() {
            let (name, ending) = self.path.rsplit_once('.').unwrap_or((&self.path, ""));
            aside = self.spool.join(kept).join(format!("{name}.{}.{ending}", report.content));
        }
        Ok(aside)
    }
}

/// The rejected rows of a file, one a line with its reason.
struct Rejects {
    path: PathBuf,
    out: BufWriter<File>,
}

impl Rejects {
    fn open(path: PathBuf) -> io::Result<Self> {
        let out = BufWriter::new(File::create(&path)?);
        Ok(Self { path, out })
    }

    fn add(&mut self, report: &mut FileReport, row: &Row, why: &str) -> io::Result<()> {
        report.rejected += 1;
        let line = json!({
            "row": row.number, "line": row.line, "reason": why, "text": row.text,
        });
        writeln!(self.out, "{line}")
    }

    /// Puts it where it belongs, if there is anything in it.
    fn keep(mut self, any: bool, place: &Path) -> io::Result<()> {
        self.out.flush()?;
        if !any {
            return fs::remove_file(&self.path);
        }
        self.out.get_ref().sync_all()?;
        fs::rename(&self.path, place)
    }
}

fn write(place: &Path, report: &FileReport) -> io::Result<()> {
    let part = beside(place, "part");
    let mut out = File::create(&part)?;
    writeln!(out, "{:#}", report.to_value().to_json())?;
    out.sync_all()?;
    fs::rename(&part, place)
}

/// A hidden file beside another: nothing that is hidden is ever read.
fn beside(place: &Path, ending: &str) -> PathBuf {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    place.with_file_name(format!(".{name}.{ending}"))
}

fn with_ending(place: &Path, ending: &str) -> PathBuf {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    place.with_file_name(format!("{name}.{ending}"))
}
