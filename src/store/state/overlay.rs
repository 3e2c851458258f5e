//! [`Overlay`]: what a batch writes, readable before it is in the store.
//!
//! Runs and events stay decoded until the batch is sealed, so that a row that changes ten times in
//! a batch is encoded once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;

use crate::model::{EventNo, Run, RunNo, StoredEvent};
use crate::store::contract::Op;
use crate::store::{codec, keys};

/// Assumed size of a row that is not encoded yet: what a run with a small effect takes.
const UNENCODED_BYTES: usize = 512;

#[derive(Default)]
pub(super) struct Overlay {
    /// `None` is a removal, here as below: it must hide what is older, in the batch that syncs too.
    pub(super) runs: HashMap<RunNo, Option<Arc<Run>>>,
    pub(super) events: HashMap<EventNo, Option<Arc<StoredEvent>>>,
    /// Every other row.
    pub(super) rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
}

impl Overlay {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.events.is_empty() && self.rows.is_empty()
    }

    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.bytes += key.len() + value.len();
        self.rows.insert(key, Some(value));
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.bytes += key.len();
        self.rows.insert(key, None);
    }

    /// Rows and roughly bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        let unencoded = self.runs.len() + self.events.len();
        (unencoded + self.rows.len(), unencoded * UNENCODED_BYTES + self.bytes)
    }

    /// The changes in key order, so that the store writes forward.
    pub(super) fn ops(&self) -> Vec<Op> {
        let mut ops = Vec::with_capacity(self.runs.len() + self.events.len() + self.rows.len());
        ops.extend(self.runs.iter().map(|(no, run)| op(keys::run(*no), run.as_deref())));
        ops.extend(self.events.iter().map(|(no, event)| op(keys::event(*no), event.as_deref())));
        ops.extend(self.rows.iter().map(|(key, value)| match value {
            Some(value) => Op::Put(key.clone(), value.clone()),
            None => Op::Delete(key.clone()),
        }));
        ops.sort_by(|a, b| key_of(a).cmp(key_of(b)));
        ops
    }
}

fn op<T: Serialize>(key: Vec<u8>, value: Option<&T>) -> Op {
    match value {
        Some(value) => Op::Put(key, codec::encode(value)),
        None => Op::Delete(key),
    }
}

fn key_of(op: &Op) -> &[u8] {
    match op {
        Op::Put(key, _) | Op::Delete(key) => key,
    }
}
