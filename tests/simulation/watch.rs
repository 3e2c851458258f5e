//! What must hold of everything durable, looked at after each commit.
//!
//! The watch reads rows as a process would that starts now; it knows what each run was before, so it
//! sees what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use adjutant::model::{
    Digest, EffectKey, EffectState, EventNo, Instant, Name, Operator, Retention, Run, RunNo,
    Status, Text, Trace, View as _, Wait,
};
use adjutant::rules::{Mode, RuleSet};
use adjutant::store::{Batch, Op, State};

use crate::seen::Seen;
use crate::waits;

/// The first byte of the key of a run's row; its number follows.
const RUN: u8 = b'r';

/// An invariant that may not hold, and what is wrong then.
pub(crate) fn require(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// Whether the durable row of a run says that an attempt was started.
pub(crate) fn evidence(durable: &State, run: &Run, key: EffectKey, attempt: u16) -> bool {
    let started = run.effect().is_some_and(|effect| {
        effect.key == key
            && effect.attempts == attempt
            && matches!(effect.state, EffectState::Started { .. })
    });
    // It may have been cancelled in the very batch that started it: then its story has it.
    let told = |what: &Trace| *what == Trace::Attempt(attempt, key);
    started
        || run.trace.iter().any(|entry| told(&entry.what))
        || durable.spilled(run.no).is_ok_and(|old| old.iter().any(|entry| told(&entry.what)))
}

/// Who takes turns in a workflow, and since which run that is so.
struct Turns {
    mode: Mode,
    max: Option<u32>,
    since: RunNo,
}

/// See the file's description.
pub(crate) struct Watch {
    /// Reads rows as they are; what it derived is not looked at.
    pub(crate) durable: State,
    pub(crate) runs: BTreeMap<RunNo, Arc<Run>>,
    pub(crate) alive: BTreeSet<RunNo>,
    /// The newest that ever was durable.
    pub(crate) newest: RunNo,
    hashes: BTreeMap<Digest, RunNo>,
    turns: BTreeMap<Name, Turns>,
    pub(crate) next_event: EventNo,
    accepted_last: Instant,
    /// Events of which a sender knows the number.
    accepted: BTreeMap<EventNo, (Text, Instant)>,
    /// Runs that people asked to go on, and to end.
    pub(crate) retried: BTreeSet<RunNo>,
    cancelled: BTreeSet<RunNo>,
    retention: Retention,
    pub(crate) seen: Seen,
}

impl Watch {
    pub(crate) fn new(durable: State, retention: Retention) -> Self {
        Self {
            durable,
            runs: BTreeMap::new(),
            alive: BTreeSet::new(),
            newest: RunNo(0),
            hashes: BTreeMap::new(),
            turns: BTreeMap::new(),
            next_event: EventNo(1),
            accepted_last: Instant::MIN,
            accepted: BTreeMap::new(),
            retried: BTreeSet::new(),
            cancelled: BTreeSet::new(),
            retention,
            seen: Seen::default(),
        }
    }

    /// A person asks for something.
    pub(crate) fn asked(&mut self, operator: &Operator) {
        match operator {
            Operator::Retry { run, .. } => drop(self.retried.insert(*run)),
            Operator::Cancel { run, .. } => drop(self.cancelled.insert(*run)),
            _ => {}
        }
    }

    /// Other rules are in force for runs from `since` on.
    pub(crate) fn in_force(&mut self, rules: &RuleSet, since: RunNo) {
        self.seen.in_force(rules);
        for (name, bundle) in &rules.workflows {
            let (mode, max) = (bundle.main.mode, bundle.main.max);
            let known = self.turns.get(name).is_some_and(|t| t.mode == mode && t.max == max);
            if !known {
                self.turns.insert(name.clone(), Turns { mode, max, since });
            }
        }
        self.turns.retain(|name, _| rules.workflows.contains_key(name));
    }

    /// A sender was told that its event is there.
    pub(crate) fn accepted(&mut self, no: EventNo, id: &Text) -> Result<(), String> {
        let at = self.is_there(no, id)?;
        self.accepted.insert(no, (id.clone(), at));
        Ok(())
    }

    fn is_there(&self, no: EventNo, id: &Text) -> Result<Instant, String> {
        let stored = self.durable.event(no).map_err(|error| error.to_string())?;
        let stored = stored.filter(|stored| stored.event.id == *id);
        let missing = || format!("event {no} ({id}) was accepted and is not in the store");
        stored.map(|stored| stored.event.accepted).ok_or_else(missing)
    }

    /// Every event that was accepted is there until its retention.
    pub(crate) fn all_accepted(&mut self, now: Instant) -> Result<(), String> {
        let oldest = now - self.retention.events;
        self.accepted.retain(|_, (_, at)| *at >= oldest);
        self.accepted.iter().try_for_each(|(no, (id, _))| self.is_there(*no, id).map(drop))
    }

    /// A batch is durable: looks at everything that it changed.
    pub(crate) fn committed(&mut self, batch: &Batch, now: Instant) -> Result<(), String> {
        self.events(now)?;
        let numbers: BTreeSet<RunNo> = batch.ops.iter().filter_map(run_in).collect();
        let mut changed = Vec::with_capacity(numbers.len());
        for no in numbers {
            let new = self.durable.run(no).map_err(|error| error.to_string())?;
            let old = match &new {
                Some(new) => {
                    self.newest = self.newest.max(no);
                    self.runs.insert(no, new.clone())
                }
                None => self.runs.remove(&no),
            };
            match &new {
                Some(run) if run.status.is_alive() => drop(self.alive.insert(no)),
                _ => drop(self.alive.remove(&no)),
            }
            changed.push((no, old, new));
        }
        for (no, old, new) in &changed {
            self.changed(*no, (old.as_deref(), new.as_deref()), now)?;
        }
        for no in &self.alive {
            waits::is_whole(&self.runs, &self.runs[no])?;
        }
        self.turns_are_kept()
    }

    /// Living runs that only a task in the inbox brings further.
    pub(crate) fn owed(&self) -> Vec<RunNo> {
        let owed = |run: &Run| match &run.wait {
            Wait::Ready => true,
            Wait::Join(join) => join.fanning,
            _ => false,
        };
        self.alive.iter().copied().filter(|no| owed(&self.runs[no])).collect()
    }

    /// Events come in order, and what the clock brings comes when it is time.
    fn events(&mut self, now: Instant) -> Result<(), String> {
        while let Some(stored) =
            self.durable.event(self.next_event).map_err(|error| error.to_string())?
        {
            self.seen.event(&stored);
            let event = &stored.event;
            require(event.accepted >= self.accepted_last && event.accepted <= now, || {
                format!("event {} was accepted at {}", event.no, event.accepted)
            })?;
            let early = event.kind.starts_with("trigger.") && event.time > now;
            require(!early, || format!("event {} ({}) came early", event.no, event.kind))?;
            self.accepted_last = event.accepted;
            self.next_event = self.next_event.next();
        }
        Ok(())
    }

    fn changed(
        &mut self,
        no: RunNo,
        (old, new): (Option<&Run>, Option<&Run>),
        now: Instant,
    ) -> Result<(), String> {
        let Some(new) = new else { return self.gone(no, old, now) };
        self.seen.run(old, new);
        let (from, to) = (old.map(|old| old.status), new.status);
        let asked = (self.retried.contains(&no), self.cancelled.contains(&no));
        require(is_legal(from, to, asked), || {
            format!("run {no} went from {from:?} to {to:?}: {:?}", new.reason)
        })?;
        let broken = new.reason.as_ref().is_some_and(|cause| &*cause.code == "broken");
        require(!broken, || format!("run {no} was put aside: {:?}", new.reason))?;
        if let Some(old) = old
            && old.hash != new.hash
        {
            let rested = matches!(old.wait, Wait::Rest(_));
            require(rested, || format!("run {no} is another one now"))?;
            self.hashes.remove(&old.hash);
        }
        let first = *self.hashes.entry(new.hash).or_insert(no);
        require(first == no, || {
            format!("runs {first} and {no} of {} have one hash", new.workflow)
        })?;
        let last = new.trace.last().map_or(Instant::MIN, |entry| entry.at);
        require(last <= now, || format!("run {no} did something at {last}"))?;
        if let Some(old) = old {
            let retried = self.retried.contains(&no);
            waits::is_in_time(old, new, (now, retried))?;
        }
        Ok(())
    }

    /// A run was removed: it was over for long enough.
    fn gone(&mut self, no: RunNo, old: Option<&Run>, now: Instant) -> Result<(), String> {
        let Some(old) = old else { return Ok(()) };
        self.hashes.remove(&old.hash);
        let kept = match old.status {
            // A person may have given it up in the very batch that removed it.
            Status::Failed if !self.cancelled.contains(&no) => self.retention.failed_runs,
            _ => self.retention.runs,
        };
        let over = old.ended.is_some_and(|ended| ended < now - kept);
        let parent = |child: &RunNo| self.runs[child].parent.as_ref().map(|parent| parent.run);
        let child = self.alive.iter().find(|child| parent(child) == Some(no));
        require(over && !old.status.is_alive() && child.is_none(), || {
            format!("run {no} ({}) is gone", old.status.as_str())
        })
    }

    /// `mode` and `max` hold among runs that began by them. What a person had tried again counts for none.
    fn turns_are_kept(&self) -> Result<(), String> {
        let mut keys: BTreeMap<(&Name, &Text), RunNo> = BTreeMap::new();
        let mut active: BTreeMap<&Name, u32> = BTreeMap::new();
        for no in &self.alive {
            let run = &self.runs[no];
            let Some(turns) = self.turns.get(&run.workflow) else { continue };
            if !run.slot || *no < turns.since || self.retried.contains(no) {
                continue;
            }
            let goes = run.status == Status::Active;
            *active.entry(&run.workflow).or_default() += u32::from(goes);
            let counts = match turns.mode {
                Mode::Parallel => false,
                Mode::Queued => goes,
                Mode::Single | Mode::Restart => true,
            };
            if let (true, Some(key)) = (counts, &run.key)
                && let Some(other) = keys.insert((&run.workflow, key), *no)
            {
                return Err(format!("runs {other} and {no} of {} hold `{key}`", run.workflow));
            }
        }
        for (name, count) in active {
            let max = self.turns[name].max.unwrap_or(u32::MAX);
            require(count <= max, || format!("{count} runs of {name} are active, of {max}"))?;
        }
        Ok(())
    }
}

fn run_in(op: &Op) -> Option<RunNo> {
    let (Op::Put(key, _) | Op::Delete(key)) = op;
    let number = key.strip_prefix(&[RUN])?;
    number.try_into().ok().map(|number| RunNo(u64::from_be_bytes(number)))
}

/// What may become of a run in one commit, in which several things may happen to it.
fn is_legal(from: Option<Status>, to: Status, (retried, cancelled): (bool, bool)) -> bool {
    use Status::{Active, Cancelled, Done, Failed, Queued};
    match (from, to) {
        (None | Some(Queued), Queued | Active | Done | Failed | Cancelled)
        | (Some(Active), Active | Done | Failed | Cancelled)
        | (Some(Failed), Failed)
        | (Some(Done), Done)
        | (Some(Cancelled), Cancelled) => true,
        (Some(Failed), Active | Done) => retried,
        (Some(Failed), Cancelled) => cancelled || retried,
        (Some(Active | Failed), Queued)
        | (Some(Done), Queued | Active | Failed | Cancelled)
        | (Some(Cancelled), Queued | Active | Done | Failed) => false,
    }
}
