//! [`Table`]: the rows that commits changed and that are not settled yet; and reading through tables.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Bound::{Excluded, Included};

use super::super::contract::{Change, Op, StoreError, Visit};

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

    fn range(&self, from: &[u8], to: &[u8]) -> Peekable<impl Iterator<Item = Change<'_>>> {
        self.rows
            .range::<[u8], _>((Included(from), Excluded(to)))
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
            .peekable()
    }
}

/// Visits rows with `from <= key < to` as the tables and the store below them have them; the first
/// table is the newest, and `below` visits the rows of the store.
///
/// # Errors
/// What `below` fails with.
pub(super) fn walk(
    tables: [Option<&Table>; 2],
    [from, to]: [&[u8]; 2],
    below: impl FnOnce(&mut Visit<'_>) -> Result<(), StoreError>,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    let empty = Table::default();
    let [newer, older] = tables.map(|table| table.unwrap_or(&empty));
    let (mut newer, mut older) = (newer.range(from, to), older.range(from, to));
    // the next key that a table knows, if it is not above `end`, and what the newest says of it
    let mut next = |end: Option<&[u8]>| {
        let heads = [newer.peek().map(|row| row.0), older.peek().map(|row| row.0)];
        let key = heads.into_iter().flatten().min()?;
        if end.is_some_and(|end| key > end) {
            return None;
        }
        let older = older.next_if(|row| row.0 == key);
        newer.next_if(|row| row.0 == key).or(older)
    };
    let mut more = true;
    below(&mut |key, value| {
        let mut hidden = false;
        while more && let Some((changed, newest)) = next(Some(key)) {
            hidden |= changed == key;
            more = newest.is_none_or(|newest| visit(changed, newest));
        }
        more = more && (hidden || visit(key, value));
        more
    })?;
    while more && let Some((key, newest)) = next(None) {
        more = newest.is_none_or(|newest| visit(key, newest));
    }
    Ok(())
}
