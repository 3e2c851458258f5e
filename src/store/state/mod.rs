//! [`State`]: what the bytes of a [`Store`] mean.
//!
//! It takes typed writes, derives every index from them, and answers reads over
//! [current overlay, batch being synced, store]. Timers, waiters, key holders, lanes and events by
//! subject are kept in memory and rebuilt from the rows at start: what is derived cannot disagree
//! after a crash.

mod apply;
mod events;
mod head;
mod identities;
mod index;
mod lanes;
mod load;
mod numbers;
mod overlay;
mod read;
mod subjects;
mod tags;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{
    BundleId, EventNo, InboxNo, Instant, Name, ReadError, Run, RunNo, WindowKey, limits,
};

use super::contract::{Batch, Lead, Store};
use super::{codec, keys};
use index::Index;
pub use lanes::Backlog;
pub use load::Unfinished;
use overlay::Overlay;
#[cfg(test)]
pub(super) use {events::pack as pack_events, read::RecordRow, subjects::pack as pack_subjects};

/// Bytes of a run that stays decoded while its attempt is under way: 16 MiB for all of them.
const UNDER_WAY_BYTES: usize = 4 * 1024;

/// The state of the engine over a store. One thread owns it.
pub struct State {
    store: Arc<dyn Store>,
    lead: Lead,
    /// Written since the last seal.
    current: Overlay,
    /// Sealed, and not yet known to be durable.
    syncing: Option<Overlay>,
    index: Index,
    /// Durable runs with an attempt under way: their outcome comes soon, so they stay decoded. At
    /// most `limits::EFFECTS`, each a small one.
    under_way: HashMap<RunNo, Arc<Run>>,
    counters: Counters,
    /// Events below this one are older than the current batch and have their rows.
    packed: EventNo,
    bundles: HashSet<BundleId>,
    indexes: Vec<(Name, Vec<Name>)>,
}

/// The numbers given next, and engine time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counters {
    pub(super) event: EventNo,
    pub(super) run: RunNo,
    pub(super) inbox: InboxNo,
    pub(super) clock: Instant,
}

impl State {
    /// Takes the lead of `store` and loads what is derived.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or holds what this version cannot read.
    pub fn load(store: Arc<dyn Store>) -> Result<(Self, Unfinished), ReadError> {
        let lead = store.lead()?;
        let mut state = Self {
            lead,
            current: Overlay::default(),
            syncing: None,
            index: Index::default(),
            under_way: HashMap::new(),
            counters: Counters {
                event: EventNo(1),
                run: RunNo(1),
                inbox: InboxNo(1),
                clock: Instant::MIN,
            },
            packed: EventNo(1),
            bundles: HashSet::new(),
            indexes: Vec::new(),
            store,
        };
        if let Some(bytes) = state.store.get(keys::COUNTERS)? {
            state.counters = codec::decode(&bytes, "the counters")?;
        }
        if let Some(bytes) = state.store.get(keys::INDEXES)? {
            state.indexes = codec::decode(&bytes, "the list of indexes")?;
        }
        let mut unfinished = Unfinished::default();
        let given = (state.counters.run, state.counters.event);
        state.index = load::index(&*state.store, given, &mut unfinished)?;
        state.bundles = load::rest(&*state.store, &mut unfinished)?;
        load::windows(&*state.store, &mut state.index, &mut unfinished)?;
        #[cfg(test)]
        if crate::model::planted::is(crate::model::planted::Plant::DropsTimers) {
            state.index.forget_due();
        }
        state.packed = state.counters.event;
        Ok((state, unfinished))
    }

    /// How many living or failed runs are pinned to each version.
    pub fn pinned(&self) -> impl Iterator<Item = (BundleId, usize)> + '_ {
        self.index.pins()
    }

    /// Engine time for the wall clock's `now`: it never goes back, not over a restart either.
    pub fn tick(&mut self, now: Instant) -> Instant {
        self.counters.clock = self.counters.clock.max(now);
        self.counters.clock
    }

    /// From now on no attempt is started: the daemon is stopping.
    pub fn drain(&mut self) {
        self.index.lanes.close();
    }

    /// Closes the current overlay into a batch for [`Store::commit`]. `None` when nothing was written.
    ///
    /// The batch before must have been reported by [`State::durable`].
    pub fn seal(&mut self) -> Option<Batch> {
        debug_assert!(self.syncing.is_none(), "one batch syncs at a time");
        if self.current.is_empty() {
            return None;
        }
        let mut overlay = std::mem::take(&mut self.current);
        overlay.pack_events(self.packed);
        self.packed = self.counters.event;
        overlay.put(keys::COUNTERS.to_vec(), codec::encode(&self.counters));
        self.lead.number += 1;
        let ops = overlay.ops();
        self.syncing = Some(overlay);
        Some(Batch { epoch: self.lead.epoch, number: self.lead.number, ops })
    }

    /// The sealed batch is in the store for good.
    pub fn durable(&mut self) {
        let Some(done) = self.syncing.take() else { return };
        for (no, run) in done.runs {
            let Some(run) = run else { continue };
            let newest = !self.current.runs.contains_key(&no);
            let room = self.under_way.len() < limits::EFFECTS;
            if newest && room && index::is_started(&run) && run.weight() <= UNDER_WAY_BYTES {
                self.under_way.insert(no, run);
            }
        }
    }

    /// Writes and bytes in the overlay that is not sealed yet.
    #[must_use]
    pub fn pending(&self) -> (usize, usize) {
        self.current.size()
    }

    /// Runs with something due at or before `now`, in order of due instant.
    #[must_use]
    pub fn due(&self, now: Instant, limit: usize) -> Vec<RunNo> {
        self.index.due(now, limit)
    }

    /// Windows to be looked at, at or before `now`.
    #[must_use]
    pub fn due_windows(&self, now: Instant, limit: usize) -> Vec<WindowKey> {
        self.index.due_windows(now, limit).into_iter().filter_map(keys::window_in).collect()
    }

    /// A run whose row cannot be read is not due, does not wait and does not start any more, so
    /// that nothing asks for it again and again. Its row stays as it is.
    pub fn put_aside(&mut self, run: RunNo) {
        self.index.put_aside(run);
    }

    /// When the next run is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.index.next_due()
    }

    /// A run with a pending effect in a lane that has credit: by class, then round robin over
    /// workflows.
    pub fn startable(&mut self) -> Option<RunNo> {
        self.index.lanes.next()
    }

    /// What waits for credit, lane by lane.
    pub fn backlogs(&self) -> impl Iterator<Item = Backlog<'_>> {
        self.index.lanes.backlogs()
    }

    /// Effects being performed now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.index.lanes.in_flight()
    }

    /// Sources of a bundle, encoded.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails.
    pub fn bundle_source(&self, id: BundleId) -> Result<Option<Vec<u8>>, ReadError> {
        self.row(&keys::bundle(id))
    }
}
