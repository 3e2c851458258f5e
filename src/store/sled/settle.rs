//! Settling: what many commits came to is brought in without holding up readers.

use std::collections::HashSet;
use std::sync::PoisonError;

use super::super::contract::{Change, Lead, StoreError};
use super::failure::from_sled;
use super::layout::{self, Chunked, Head, Position, UNSETTLED_KEY};
use super::{SledStore, collect_garbage, put};

/// Rows after which the garbage of settling is let go, and others may have the processor: some tenths
/// of a millisecond.
const SETTLED_TOGETHER: usize = 64;

impl SledStore {
    /// Brings in what other commits, up to `number`, came to together: each key at most once, durably
    /// before it returns. Readers and what they read are hardly held up, because almost every row is
    /// written by itself: so this is not atomic. What it will have come to is noted before the first
    /// row; after a crash it must be done again, with the same changes and before any others, as
    /// [`SledStore::unsettled`] tells.
    ///
    /// `pause` is called after every few rows, for whoever has something better to do with the processor.
    ///
    /// # Errors
    /// As for [`Store::commit`].
    pub(in crate::store) fn settle<'a, C: Iterator<Item = Change<'a>>>(
        &self,
        number: u64,
        changes: impl Fn() -> C,
        pause: impl Fn(),
    ) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.healthy()?;
        let lead = Lead { number, ..writer.at.lead };
        let (end, long_before) = match writer.unsettled {
            // what was long before is not known any more for the rows that are written already
            Some(end) => (Position { lead, ..end }, None),
            None => self.watched(|| {
                let (end, long) = self.count(Position { lead, ..writer.at }, changes())?;
                let noted = self.db.insert(UNSETTLED_KEY, end.bytes());
                noted.map_err(|error| from_sled("settle", error))?;
                Ok((end, Some(long)))
            })?,
        };
        let mut changes = (0..).zip(changes()).peekable();
        while changes.peek().is_some() {
            self.watched(|| {
                for (place, (key, value)) in changes.by_ref().take(SETTLED_TOGETHER) {
                    let replaces = long_before.as_ref().is_none_or(|long| long.contains(&place));
                    let key = layout::row_key(key);
                    self.settle_row((end.serial, place), key, value, replaces)?;
                }
                collect_garbage();
                Ok(())
            })?;
            pause();
        }
        writer.at = self.watched(|| {
            let mut last = ::sled::Batch::default();
            last.remove(UNSETTLED_KEY);
            self.apply_at(last, end)?;
            self.make_durable()?;
            Ok(end)
        })?;
        writer.unsettled = None;
        Ok(())
    }

    /// Where changes will have brought the store from `at`, and the places of those that replace or
    /// remove a long value.
    fn count<'a>(
        &self,
        mut at: Position,
        changes: impl Iterator<Item = Change<'a>>,
    ) -> Result<(Position, HashSet<u32>), StoreError> {
        at.serial += 1;
        let mut long_before = HashSet::new();
        for (place, (key, value)) in (0..).zip(changes) {
            let key = layout::row_key(key);
            let old = self.db.get(&key).map_err(|error| from_sled("read", error))?;
            at.rows = (at.rows + u64::from(value.is_some())).saturating_sub(old.is_some().into());
            if let Some(Head::Chunked(old)) = old.as_deref().map(layout::head).transpose()? {
                at.chunks = at.chunks.saturating_sub(old.count().into());
                long_before.insert(place);
            }
            if let Some(long) = value.filter(|value| layout::too_long(&key, value)) {
                at.chunks += u64::from(Chunked::of(at.serial, place, long).count());
            }
        }
        Ok((at, long_before))
    }

    /// Writes one row, with the pieces of long values in the same step. `replaces`: there may be a long
    /// value now.
    fn settle_row(
        &self,
        (serial, place): (u64, u32),
        key: Vec<u8>,
        value: Option<&[u8]>,
        replaces: bool,
    ) -> Result<(), StoreError> {
        let failed = |error| from_sled("settle", error);
        let old = if replaces { self.db.get(&key).map_err(failed)? } else { None };
        let pieces = match old.as_deref().map(layout::head).transpose()? {
            Some(Head::Chunked(old)) => Some(old),
            _ => None,
        };
        let long = value.filter(|value| layout::too_long(&key, value));
        if pieces.is_none() && long.is_none() {
            match value {
                Some(value) => self.db.insert(key, layout::inline(value)).map_err(failed)?,
                None => self.db.remove(key).map_err(failed)?,
            };
            return Ok(());
        }
        let mut writes = ::sled::Batch::default();
        if let Some(old) = pieces {
            (0..old.count()).for_each(|chunk| writes.remove(&old.key(chunk)));
        }
        put(&mut writes, key, value, serial, place);
        let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        self.db.apply_batch(writes).map_err(failed)
    }

    /// The last of the commits that were being settled when the process ended, if it ended then.
    pub(in crate::store) fn unsettled(&self) -> Option<u64> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.unsettled.map(|end| end.lead.number)
    }
}
