//! The loop without tokio: inputs in, batches to the store, replies and commands out when durable.
//!
//! The daemon drives it with real time and threads, tests and `adjutant test` with virtual time;
//! nobody else decides. One batch syncs while the next is decided; what a decision answers or wants
//! performed leaves only after its batch is durable.

mod library;
mod plan;
mod query;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use crate::engine::{self, World};
use crate::model::{
    Ask, BundleId, Command, EffectKey, InboxNo, Input, Instant, Name, ReadError, Reply, Retention,
    RunId, RunNo, Task, Text, Value, View, Write, limits,
};
use crate::rules::{Bundle, RuleSet};
use crate::store::{Batch, State, Store};

pub use library::Library;
pub use plan::{Change, Plan, What};
pub use query::{Account, Answer, Query, Steps, Story};

/// Recovery, the inbox, timers, pending effects, windows, sweeps.
const SOURCES: usize = 6;
/// Due runs looked up at a time.
const DUE_PAGE: usize = 64;

/// The engine's loop. `T` is what an answer is given to.
pub struct Pump<T> {
    state: State,
    rules: Arc<RuleSet>,
    library: Library,
    /// The engine's own work, in order of writing.
    inbox: VecDeque<(InboxNo, Task)>,
    /// What of it removes what is past its retention: the least urgent of all.
    sweeps: VecDeque<(InboxNo, Task)>,
    /// Whether a page of a sweep may be done now.
    sweep_now: bool,
    /// Whether sweeps wait to be allowed, page by page.
    sweep_when_told: bool,
    /// By how many sweeps more were due while one was under way than were done in time.
    haste: u32,
    /// Attempts that were under way when the daemon stopped.
    recover: VecDeque<(RunNo, EffectKey, u16)>,
    /// What leaves when the current batch is durable.
    current: Released<T>,
    /// What leaves when the batch being synced is durable.
    syncing: Option<Released<T>>,
    inputs: usize,
    /// Whose turn it is among the sources of the engine's own work.
    turn: usize,
    retention: Retention,
    /// Who is shown what is decided, if anybody is.
    observer: Option<Observer>,
}

/// Is shown every write as it is decided, before it is durable.
pub type Observer = Box<dyn FnMut(&Write) + Send>;

/// What may leave now that its batch is durable.
pub struct Released<T> {
    /// Answers, in order of decision.
    pub responses: Vec<(T, Response)>,
    /// Attempts to perform, with the version that holds their templates.
    pub commands: Vec<(Command, Option<Arc<Bundle>>)>,
    /// Polls to carry out.
    pub asks: Vec<Ask>,
    /// What `log:` steps said.
    pub said: Vec<(RunId, Name, Text)>,
}

/// The answer to an input or to a question.
#[derive(Debug)]
pub enum Response {
    /// To an input.
    Reply(Reply),
    /// To a question.
    Answer(Answer),
    /// To a question about something that is damaged: what is wrong with it.
    Damaged(Text),
}

impl<T> Default for Released<T> {
    fn default() -> Self {
        Self { responses: Vec::new(), commands: Vec::new(), asks: Vec::new(), said: Vec::new() }
    }
}

impl<T> Released<T> {
    fn is_empty(&self) -> bool {
        self.responses.is_empty()
            && self.commands.is_empty()
            && self.asks.is_empty()
            && self.said.is_empty()
    }

    fn append(&mut self, mut other: Self) {
        self.responses.append(&mut other.responses);
        self.commands.append(&mut other.commands);
        self.asks.append(&mut other.asks);
        self.said.append(&mut other.said);
    }
}

impl<T> Pump<T> {
    /// Takes the lead of a store, loads the state and puts `rules` in force.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or cannot be read.
    pub fn open(
        store: Arc<dyn Store>,
        rules: Arc<RuleSet>,
        now: Instant,
    ) -> Result<Self, ReadError> {
        let (state, unfinished) = State::load(store)?;
        let mut pump = Self {
            state,
            library: Library::new(&rules),
            rules,
            inbox: VecDeque::new(),
            sweeps: VecDeque::new(),
            sweep_now: true,
            sweep_when_told: false,
            haste: 0,
            recover: unfinished.started.into(),
            current: Released::default(),
            syncing: None,
            inputs: 0,
            turn: 0,
            retention: Retention::default(),
            observer: None,
        };
        unfinished.inbox.into_iter().for_each(|(no, task)| pump.keep(no, task));
        pump.decide(now, Input::Rules, None)?;
        Ok(pump)
    }

    /// Keeps what is over as long as this says.
    #[must_use]
    pub fn keeping(mut self, retention: Retention) -> Self {
        self.keep_for(retention);
        self
    }

    /// The same from now on.
    pub fn keep_for(&mut self, retention: Retention) {
        self.retention = retention;
    }

    /// Shows every write to `observer` from now on: for trying rules out, where everything is looked at.
    pub fn observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    /// What `record(kind, id)` gives between decisions.
    ///
    /// # Errors
    /// [`ReadError`] when the state could not be read.
    pub fn lookup(&self, kind: &str, id: &str) -> Result<Value, ReadError> {
        query::lookup(&self.state, &self.rules, &self.library, kind, id)
    }

    /// What `records(kind, index, value)` gives between decisions; `None`: there are too many.
    ///
    /// # Errors
    /// [`ReadError`] when the state could not be read.
    pub fn lookup_all(
        &self,
        kind: &str,
        filter: Option<(&str, &Value)>,
    ) -> Result<Option<Vec<Value>>, ReadError> {
        query::lookup_all(&self.state, &self.rules, &self.library, kind, filter)
    }

    /// Decides an input; `token` gets the reply when it is durable.
    ///
    /// # Errors
    /// [`ReadError::Store`]: the store failed and the daemon must stop.
    pub fn take(&mut self, now: Instant, input: Input, token: Option<T>) -> Result<(), ReadError> {
        // One sweep at a time: a second would only look at what the first is at.
        if matches!(input, Input::Sweep) {
            if self.is_sweeping() {
                self.haste = self.haste.saturating_add(1);
                return Ok(());
            }
            self.haste = self.haste.saturating_sub(1);
        }
        self.decide(now, input, token)
    }

    /// Puts another rule set in force: what is decided from here on is decided by it, and living runs stay
    /// with the version they began with. `token` gets the reply when it is durable.
    ///
    /// # Errors
    /// As [`Pump::take`].
    pub fn put_in_force(
        &mut self,
        now: Instant,
        rules: Arc<RuleSet>,
        token: Option<T>,
    ) -> Result<(), ReadError> {
        self.library.put_in_force(&rules);
        self.rules = rules;
        self.decide(now, Input::Rules, token)
    }

    /// Answers a question; the answer leaves when everything it may have seen is durable. That a
    /// row is damaged is an answer too: looking at it must not stop everything else.
    ///
    /// # Errors
    /// [`ReadError::Store`]: the store failed and the daemon must stop.
    pub fn ask(&mut self, query: &Query, token: T) -> Result<(), ReadError> {
        self.inputs += 1;
        let response = match query::answer(&self.state, &self.rules, &self.library, query) {
            Ok(answer) => Response::Answer(answer),
            Err(ReadError::Corrupt(why)) => {
                tracing::error!(?query, %why, "damaged state: a question cannot be answered");
                Response::Damaged(why)
            }
            Err(error) => return Err(error),
        };
        self.current.responses.push((token, response));
        Ok(())
    }

    /// Does one piece of the engine's own work. False when there is none. Recovery, the inbox, timers
    /// that are due and pending effects with credit have their turns one after the other, so that
    /// none of them waits for the end of another.
    ///
    /// # Errors
    /// As [`Pump::take`].
    pub fn work(&mut self, now: Instant) -> Result<bool, ReadError> {
        for _ in 0..SOURCES {
            let source = self.turn;
            self.turn = (self.turn + 1) % SOURCES;
            if self.work_on(source, now)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn work_on(&mut self, source: usize, now: Instant) -> Result<bool, ReadError> {
        match source {
            0 => {
                let Some((run, key, attempt)) = self.recover.pop_front() else { return Ok(false) };
                self.decide(now, Input::Recover(run, key, attempt), None)?;
            }
            1 => {
                let Some((no, task)) = self.inbox.pop_front() else { return Ok(false) };
                self.decide(now, Input::Inbox(no, task), None)?;
            }
            2 => {
                let due = self.state.due(now, DUE_PAGE);
                if due.is_empty() {
                    return Ok(false);
                }
                for run in due {
                    self.decide(now, Input::Timer(run), None)?;
                }
            }
            3 => {
                let Some(run) = self.state.startable() else { return Ok(false) };
                self.decide(now, Input::Start(run), None)?;
            }
            4 => {
                let due = self.state.due_windows(now, DUE_PAGE);
                if due.is_empty() {
                    return Ok(false);
                }
                for key in due {
                    self.decide(now, Input::Window(key), None)?;
                }
            }
            _ => {
                if !self.sweep_now {
                    return Ok(false);
                }
                let Some((no, task)) = self.sweeps.pop_front() else { return Ok(false) };
                self.sweep_now = !self.sweep_when_told;
                self.decide(now, Input::Inbox(no, task), None)?;
            }
        }
        Ok(true)
    }

    /// One more page of a sweep may be done; until this is first called, any number.
    pub fn allow_sweep(&mut self) {
        self.sweep_when_told = true;
        self.sweep_now = true;
    }

    /// Whether there is something to sweep.
    #[must_use]
    pub fn is_sweeping(&self) -> bool {
        !self.sweeps.is_empty()
    }

    /// How many times as fast as usual sweeps should go, less one: it grows while they are behind what
    /// comes in, and shrinks again once they are done in time.
    #[must_use]
    pub fn haste(&self) -> u32 {
        self.haste
    }

    fn keep(&mut self, no: InboxNo, task: Task) {
        match task {
            Task::SweepEvents { .. } | Task::SweepRuns { .. } => self.sweeps.push_back((no, task)),
            _ => self.inbox.push_back((no, task)),
        }
    }

    /// Whether the current batch should be closed before more is decided.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let (writes, bytes) = self.state.pending();
        self.inputs >= limits::BATCH_INPUTS
            || writes >= limits::BATCH_WRITES
            || bytes >= limits::BATCH_BYTES
    }

    /// Closes the current batch for [`Store::commit`]. `None` when nothing was written, or while
    /// the batch before is still syncing.
    pub fn seal(&mut self) -> Option<Batch> {
        if self.syncing.is_some() {
            return None;
        }
        self.inputs = 0;
        let batch = self.state.seal()?;
        self.syncing = Some(std::mem::take(&mut self.current));
        Some(batch)
    }

    /// The sealed batch is durable: what waited for it may leave.
    pub fn durable(&mut self) -> Released<T> {
        self.state.durable();
        self.syncing.take().unwrap_or_default()
    }

    /// What may leave without a commit, because nothing was written and nothing is syncing.
    pub fn unwritten(&mut self) -> Option<Released<T>> {
        let nothing = self.syncing.is_none() && self.state.pending() == (0, 0);
        (nothing && !self.current.is_empty()).then(|| std::mem::take(&mut self.current))
    }

    /// Answers that only read may leave with the batch being synced: they saw nothing newer.
    pub fn attach_unwritten(&mut self) {
        if self.state.pending() != (0, 0) {
            return;
        }
        if let Some(syncing) = &mut self.syncing {
            syncing.append(std::mem::take(&mut self.current));
            self.inputs = 0;
        }
    }

    /// When something is due next.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.state.next_due()
    }

    /// Effects being performed.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.state.in_flight()
    }

    /// From now on no attempt is started.
    pub fn drain(&mut self) {
        self.state.drain();
    }

    /// What scripts and checks ask of the state besides records.
    ///
    /// # Errors
    /// [`ReadError`] when the state cannot be read.
    pub fn read(&self, reading: &engine::Reading) -> Result<Value, ReadError> {
        query::read(&self.state, &self.rules, &self.library, reading)
    }

    /// Gives the state a key to hash and sign with, unless it has one.
    ///
    /// # Errors
    /// [`ReadError`] when the state cannot be read.
    pub fn with_key(mut self, now: Instant, key: [u8; 32]) -> Result<Self, ReadError> {
        self.decide(now, Input::Key(key), None)?;
        Ok(self)
    }

    /// Whether a batch is being synced.
    #[must_use]
    pub fn is_syncing(&self) -> bool {
        self.syncing.is_some()
    }

    /// The state, for looking at.
    #[must_use]
    pub fn view(&self) -> &State {
        &self.state
    }

    fn decide(&mut self, wall: Instant, input: Input, token: Option<T>) -> Result<(), ReadError> {
        self.inputs += 1;
        let now = self.state.tick(wall);
        let shelf = self.library.over(&self.state);
        let world = World {
            rules: &self.rules,
            bundles: &shelf,
            view: &self.state,
            now,
            retention: self.retention,
        };
        let kept = input.without_payload();
        let mut damaged = None;
        // A decision only reads: a panic in it leaves nothing half done.
        let decided = std::panic::catch_unwind(AssertUnwindSafe(|| engine::decide(&world, input)));
        let decision = match decided {
            Ok(Ok(decision)) => decision,
            Ok(Err(ReadError::Corrupt(why))) => {
                tracing::error!(input = kept.describe(), %why, "damaged state: the input is put aside");
                damaged = kept.run();
                engine::quarantine(&world, &kept, &why)?
            }
            Ok(Err(error)) => return Err(error),
            Err(panic) => {
                let why = panic_text(&*panic);
                tracing::error!(
                    input = kept.describe(),
                    why,
                    "the engine failed: the input is put aside"
                );
                engine::quarantine(&world, &kept, &format!("the engine failed: {why}"))?
            }
        };
        if let Some(observer) = &mut self.observer {
            decision.writes.iter().for_each(observer);
        }
        for write in &decision.writes {
            if let Write::Inbox(no, task) = write {
                self.keep(*no, task.clone());
            }
        }
        self.state.apply(decision.writes)?;
        if let Some(run) = damaged.filter(|run| self.state.run(*run).is_err()) {
            self.state.put_aside(run);
        }
        for command in decision.release {
            let bundle = self.bundle(command.bundle);
            self.current.commands.push((command, bundle));
        }
        self.current.asks.extend(decision.asks);
        self.current.said.extend(decision.said);
        if let (Some(token), Some(reply)) = (token, decision.reply) {
            self.current.responses.push((token, Response::Reply(reply)));
        }
        Ok(())
    }

    /// A version of the rules that runs are pinned to; `None`: it cannot be read any more.
    #[must_use]
    pub fn bundle(&self, id: BundleId) -> Option<Arc<Bundle>> {
        engine::Bundles::bundle(&self.library.over(&self.state), id)
    }

    /// The number the next event gets: how many were accepted before, plus one.
    #[must_use]
    pub fn next_event(&self) -> u64 {
        self.state.next_event().0
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it panicked".to_owned())
}
