//! The disk as it is now, read by somebody who does not want to lead.

use std::sync::Arc;

use adjutant::store::{
    Batch, Faulty, Lead, MemoryStore, Row, Space, State, Store, StoreError, Unfinished,
};

/// What is durable of a store, without its faults. Nothing is written through it.
pub(crate) struct Photo(Arc<Faulty<MemoryStore>>);

impl Photo {
    pub(crate) fn of(disk: &Arc<Faulty<MemoryStore>>) -> Self {
        Self(disk.clone())
    }

    /// The state as a process would load it.
    pub(crate) fn load(self) -> Result<(State, Unfinished), String> {
        State::load(Arc::new(self)).map_err(|error| error.to_string())
    }
}

impl Store for Photo {
    fn lead(&self) -> Result<Lead, StoreError> {
        Ok(Lead::default())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.durable().get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        self.0.durable().scan(from, to, limit)
    }

    fn commit(&self, _: &Batch) -> Result<(), StoreError> {
        Err(StoreError::Fenced)
    }

    fn space(&self) -> Result<Space, StoreError> {
        self.0.durable().space()
    }
}
