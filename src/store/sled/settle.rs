//! Settling: what many commits came to is brought in without holding up readers.

use std::sync::PoisonError;

use super::super::contract::{Change, Lead, StoreError};
use super::failure::from_sled;
use super::layout::{self, Chunked, Head, Position, UNSETTLED_KEY};
use super::{SledStore, collect_garbage, put};

/// Rows after which the garbage of settling is let go.
const SETTLED_GARBAGE: u32 = 256;

impl SledStore {
    /// Brings in what other commits, up to `number`, came to together: each key at most once, durably
    /// before it returns. Readers and what they read are hardly held up, because almost every row is
    /// written by itself: so this is not atomic. What it will have come to is noted before the first
    /// row; after a crash it must be done again, with the same changes and before any others, as
    /// [`SledStore::unsettled`] tells.
    ///
    /// # Errors
    /// As for [`Store::commit`].
    pub(in crate::store) fn settle<'a, C: Iterator<Item = Change<'a>>>(
        &self,
        number: u64,
        changes: impl Fn() -> C,
    ) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.healthy()?;
        writer.at = self.watched(|| {
            let lead = Lead { number, ..writer.at.lead };
            let end = match writer.unsettled {
                Some(end) => Position { lead, ..end },
                None => {
                    let end = self.count(Position { lead, ..writer.at }, changes())?;
                    let noted = self.db.insert(UNSETTLED_KEY, end.bytes());
                    noted.map_err(|error| from_sled("settle", error))?;
                    end
                }
            };
            for (place, (key, value)) in (0..).zip(changes()) {
                self.settle_row(end.serial, place, layout::row_key(key), value)?;
                if place % SETTLED_GARBAGE == SETTLED_GARBAGE - 1 {
                    collect_garbage();
                }
            }
            let mut last = ::sled::Batch::default();
            last.remove(UNSETTLED_KEY);
            self.apply_at(last, end)?;
            self.make_durable()?;
            Ok(end)
        })?;
        writer.unsettled = None;
        Ok(())
    }

    /// Where changes will have brought the store from `at`.
    fn count<'a>(
        &self,
        mut at: Position,
        changes: impl Iterator<Item = Change<'a>>,
    ) -> Result<Position, StoreError> {
        at.serial += 1;
        for (key, value) in changes {
            let key = layout::row_key(key);
            let old = self.db.get(&key).map_err(|error| from_sled("read", error))?;
            at.rows = (at.rows + u64::from(value.is_some())).saturating_sub(old.is_some().into());
            if let Some(Head::Chunked(old)) = old.as_deref().map(layout::head).transpose()? {
                at.chunks = at.chunks.saturating_sub(old.count().into());
            }
            if let Some(long) = value.filter(|value| layout::too_long(&key, value)) {
                at.chunks += u64::from(Chunked::of(at.serial, 0, long).count());
            }
        }
        Ok(at)
    }

    /// Writes one row, with the pieces of long values in the same step.
    fn settle_row(
        &self,
        serial: u64,
        place: u32,
        key: Vec<u8>,
        value: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let failed = |error| from_sled("settle", error);
        let old = self.db.get(&key).map_err(failed)?;
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
