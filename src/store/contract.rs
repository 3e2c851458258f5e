//! [`Store`]: what a place for state must be able to do, and how it may fail.

use crate::model::ReadError;

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
    /// Applies a batch whole and makes it durable before it returns. A batch whose number is not
    /// above the last one is already there: nothing happens and that is a success.
    fn commit(&self, batch: &Batch) -> Result<(), StoreError>;
    /// How much room there is.
    fn space(&self) -> Result<Space, StoreError>;
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// The right to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Why the store failed.
#[derive(Clone, Debug, thiserror::Error)]
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
    /// What was read is not what was written.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// The disk or the system failed.
    #[error("the store failed: {0}")]
    Io(String),
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(what) => Self::Corrupt(what.into()),
            other => Self::Store(other.to_string().into()),
        }
    }
}
