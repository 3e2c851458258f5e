//! [`Index`]: what is derived from runs and events and kept in memory.
//!
//! Each entry is a pair or triple of numbers in an ordered set: about 20 bytes, found by range. Text
//! is hashed; a collision only makes a reader look at one run too many.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use crate::model::{
    ArmSubject, EffectState, Event, EventNo, Instant, Pattern, Run, RunNo, Status, Wait,
};

use super::lanes::Lanes;

#[derive(Default)]
pub(super) struct Index {
    due: BTreeSet<(Instant, RunNo)>,
    /// (pattern and subject, run)
    waiters: BTreeSet<(u64, RunNo)>,
    /// (workflow, key, run)
    holders: BTreeSet<(u64, u64, RunNo)>,
    /// (parent, child), both living
    children: BTreeSet<(RunNo, RunNo)>,
    /// (subject, event)
    about: BTreeSet<(u64, EventNo)>,
    pub(super) alive: BTreeSet<RunNo>,
    /// Dead letters.
    pub(super) failed: BTreeSet<RunNo>,
    /// Events that began runs which live, or failed and may be retried: how many.
    used: BTreeMap<EventNo, u32>,
    /// Escalations that are not over.
    pub(super) ladders: BTreeSet<RunNo>,
    pub(super) lanes: Lanes,
}

/// A hash that is the same in every process of this build; it never reaches the disk.
fn hash(value: impl std::hash::Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

fn waiter_key(pattern: &Pattern, subject: &ArmSubject) -> u64 {
    let subject = match subject {
        ArmSubject::Is(subject) => Some(Some(&**subject)),
        ArmSubject::None => Some(None),
        ArmSubject::Any => None,
    };
    hash((pattern, subject))
}

impl Index {
    /// Whether an attempt of this run is under way.
    pub(super) fn is_started(run: &Run) -> bool {
        run.effect().is_some_and(|effect| matches!(effect.state, EffectState::Started { .. }))
    }

    pub(super) fn add_event(&mut self, event: &Event) {
        if let Some(subject) = &event.subject {
            self.about.insert((hash(&**subject), event.no));
        }
    }

    pub(super) fn replace_run(&mut self, old: Option<&Run>, new: &Run) {
        if let Some(old) = old {
            self.remove_run(old);
        }
        self.add_run(new);
    }

    pub(super) fn add_run(&mut self, run: &Run) {
        if !run.status.is_alive() {
            if run.status == Status::Failed {
                self.failed.insert(run.no);
                *self.used.entry(run.event).or_default() += 1;
            }
            return;
        }
        self.alive.insert(run.no);
        *self.used.entry(run.event).or_default() += 1;
        if let Some(due) = run.due() {
            self.due.insert((due, run.no));
        }
        for (pattern, subject) in arms(run) {
            self.waiters.insert((waiter_key(pattern, subject), run.no));
        }
        if run.slot {
            self.holders.insert((hash(&*run.workflow), hash(run.key.as_deref()), run.no));
        }
        if let Some(parent) = &run.parent {
            self.children.insert((parent.run, run.no));
        }
        if run.ladder.is_some() {
            self.ladders.insert(run.no);
        }
        if let Some(effect) = run.effect() {
            match effect.state {
                EffectState::Pending => self.lanes.add_pending(run, effect),
                EffectState::Started { .. } => self.lanes.add_started(&effect.lane),
                EffectState::Backoff { .. } | EffectState::Held => {}
            }
        }
    }

    fn release_event(&mut self, no: EventNo) {
        if let Some(users) = self.used.get_mut(&no) {
            *users -= 1;
            if *users == 0 {
                self.used.remove(&no);
            }
        }
    }

    pub(super) fn is_event_used(&self, no: EventNo) -> bool {
        self.used.contains_key(&no)
    }

    pub(super) fn remove_event(&mut self, event: &Event) {
        if let Some(subject) = &event.subject {
            self.about.remove(&(hash(&**subject), event.no));
        }
    }

    pub(super) fn remove_run(&mut self, run: &Run) {
        if !run.status.is_alive() {
            if self.failed.remove(&run.no) {
                self.release_event(run.event);
            }
            return;
        }
        self.alive.remove(&run.no);
        self.release_event(run.event);
        if let Some(due) = run.due() {
            self.due.remove(&(due, run.no));
        }
        for (pattern, subject) in arms(run) {
            self.waiters.remove(&(waiter_key(pattern, subject), run.no));
        }
        if run.slot {
            self.holders.remove(&(hash(&*run.workflow), hash(run.key.as_deref()), run.no));
        }
        if let Some(parent) = &run.parent {
            self.children.remove(&(parent.run, run.no));
        }
        if run.ladder.is_some() {
            self.ladders.remove(&run.no);
        }
        if let Some(effect) = run.effect() {
            match effect.state {
                EffectState::Pending => self.lanes.remove_pending(run, effect),
                EffectState::Started { .. } => self.lanes.remove_started(&effect.lane),
                EffectState::Backoff { .. } | EffectState::Held => {}
            }
        }
    }

    /// A run whose row cannot be read is asked for nothing any more. Slow, and hopefully never needed.
    pub(super) fn put_aside(&mut self, run: RunNo) {
        self.due.retain(|(_, no)| *no != run);
        self.waiters.retain(|(_, no)| *no != run);
        self.holders.retain(|(_, _, no)| *no != run);
        self.children.retain(|(_, no)| *no != run);
        self.alive.remove(&run);
        self.failed.remove(&run);
        self.ladders.remove(&run);
        self.lanes.put_aside(run);
    }

    pub(super) fn due(&self, now: Instant, limit: usize) -> Vec<RunNo> {
        self.due.iter().take_while(|(at, _)| *at <= now).take(limit).map(|(_, no)| *no).collect()
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
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

    pub(super) fn holders(&self, workflow: &str, key: Option<&str>, limit: usize) -> Vec<RunNo> {
        let workflow = hash(workflow);
        let (low, high) = match key {
            Some(_) => (hash(key), hash(key)),
            None => (0, u64::MAX),
        };
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
        let subject = hash(subject);
        let mut found: Vec<EventNo> = self
            .about
            .range((subject, after.next())..=(subject, EventNo(u64::MAX)))
            .rev()
            .take(limit)
            .map(|(_, no)| *no)
            .collect();
        found.reverse();
        found
    }
}

/// The pairs a living run is found by. A queued run listens for its exits already.
fn arms(run: &Run) -> impl Iterator<Item = (&Pattern, &ArmSubject)> {
    debug_assert!(run.status != Status::Queued || run.wait == Wait::Slot);
    run.arms.iter().flat_map(|arm| arm.patterns.iter().map(move |pattern| (pattern, &arm.subject)))
}
