//! Everything that is visible outside, in order: the same seed gives the same.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use adjutant::store::{Batch, Op};

use crate::support::say;

/// A hash over all entries; they are shown as well when a person follows a single seed.
pub(crate) struct Diary {
    hasher: DefaultHasher,
    shown: bool,
}

impl Diary {
    pub(crate) fn new(shown: bool) -> Self {
        Self { hasher: DefaultHasher::new(), shown }
    }

    pub(crate) fn note(&mut self, entry: impl FnOnce() -> String) {
        let entry = entry();
        entry.hash(&mut self.hasher);
        if self.shown {
            say(&entry);
        }
    }

    /// Rows of a batch are in no order, since the last one on a key wins.
    pub(crate) fn batch(&mut self, batch: &Batch) {
        let mut rows: Vec<_> = batch.ops.iter().map(row).collect();
        rows.sort_unstable();
        rows.hash(&mut self.hasher);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }
}

fn row(op: &Op) -> (&[u8], Option<&[u8]>) {
    match op {
        Op::Put(key, value) => (key, Some(value)),
        Op::Delete(key) => (key, None),
    }
}
