//! [`Table`]: the rows that commits changed and that are not settled yet.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};

use super::super::contract::{Change, Op};

/// Bytes that a row takes beside its key and value: two vectors and their place in the map.
const ROW: usize = 80;

/// What some commits came to: the newest value of each key they changed.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Bytes of memory, roughly.
    pub(super) bytes: usize,
    /// The last of the commits.
    pub(super) number: u64,
}

/// What a table says of a key.
pub(super) enum Known<'a> {
    Value(&'a [u8]),
    Removed,
}

impl Table {
    /// Takes over a commit's changes.
    pub(super) fn add(&mut self, number: u64, ops: &[Op]) {
        self.number = number;
        for op in ops {
            let (key, value) = op.change();
            let size = value.map_or(0, <[u8]>::len);
            match self.rows.get_mut(key) {
                Some(old) => {
                    self.bytes -= old.as_ref().map_or(0, Vec::len);
                    *old = value.map(<[u8]>::to_vec);
                }
                None => {
                    self.bytes += ROW + key.len();
                    self.rows.insert(key.to_vec(), value.map(<[u8]>::to_vec));
                }
            }
            self.bytes += size;
        }
    }

    /// Whether no commit has changed anything since it was begun.
    pub(super) fn is_empty(&self) -> bool {
        self.number == 0
    }

    /// What it says of a key, if anything.
    pub(super) fn get(&self, key: &[u8]) -> Option<Known<'_>> {
        self.rows.get(key).map(|value| value.as_deref().map_or(Known::Removed, Known::Value))
    }

    /// All of it in key order.
    pub(super) fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.rows.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// What it says of the keys with `from <= key < to`, in key order. `from` must not be above `to`.
    pub(super) fn range(&self, from: &[u8], to: &[u8]) -> impl Iterator<Item = Change<'_>> {
        self.rows
            .range::<[u8], _>((Included(from), Excluded(to)))
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
    }
}
