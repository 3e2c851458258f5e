//! [`Lanes`]: effects that wait for credit, by lane and class, round robin over workflows, so that
//! 100,000 marketing mails never delay one escalation.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::{Class, Effect, Name, Run, RunNo, Text, limits};

#[derive(Default)]
#[allow(clippy::struct_field_names, reason = "lanes by their names")]
pub(super) struct Lanes {
    lanes: HashMap<Text, Lane>,
    /// Lanes with something pending.
    backlogged: BTreeSet<Text>,
    in_flight: usize,
    closed: bool,
    /// The lane served last.
    turn: Option<Text>,
}

#[derive(Default)]
struct Lane {
    in_flight: usize,
    pending: BTreeMap<Class, Queue>,
    /// Runs in `pending`.
    waiting: usize,
    /// Attempts that ended since the lane was last idle.
    settled: u64,
}

/// What waits in a lane.
#[derive(Clone, Copy, Debug)]
pub struct Backlog<'a> {
    /// Its name.
    pub lane: &'a Text,
    /// Runs with an effect that waits for credit.
    pub waiting: usize,
    /// Attempts that ended since the lane was last idle.
    pub settled: u64,
}

#[derive(Default)]
struct Queue {
    workflows: BTreeMap<Name, BTreeSet<RunNo>>,
    /// The workflow served last.
    turn: Option<Name>,
}

/// The lane of all mail.
const MAIL: &str = "smtp";

fn limit(lane: &str) -> usize {
    if lane == MAIL { limits::LANE_MAIL } else { limits::LANE_WEBHOOK }
}

impl Lanes {
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// What waits, lane by lane.
    pub(super) fn backlogs(&self) -> impl Iterator<Item = Backlog<'_>> {
        let lanes = self.backlogged.iter().filter_map(|name| Some((name, self.lanes.get(name)?)));
        lanes.map(|(lane, of)| Backlog { lane, waiting: of.waiting, settled: of.settled })
    }

    /// No more credit from now on.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// How many attempts may be started at once, past nobody who waits in the lane already.
    pub(super) fn credit(&self, lane: &str) -> usize {
        if self.backlogged.contains(lane) { 0 } else { self.room(lane) }
    }

    /// How many more attempts a lane can take. Some room in all is kept for mail, so that slow
    /// receivers of webhooks never hold up an escalation.
    fn room(&self, lane: &str) -> usize {
        if self.closed {
            return 0;
        }
        let used = self.lanes.get(lane).map_or(0, |lane| lane.in_flight);
        let kept = if lane == MAIL { 0 } else { limits::LANE_MAIL };
        let all = limits::EFFECTS.saturating_sub(kept).saturating_sub(self.in_flight);
        limit(lane).saturating_sub(used).min(all)
    }

    pub(super) fn add_started(&mut self, lane: &Text) {
        self.lanes.entry(lane.clone()).or_default().in_flight += 1;
        self.in_flight += 1;
    }

    pub(super) fn remove_started(&mut self, name: &Text) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(lane) = self.lanes.get_mut(name) {
            lane.in_flight = lane.in_flight.saturating_sub(1);
            lane.settled += 1;
            if lane.in_flight == 0 && lane.pending.is_empty() {
                self.lanes.remove(name);
            }
        }
    }

    pub(super) fn add_pending(&mut self, run: &Run, effect: &Effect) {
        let lane = self.lanes.entry(effect.lane.clone()).or_default();
        let queue = lane.pending.entry(effect.class).or_default();
        let new = queue.workflows.entry(run.workflow.clone()).or_default().insert(run.no);
        lane.waiting += usize::from(new);
        self.backlogged.insert(effect.lane.clone());
    }

    pub(super) fn remove_pending(&mut self, run: &Run, effect: &Effect) {
        let Some(lane) = self.lanes.get_mut(&effect.lane) else { return };
        if let Some(queue) = lane.pending.get_mut(&effect.class) {
            if let Some(runs) = queue.workflows.get_mut(&run.workflow) {
                lane.waiting -= usize::from(runs.remove(&run.no));
                if runs.is_empty() {
                    queue.workflows.remove(&run.workflow);
                }
            }
            if queue.workflows.is_empty() {
                lane.pending.remove(&effect.class);
            }
        }
        if lane.pending.is_empty() {
            self.backlogged.remove(&effect.lane);
            if lane.in_flight == 0 {
                self.lanes.remove(&effect.lane);
            }
        }
    }

    /// Takes a run that can no longer be read out of every backlog.
    pub(super) fn put_aside(&mut self, run: RunNo) {
        for (name, lane) in &mut self.lanes {
            for queue in lane.pending.values_mut() {
                queue.workflows.retain(|_, runs| {
                    lane.waiting -= usize::from(runs.remove(&run));
                    !runs.is_empty()
                });
            }
            lane.pending.retain(|_, queue| !queue.workflows.is_empty());
            if lane.pending.is_empty() {
                self.backlogged.remove(name);
            }
        }
    }

    /// The next run to start, if any lane has both a backlog and room: the most urgent class first,
    /// then one lane after the other.
    pub(super) fn next(&mut self) -> Option<RunNo> {
        let class = |name: &Text| {
            let class = self.lanes.get(name)?.pending.keys().next().copied()?;
            (self.room(name) > 0).then_some(class)
        };
        let turn = self.turn.clone().unwrap_or_default();
        let name = self
            .backlogged
            .iter()
            .filter_map(|name| Some((class(name)?, *name <= turn, name)))
            .min()
            .map(|(_, _, name)| name.clone())?;
        let run = self.lanes.get_mut(&name)?.pending.values_mut().next()?.next();
        self.turn = Some(name);
        run
    }
}

impl Queue {
    fn next(&mut self) -> Option<RunNo> {
        use std::ops::Bound::{Excluded, Unbounded};
        let after = self
            .turn
            .as_ref()
            .and_then(|turn| self.workflows.range::<Name, _>((Excluded(turn), Unbounded)).next());
        let (name, runs) = after.or_else(|| self.workflows.iter().next())?;
        let run = *runs.first()?;
        self.turn = Some(name.clone());
        Some(run)
    }
}
