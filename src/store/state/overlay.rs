//! [`Overlay`]: what a batch writes, readable before it is in the store.
//!
//! Runs and new events stay decoded until the batch is sealed, so that a row that changes ten times in
//! a batch is encoded once.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Included};
use std::ops::Range;
use std::sync::Arc;

use crate::model::{Digest, EventNo, Run, RunNo, StoredEvent};
use crate::store::contract::{Change, Op};
use crate::store::{codec, keys};

use super::{events, identities, subjects};

/// Assumed size of a row that is not encoded yet, besides what it remembers or brings.
const UNENCODED_BYTES: usize = 384;

#[derive(Default)]
pub(super) struct Overlay {
    /// `None` is a removal, here as below: it must hide what is older, in the batch that syncs too.
    pub(super) runs: HashMap<RunNo, Option<Arc<Run>>>,
    pub(super) events: BTreeMap<EventNo, Option<Arc<StoredEvent>>>,
    /// Of events that are new in the batch.
    pub(super) identities: BTreeMap<EventNo, (Digest, Digest)>,
    /// Every other row, and those of events that are older than the batch.
    pub(super) rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
}

impl Overlay {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
            && self.events.is_empty()
            && self.identities.is_empty()
            && self.rows.is_empty()
    }

    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.bytes += key.len() + value.len();
        self.rows.insert(key, Some(value));
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.bytes += key.len();
        self.rows.insert(key, None);
    }

    /// Puts or removes.
    pub(super) fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        match value {
            Some(value) => self.put(key, value),
            None => self.remove(key),
        }
    }

    /// What it says of the rows of a range, in key order.
    pub(super) fn range(&self, range: &Range<Vec<u8>>) -> impl Iterator<Item = Change<'_>> {
        let rows = self.rows.range::<Vec<u8>, _>((Included(&range.start), Excluded(&range.end)));
        rows.map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    pub(super) fn put_run(&mut self, run: Arc<Run>) {
        self.bytes += UNENCODED_BYTES + run.weight();
        self.runs.insert(run.no, Some(run));
    }

    pub(super) fn put_event(&mut self, event: Arc<StoredEvent>) {
        self.bytes += UNENCODED_BYTES + event.event.data.weight();
        self.events.insert(event.event.no, Some(event));
    }

    /// Rows and roughly bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.runs.len() + self.events.len() + self.rows.len(), self.bytes)
    }

    /// Makes rows of the events from `first` on, which are new in this batch, and of their identities.
    pub(super) fn pack_events(&mut self, first: EventNo) {
        let new = || self.events.range(first..).filter_map(|(_, event)| event.as_deref());
        let rows = events::pack(new()).into_iter().chain(subjects::pack(new()));
        let rows = rows.chain(identities::pack(self.identities.iter()));
        self.rows.extend(rows.map(|(key, row)| (key, Some(row))));
    }

    /// The changes in key order, so that the store writes forward.
    pub(super) fn ops(&self) -> Vec<Op> {
        let mut ops = Vec::with_capacity(self.runs.len() + self.rows.len());
        ops.extend(self.runs.iter().map(|(no, run)| {
            let key = keys::run(*no);
            match run {
                Some(run) => Op::Put(key, codec::encode(&**run)),
                None => Op::Delete(key),
            }
        }));
        ops.extend(self.rows.iter().map(|(key, value)| match value {
            Some(value) => Op::Put(key.clone(), value.clone()),
            None => Op::Delete(key.clone()),
        }));
        ops.sort_by(|a, b| key_of(a).cmp(key_of(b)));
        ops
    }
}

fn key_of(op: &Op) -> &[u8] {
    match op {
        Op::Put(key, _) | Op::Delete(key) => key,
    }
}
