//! [`JournaledStore`]: a journal in front of [`SledStore`].
//!
//! A commit is one append to a file and one `fdatasync`: what it costs to be durable and no more.
//! What commits changed stays readable in memory, and a thread settles it into sled when there is
//! enough of it or some time has gone by: a row that changed ten times meanwhile is written to sled
//! once. A journal file is written over only when sled holds all of it durably, with its own honest
//! sync (see `honest`); so at every moment sled and the files together hold every commit.
//!
//! Opening reads the files into memory; what sled lacks is settled beside the work of the new process,
//! which goes on in a file of its own.

mod log;
mod table;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::contract::{Admission, Batch, Lead, Row, Space, Store, StoreError, Visit};
use super::merge;
use super::sled::{SledOptions, SledStore};
use super::watchdog::{self, Watchdog};
use log::{Left, Log};
use table::{Known, Table};

/// Bytes of changes at which they are settled by default: about a second of full load. Two such
/// tables are in memory and three files of that size on disk.
const SETTLED_AT: usize = 8 * 1024 * 1024;
/// How long changes wait at most to be settled by default: bounds what a start replays. Settling
/// is felt by commits for a few milliseconds, so it is not done at every moment of quiet.
const SETTLED_AFTER: Duration = Duration::from_secs(10);
/// Commits wait when this many times [`SETTLED_AT`] wait behind what is being settled: then sled is
/// slower than the load, and memory has a bound, and so has what a start finds unsettled.
const BEHIND: usize = 2;
/// Tables at most that wait to be settled: one in life, and two after a crash that met one of them.
const SETTLING: usize = 2;

/// How long settling rests after each few rows: it then takes a good third of one processor and is done
/// well before there is as much again at full load.
const PAUSE: Duration = Duration::from_millis(1);
/// The same where there is as much again already. Without any rest sled's own threads, which clean up
/// behind it, fall behind: twice the speed and a fifth more disk.
const SHORT_PAUSE: Duration = Duration::from_micros(200);

/// Settings of a [`JournaledStore`]. The defaults are right for the daemon.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// Those of the store below.
    pub sled: SledOptions,
    /// Bytes of changes in memory at which they are settled.
    pub settled_at: usize,
    /// Time after which they are settled however few they are; only changes.
    pub settled_after: Duration,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self { sled: SledOptions::default(), settled_at: SETTLED_AT, settled_after: SETTLED_AFTER }
    }
}

/// A store in a directory: sled, and a journal in front of it.
#[derive(Debug)]
pub struct JournaledStore {
    inner: Arc<Inner>,
    settler: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Inner {
    writer: Mutex<Writer>,
    tables: Mutex<Tables>,
    /// There is something to settle, or it is time to stop.
    turned: Condvar,
    /// Something was settled, or it failed.
    settled: Condvar,
    /// Why the store has stopped.
    stopped: OnceLock<StoreError>,
    settled_at: usize,
    watchdog: Watchdog,
    // dropped last: its lock covers the journal's files too
    sled: SledStore,
}

#[derive(Debug)]
struct Writer {
    lead: Lead,
    log: Log,
}

#[derive(Debug, Default)]
struct Tables {
    /// Changes in the file that is appended to.
    active: Table,
    /// Changes in others, on their way to sled, the oldest first.
    settling: VecDeque<Arc<Table>>,
    /// What an earlier process left waits for the first commit of this one: until then much is read.
    held: bool,
    stop: bool,
}

impl Tables {
    fn newest_first(&self) -> [Option<&Table>; SETTLING + 1] {
        layers(Some(&self.active), &self.settling)
    }
}

/// Tables as layers, the newest first.
fn layers<'a>(
    active: Option<&'a Table>,
    settling: &'a VecDeque<Arc<Table>>,
) -> [Option<&'a Table>; SETTLING + 1] {
    let mut older = settling.iter().rev().map(Arc::as_ref);
    [active, older.next(), older.next()]
}

impl JournaledStore {
    /// Opens the store in a directory of its own, and makes one where there is none.
    ///
    /// # Errors
    /// As [`SledStore::open`]; [`StoreError::Corrupt`] too when a commit is missing in the journal.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_with(dir, &JournalOptions::default())
    }

    /// As [`JournaledStore::open`], with other settings.
    ///
    /// # Errors
    /// As for [`JournaledStore::open`].
    pub fn open_with(dir: &Path, options: &JournalOptions) -> Result<Self, StoreError> {
        let sled = SledStore::open_with(dir, &options.sled)?;
        let left = Log::read(dir, sled.position().number)?;
        let mut settling = tables_of(&left, sled.unsettled())?;
        let mut lead = sled.position();
        lead.number = settling.back().map_or(lead.number, |newest| newest.number);
        let log = loop {
            let is_needed = |left: &&Left| {
                left.batches.last().is_some_and(|last| last.number > sled.position().number)
            };
            let needed: Vec<_> = left.iter().filter(is_needed).map(|left| left.file).collect();
            if settling.len() <= SETTLING
                && let Some(log) = Log::open(dir, &needed)?
            {
                break log;
            }
            let Some(oldest) = settling.pop_front() else {
                return Err(StoreError::Corrupt(format!(
                    "{}: every file of the journal is needed and none can be settled; restore it from a \
                     backup",
                    dir.display()
                )));
            };
            sled.settle(oldest.number, || oldest.changes(), || ())?;
        };
        let watchdog = Watchdog::start(options.sled.patience, watchdog::abort)
            .map_err(|error| StoreError::from_io("cannot start a thread", &error))?;
        let held = !settling.is_empty();
        tracing::debug!(tables = settling.len(), up_to = lead.number, "journal read");
        let inner = Arc::new(Inner {
            writer: Mutex::new(Writer { lead, log }),
            tables: Mutex::new(Tables { settling, held, ..Tables::default() }),
            turned: Condvar::new(),
            settled: Condvar::new(),
            stopped: OnceLock::new(),
            settled_at: options.settled_at,
            watchdog,
            sled,
        });
        let settling = Arc::clone(&inner);
        let every = options.settled_after;
        let settler = std::thread::Builder::new()
            .name("store-settler".to_owned())
            .spawn(move || {
                let ended = catch_unwind(AssertUnwindSafe(|| settling.settle_all(every)));
                if ended.is_err() {
                    settling.stop(StoreError::Unknown("the settler panicked".to_owned()));
                }
            })
            .map_err(|error| StoreError::from_io("cannot start a thread", &error))?;
        Ok(Self { inner, settler: Some(settler) })
    }

    /// Writes a commit without making it durable: what there may be when the power goes before
    /// its sync. For crash tests; the next commit makes both durable.
    ///
    /// # Errors
    /// As for [`Store::commit`].
    #[doc(hidden)]
    pub fn apply_unsynced(&self, batch: &Batch) -> Result<(), StoreError> {
        self.inner.write(batch, false)
    }

    /// Reads everything and counts it, as [`SledStore::verify`], once all is settled.
    ///
    /// # Errors
    /// As for [`SledStore::verify`].
    pub fn verify(&self) -> Result<(), StoreError> {
        self.inner.settle_now()?;
        self.inner.sled.verify()
    }
}

impl Inner {
    fn healthy(&self) -> Result<(), StoreError> {
        self.stopped.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    fn stop(&self, why: StoreError) {
        let _ = self.stopped.set(why);
        // Whoever is about to wait has looked already and holds the tables until he waits.
        drop(self.tables());
        self.settled.notify_all();
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, batch: &Batch, durably: bool) -> Result<(), StoreError> {
        let mut writer = self.writer();
        self.healthy()?;
        if batch.admit(writer.lead)? == Admission::Known {
            return Ok(());
        }
        let armed = self.watchdog.arm();
        let mut written = writer.log.append(batch);
        if durably && written.is_ok() {
            written = writer.log.sync();
        }
        drop(armed);
        if let Err(error) = written {
            // what the page cache shows now need not be what the disk holds
            self.stop(error.clone());
            return Err(error);
        }
        writer.lead.number = batch.number;
        let mut tables = self.tables();
        tables.active.add(batch.number, &batch.ops);
        if std::mem::take(&mut tables.held) {
            self.turned.notify_one();
        }
        let behind = self.settled_at.saturating_mul(BEHIND);
        while tables.active.bytes >= behind && !tables.settling.is_empty() {
            // a settler that has failed will never say that he is done
            self.healthy()?;
            // whoever settles has a watchdog of his own
            tables = self.settled.wait(tables).unwrap_or_else(PoisonError::into_inner);
        }
        if tables.active.bytes >= self.settled_at {
            self.turn(&mut writer, &mut tables);
        }
        Ok(())
    }

    /// Gives what is active to the settler, if he has nothing, and goes on in the next file.
    fn turn(&self, writer: &mut Writer, tables: &mut Tables) {
        if tables.settling.is_empty() && !tables.active.is_empty() {
            tables.settling.push_back(Arc::new(std::mem::take(&mut tables.active)));
            writer.log.turn();
            self.turned.notify_one();
        }
    }

    /// The settler's life: whenever the tables have turned, and after each `every`.
    fn settle_all(&self, every: Duration) {
        loop {
            let idle =
                |tables: &mut Tables| (tables.settling.is_empty() || tables.held) && !tables.stop;
            let (mut tables, _) = self
                .turned
                .wait_timeout_while(self.tables(), every, idle)
                .unwrap_or_else(PoisonError::into_inner);
            tables.held = false;
            let (stop, oldest) = (tables.stop, tables.settling.front().cloned());
            drop(tables);
            match oldest {
                Some(table) => {
                    if self.settle(&table).is_err() {
                        return;
                    }
                }
                None => {
                    let mut writer = self.writer();
                    let mut tables = self.tables();
                    if stop && tables.active.is_empty() || self.healthy().is_err() {
                        return;
                    }
                    self.turn(&mut writer, &mut tables);
                }
            }
        }
    }

    fn settle(&self, table: &Table) -> Result<(), StoreError> {
        // The processor is for those who wait for an answer, as long as we keep up with them.
        let pause = || {
            let behind = self.tables().active.bytes >= self.settled_at;
            std::thread::sleep(if behind { SHORT_PAUSE } else { PAUSE });
        };
        let done = self.sled.settle(table.number, || table.changes(), pause);
        if let Err(error) = &done {
            tracing::error!(%error, "the journal cannot be settled");
            self.stop(error.clone());
            return done;
        }
        self.tables().settling.pop_front();
        self.settled.notify_all();
        done
    }

    fn settle_now(&self) -> Result<(), StoreError> {
        loop {
            let mut writer = self.writer();
            let mut tables = self.tables();
            self.healthy()?;
            if tables.active.is_empty() && tables.settling.is_empty() {
                return Ok(());
            }
            if std::mem::take(&mut tables.held) {
                self.turned.notify_one();
            }
            self.turn(&mut writer, &mut tables);
            drop(writer);
            let busy =
                |tables: &mut Tables| !tables.settling.is_empty() && self.stopped.get().is_none();
            drop(self.settled.wait_while(tables, busy).unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Store for JournaledStore {
    fn lead(&self) -> Result<Lead, StoreError> {
        let mut writer = self.inner.writer();
        self.inner.healthy()?;
        let lead = self.inner.sled.lead()?;
        writer.lead.epoch = lead.epoch;
        Ok(writer.lead)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.healthy()?;
        let tables = self.inner.tables();
        for table in tables.newest_first().into_iter().flatten() {
            match table.get(key) {
                Some(Known::Value(value)) => return Ok(Some(value.to_vec())),
                Some(Known::Removed) => return Ok(None),
                None => {}
            }
        }
        // what no table says is settled, and stays as it is but for later commits
        drop(tables);
        self.inner.sled.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        if limit > 0 {
            self.walk(from, to, &mut |key, value| {
                rows.push((key.to_vec(), value.to_vec()));
                rows.len() < limit
            })?;
        }
        Ok(rows)
    }

    fn walk(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.inner.healthy()?;
        if from >= to {
            return Ok(());
        }
        let through = |newest_first: [Option<&Table>; SETTLING + 1], visit: &mut Visit<'_>| {
            let newest_first =
                newest_first.map(|table| table.into_iter().flat_map(|table| table.range(from, to)));
            merge::walk(newest_first, |visit| self.inner.sled.walk(from, to, visit), visit)
        };
        let tables = self.inner.tables();
        if tables.active.is_empty() {
            // nothing changes any more in the others; at a start, threads share the reading
            let settling = tables.settling.clone();
            drop(tables);
            return through(layers(None, &settling), visit);
        }
        through(tables.newest_first(), visit)
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.inner.write(batch, true)
    }

    fn space(&self) -> Result<Space, StoreError> {
        let space = self.inner.sled.space()?;
        Ok(Space { used: space.used + self.inner.writer().log.size(), ..space })
    }
}

impl Drop for JournaledStore {
    fn drop(&mut self) {
        self.inner.tables().stop = true;
        self.inner.turned.notify_all();
        if let Some(settler) = self.settler.take() {
            let _ = settler.join();
        }
    }
}

/// What the journal has and sled lacks, as tables to be settled in this order: first what was being
/// settled when the process ended, up to the commit `cut`, since that must be done again as it was
/// begun; then a table a file.
fn tables_of(left: &[Left], cut: Option<u64>) -> Result<VecDeque<Arc<Table>>, StoreError> {
    let cut = cut.unwrap_or(0);
    let mut tables: VecDeque<(Option<usize>, Table)> = VecDeque::new();
    for Left { file, batches } in left {
        for batch in batches {
            let of = (batch.number > cut).then_some(*file);
            if tables.back().is_none_or(|(last, _)| *last != of) {
                tables.push_back((of, Table::default()));
            }
            if let Some((_, table)) = tables.back_mut() {
                table.add(batch.number, &batch.ops);
            }
        }
    }
    if cut > 0 && tables.front().is_none_or(|(_, table)| table.number != cut) {
        return Err(StoreError::Corrupt(format!(
            "commit {cut} was being settled and the journal does not have it; restore it from a backup"
        )));
    }
    Ok(tables.into_iter().map(|(_, table)| Arc::new(table)).collect())
}
