//! Opening a store: lock, clean up, open sled, check the format, make what opening did durable.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::super::contract::StoreError;
use super::SledOptions;
use super::failure::{about, from_sled, guarded, is_sleds_lock};
use super::layout::{self, FORMAT, FORMAT_KEY, POSITION_KEY, Position, UNSETTLED_KEY};

/// sled's data file; the name is sled's.
pub(super) const DB: &str = "db";
/// Our file beside sled's that says whether a store is being made here or was: so that a half made
/// one is begun again, and the loss of a made one is noticed.
const MARK: &str = "format";
const MARK_MADE: &str = "adjutant store, format ";
const MARK_MAKING: &str = "adjutant store, being made";
/// sled lets go of its lock a moment after the store was dropped: wait at most 5 s for that.
const LOCK_TRIES: u32 = 250;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// Opens the store in `dir`, which our lock covers: with where it is, and where settling that was cut
/// short leads to.
pub(super) fn open(
    dir: &Path,
    options: &SledOptions,
) -> Result<(::sled::Db, Position, Option<Position>), StoreError> {
    let mut mark = read_mark(dir)?;
    if mark == Mark::Making {
        // a crash came before the first commit could: sled never syncs what it makes then
        remove_sled(dir)?;
    }
    if mark == Mark::None && !dir.join(DB).exists() {
        write_mark(dir, MARK_MAKING)?;
        mark = Mark::Making;
    }
    remove_torn_snapshots(dir)?;
    sync_names(dir);
    let what = dir.display().to_string();
    let (db, at, unsettled) = guarded(
        &what,
        || {
            let db = open_sled(dir, options)?;
            let at = match position(&db, dir, mark)? {
                Some(at) => at,
                None => create(&db, dir)?,
            };
            let unsettled = db.get(UNSETTLED_KEY).map_err(|error| from_sled(&what, error))?;
            let unsettled = unsettled.map(|end| Position::read(&end)).transpose()?;
            Ok((db, at, unsettled))
        },
        StoreError::Corrupt,
    )?;
    sync_all(dir)?;
    if mark != Mark::Made {
        write_mark(dir, &format!("{MARK_MADE}{FORMAT}"))?;
    }
    Ok((db, at, unsettled))
}

/// What is known of a directory before sled looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    None,
    Making,
    Made,
}

fn open_sled(dir: &Path, options: &SledOptions) -> Result<::sled::Db, StoreError> {
    let config = ::sled::Config::new()
        .path(dir)
        .cache_capacity(options.cache_bytes)
        .flush_every_ms(options.tidy_every.map(|every| every.as_millis() as u64))
        .use_compression(false)
        .segment_size(options.segment_bytes);
    for _ in 1..LOCK_TRIES {
        match config.open() {
            Err(error) if is_sleds_lock(&error) => std::thread::sleep(LOCK_PAUSE),
            done => return done.map_err(|error| from_sled(&dir.display().to_string(), error)),
        }
    }
    Err(StoreError::Busy(format!("another program has {} open", dir.join(DB).display())))
}

/// Reads where the store is; `None` when it is new.
fn position(db: &::sled::Db, dir: &Path, mark: Mark) -> Result<Option<Position>, StoreError> {
    let what = dir.display();
    let read = |key| db.get(key).map_err(|error| from_sled(&what.to_string(), error));
    let Some(format) = read(FORMAT_KEY)? else {
        if mark == Mark::Made {
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
        Some(position) => Position::read(&position).map(Some),
        None => Err(StoreError::Corrupt(format!(
            "{what}: the row that says how far it got is missing; restore it from a backup"
        ))),
    }
}

fn create(db: &::sled::Db, dir: &Path) -> Result<Position, StoreError> {
    let failed = |error| from_sled(&dir.display().to_string(), error);
    let at = Position::default();
    let mut batch = ::sled::Batch::default();
    batch.insert(FORMAT_KEY, &FORMAT.to_be_bytes());
    batch.insert(POSITION_KEY, at.bytes());
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

fn read_mark(dir: &Path) -> Result<Mark, StoreError> {
    let path = dir.join(MARK);
    let text = match fs::read(&path) {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Mark::None),
        Err(error) => return Err(about(&path)(error)),
    };
    if text.trim() == MARK_MAKING {
        return Ok(Mark::Making);
    }
    let format = text.strip_prefix(MARK_MADE).and_then(|rest| rest.trim().parse().ok());
    let Some(format) = format else {
        return Err(StoreError::Corrupt(format!(
            "{}: cannot be read; it should say `{MARK_MADE}{FORMAT}`",
            path.display()
        )));
    };
    check_format(&dir.display(), format)?;
    Ok(Mark::Made)
}

/// Writes the mark: it is there whole or as it was.
fn write_mark(dir: &Path, text: &str) -> Result<(), StoreError> {
    let path = dir.join(MARK);
    let torn = dir.join("format.tmp");
    let write = || -> io::Result<()> {
        let mut file = File::create(&torn)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        fs::rename(&torn, &path)?;
        sync(dir)
    };
    write().map_err(about(&path))
}

/// Removes what sled made in a directory where no commit can have happened yet.
fn remove_sled(dir: &Path) -> Result<(), StoreError> {
    for entry in entries(dir)? {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = entry.path();
        if name == "blobs" {
            fs::remove_dir_all(&path).map_err(about(&path))?;
        } else if name == DB || name == "conf" || name.starts_with("snap.") {
            fs::remove_file(&path).map_err(about(&path))?;
        }
    }
    Ok(())
}

fn entries(dir: &Path) -> Result<Vec<fs::DirEntry>, StoreError> {
    fs::read_dir(dir).and_then(Iterator::collect).map_err(about(dir))
}

/// A crash while sled opens can leave a torn snapshot that makes every later open fail.
fn remove_torn_snapshots(dir: &Path) -> Result<(), StoreError> {
    for entry in entries(dir)? {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path()).map_err(about(&entry.path()))?;
        }
    }
    Ok(())
}

/// Asks the file system to make changes of names in the directory durable as they are made.
///
/// While it opens sled writes a snapshot, renames it into place and then zeroes segments that the
/// snapshot says are free. A power cut that keeps the zeros and loses the name costs commits: the
/// next opening, without the snapshot, takes a zeroed segment for the end of the log. ext4 knows
/// the flag; where it is not known the danger is a second power cut within milliseconds.
fn sync_names(dir: &Path) {
    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
    let set = || -> io::Result<()> {
        let handle = File::open(dir)?;
        let flags = ioctl_getflags(&handle)?;
        if !flags.contains(IFlags::DIRSYNC) {
            ioctl_setflags(&handle, flags | IFlags::DIRSYNC)?;
        }
        Ok(())
    };
    if let Err(error) = set() {
        tracing::debug!(dir = %dir.display(), %error, "the file system cannot sync names");
    }
}

/// Syncs every file of sled's and the directories they are in: sled makes and renames files when
/// it opens and never syncs a directory.
fn sync_all(dir: &Path) -> Result<(), StoreError> {
    let failed = about(dir);
    for entry in entries(dir)? {
        sync(&entry.path()).map_err(about(&entry.path()))?;
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

#[cfg(test)]
mod tests {
    use super::super::SledStore;
    use super::*;
    use crate::store::{Batch, Lead, Op, Store};

    /// A store with one row, closed.
    fn made() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let store = SledStore::open(dir.path()).unwrap();
        let lead = store.lead().unwrap();
        let ops = vec![Op::Put(b"k".to_vec(), b"v".to_vec())];
        store.commit(&Batch { epoch: lead.epoch, number: 1, ops }).unwrap();
        dir
    }

    #[test]
    fn a_second_one_is_refused_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let _first = SledStore::open(dir.path()).unwrap();
        let Err(StoreError::Busy(why)) = SledStore::open(dir.path()) else { panic!("opened") };
        assert!(why.contains("another adjutant"), "{why}");
    }

    #[test]
    fn torn_snapshots_are_removed() {
        let dir = made();
        let torn = dir.path().join("snap.FFFFFFFFFFFFFFFF.generating");
        fs::write(&torn, b"torn").unwrap();
        let store = SledStore::open(dir.path()).unwrap();
        assert_eq!(store.get(b"k").unwrap(), Some(b"v".to_vec()));
        assert!(!torn.exists());
    }

    #[test]
    fn a_newer_format_is_refused() {
        let dir = made();
        fs::write(dir.path().join(MARK), format!("{MARK_MADE}7\n")).unwrap();
        let Err(StoreError::Refused(why)) = SledStore::open(dir.path()) else { panic!("opened") };
        assert!(why.contains("format 7"), "{why}");

        // and where only the row in the store says so
        let dir = made();
        let db = open_sled(dir.path(), &SledOptions::default()).unwrap();
        db.insert(FORMAT_KEY, &7_u32.to_be_bytes()).unwrap();
        db.flush().unwrap();
        drop(db);
        let Err(StoreError::Refused(why)) = SledStore::open(dir.path()) else { panic!("opened") };
        assert!(why.contains("format 7"), "{why}");
    }

    #[test]
    fn the_loss_of_a_store_is_noticed() {
        for lost in [DB, "conf"] {
            let dir = made();
            fs::remove_file(dir.path().join(lost)).unwrap();
            match (lost, SledStore::open(dir.path())) {
                (DB, Err(StoreError::Corrupt(why))) => {
                    assert!(why.contains("nothing is left"), "{why}");
                }
                // sled's settings can be written again
                ("conf", Ok(store)) => assert_eq!(store.get(b"k").unwrap(), Some(b"v".to_vec())),
                (_, other) => panic!("{lost}: {:?}", other.err()),
            }
        }
    }

    #[test]
    fn a_half_made_store_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        write_mark(dir.path(), MARK_MAKING).unwrap();
        fs::write(dir.path().join("conf"), b"segment_size: 5").unwrap();
        fs::write(dir.path().join(DB), vec![7; 100_000]).unwrap();
        let store = SledStore::open(dir.path()).unwrap();
        assert_eq!(store.lead().unwrap(), Lead { epoch: 1, number: 0 });
        assert_eq!(read_mark(dir.path()).unwrap(), Mark::Made);
    }

    #[test]
    fn a_sled_database_of_somebody_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let db = open_sled(dir.path(), &SledOptions::default()).unwrap();
        db.insert(b"theirs", b"x").unwrap();
        drop(db);
        let Err(StoreError::Refused(why)) = SledStore::open(dir.path()) else { panic!("opened") };
        assert!(why.contains("not adjutant's"), "{why}");
        let db = open_sled(dir.path(), &SledOptions::default()).unwrap();
        assert_eq!(db.get(b"theirs").unwrap().as_deref(), Some(&b"x"[..]));
    }
}
