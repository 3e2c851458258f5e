//! [`Index`]: what is derived from runs and events and kept in memory.
//!
//! Each entry is a number or a pair in an ordered set, or a bit. Text is hashed; a collision only makes
//! a reader look at one row too many.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    ArmSubject, BundleId, EffectState, Event, EventNo, Instant, Pattern, Run, RunNo, Status,
};

use super::head::{Head, holder_key, waiter_key};
use super::identities::Known;
use super::lanes::Lanes;
use super::numbers::Numbers;
use super::subjects;

/// Bits of an event's number in [`Index::about`]: enough for seventeen thousand a second over two
/// years. What is left are 24 bits of its subject's hash.
const EVENT_BITS: u32 = 40;
const EVENT_MASK: u64 = (1 << EVENT_BITS) - 1;

#[derive(Default)]
pub(super) struct Index {
    due: BTreeSet<(Instant, RunNo)>,
    /// Windows that have to be looked at, by the keys of their rows.
    windows: BTreeSet<(Instant, Vec<u8>)>,
    /// (pattern and subject, run)
    waiters: BTreeSet<(u64, RunNo)>,
    /// (workflow, key, run)
    holders: BTreeSet<(u64, u64, RunNo)>,
    /// (parent, child), both living
    children: BTreeSet<(RunNo, RunNo)>,
    /// Subject and event, see [`EVENT_BITS`].
    about: BTreeSet<u64>,
    pub(super) known: Known,
    alive: Numbers,
    /// In the queue of their key or workflow, or waiting for events to come to rest.
    queued: Numbers,
    /// Dead letters.
    failed: Numbers,
    /// Events that began runs which live, or failed and may be retried.
    used: Uses,
    /// Versions that living and failed runs are pinned to: by how many.
    pins: BTreeMap<BundleId, u32>,
    /// Escalations that are not over.
    ladders: Numbers,
    pub(super) lanes: Lanes,
}

/// How many runs use an event: one, most often.
#[derive(Default)]
struct Uses {
    events: Numbers,
    /// Those used by more than one run: by how many more.
    more: BTreeMap<EventNo, u32>,
}

impl Uses {
    fn add(&mut self, event: EventNo) {
        if !self.events.insert(event.0) {
            *self.more.entry(event).or_default() += 1;
        }
    }

    fn take(&mut self, event: EventNo) {
        match self.more.get_mut(&event) {
            None => {
                self.events.remove(event.0);
            }
            Some(1) => {
                self.more.remove(&event);
            }
            Some(more) => *more -= 1,
        }
    }
}

/// Whether an attempt of this run is under way.
pub(super) fn is_started(run: &Run) -> bool {
    run.effect().is_some_and(|effect| matches!(effect.state, EffectState::Started { .. }))
}

fn about_key(subject: u64, event: EventNo) -> u64 {
    subject << EVENT_BITS | event.0 & EVENT_MASK
}

impl Index {
    /// An event, with the hash of its subject.
    pub(super) fn add_event(&mut self, no: EventNo, subject: u64) {
        self.about.insert(about_key(subject, no));
    }

    pub(super) fn remove_event(&mut self, event: &Event) {
        if let Some(subject) = &event.subject {
            self.about.remove(&about_key(subjects::hash(subject), event.no));
        }
    }

    pub(super) fn replace_run(&mut self, old: Option<&Run>, new: &Run) {
        if let Some(old) = old {
            self.remove_run(old);
        }
        self.add_run(new);
    }

    pub(super) fn add_run(&mut self, run: &Run) {
        self.add(&Head::of(run));
        if let Some(effect) = run.effect().filter(|_| run.status.is_alive()) {
            match effect.state {
                EffectState::Pending => self.lanes.add_pending(run, effect),
                EffectState::Started { .. } => self.lanes.add_started(&effect.lane),
                EffectState::Backoff { .. } | EffectState::Held => {}
            }
        }
    }

    /// A run that is busy with no effect.
    pub(super) fn add(&mut self, head: &Head) {
        if !head.status.is_alive() {
            if head.status == Status::Failed {
                self.failed.insert(head.no.0);
                self.used.add(head.event);
                *self.pins.entry(head.bundle).or_default() += 1;
            }
            return;
        }
        self.alive.insert(head.no.0);
        if head.status == Status::Queued {
            self.queued.insert(head.no.0);
        }
        self.used.add(head.event);
        *self.pins.entry(head.bundle).or_default() += 1;
        if let Some(due) = head.due {
            self.due.insert((due, head.no));
        }
        self.waiters.extend(head.waits.iter().map(|key| (*key, head.no)));
        if let Some((workflow, key)) = head.holds {
            self.holders.insert((workflow, key, head.no));
        }
        if let Some(parent) = head.parent {
            self.children.insert((parent, head.no));
        }
        if head.ladder {
            self.ladders.insert(head.no.0);
        }
    }

    pub(super) fn is_event_used(&self, no: EventNo) -> bool {
        self.used.events.contains(no.0)
    }

    pub(super) fn remove_run(&mut self, run: &Run) {
        let head = Head::of(run);
        if !head.status.is_alive() {
            if self.failed.remove(head.no.0) {
                self.used.take(head.event);
                self.unpin(head.bundle);
            }
            return;
        }
        self.alive.remove(head.no.0);
        self.queued.remove(head.no.0);
        self.used.take(head.event);
        self.unpin(head.bundle);
        if let Some(due) = head.due {
            self.due.remove(&(due, head.no));
        }
        for key in &head.waits {
            self.waiters.remove(&(*key, head.no));
        }
        if let Some((workflow, key)) = head.holds {
            self.holders.remove(&(workflow, key, head.no));
        }
        if let Some(parent) = head.parent {
            self.children.remove(&(parent, head.no));
        }
        if head.ladder {
            self.ladders.remove(head.no.0);
        }
        if let Some(effect) = run.effect() {
            match effect.state {
                EffectState::Pending => self.lanes.remove_pending(run, effect),
                EffectState::Started { .. } => self.lanes.remove_started(&effect.lane),
                EffectState::Backoff { .. } | EffectState::Held => {}
            }
        }
    }

    fn unpin(&mut self, bundle: BundleId) {
        if let Some(count) = self.pins.get_mut(&bundle) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.pins.remove(&bundle);
            }
        }
    }

    /// How many living or failed runs are pinned to each version.
    pub(super) fn pins(&self) -> impl Iterator<Item = (BundleId, usize)> + '_ {
        self.pins.iter().map(|(id, count)| (*id, *count as usize))
    }

    /// Whether a living or failed run is pinned to a version.
    pub(super) fn is_pinned(&self, bundle: BundleId) -> bool {
        self.pins.contains_key(&bundle)
    }

    /// Living runs, newest first.
    pub(super) fn alive(&self) -> &Numbers {
        &self.alive
    }

    /// Dead letters, newest first.
    pub(super) fn failed(&self) -> &Numbers {
        &self.failed
    }

    /// Escalations that are not over, newest first.
    pub(super) fn ladders(&self) -> &Numbers {
        &self.ladders
    }

    /// A run whose row cannot be read is asked for nothing any more. Slow, and hopefully never needed.
    pub(super) fn put_aside(&mut self, run: RunNo) {
        self.due.retain(|(_, no)| *no != run);
        self.waiters.retain(|(_, no)| *no != run);
        self.holders.retain(|(_, _, no)| *no != run);
        self.children.retain(|(_, no)| *no != run);
        self.alive.remove(run.0);
        self.queued.remove(run.0);
        self.failed.remove(run.0);
        self.ladders.remove(run.0);
        self.lanes.put_aside(run);
    }

    pub(super) fn due(&self, now: Instant, limit: usize) -> Vec<RunNo> {
        self.due.iter().take_while(|(at, _)| *at <= now).take(limit).map(|(_, no)| *no).collect()
    }

    /// A mistake that tests plant.
    #[cfg(test)]
    pub(super) fn forget_due(&mut self) {
        self.due.clear();
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        let run = self.due.first().map(|(at, _)| *at);
        let window = self.windows.first().map(|(at, _)| *at);
        [run, window].into_iter().flatten().min()
    }

    /// A window is due at another time, or no more.
    pub(super) fn replace_window(
        &mut self,
        row: &[u8],
        old: Option<Instant>,
        new: Option<Instant>,
    ) {
        if let Some(old) = old {
            self.windows.remove(&(old, row.to_vec()));
        }
        if let Some(new) = new {
            self.windows.insert((new, row.to_vec()));
        }
    }

    /// Windows due at or before `now`, by the keys of their rows, in order of due instant.
    pub(super) fn due_windows(&self, now: Instant, limit: usize) -> Vec<&[u8]> {
        let due = self.windows.iter().take_while(|(at, _)| *at <= now).take(limit);
        due.map(|(_, row)| row.as_slice()).collect()
    }

    pub(super) fn waiters(
        &self,
        pattern: &Pattern,
        subject: &ArmSubject,
        after: RunNo,
        limit: usize,
    ) -> Vec<RunNo> {
        let key = waiter_key(pattern, subject);
        self.waiters
            .range((key, after.next())..=(key, RunNo(u64::MAX)))
            .take(limit)
            .map(|(_, no)| *no)
            .collect()
    }

    pub(super) fn queued(&self, after: RunNo, limit: usize) -> Vec<RunNo> {
        self.queued.ascending(after.0 + 1).take(limit).map(RunNo).collect()
    }

    pub(super) fn holders(&self, workflow: &str, key: Option<&str>, limit: usize) -> Vec<RunNo> {
        let (workflow, hashed) = holder_key(workflow, key);
        let (low, high) = if key.is_some() { (hashed, hashed) } else { (0, u64::MAX) };
        let mut found: Vec<RunNo> = self
            .holders
            .range((workflow, low, RunNo(0))..=(workflow, high, RunNo(u64::MAX)))
            .map(|(_, _, no)| *no)
            .collect();
        // The keys of a workflow lie in the order of their hashes, not of their runs.
        found.sort_unstable();
        found.truncate(limit);
        found
    }

    pub(super) fn children(&self, run: RunNo) -> Vec<RunNo> {
        self.children.range((run, RunNo(0))..=(run, RunNo(u64::MAX))).map(|(_, no)| *no).collect()
    }

    pub(super) fn about(&self, subject: &str, after: EventNo, limit: usize) -> Vec<EventNo> {
        let subject = subjects::hash(subject);
        let mut found: Vec<EventNo> = self
            .about
            .range(about_key(subject, after.next())..=about_key(subject, EventNo(EVENT_MASK)))
            .rev()
            .take(limit)
            .map(|key| EventNo(key & EVENT_MASK))
            .collect();
        found.reverse();
        found
    }
}
