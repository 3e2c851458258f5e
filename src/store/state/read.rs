//! Reads from [`State`]: the overlay first, then the batch being synced, then the store.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{
    Address, ArmSubject, BundleId, Digest, EventNo, InboxNo, Instant, Name, Pattern, ReadError,
    Record, Run, RunNo, Status, StoredEvent, Text, TraceEntry, Value, View, Window, WindowKey,
};
use crate::store::contract::{Row, Visit};
use crate::store::{codec, keys, merge};

use super::State;
use super::events;
use super::overlay::Overlay;

/// Bytes of rows in a page: a sweep must not hold 256 runs of a megabyte each.
const PAGE_BYTES: usize = 1024 * 1024;

/// A record with the index rows that point at it, so that they can be taken away with it.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct RecordRow {
    pub(in crate::store) record: Record,
    pub(in crate::store) indexed: Vec<(Name, Digest)>,
}

/// What an index row keeps of a value. Whole floats are the same as integers, as in expressions.
pub(super) fn value_digest(value: &Value) -> Digest {
    let text = match value {
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
            Value::Int(*number as i64).to_json().to_string()
        }
        Value::Instant(at) => format!("@{}", at.as_micros()),
        other => other.to_json().to_string(),
    };
    Digest::of(&[text.as_bytes()])
}

impl State {
    /// One row, wherever it is newest.
    pub(super) fn row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        for overlay in [Some(&self.current), self.syncing.as_ref()].into_iter().flatten() {
            if let Some(row) = overlay.rows.get(key) {
                return Ok(row.clone());
            }
        }
        Ok(self.store.get(key)?)
    }

    /// Visits the rows of a range wherever they are newest, in key order, until `visit` says false.
    /// Runs and events of the overlays are not rows yet.
    pub(super) fn walk(
        &self,
        range: &Range<Vec<u8>>,
        visit: &mut Visit<'_>,
    ) -> Result<(), ReadError> {
        let newest_first = [Some(&self.current), self.syncing.as_ref()]
            .map(|overlay| overlay.into_iter().flat_map(|overlay| overlay.range(range)));
        let below = |visit: &mut Visit<'_>| self.store.walk(&range.start, &range.end, visit);
        Ok(merge::walk(newest_first, below, visit)?)
    }

    /// Rows of a range in key order, at most `limit`.
    pub(super) fn rows(&self, range: &Range<Vec<u8>>, limit: usize) -> Result<Vec<Row>, ReadError> {
        let mut rows = Vec::new();
        if limit > 0 {
            self.walk(range, &mut |key, row| {
                rows.push((key.to_vec(), row.to_vec()));
                rows.len() < limit
            })?;
        }
        Ok(rows)
    }

    pub(super) fn record_row(&self, address: &Address) -> Result<Option<RecordRow>, ReadError> {
        self.row(&keys::record(address))?.map(|bytes| codec::decode(&bytes, "a record")).transpose()
    }

    /// Kinds of which there are records, in order, at most `limit`.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails.
    pub fn record_kinds(&self, limit: usize) -> Result<Vec<Text>, ReadError> {
        let mut kinds: Vec<Text> = Vec::new();
        while kinds.len() < limit {
            let rows = self.rows(&keys::kinds(kinds.last().map(|kind| &**kind)), 1)?;
            let Some(kind) = rows.first().and_then(|(key, _)| keys::kind(key)) else { break };
            kinds.push(kind.into());
        }
        Ok(kinds)
    }

    /// Older parts of a run's story, oldest first.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a row is damaged.
    pub fn spilled(&self, run: RunNo) -> Result<Vec<TraceEntry>, ReadError> {
        let mut entries = Vec::new();
        for (_, bytes) in self.rows(&keys::traces(run), usize::MAX)? {
            entries.extend(codec::decode::<Vec<TraceEntry>>(&bytes, "a part of a run's story")?);
        }
        Ok(entries)
    }

    pub(super) fn spill_keys(&self, run: RunNo) -> Result<Vec<Vec<u8>>, ReadError> {
        let rows = self.rows(&keys::traces(run), usize::MAX)?;
        Ok(rows.into_iter().map(|(key, _)| key).collect())
    }

    /// A page of numbered things: those of the overlays where they are newer, else those that `decode`
    /// finds in the rows of `range`, a few in one or one each. At most `limit`, and it ends where its
    /// rows have [`PAGE_BYTES`]. A damaged row is passed over: looking at a page must not end there.
    fn page<T>(
        &self,
        range: Range<Vec<u8>>,
        limit: usize,
        newer: impl Fn(&Overlay) -> Vec<(u64, Option<T>)>,
        decode: impl Fn(&[u8], &[u8]) -> Result<Vec<(u64, T)>, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        let mut found: BTreeMap<u64, Option<T>> = BTreeMap::new();
        for overlay in [self.syncing.as_ref(), Some(&self.current)].into_iter().flatten() {
            found.extend(newer(overlay));
        }
        let (mut left, mut bytes, mut end) = (limit, 0, None);
        let after = keys::number_in(&range.start).unwrap_or_default();
        self.store.walk(&range.start, &range.end, &mut |key, row| {
            match decode(key, row) {
                Ok(stored) => {
                    for (no, thing) in stored.into_iter().filter(|(no, _)| *no >= after) {
                        found.entry(no).or_insert_with(|| {
                            left = left.saturating_sub(1);
                            Some(thing)
                        });
                    }
                }
                Err(error) => tracing::error!(%error, "a damaged row is passed over"),
            }
            bytes += row.len();
            if left == 0 || bytes >= PAGE_BYTES {
                end = keys::number_in(key);
            }
            end.is_none()
        })?;
        let page = found.into_iter().take_while(|(no, _)| end.is_none_or(|end| *no <= end));
        Ok(page.filter_map(|(_, thing)| thing).take(limit).collect())
    }

    /// Runs of a status that few have: failed, or alive (which is queued or active). `None` for
    /// the others, which only a scan finds. Newest first.
    #[must_use]
    pub fn runs_in(&self, status: Status) -> Option<impl Iterator<Item = RunNo> + '_> {
        let set = match status {
            Status::Failed => self.index.failed(),
            Status::Queued | Status::Active => self.index.alive(),
            Status::Done | Status::Cancelled => return None,
        };
        Some(set.descending().map(RunNo))
    }

    /// Escalations that are not over, newest first.
    pub fn ladders(&self) -> impl Iterator<Item = RunNo> + '_ {
        self.index.ladders().descending().map(RunNo)
    }
}

impl View for State {
    fn run(&self, no: RunNo) -> Result<Option<Arc<Run>>, ReadError> {
        for overlay in [Some(&self.current), self.syncing.as_ref()].into_iter().flatten() {
            if let Some(run) = overlay.runs.get(&no) {
                return Ok(run.clone());
            }
        }
        if let Some(run) = self.under_way.get(&no) {
            return Ok(Some(run.clone()));
        }
        self.row(&keys::run(no))?.map(|bytes| codec::decode_run(&bytes).map(Arc::new)).transpose()
    }

    fn event(&self, no: EventNo) -> Result<Option<Arc<StoredEvent>>, ReadError> {
        for overlay in [Some(&self.current), self.syncing.as_ref()].into_iter().flatten() {
            if let Some(event) = overlay.events.get(&no) {
                return Ok(event.clone());
            }
        }
        let range = events::range(no);
        // What is newer than the store was found above: only its own rows matter here.
        let mut found = Ok(None);
        self.store.walk(&range.start, &range.end, &mut |key, row| {
            found = events::find(key, row, no);
            false
        })?;
        Ok(found?.map(Arc::new))
    }

    fn identity(&self, identity: Digest) -> Result<Option<(EventNo, Digest)>, ReadError> {
        self.event_known_as(identity)
    }

    fn record(&self, address: &Address) -> Result<Option<Arc<Record>>, ReadError> {
        Ok(self.record_row(address)?.map(|row| Arc::new(row.record)))
    }

    fn records(
        &self,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, ReadError> {
        self.rows(&keys::records(kind, after), limit)?
            .into_iter()
            .map(|(_, bytes)| {
                codec::decode::<RecordRow>(&bytes, "a record").map(|row| Arc::new(row.record))
            })
            .collect()
    }

    fn records_where(
        &self,
        kind: &str,
        index: &str,
        value: &Value,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, ReadError> {
        let prefix = keys::index_prefix(kind, index, value_digest(value));
        let end = keys::prefix_end(&prefix);
        let mut found = Vec::new();
        for (key, _) in self.rows(&(prefix.clone()..end), limit)? {
            let id = String::from_utf8_lossy(&key[prefix.len()..]);
            let address = Address { kind: kind.into(), id: id.into() };
            found.extend(self.record(&address)?);
        }
        Ok(found)
    }

    fn events_after(
        &self,
        after: EventNo,
        limit: usize,
    ) -> Result<Vec<Arc<StoredEvent>>, ReadError> {
        let newer = |overlay: &Overlay| {
            let newer = overlay.events.range(after.next()..);
            newer.map(|(no, event)| (no.0, event.clone())).collect()
        };
        let range = keys::events(after.next(), EventNo(u64::MAX));
        self.page(range, limit, newer, |key, row| {
            let stored = events::unpack(key, row)?.into_iter();
            let decode = |(no, event): (EventNo, &[u8])| {
                codec::decode_body(event, "an event").map(|event| (no.0, Arc::new(event)))
            };
            stored.map(decode).collect()
        })
    }

    fn runs_after(&self, after: RunNo, limit: usize) -> Result<Vec<Arc<Run>>, ReadError> {
        let newer = |overlay: &Overlay| {
            let newer = overlay.runs.iter().filter(|(no, _)| **no > after);
            newer.map(|(no, run)| (no.0, run.clone())).collect()
        };
        let range = keys::runs(after.next(), RunNo(u64::MAX));
        self.page(range, limit, newer, |_, row| {
            let run = codec::decode_run(row)?;
            Ok(vec![(run.no.0, Arc::new(run))])
        })
    }

    fn is_event_used(&self, no: EventNo) -> bool {
        self.index.is_event_used(no)
    }

    fn has_bundle(&self, id: BundleId) -> Result<bool, ReadError> {
        Ok(self.bundles.contains(&id))
    }

    fn idle_bundles(&self) -> Vec<BundleId> {
        let idle = self.bundles.iter().filter(|id| !self.index.is_pinned(**id));
        let mut idle: Vec<_> = idle.copied().collect();
        idle.sort_unstable();
        idle
    }

    fn indexes(&self) -> Result<Vec<(Name, Vec<Name>)>, ReadError> {
        Ok(self.indexes.clone())
    }

    fn waiters(
        &self,
        pattern: &Pattern,
        subject: &ArmSubject,
        after: RunNo,
        limit: usize,
    ) -> Vec<RunNo> {
        self.index.waiters(pattern, subject, after, limit)
    }

    fn holders(&self, workflow: &str, key: Option<&str>, limit: usize) -> Vec<RunNo> {
        self.index.holders(workflow, key, limit)
    }

    fn queued(&self, after: RunNo, limit: usize) -> Vec<RunNo> {
        self.index.queued(after, limit)
    }

    fn children(&self, run: RunNo) -> Vec<RunNo> {
        self.index.children(run)
    }

    fn items(&self, run: RunNo, piece: u32) -> Result<Option<Vec<Value>>, ReadError> {
        self.row(&keys::items(run, piece))?
            .map(|bytes| codec::decode(&bytes, "what children of a run are for"))
            .transpose()
    }

    fn window(&self, key: &WindowKey) -> Result<Option<Window>, ReadError> {
        self.row(&keys::window(key))?.map(|bytes| codec::decode(&bytes, "a window")).transpose()
    }

    fn windows(
        &self,
        after: Option<&WindowKey>,
        limit: usize,
    ) -> Result<Vec<WindowKey>, ReadError> {
        let rows = self.rows(&keys::windows(after), limit)?;
        Ok(rows.iter().filter_map(|(key, _)| keys::window_in(key)).collect())
    }

    fn events_about(&self, subject: &str, after: EventNo, limit: usize) -> Vec<EventNo> {
        self.index.about(subject, after, limit)
    }

    fn credit(&self, lane: &str) -> usize {
        self.index.lanes.credit(lane)
    }

    fn next_event(&self) -> EventNo {
        self.counters.event
    }

    fn next_run(&self) -> RunNo {
        self.counters.run
    }

    fn next_inbox(&self) -> InboxNo {
        self.counters.inbox
    }

    fn clock(&self) -> Instant {
        self.counters.clock
    }
}
