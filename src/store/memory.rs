//! [`MemoryStore`]: a store that lives as long as its process, for scenarios and tests.
//!
//! A commit is "durable" when it returns. What a disk can do wrong is in `faulty`.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::contract::{Admission, Batch, Lead, Op, Row, Space, Store, StoreError};

/// Bytes a memory store says it has in all: scenarios then never run into the low-disk rule.
const TOTAL: u64 = 1 << 40;

/// An ordered map in memory. Share it with an `Arc`; a "reopen" is another `Arc` of the same map.
#[derive(Debug, Default)]
pub struct MemoryStore {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    at: Lead,
    used: u64,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    // A panic cannot leave the map half changed: a batch is checked before its first row is
    // written, and writing rows does not fail. So a poisoned lock still guards good state.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn lead(&self) -> Result<Lead, StoreError> {
        let mut inner = self.write();
        inner.at.epoch += 1;
        Ok(inner.at)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read().rows.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        // `range` panics on a range that is the wrong way round
        if from >= to {
            return Ok(Vec::new());
        }
        let inner = self.read();
        let rows = inner
            .rows
            .range::<[u8], _>((std::ops::Bound::Included(from), std::ops::Bound::Excluded(to)));
        Ok(rows.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut inner = self.write();
        if batch.admit(inner.at)? == Admission::Known {
            return Ok(());
        }
        for op in &batch.ops {
            match op {
                Op::Put(key, value) => {
                    inner.used += (key.len() + value.len()) as u64;
                    if let Some(old) = inner.rows.insert(key.clone(), value.clone()) {
                        inner.used -= (key.len() + old.len()) as u64;
                    }
                }
                Op::Delete(key) => {
                    if let Some(old) = inner.rows.remove(key) {
                        inner.used -= (key.len() + old.len()) as u64;
                    }
                }
            }
        }
        inner.at.number = batch.number;
        Ok(())
    }

    fn space(&self) -> Result<Space, StoreError> {
        let used = self.read().used;
        Ok(Space { used, free: TOTAL.saturating_sub(used), total: TOTAL })
    }
}
