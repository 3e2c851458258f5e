//! [`Stage`]: one decision in the making: what it has written so far, laid over the view, and what
//! it still has to do.
//!
//! Work is a list of tasks. What does not fit into the bounds of one input is written to the durable
//! inbox in the same batch and goes on from there.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::model::{
    Address, Arm, Ask, BundleId, Command, Decision, Event, EventNo, InboxNo, Instant, Name,
    ReadError, Record, Reply, Run, RunId, RunNo, StoredEvent, Task, Text, Verdict, View, Window,
    WindowKey, Write, limits,
};
use crate::rules::{Bundle, RuleSet};
use crate::script::Shared;

use super::{
    World, advance, erase, fan, finish, kinds, obligations, records, scope, start, sweep, wake,
    watch,
};

pub(super) struct Stage<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) rules: &'a RuleSet,
    pub(super) now: Instant,
    runs: BTreeMap<RunNo, Staged>,
    events: BTreeMap<EventNo, Arc<StoredEvent>>,
    records: BTreeMap<Address, Option<Arc<Record>>>,
    windows: BTreeMap<WindowKey, StagedWindow>,
    writes: Vec<Write>,
    commands: Vec<Command>,
    asks: Vec<Ask>,
    said: Vec<(RunId, Name, Text)>,
    agenda: VecDeque<Task>,
    later: Vec<Task>,
    steps_left: usize,
    tasks_left: usize,
    next_event: EventNo,
    next_run: RunNo,
    next_inbox: InboxNo,
    started: HashMap<Text, usize>,
    /// The event that expressions saw last, as they see it.
    seen: Option<(EventNo, Shared)>,
    /// A read failed where nobody could be told: the decision must not stand.
    spoiled: Option<ReadError>,
}

struct StagedWindow {
    /// When it was due before this decision.
    due: Option<Instant>,
    /// `None` when it is over.
    new: Option<Window>,
}

struct Staged {
    old: Option<Arc<Run>>,
    /// `None` while somebody has taken it.
    new: Option<Run>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(world: &'a World<'a>) -> Self {
        Self {
            rules: world.rules,
            now: world.now,
            runs: BTreeMap::new(),
            events: BTreeMap::new(),
            records: BTreeMap::new(),
            windows: BTreeMap::new(),
            writes: Vec::new(),
            commands: Vec::new(),
            asks: Vec::new(),
            said: Vec::new(),
            agenda: VecDeque::new(),
            later: Vec::new(),
            steps_left: limits::STEPS_PER_INPUT,
            tasks_left: limits::TASKS_PER_INPUT,
            next_event: world.view.next_event(),
            next_run: world.view.next_run(),
            next_inbox: world.view.next_inbox(),
            started: HashMap::new(),
            seen: None,
            spoiled: None,
            world,
        }
    }

    /// Something to do in this decision, or after it.
    pub(super) fn push(&mut self, task: Task) {
        self.agenda.push_back(task);
    }

    /// Something to do after this decision, so that others get their turn in between.
    pub(super) fn push_later(&mut self, task: Task) {
        self.later.push(task);
    }

    /// An item of the inbox is being done.
    pub(super) fn done(&mut self, no: InboxNo) {
        self.writes.push(Write::InboxDone(no));
    }

    /// Does the tasks, within bounds.
    pub(super) fn work(&mut self) -> Result<(), ReadError> {
        while self.tasks_left > 0 && self.steps_left > 0 {
            let Some(task) = self.agenda.pop_front() else { return Ok(()) };
            self.tasks_left -= 1;
            match task {
                Task::Wake { event, after } => wake::wake(self, event, after)?,
                Task::Start { event, after } => start::start(self, event, after)?,
                Task::Advance { run } => advance::advance(self, run)?,
                Task::Promote { workflow, key } => {
                    finish::promote(self, &workflow, key.as_deref())?;
                }
                Task::SweepEvents { after } => sweep::events(self, after)?,
                Task::SweepRuns { after } => sweep::runs(self, after)?,
                Task::Reindex { kind, after } => records::reindex(self, &kind, after.as_deref())?,
                Task::Closed { run } => finish::closed(self, run)?,
                Task::Fan { run } => fan::go_on(self, run)?,
                Task::Orphans { run } => fan::orphans(self, run)?,
                Task::Windows { after } => watch::collect(self, after)?,
                Task::Orphaned { owner, after } => obligations::orphaned(self, owner, after)?,
                task @ Task::Erase { .. } => erase::go_on(self, task)?,
                Task::SweepRecords { kind, after } => {
                    sweep::records(self, &kind, after.as_deref())?;
                }
                Task::Queues { after } => finish::look_at_queues(self, after)?,
            }
        }
        Ok(())
    }

    /// Takes one from the steps this input may advance. False when they are used up.
    pub(super) fn take_step(&mut self) -> bool {
        let left = self.steps_left > 0;
        self.steps_left = self.steps_left.saturating_sub(1);
        left
    }

    /// The decision: everything written, with the rest of the work in the inbox.
    pub(super) fn into_decision(mut self, reply: Option<Reply>) -> Decision {
        let mut writes = std::mem::take(&mut self.writes);
        writes.extend(self.events.into_values().map(Write::Event));
        for staged in self.runs.into_values() {
            if let Some(new) = staged.new {
                writes.push(Write::Run(staged.old, Arc::new(new)));
            }
        }
        for (address, record) in self.records {
            writes.push(match record {
                Some(record) => {
                    let indexed = kinds::indexed(self.rules, &record);
                    Write::Record(record, indexed)
                }
                None => Write::RecordGone(address),
            });
        }
        for (key, staged) in self.windows {
            writes.push(Write::Window(key, staged.due, staged.new));
        }
        for task in self.agenda.into_iter().chain(self.later) {
            writes.push(Write::Inbox(self.next_inbox, task));
            self.next_inbox = self.next_inbox.next();
        }
        Decision { writes, release: self.commands, reply, asks: self.asks, said: self.said }
    }

    /// A read failed in the middle of something that cannot fail.
    pub(super) fn spoil(&mut self, error: ReadError) {
        self.spoiled.get_or_insert(error);
    }

    /// Fails if a read failed.
    pub(super) fn sound(&mut self) -> Result<(), ReadError> {
        self.spoiled.take().map_or(Ok(()), Err)
    }

    pub(super) fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    pub(super) fn ask(&mut self, ask: Ask) {
        self.asks.push(ask);
    }

    pub(super) fn release(&mut self, command: Command) {
        *self.started.entry(command.lane.clone()).or_default() += 1;
        self.commands.push(command);
    }

    /// For the daemon's log.
    pub(super) fn say(&mut self, run: &Run, text: Text) {
        self.said.push((run.id(), run.workflow.clone(), text));
    }

    /// Whether a lane has room for one more attempt.
    pub(super) fn has_credit(&self, lane: &str) -> bool {
        self.world.view.credit(lane) > self.started.get(lane).copied().unwrap_or(0)
    }

    pub(super) fn view(&self) -> &'a dyn View {
        self.world.view
    }

    pub(super) fn bundle(&self, id: BundleId) -> Option<Arc<Bundle>> {
        self.world.bundles.bundle(id)
    }

    /// Takes a run out to change it; give it back with [`Stage::put`].
    pub(super) fn take(&mut self, no: RunNo) -> Result<Option<Run>, ReadError> {
        if let Some(staged) = self.runs.get_mut(&no) {
            return Ok(staged.new.take());
        }
        let Some(old) = self.view().run(no)? else { return Ok(None) };
        let run = (*old).clone();
        self.runs.insert(no, Staged { old: Some(old), new: None });
        Ok(Some(run))
    }

    /// Gives a run back. One that is not changed costs a write all the same.
    pub(super) fn put(&mut self, run: Run) {
        let staged = self.runs.entry(run.no).or_insert(Staged { old: None, new: None });
        staged.new = Some(run);
    }

    /// Gives a run back that nobody changed.
    pub(super) fn put_unchanged(&mut self, run: Run) {
        match self.runs.get(&run.no).and_then(|staged| staged.old.as_deref()) {
            Some(old) if *old == run => {
                self.runs.remove(&run.no);
            }
            _ => self.put(run),
        }
    }

    /// Looks at a run.
    pub(super) fn run(&self, no: RunNo) -> Result<Option<Arc<Run>>, ReadError> {
        match self.runs.get(&no) {
            Some(staged) => Ok(staged.new.clone().map(Arc::new)),
            None => self.view().run(no),
        }
    }

    /// Runs written in this decision that are not taken out.
    pub(super) fn staged_runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values().filter_map(|staged| staged.new.as_ref())
    }

    /// Runs after `after`, written in this decision, that listen for an event's type and subject.
    pub(super) fn staged_listeners(&self, event: &Event, after: RunNo) -> Vec<RunNo> {
        let listens = |arm: &Arm| {
            arm.subject.takes(event) && arm.patterns.iter().any(|p| p.matches(&event.kind))
        };
        self.staged_runs()
            .filter(|run| run.no > after && run.status.is_alive() && run.arms.iter().any(listens))
            .map(|run| run.no)
            .collect()
    }

    /// Events about `subject` after `after`, this decision's among them, oldest first: the newest
    /// `limit` of the view's, and the same of its own.
    pub(super) fn events_about(&self, subject: &str, after: EventNo, limit: usize) -> Vec<EventNo> {
        let mut found = self.view().events_about(subject, after, limit);
        let staged = self.events.values().map(|stored| &stored.event).filter(|event| {
            event.no > after
                && event.no >= self.view().next_event()
                && event.subject.as_deref() == Some(subject)
        });
        found.extend(staged.map(|event| event.no));
        found
    }

    /// Whether a run was touched in this decision: the indexes of the view may be wrong about it.
    pub(super) fn is_staged(&self, no: RunNo) -> bool {
        self.runs.contains_key(&no)
    }

    pub(super) fn new_run(&mut self) -> RunNo {
        let no = self.next_run;
        self.next_run = no.next();
        no
    }

    pub(super) fn new_event(&mut self) -> EventNo {
        let no = self.next_event;
        self.next_event = no.next();
        no
    }

    pub(super) fn stored_event(&self, no: EventNo) -> Result<Option<Arc<StoredEvent>>, ReadError> {
        match self.events.get(&no) {
            Some(stored) => Ok(Some(stored.clone())),
            None => self.view().event(no),
        }
    }

    /// The event that began a run. Retention keeps it for as long as the run lives.
    pub(super) fn event(&self, no: EventNo) -> Result<Arc<StoredEvent>, ReadError> {
        self.stored_event(no)?
            .ok_or_else(|| ReadError::Corrupt(format!("event {no} is missing").into()))
    }

    /// An event as expressions see it: the workflows it starts and the first steps of their runs
    /// share one.
    pub(super) fn event_value(&mut self, event: &Event) -> Shared {
        match &self.seen {
            Some((no, value)) if *no == event.no => value.clone(),
            _ => {
                let value = Shared::new(scope::event_value(event));
                self.seen = Some((event.no, value.clone()));
                value
            }
        }
    }

    pub(super) fn put_event(&mut self, stored: StoredEvent) {
        self.events.insert(stored.event.no, Arc::new(stored));
    }

    /// Notes what a workflow decided about an event, and the run it started.
    pub(super) fn note(
        &mut self,
        event: EventNo,
        verdict: Verdict,
        run: Option<RunNo>,
    ) -> Result<(), ReadError> {
        // Taken out, so that nobody else holds it and nothing has to be copied.
        let mut stored = match self.events.remove(&event) {
            Some(stored) => stored,
            None => self.event(event)?,
        };
        let changed = Arc::make_mut(&mut stored);
        changed.runs.extend(run);
        // A workflow that fired is worth more than one that did not: it takes the last place.
        if changed.verdicts.len() < limits::VERDICTS {
            changed.verdicts.push(verdict);
        } else if run.is_some() {
            changed.verdicts.pop();
            changed.verdicts.push(verdict);
        }
        self.events.insert(event, stored);
        Ok(())
    }

    pub(super) fn record(&self, address: &Address) -> Result<Option<Arc<Record>>, ReadError> {
        match self.records.get(address) {
            Some(record) => Ok(record.clone()),
            None => self.view().record(address),
        }
    }

    pub(super) fn put_record(&mut self, address: Address, record: Option<Record>) {
        self.records.insert(address, record.map(Arc::new));
    }

    pub(super) fn window(&self, key: &WindowKey) -> Result<Option<Window>, ReadError> {
        match self.windows.get(key) {
            Some(staged) => Ok(staged.new.clone()),
            None => self.view().window(key),
        }
    }

    /// Keeps a window, or forgets it.
    pub(super) fn put_window(
        &mut self,
        key: WindowKey,
        new: Option<Window>,
    ) -> Result<(), ReadError> {
        if let Some(staged) = self.windows.get_mut(&key) {
            staged.new = new;
            return Ok(());
        }
        let old = self.view().window(&key)?;
        if old.is_some() || new.is_some() {
            let due = old.and_then(|old| old.due);
            self.windows.insert(key, StagedWindow { due, new });
        }
        Ok(())
    }

    /// Whether a record was written in this decision: the indexes of the view may be wrong about it.
    pub(super) fn is_staged_record(&self, address: &Address) -> bool {
        self.records.contains_key(address)
    }

    /// Records written in this decision.
    pub(super) fn staged_records(&self) -> impl Iterator<Item = (&Address, Option<&Arc<Record>>)> {
        self.records.iter().map(|(address, record)| (address, record.as_ref()))
    }

    /// Living runs that count for `mode` and `max`, this decision's among them, oldest first.
    pub(super) fn holders(
        &self,
        workflow: &str,
        key: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Arc<Run>>, ReadError> {
        let matches = |run: &Run| {
            run.slot
                && run.status.is_alive()
                && *run.workflow == *workflow
                && (key.is_none() || run.key.as_deref() == key)
        };
        let mut found = Vec::new();
        for no in self.view().holders(workflow, key, limit) {
            if self.is_staged(no) {
                continue;
            }
            found.extend(self.run(no)?.filter(|run| matches(run)));
        }
        found.extend(self.staged_runs().filter(|run| matches(run)).cloned().map(Arc::new));
        found.sort_by_key(|run| run.no);
        Ok(found)
    }
}
