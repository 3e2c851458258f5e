//! [`SledStore`]: a [`Store`] on sled 0.34.7, made honest.
//!
//! One tree, one writer, one lock file of ours. A commit is one sled batch (rows, chunks of long
//! values, the epoch and number), a flush that is a real sync (see `honest`), and a look at our own
//! handle of the file for errors that sled only logs. Whatever fails there is final: the store
//! refuses everything until it is opened again.

mod failure;
mod layout;
mod open;
mod settle;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use super::contract::{Admission, Batch, Change, Lead, Op, Row, Space, Store, StoreError, Visit};
use super::honest::{self, SyncMode};
use super::lock::DirLock;
use super::watchdog::{self, Watchdog};
use failure::{CURE, about, from_sled, guarded};
use layout::{Chunked, Head, PIECE, POSITION_KEY, Position};

/// Times that the writer flushes its epoch garbage after a commit. sled's garbage lies in the
/// writer's thread until then, gigabytes of it; one flush collects what became free two before.
const EPOCH_FLUSHES: u32 = 4;
/// Rows after which a scan flushes its epoch garbage as well.
const LONG_SCAN: usize = 256;

/// Settings of a [`SledStore`]. The defaults are right for the daemon.
#[derive(Clone, Debug)]
pub struct SledOptions {
    /// Bytes of pages that sled keeps in memory; it may exceed them for a moment.
    pub cache_bytes: u64,
    /// How often sled tidies up in the background; `None`: never, for tests.
    pub tidy_every: Option<Duration>,
    /// Bytes of sled's unit of writing and reuse, a power of two. A quarter of it is the most a page
    /// may have before it becomes a blob file, which sled does not sync: the default leaves room
    /// for an inner page of 256 keys of [`MAX_KEY`]. A store keeps the size it was made with and
    /// opens with no other; tests make it small.
    ///
    /// [`MAX_KEY`]: super::MAX_KEY
    pub segment_bytes: usize,
    /// How long a commit may take until the process is ended with exit code 74.
    pub patience: Duration,
    /// How commits reach the disk; by default what [`honest::mode`] says. [`SyncMode::Filter`]
    /// counts only when the filter is in place.
    pub sync: Option<SyncMode>,
}

impl Default for SledOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 32 * 1024 * 1024,
            tidy_every: Some(Duration::from_millis(500)),
            segment_bytes: 2 * 1024 * 1024,
            patience: Duration::from_secs(10),
            sync: None,
        }
    }
}

/// A store in a directory, on sled.
#[derive(Debug)]
pub struct SledStore {
    // Fields are dropped in this order: sled writes what is left, still watched and locked.
    db: ::sled::Db,
    /// Our own handle of sled's file.
    file: File,
    writer: Mutex<Writer>,
    /// Held for reading by reads and for writing while a batch is applied: sled's iterators are
    /// not snapshots, and a long value is several rows.
    gate: RwLock<()>,
    /// Why the store has stopped.
    stopped: OnceLock<StoreError>,
    sync: SyncMode,
    dir: PathBuf,
    watchdog: Watchdog,
    _lock: DirLock,
}

/// What the one writer knows.
#[derive(Debug)]
struct Writer {
    at: Position,
    /// Settling was cut short: where it has to come to.
    unsettled: Option<Position>,
}

impl SledStore {
    /// Opens the store in a directory of its own, and makes one where there is none.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when another process has it; [`StoreError::Corrupt`] when it is
    /// damaged; [`StoreError::Refused`] when its format is newer or it is not ours;
    /// [`StoreError::Full`] and [`StoreError::Io`] from the system.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_with(dir, &SledOptions::default())
    }

    /// As [`SledStore::open`], with other settings.
    ///
    /// # Errors
    /// As for [`SledStore::open`].
    pub fn open_with(dir: &Path, options: &SledOptions) -> Result<Self, StoreError> {
        std::fs::create_dir_all(dir).map_err(about(dir))?;
        let lock = DirLock::take(dir)?;
        let watchdog = Watchdog::start(options.patience, watchdog::abort)
            .map_err(|error| StoreError::from_io("cannot start a thread", &error))?;
        let (db, at, unsettled) = open::open(dir, options)?;
        let path = dir.join(open::DB);
        let file = File::options().write(true).open(&path).map_err(about(&path))?;
        let sync = match options.sync {
            Some(SyncMode::Fdatasync) => SyncMode::Fdatasync,
            Some(SyncMode::Filter) | None => honest::mode(),
        };
        tracing::debug!(dir = %dir.display(), ?sync, ?at, "store opened");
        Ok(Self {
            db,
            file,
            writer: Mutex::new(Writer { at, unsettled }),
            gate: RwLock::new(()),
            stopped: OnceLock::new(),
            sync,
            dir: dir.to_owned(),
            watchdog,
            _lock: lock,
        })
    }

    /// The current leader, and the last commit that is here.
    pub(super) fn position(&self) -> Lead {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).at.lead
    }

    /// How commits reach the disk.
    #[must_use]
    pub fn sync_mode(&self) -> SyncMode {
        self.sync
    }

    /// Applies a batch without making it durable: what a commit has done when the power goes
    /// before its sync. For crash tests; the next commit makes both durable.
    ///
    /// # Errors
    /// As for [`Store::commit`].
    #[doc(hidden)]
    pub fn apply_unsynced(&self, batch: &Batch) -> Result<(), StoreError> {
        self.write(batch, false)
    }

    fn healthy(&self) -> Result<(), StoreError> {
        self.stopped.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    fn write(&self, batch: &Batch, durably: bool) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.healthy()?;
        if batch.admit(writer.at.lead)? == Admission::Known {
            return Ok(());
        }
        writer.at = self.watched(|| {
            let lead = Lead { epoch: batch.epoch, number: batch.number };
            let at = self.apply(lead, last_changes(&batch.ops), writer.at)?;
            if durably {
                self.make_durable()?;
            }
            Ok(at)
        })?;
        Ok(())
    }

    /// Runs the writing of a commit; a failure stops the store.
    fn watched<T>(&self, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let armed = self.watchdog.arm();
        let done = guarded("commit", work, StoreError::Unknown);
        drop(armed);
        if let Err(error) = &done {
            let _ = self.stopped.set(error.clone());
        }
        done
    }

    fn apply<'a>(
        &self,
        lead: Lead,
        changes: impl Iterator<Item = Change<'a>>,
        at: Position,
    ) -> Result<Position, StoreError> {
        let mut at = Position { lead, serial: at.serial + 1, ..at };
        let mut writes = ::sled::Batch::default();
        for (place, (key, value)) in (0..).zip(changes) {
            let key = layout::row_key(key);
            // only the writer changes rows, so what is read here stays true until it writes
            if let Some(old) = self.db.get(&key).map_err(|error| from_sled("read", error))? {
                at.rows = at.rows.saturating_sub(1);
                if let Head::Chunked(old) = layout::head(&old)? {
                    (0..old.count()).for_each(|chunk| writes.remove(&old.key(chunk)));
                    at.chunks = at.chunks.saturating_sub(old.count().into());
                }
            } else if value.is_none() {
                continue;
            }
            at.rows += u64::from(value.is_some());
            at.chunks += u64::from(put(&mut writes, key, value, at.serial, place));
        }
        self.apply_at(writes, at)
    }

    /// Applies writes together with the position they bring the store to.
    fn apply_at(&self, mut writes: ::sled::Batch, at: Position) -> Result<Position, StoreError> {
        writes.insert(POSITION_KEY, at.bytes());
        let gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let done = self.db.apply_batch(writes).map_err(|error| from_sled("commit", error));
        drop(gate);
        done.map(|()| at)
    }

    /// Makes what was applied durable.
    fn make_durable(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(|error| from_sled("commit", error))?;
        // Without the filter this is the sync. With it, it tells us of a failed one: the kernel
        // reports an error once per handle, and sled's background thread may have been the one
        // to hear of it and only logged it.
        self.file
            .sync_data()
            .map_err(|error| StoreError::from_io("commit: cannot sync", &error))?;
        collect_garbage();
        Ok(())
    }

    /// The value of a row from its head.
    fn value(&self, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        let long = match layout::head(bytes)? {
            Head::Inline(value) => return Ok(value.to_vec()),
            Head::Chunked(long) => long,
        };
        let mut value = Vec::with_capacity(long.length as usize);
        for piece in self.db.range(long.key(0)..long.key(long.count())) {
            let (_, piece) = piece.map_err(|error| from_sled("read", error))?;
            value.extend_from_slice(&piece);
        }
        if value.len() == long.length as usize {
            return Ok(value);
        }
        Err(StoreError::Corrupt(format!(
            "a value of {} bytes has {} left; {CURE}",
            long.length,
            value.len()
        )))
    }

    /// Reads everything and counts it: damage that sled does not notice costs rows or chunks.
    /// Takes a second or so for a million rows; commits wait.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with what is wrong, or what reading failed with.
    pub fn verify(&self) -> Result<(), StoreError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |error| from_sled("verify", error);
        self.read(|| {
            let (mut rows, mut chunks, mut owned) = (0, 0, 0);
            for row in self.db.range(layout::ROWS) {
                let (_, head) = row.map_err(failed)?;
                if let Head::Chunked(long) = layout::head(&head)? {
                    self.value(&head)?;
                    owned += u64::from(long.count());
                }
                rows += 1;
            }
            for chunk in self.db.range(layout::CHUNKS) {
                chunk.map_err(failed)?;
                chunks += 1;
            }
            let at = writer.at;
            if (rows, chunks, owned) == (at.rows, at.chunks, at.chunks) {
                return Ok(());
            }
            Err(StoreError::Corrupt(format!(
                "{rows} of {} rows are there and {chunks} of {} pieces of long values, {owned} of \
                 them in use; {CURE}",
                at.rows, at.chunks
            )))
        })
    }

    fn read<T>(&self, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.healthy()?;
        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        guarded("read", work, StoreError::Corrupt)
    }
}

impl Store for SledStore {
    fn lead(&self) -> Result<Lead, StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.healthy()?;
        let lead = Lead { epoch: writer.at.lead.epoch + 1, ..writer.at.lead };
        writer.at = self.watched(|| {
            let at = self.apply(lead, std::iter::empty(), writer.at)?;
            self.make_durable()?;
            Ok(at)
        })?;
        Ok(lead)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|| {
            let row = self.db.get(layout::row_key(key));
            let row = row.map_err(|error| from_sled("read", error))?;
            row.map(|head| self.value(&head)).transpose()
        })
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        // sled panics on a range that is the wrong way round
        if from >= to {
            return Ok(Vec::new());
        }
        let rows = self.read(|| {
            let mut rows = Vec::new();
            for row in self.db.range(layout::row_key(from)..layout::row_key(to)).take(limit) {
                let (key, head) = row.map_err(|error| from_sled("read", error))?;
                rows.push((layout::caller_key(&key), self.value(&head)?));
            }
            Ok(rows)
        })?;
        if rows.len() >= LONG_SCAN {
            crossbeam_epoch::pin().flush();
        }
        Ok(rows)
    }

    fn walk(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        self.read(|| {
            let rows = self.db.range(layout::row_key(from)..layout::row_key(to));
            for (seen, row) in rows.enumerate() {
                let (key, head) = row.map_err(|error| from_sled("read", error))?;
                let key = key.get(1..).unwrap_or_default();
                let more = match layout::head(&head)? {
                    Head::Inline(value) => visit(key, value),
                    Head::Chunked(_) => visit(key, &self.value(&head)?),
                };
                if !more {
                    break;
                }
                if seen % LONG_SCAN == LONG_SCAN - 1 {
                    crossbeam_epoch::pin().flush();
                }
            }
            Ok(())
        })
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.write(batch, true)
    }

    fn space(&self) -> Result<Space, StoreError> {
        let used = self.db.size_on_disk().map_err(|error| from_sled("size on disk", error))?;
        let system =
            rustix::fs::statvfs(&self.dir).map_err(|error| about(&self.dir)(error.into()))?;
        Ok(Space {
            used,
            // what is reserved for the superuser is not for us
            free: system.f_bavail.saturating_mul(system.f_frsize),
            total: system.f_blocks.saturating_mul(system.f_frsize),
        })
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        // sled flushes when it is dropped, which can hang as every flush can
        std::mem::forget(self.watchdog.arm());
    }
}

/// Sets or removes a row, in pieces where it is long. How many pieces it has.
fn put(
    writes: &mut ::sled::Batch,
    key: Vec<u8>,
    value: Option<&[u8]>,
    serial: u64,
    place: u32,
) -> u32 {
    let Some(value) = value else {
        writes.remove(key);
        return 0;
    };
    if !layout::too_long(&key, value) {
        writes.insert(key, layout::inline(value));
        return 0;
    }
    let long = Chunked::of(serial, place, value);
    for (chunk, piece) in (0..).zip(value.chunks(PIECE)) {
        writes.insert(&long.key(chunk), piece);
    }
    writes.insert(key, layout::chunked(long));
    long.count()
}

/// Lets go of what sled's tree has put aside in this thread.
fn collect_garbage() {
    for _ in 0..EPOCH_FLUSHES {
        crossbeam_epoch::pin().flush();
    }
}

/// The change that wins on each key.
fn last_changes(ops: &[Op]) -> impl Iterator<Item = Change<'_>> {
    let mut last: HashMap<&[u8], usize> = HashMap::with_capacity(ops.len());
    for (place, op) in ops.iter().enumerate() {
        last.insert(op.change().0, place);
    }
    ops.iter().enumerate().filter_map(move |(place, op)| {
        let change = op.change();
        (last.get(change.0) == Some(&place)).then_some(change)
    })
}
