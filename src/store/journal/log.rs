//! [`Log`]: the journal's files. One is appended to; one holds what is being settled, or two do after a
//! crash; and each is written over once what it holds is settled.
//!
//! ```text
//! page 0         "adjutant journal", format u32, salt [16], crc u32 of all before it
//! further pages  records, each from a page's beginning:
//!                crc u32, length u32, epoch u64, number u64, then `length` bytes of changes
//! a change       key length u16, value length u32 or ffffffff for a removal, key, value
//! ```
//!
//! Numbers are little-endian. A record's checksum (CRC-32, as in IEEE 802.3) begins with the salt,
//! which is new each time a file is begun: what an earlier use of the file left behind is no record,
//! and nobody who has a say in a value can make one. A page is what a disk writes whole, so a write
//! never endangers what was synced before it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::super::contract::{Batch, Op, StoreError};

/// The files' names.
const NAMES: [&str; FILES] = ["journal-0", "journal-1", "journal-2"];
/// How many.
const FILES: usize = 3;
/// What a disk writes as one.
const PAGE: usize = 4096;
const MAGIC: &[u8; 16] = b"adjutant journal";
/// The format of what is written. Another layout gets another number. What is in 1 reads alike, but
/// those who wrote it know two files only.
const FORMAT: u32 = 2;
const SALT: usize = 16;
const HEADER: usize = MAGIC.len() + 4 + SALT + 4;
/// Bytes of a record before its changes.
const HEAD: usize = 4 + 4 + 8 + 8;
/// The length of a value that says that the key is removed.
const REMOVED: u32 = u32::MAX;

/// What a file holds that sled lacks.
#[derive(Debug)]
pub(super) struct Left {
    /// Which one.
    pub(super) file: usize,
    /// In order.
    pub(super) batches: Vec<Batch>,
}

/// The open files.
#[derive(Debug)]
pub(super) struct Log {
    files: [File; FILES],
    active: usize,
    /// Where the next record goes.
    end: u64,
    salt: [u8; SALT],
    buffer: Vec<u8>,
}

impl Log {
    /// Reads what the files in `dir` hold beyond the batch `after`: file by file, and in order.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a batch is missing between two that are there;
    /// [`StoreError::Refused`] for the format of a newer version; else from the system.
    pub(super) fn read(dir: &Path, after: u64) -> Result<Vec<Left>, StoreError> {
        let mut left = Vec::new();
        for (file, path) in paths(dir).into_iter().enumerate() {
            let mut batches = Vec::new();
            let bytes = match std::fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(&path, &error)),
            };
            let salt = match header(&bytes) {
                Header::Begun(salt) => salt,
                // the power went while the file was begun: nothing in it was acknowledged
                Header::Nothing => continue,
                Header::Other(format) => {
                    return Err(StoreError::Refused(format!(
                        "{} has journal format {format} and this adjutant knows {FORMAT} only: use \
                         the version that wrote it, or a newer one",
                        path.display()
                    )));
                }
            };
            let mut at = PAGE;
            while at + HEAD <= bytes.len() {
                // beyond a record that is torn others are looked for, to notice damage
                let Some((batch, length)) = record(&bytes[at..], &salt)? else {
                    at += PAGE;
                    continue;
                };
                at += length.next_multiple_of(PAGE);
                if batch.number > after {
                    batches.push(batch);
                }
            }
            if !batches.is_empty() {
                left.push(Left { file, batches });
            }
        }
        left.sort_by_key(|left| left.batches.first().map(|batch| batch.number));
        let batches = left.iter().flat_map(|left| &left.batches);
        for (batch, expected) in batches.zip(after + 1..) {
            if batch.number != expected {
                return Err(StoreError::Corrupt(format!(
                    "{}: commit {expected} is missing and commit {} is there; restore it from a \
                     backup",
                    dir.display(),
                    batch.number
                )));
            }
        }
        Ok(left)
    }

    /// Opens the files to be written, beginning with one in which nothing is needed any more: the first
    /// that is not in `needed`. `None`: all are.
    ///
    /// # Errors
    /// From the system.
    pub(super) fn open(dir: &Path, needed: &[usize]) -> Result<Option<Self>, StoreError> {
        let Some(active) = (0..FILES).find(|file| !needed.contains(file)) else { return Ok(None) };
        let open = |path: PathBuf| {
            let file = File::options().create(true).truncate(false).write(true).open(&path);
            file.map_err(|error| failed(&path, &error))
        };
        let [first, second, third] = paths(dir);
        let files = [open(first)?, open(second)?, open(third)?];
        let names = File::open(dir).and_then(|dir| dir.sync_all());
        names.map_err(|error| failed(dir, &error))?;
        Ok(Some(Self { files, active, end: 0, salt: salt(), buffer: Vec::new() }))
    }

    /// Goes on in the next file, over what is there.
    pub(super) fn turn(&mut self) {
        self.active = (self.active + 1) % FILES;
        self.end = 0;
        self.salt = salt();
    }

    /// Writes a batch behind the others, not yet durably.
    pub(super) fn append(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let Self { files, active, end, salt, buffer } = self;
        buffer.clear();
        if *end == 0 {
            buffer.extend_from_slice(MAGIC);
            buffer.extend_from_slice(&FORMAT.to_le_bytes());
            buffer.extend_from_slice(salt);
            buffer.extend_from_slice(&crc32fast::hash(buffer).to_le_bytes());
            buffer.resize(PAGE, 0);
        }
        encode(buffer, batch, salt)?;
        buffer.resize(buffer.len().next_multiple_of(PAGE), 0);
        files[*active].write_all_at(buffer, *end).map_err(|error| writing(&error))?;
        *end += buffer.len() as u64;
        Ok(())
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.files[self.active].sync_data().map_err(|error| writing(&error))
    }

    /// Bytes of all files.
    pub(super) fn size(&self) -> u64 {
        self.files.iter().filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum()
    }
}

fn paths(dir: &Path) -> [PathBuf; FILES] {
    NAMES.map(|name| dir.join(name))
}

fn salt() -> [u8; SALT] {
    uuid::Uuid::new_v4().into_bytes()
}

fn failed(path: &Path, error: &io::Error) -> StoreError {
    StoreError::from_io(&path.display().to_string(), error)
}

fn writing(error: &io::Error) -> StoreError {
    StoreError::from_io("commit: cannot write the journal", error)
}

fn checksum(salt: &[u8; SALT], bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(salt);
    hasher.update(bytes);
    hasher.finalize()
}

/// Appends a record to `buffer`.
fn encode(buffer: &mut Vec<u8>, batch: &Batch, salt: &[u8; SALT]) -> Result<(), StoreError> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 8]);
    buffer.extend_from_slice(&batch.epoch.to_le_bytes());
    buffer.extend_from_slice(&batch.number.to_le_bytes());
    for op in &batch.ops {
        let (key, value) = op.change();
        // a batch that was admitted has no longer ones
        buffer.extend_from_slice(&(key.len() as u16).to_le_bytes());
        buffer.extend_from_slice(&value.map_or(REMOVED, |value| value.len() as u32).to_le_bytes());
        buffer.extend_from_slice(key);
        buffer.extend_from_slice(value.unwrap_or_default());
    }
    let length = u32::try_from(buffer.len() - start - HEAD).map_err(|_| {
        StoreError::Refused("a batch has more than 4 GiB: no journal takes that".to_owned())
    })?;
    buffer[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    let crc = checksum(salt, &buffer[start + 4..]);
    buffer[start..start + 4].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

enum Header {
    Begun([u8; SALT]),
    Nothing,
    Other(u32),
}

fn header(bytes: &[u8]) -> Header {
    let mut rest = Reader(bytes);
    let read = (|| {
        let magic = rest.bytes(MAGIC.len())?;
        let format = rest.u32()?;
        let salt: [u8; SALT] = rest.bytes(SALT)?.try_into().ok()?;
        let whole = rest.u32()? == crc32fast::hash(&bytes[..HEADER - 4]);
        (magic == MAGIC && whole).then_some((format, salt))
    })();
    match read {
        Some((1..=FORMAT, salt)) => Header::Begun(salt),
        Some((other, _)) => Header::Other(other),
        None => Header::Nothing,
    }
}

/// The record at the beginning of `bytes` with its length, if one is whole there.
fn record(bytes: &[u8], salt: &[u8; SALT]) -> Result<Option<(Batch, usize)>, StoreError> {
    let mut rest = Reader(bytes);
    let (Some(crc), Some(length)) = (rest.u32(), rest.u32()) else { return Ok(None) };
    let all = HEAD + length as usize;
    let Some(checked) = bytes.get(4..all) else { return Ok(None) };
    if checksum(salt, checked) != crc {
        return Ok(None);
    }
    let damaged = || StoreError::Corrupt("a commit in the journal cannot be read".to_owned());
    let mut rest = Reader(&checked[4..]);
    let batch = rest.batch().ok_or_else(damaged)?;
    Ok(Some((batch, all)))
}

/// What is left to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.bytes(2)?.try_into().ok().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.bytes(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.bytes(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn batch(&mut self) -> Option<Batch> {
        let (epoch, number) = (self.u64()?, self.u64()?);
        let mut ops = Vec::new();
        while !self.0.is_empty() {
            let (key, value) = (self.u16()?, self.u32()?);
            let key = self.bytes(key.into())?.to_vec();
            ops.push(match value {
                REMOVED => Op::Delete(key),
                length => Op::Put(key, self.bytes(length as usize)?.to_vec()),
            });
        }
        Some(Batch { epoch, number, ops })
    }
}
