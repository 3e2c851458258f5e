//! A memory store in which single rows read otherwise than they were written.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use adjutant::store::{Batch, Lead, MemoryStore, Op, Row, Space, Store, StoreError};

#[derive(Default)]
pub(crate) struct Tampered {
    inner: Arc<MemoryStore>,
    over: RwLock<BTreeMap<Vec<u8>, Option<Vec<u8>>>>,
}

impl Tampered {
    /// Over a store that holds something already.
    pub(crate) fn over(inner: Arc<MemoryStore>) -> Self {
        Self { inner, over: RwLock::default() }
    }

    /// From now on the row reads like this, whatever is written to it.
    pub(crate) fn damage(&self, op: Op) {
        let (key, value) = match op {
            Op::Put(key, value) => (key, Some(value)),
            Op::Delete(key) => (key, None),
        };
        self.over.write().expect("no panic").insert(key, value);
    }
}

impl Store for Tampered {
    fn lead(&self) -> Result<Lead, StoreError> {
        self.inner.lead()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.over.read().expect("no panic").get(key) {
            Some(value) => Ok(value.clone()),
            None => self.inner.get(key),
        }
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        let over = self.over.read().expect("no panic");
        let rows = self.inner.scan(from, to, limit)?.into_iter();
        Ok(rows
            .filter_map(|(key, value)| match over.get(&key) {
                Some(other) => Some((key, other.clone()?)),
                None => Some((key, value)),
            })
            .collect())
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.inner.commit(batch)
    }

    fn space(&self) -> Result<Space, StoreError> {
        self.inner.space()
    }
}
