//! Opening a store: lock, clean up, open sled, check the format, make what opening did durable.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::super::contract::{Lead, StoreError};
use super::SledOptions;
use super::failure::{about, from_sled, guarded, is_sleds_lock};
use super::layout::{self, FORMAT, FORMAT_KEY, POSITION_KEY};

/// sled's data file; the name is sled's.
pub(super) const DB: &str = "db";
/// Our file beside sled's that says that a store was made here, so that a lost one is noticed.
const MARK: &str = "format";
const MARK_TEXT: &str = "adjutant store, format ";
/// sled lets go of its lock a moment after the store was dropped: wait at most 5 s for that.
const LOCK_TRIES: u32 = 250;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// sled's unit of writing and of reuse. A quarter of it is the most a page may have before it
/// becomes a blob file, which sled does not sync: an inner page of 256 keys of `MAX_KEY` must fit.
/// It can never be changed for an existing store.
const SEGMENT: usize = 2 * 1024 * 1024;

/// Opens the store in `dir`, which our lock covers.
pub(super) fn open(dir: &Path, options: &SledOptions) -> Result<(::sled::Db, Lead), StoreError> {
    let marked = read_mark(dir)?;
    remove_torn_snapshots(dir)?;
    let what = dir.display().to_string();
    let (db, at) = guarded(
        &what,
        || {
            let db = open_sled(dir, options)?;
            let at = match position(&db, dir, marked)? {
                Some(at) => at,
                None => create(&db, dir)?,
            };
            Ok((db, at))
        },
        StoreError::Corrupt,
    )?;
    sync_all(dir)?;
    if !marked {
        write_mark(dir)?;
    }
    Ok((db, at))
}

fn open_sled(dir: &Path, options: &SledOptions) -> Result<::sled::Db, StoreError> {
    let config = ::sled::Config::new()
        .path(dir)
        .cache_capacity(options.cache_bytes)
        .flush_every_ms(options.tidy_every.map(|every| every.as_millis() as u64))
        .use_compression(false)
        .segment_size(SEGMENT);
    for _ in 1..LOCK_TRIES {
        match config.open() {
            Err(error) if is_sleds_lock(&error) => std::thread::sleep(LOCK_PAUSE),
            done => return done.map_err(|error| from_sled(&dir.display().to_string(), error)),
        }
    }
    Err(StoreError::Busy(format!("another program has {} open", dir.join(DB).display())))
}

/// Reads where the store is; `None` when it is new.
fn position(db: &::sled::Db, dir: &Path, marked: bool) -> Result<Option<Lead>, StoreError> {
    let what = dir.display();
    let read = |key| db.get(key).map_err(|error| from_sled(&what.to_string(), error));
    let Some(format) = read(FORMAT_KEY)? else {
        if marked {
            return Err(StoreError::Corrupt(format!(
                "{what}: a store was made here and nothing is left of it; restore it from a \
                 backup, or move the directory away to begin anew"
            )));
        }
        if !db.is_empty() || db.tree_names().len() > 1 {
            return Err(StoreError::Refused(format!(
                "{what} holds a sled database that is not adjutant's: name another data directory"
            )));
        }
        return Ok(None);
    };
    check_format(&what, layout::read_format(&format)?)?;
    match read(POSITION_KEY)? {
        Some(position) => layout::read_position(&position).map(Some),
        None => Err(StoreError::Corrupt(format!(
            "{what}: the row that says how far it got is missing; restore it from a backup"
        ))),
    }
}

fn create(db: &::sled::Db, dir: &Path) -> Result<Lead, StoreError> {
    let failed = |error| from_sled(&dir.display().to_string(), error);
    let at = Lead::default();
    let mut batch = ::sled::Batch::default();
    batch.insert(FORMAT_KEY, &FORMAT.to_be_bytes());
    batch.insert(POSITION_KEY, layout::position(at));
    db.apply_batch(batch).map_err(failed)?;
    db.flush().map_err(failed)?;
    Ok(at)
}

fn check_format(what: &impl std::fmt::Display, format: u32) -> Result<(), StoreError> {
    if format == FORMAT {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "{what} has store format {format} and this adjutant knows {FORMAT} only: use the version \
         that wrote it, or a newer one"
    )))
}

/// Whether a store was made here before.
fn read_mark(dir: &Path) -> Result<bool, StoreError> {
    let path = dir.join(MARK);
    let text = match fs::read(&path) {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(about(&path)(error)),
    };
    let format = text.strip_prefix(MARK_TEXT).and_then(|rest| rest.trim().parse().ok());
    let Some(format) = format else {
        return Err(StoreError::Corrupt(format!(
            "{}: cannot be read; it should say `{MARK_TEXT}{FORMAT}`",
            path.display()
        )));
    };
    check_format(&dir.display(), format)?;
    Ok(true)
}

fn write_mark(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join(MARK);
    let torn = dir.join("format.tmp");
    let write = || -> io::Result<()> {
        let mut file = File::create(&torn)?;
        writeln!(file, "{MARK_TEXT}{FORMAT}")?;
        file.sync_all()?;
        fs::rename(&torn, &path)?;
        sync(dir)
    };
    write().map_err(about(&path))
}

/// A crash while sled opens can leave a torn snapshot that makes every later open fail.
fn remove_torn_snapshots(dir: &Path) -> Result<(), StoreError> {
    let failed = about(dir);
    for entry in fs::read_dir(dir).map_err(&failed)? {
        let entry = entry.map_err(&failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path()).map_err(about(&entry.path()))?;
        }
    }
    Ok(())
}

/// Syncs every file of sled's and the directories they are in: sled makes and renames files when
/// it opens and never syncs a directory.
fn sync_all(dir: &Path) -> Result<(), StoreError> {
    let failed = about(dir);
    for entry in fs::read_dir(dir).map_err(&failed)? {
        let path = entry.map_err(&failed)?.path();
        sync(&path).map_err(about(&path))?;
    }
    sync(dir).map_err(&failed)?;
    let parent = dir.canonicalize().map_err(&failed)?;
    match parent.parent() {
        Some(parent) => sync(parent).map_err(about(parent)),
        None => Ok(()),
    }
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
