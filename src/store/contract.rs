//! [`Store`]: what a place for state must be able to do, and how it may fail.
//!
//! Any key of up to [`MAX_KEY`] bytes and any value of up to [`MAX_VALUE`] bytes is allowed, the
//! empty ones included. `conformance` holds every implementation to what is written here.

use std::io;
use std::sync::Arc;

use crate::model::ReadError;

/// Bytes of a key: a record id of `limits::SUBJECT_BYTES` with room for tags, names and numbers
/// around it. More would not do elsewhere: 256 keys on an inner page of sled must stay inside its
/// log, and PostgreSQL indexes no more than 2,704 bytes.
pub const MAX_KEY: usize = 1_536;

/// Bytes of a value: four times a whole batch of `limits::BATCH_BYTES`, so that only a mistake of
/// ours reaches it.
pub const MAX_VALUE: usize = 16 * 1024 * 1024;

/// An ordered byte map with atomic, durable, fenced commits.
///
/// There is one writer. Reads may run beside a commit and see it whole or not at all; they may see
/// a commit that is applied and not yet durable, so callers keep back answers until it is.
pub trait Store: Send + Sync {
    /// Takes the lead: raises the epoch durably, so that any earlier leader is fenced.
    ///
    /// # Errors
    /// [`StoreError`], as for every method.
    fn lead(&self) -> Result<Lead, StoreError>;
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Rows with `from <= key < to` in key order, at most `limit`.
    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError>;
    /// Visits rows with `from <= key < to` in key order, until `visit` says false. What a commit
    /// changes meanwhile may be seen as it was or as it is.
    fn walk(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let mut from = from.to_vec();
        loop {
            let rows = self.scan(&from, to, WALK_PAGE)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            from = [last.as_slice(), &[0]].concat();
            for (key, value) in &rows {
                if !visit(key, value) {
                    return Ok(());
                }
            }
        }
    }
    /// Applies a batch whole and makes it durable before it returns. A batch whose number is not
    /// above the last one is already there: nothing happens and that is a success. Another epoch
    /// than the current one is [`StoreError::Fenced`], whatever the number.
    ///
    /// After [`StoreError::Fenced`] and [`StoreError::Refused`] nothing has happened. After any
    /// other error the batch may be there or not, and a store on a disk refuses everything until
    /// it is opened again: after a failed sync the page cache looks fine while the disk is not.
    fn commit(&self, batch: &Batch) -> Result<(), StoreError>;
    /// How much room there is.
    fn space(&self) -> Result<Space, StoreError>;
}

/// Rows that [`Store::walk`] reads at a time where a store does nothing better.
const WALK_PAGE: usize = 64;

/// Looks at a key and its value, and says whether to go on.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> bool + 'a;

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// The right to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lead {
    /// Goes into every [`Batch`].
    pub epoch: u64,
    /// The number of the last batch committed; 0 in a new store.
    pub number: u64,
}

/// One atomic commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// From [`Lead`].
    pub epoch: u64,
    /// One more than that of the batch before.
    pub number: u64,
    /// Applied in order; the last one on a key wins.
    pub ops: Vec<Op>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sets a key.
    Put(Vec<u8>, Vec<u8>),
    /// Removes a key, present or not.
    Delete(Vec<u8>),
}

/// A key and the value it is set to; `None` removes it.
pub(super) type Change<'a> = (&'a [u8], Option<&'a [u8]>);

impl Op {
    /// What it changes, and to what.
    pub(super) fn change(&self) -> Change<'_> {
        match self {
            Self::Put(key, value) => (key, Some(value)),
            Self::Delete(key) => (key, None),
        }
    }
}

/// Room on the disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Used by the store.
    pub used: u64,
    /// Free for it.
    pub free: u64,
    /// Size of the medium.
    pub total: u64,
}

impl Space {
    /// Whether new events should be refused, so that outcomes and timers have room to go on: below a
    /// twentieth of the medium, but not less than 256 MiB and not more than 2 GiB. That much is an
    /// hour of ordinary work, and a large disk that is shared with others is not full at 95 %.
    #[must_use]
    pub fn is_nearly_full(&self) -> bool {
        const MIB: u64 = 1024 * 1024;
        self.free < (self.total / 20).clamp(256 * MIB, 2048 * MIB)
    }
}

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is the next one: apply it.
    Apply,
    /// It has been applied before: nothing is to be done, and that is a success.
    Known,
}

impl Batch {
    /// Decides, given the last leader and commit, what is to be done with this batch. Every store
    /// asks this, so that fencing and numbering are the same everywhere.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] for another epoch than the current one; [`StoreError::Refused`] for
    /// a gap in the numbers and for a key or value over its limit.
    pub fn admit(&self, at: Lead) -> Result<Admission, StoreError> {
        if self.epoch != at.epoch {
            return Err(StoreError::Fenced);
        }
        if self.number <= at.number {
            return Ok(Admission::Known);
        }
        if self.number - at.number > 1 {
            return Err(StoreError::Refused(format!(
                "batch {} follows batch {}: one between them is missing",
                self.number, at.number
            )));
        }
        for op in &self.ops {
            let (key, value) = op.change();
            let (key, value) = (key.len(), value.map_or(0, <[u8]>::len));
            if key > MAX_KEY {
                return Err(StoreError::Refused(format!(
                    "a key has {key} bytes, the most is {MAX_KEY}"
                )));
            }
            if value > MAX_VALUE {
                return Err(StoreError::Refused(format!(
                    "a value has {value} bytes, the most is {MAX_VALUE}"
                )));
            }
        }
        Ok(Admission::Apply)
    }
}

/// Why the store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another leader has a higher epoch; this process must stop.
    #[error("another daemon has taken over this store")]
    Fenced,
    /// No room.
    #[error("no space left for the store: {0}")]
    Full(String),
    /// Somebody else has it open.
    #[error("{0}")]
    Busy(String),
    /// Whether a commit happened cannot be known; this process must stop.
    #[error("the outcome of a commit is not known: {0}")]
    Unknown(String),
    /// What was asked cannot be done, whoever asks and however often; nothing was done.
    #[error("the store refuses: {0}")]
    Refused(String),
    /// What was read is not what was written.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// The disk or the system failed.
    #[error("the store failed: {0}")]
    Io(String),
}

impl StoreError {
    /// What the system said, and about what.
    pub(super) fn from_io(what: &str, error: &io::Error) -> Self {
        let text = format!("{what}: {error}");
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(text),
            _ => Self::Io(text),
        }
    }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(what) => Self::Corrupt(what.into()),
            other => Self::Store(other.to_string().into()),
        }
    }
}

impl<S: Store + ?Sized> Store for Arc<S> {
    fn lead(&self) -> Result<Lead, StoreError> {
        (**self).lead()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        (**self).get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        (**self).scan(from, to, limit)
    }

    fn walk(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        (**self).walk(from, to, visit)
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        (**self).commit(batch)
    }

    fn space(&self) -> Result<Space, StoreError> {
        (**self).space()
    }
}
