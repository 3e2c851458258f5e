//! [`World`]: the pump on virtual time, over a store in memory, with an outside that answers as scripted.
//!
//! Time stands still while anything is to be done and then jumps to whatever is due next. The process may
//! die at chosen commits; the outside remembers what it has seen, as a real one does.

mod outside;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::Reading;
use crate::model::{
    APPROVAL, Ask, Draft, Duration, EffectKey, Event, Input, Instant, Map, Operator, Parent,
    Polled, ReadError, Refusal, Reply, Retention, RunNo, Settled, Span, Text, Value, View, limits,
};
use crate::pump::{Pump, Released, Response};
use crate::rules::{Action, RuleSet};
use crate::script::Host;
use crate::store::{MemoryStore, Store as _, StoreError};

use super::answers::Answer;
use super::effect::Happening;
use super::letters::Letters;
use super::watch::Seen;
use super::ways::Crashes;

/// How often old things are removed.
const SWEEP_EVERY: Span = Span::from_days(1);

/// Why a play cannot go on: our own fault, never that of the rules.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The state could not be read.
    #[error("{0}")]
    Read(#[from] ReadError),
    /// The store refused a commit.
    #[error("the store in memory failed: {0}")]
    Store(#[from] StoreError),
    /// It panicked.
    #[error("the play broke off")]
    Lost,
}

/// See the module.
pub(super) struct World {
    store: Arc<MemoryStore>,
    rules: Arc<RuleSet>,
    pump: Pump<u64>,
    now: Instant,
    answers: Vec<Answer>,
    /// What the outside has seen, by key.
    pub(super) ledger: BTreeMap<EffectKey, Happening>,
    /// When each attempt is answered.
    answer_at: BTreeMap<(EffectKey, u16), Instant>,
    /// Answers on their way.
    under_way: BTreeMap<(Instant, u64), Settled>,
    asks: Vec<Ask>,
    letters: Letters,
    /// Whose senders try again after a crash.
    unanswered: BTreeMap<u64, Input>,
    replies: BTreeMap<u64, Reply>,
    tokens: u64,
    /// What happened since somebody last looked.
    fresh: Vec<Happening>,
    seen: Arc<Mutex<Seen>>,
    next_sweep: Instant,
    crashes: Option<Crashes>,
    /// Nobody looks back at what was sent: only its keys are kept.
    passing: bool,
    /// Why records could not be given.
    pub(super) refused: Vec<String>,
    /// Commits so far.
    pub(super) commits: usize,
    /// How often the process died.
    pub(super) crashed: usize,
}

/// The key of the state, of which nothing in a play depends.
const KEY: [u8; 32] = [0x5c; 32];

/// An approval that is open.
pub(super) struct OpenApproval {
    pub(super) id: Text,
    /// Who asks: a workflow, or the purpose of mails.
    pub(super) asks: Text,
    /// What it is about.
    pub(super) about: Option<Text>,
    /// Somebody in particular is asked.
    pub(super) asked: bool,
}

impl World {
    /// With these rules in force and nothing remembered but `given`.
    pub(super) fn begin(
        rules: &Arc<RuleSet>,
        nothing: Arc<RuleSet>,
        start: Instant,
        given: &[(crate::model::Address, crate::model::Map)],
        answers: &[Answer],
    ) -> Result<Self, Broken> {
        let store = Arc::new(MemoryStore::new());
        // What is given was there before the rules, so nothing starts with it.
        let pump = Pump::open(store.clone(), nothing, start)?.with_key(start, KEY)?;
        let mut world = Self {
            store,
            rules: rules.clone(),
            pump,
            now: start,
            answers: answers.to_vec(),
            ledger: BTreeMap::new(),
            answer_at: BTreeMap::new(),
            under_way: BTreeMap::new(),
            asks: Vec::new(),
            letters: Letters::default(),
            unanswered: BTreeMap::new(),
            replies: BTreeMap::new(),
            tokens: 0,
            fresh: Vec::new(),
            seen: Arc::default(),
            next_sweep: start + SWEEP_EVERY,
            crashes: None,
            passing: false,
            refused: Vec::new(),
            commits: 0,
            crashed: 0,
        };
        for (address, fields) in given {
            let fields = fields.clone();
            let write = Operator::Write { address: address.clone(), fields, by: "given".into() };
            if let Reply::Refused(why) = world.operator(write)? {
                world.refused.push(format!("`{address}` cannot be given: {why}"));
            }
        }
        world.watch();
        world.commits = 0;
        world.put_in_force(rules.clone())?;
        Ok(world)
    }

    /// Keeps only what is needed to go on, and what is over as long as this says.
    pub(super) fn only_pass_through(&mut self, retention: Retention) {
        self.passing = true;
        self.pump.keep_for(retention);
    }

    /// Lets the process die at some commits from now on.
    pub(super) fn crash_at(&mut self, crashes: Crashes) {
        self.crashes = Some(crashes);
    }

    /// The virtual time.
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    /// The rules in force.
    pub(super) fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// What expressions read of records.
    pub(super) fn host(&self) -> impl Host + '_ {
        Lookups(&self.pump)
    }

    /// What was seen of the engine's decisions.
    pub(super) fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happened since this was last called.
    pub(super) fn take_fresh(&mut self) -> Vec<Happening> {
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.extend(self.seen().take_fresh());
        let left = std::mem::take(&mut self.seen().left);
        fresh.extend(left.into_iter().filter_map(|(failed, parent)| {
            let waits = self.waits_for(parent).unwrap_or(true);
            (!waits).then_some(failed)
        }));
        for one in fresh.iter_mut().filter(|one| one.cause.is_none()) {
            let began = one.began.and_then(|no| self.pump.view().event(no).ok().flatten());
            one.cause = began.and_then(|stored| root_of(self.pump.view(), &stored.event));
        }
        // What was seen in two ways, in the order of its time.
        fresh.sort_by_key(|one| one.at);
        fresh
    }

    /// Whether a run waits for what it called at a step; `None`: it is not known any more.
    fn waits_for(&self, parent: Parent) -> Option<bool> {
        let run = self.pump.view().run(parent.run).ok()??;
        let bundle = self.pump.bundle(run.bundle)?;
        let step = bundle.workflow(&run.workflow)?.steps.get(parent.pc as usize)?;
        Some(match &step.action {
            Action::Call { wait, .. } => *wait,
            Action::Escalate(escalate) => escalate.wait,
            _ => true,
        })
    }

    /// Puts other rules in force.
    pub(super) fn put_in_force(&mut self, rules: Arc<RuleSet>) -> Result<(), Broken> {
        self.rules = rules.clone();
        self.pump.put_in_force(self.now, rules, None)?;
        self.settle()
    }

    /// Hands in an event; the engine's answer.
    pub(super) fn event(&mut self, draft: Draft) -> Result<Reply, Broken> {
        self.input(Input::Event(Box::new(draft)))
    }

    /// Whether an event like this came before. Its answer does not tell that where a crash has it sent again.
    pub(super) fn knows(&self, draft: &Draft) -> Result<bool, Broken> {
        Ok(self.pump.view().identity(draft.identity())?.is_some())
    }

    /// Does what a person asks for; the engine's answer.
    pub(super) fn operator(&mut self, operator: Operator) -> Result<Reply, Broken> {
        self.input(Input::Operator(operator))
    }

    /// Does what a link of the newest mail to these recipients does; `None`: it is only looked at.
    pub(super) fn open(
        &mut self,
        name: &str,
        mail: Option<&str>,
        press: bool,
    ) -> Result<Result<Option<Reply>, String>, Broken> {
        Ok(match self.letters.open(name, mail, self.now) {
            Ok(operator) if press => Ok(Some(self.operator(operator)?)),
            Ok(_) => Ok(None),
            Err(why) => Err(why),
        })
    }

    /// The approvals that are open.
    pub(super) fn approvals(&self) -> Result<Vec<OpenApproval>, Broken> {
        let open = self.pump.view().records(APPROVAL, None, limits::PAGE)?;
        let text =
            |fields: &Map, name: &str| fields.get(name).and_then(Value::as_text).map(Text::from);
        Ok(open
            .iter()
            .filter(|record| record.fields.get("status").and_then(Value::as_text) == Some("open"))
            .filter_map(|record| {
                let fields = &record.fields;
                let asks = text(fields, "purpose").or_else(|| text(fields, "workflow"))?;
                let asked =
                    matches!(fields.get("people"), Some(Value::List(all)) if !all.is_empty());
                let (id, about) = (record.address.id.clone(), text(fields, "about"));
                Some(OpenApproval { id, asks, about, asked })
            })
            .collect())
    }

    /// The ladders that are up, by policy, with what they are about.
    pub(super) fn ladders(&self) -> Result<Vec<(RunNo, Text, Option<Text>)>, Broken> {
        let mut found = Vec::new();
        for no in self.pump.view().ladders() {
            if let Some(run) = self.pump.view().run(no)? {
                found.push((no, run.workflow.clone(), run.subject.clone()));
            }
        }
        Ok(found)
    }

    fn input(&mut self, input: Input) -> Result<Reply, Broken> {
        self.tokens += 1;
        let token = self.tokens;
        self.unanswered.insert(token, input.clone());
        let before = self.crashed;
        self.pump.take(self.now, input, Some(token))?;
        self.settle()?;
        Ok(match self.replies.remove(&token) {
            None => Reply::Refused(Refusal::Broken("no answer came".into())),
            // Who asks again after a crash hears that it is done already.
            Some(Reply::Refused(Refusal::State(_))) if self.crashed > before => {
                Reply::Done(Value::Null)
            }
            Some(reply) => reply,
        })
    }

    /// Lets time pass until `until`, that instant included.
    pub(super) fn pass(&mut self, until: Instant) -> Result<(), Broken> {
        self.settle()?;
        loop {
            let answered = self.under_way.keys().next().map(|(at, _)| *at);
            let due = self.pump.next_due().into_iter().chain(answered).min();
            let next = due.map_or(self.next_sweep, |due| due.min(self.next_sweep));
            if next > until {
                break;
            }
            self.now = self.now.max(next);
            if self.next_sweep <= self.now {
                self.next_sweep = self.now + SWEEP_EVERY;
                self.pump.take(self.now, Input::Sweep, None)?;
            }
            self.settle()?;
        }
        self.now = self.now.max(until);
        self.settle()
    }

    /// Does everything there is to do at this instant.
    fn settle(&mut self) -> Result<(), Broken> {
        loop {
            while !self.pump.is_full() && self.pump.work(self.now)? {}
            if let Some(batch) = self.pump.seal() {
                self.commits += 1;
                self.store.commit(&batch)?;
                let crash = self.crashes.as_ref().and_then(|crashes| crashes.at(self.commits));
                let released = self.pump.durable();
                if crash == Some(Crash::BeforePerforming) {
                    // Asking changes nothing, and is done again: the same answer comes.
                    self.asks.extend(released.asks);
                } else {
                    self.release(released);
                }
                if crash.is_some() {
                    self.crash()?;
                }
            } else if let Some(released) = self.pump.unwritten() {
                self.release(released);
            } else if !self.come_back()? {
                return Ok(());
            }
        }
    }

    /// Hands in what came back from the outside by now. False when nothing did.
    fn come_back(&mut self) -> Result<bool, Broken> {
        if let Some(ask) = self.asks.pop() {
            let found = self.poll(&ask);
            let polled = Polled { key: ask.key, begun: ask.begun, found, after: None };
            self.pump.take(self.now, Input::Polled(Box::new(polled)), None)?;
            return Ok(true);
        }
        if let Some(first) = self.under_way.first_entry().filter(|first| first.key().0 <= self.now)
        {
            let settled = first.remove();
            self.pump.take(self.now, Input::Outcome(settled), None)?;
            return Ok(true);
        }
        // What a crash has left for a person to decide was surely not meant to be waited for.
        let held = self.seen().held.pop();
        if let Some((run, key)) = held {
            let run_now = self.pump.view().run(run)?;
            if run_now.is_some_and(|run| run.effect().is_some_and(|effect| effect.key == key)) {
                let by = "after a crash".into();
                let retry = Operator::Retry { run, assume_done: false, by };
                self.pump.take(self.now, Input::Operator(retry), None)?;
            }
            return Ok(true);
        }
        Ok(false)
    }

    fn crash(&mut self) -> Result<(), Broken> {
        self.crashed += 1;
        self.under_way.clear();
        self.pump = Pump::open(self.store.clone(), self.rules.clone(), self.now)?;
        self.watch();
        for (token, input) in self.unanswered.clone() {
            // Doing it once more would be seen as a second one.
            if self.is_acknowledged(&input)? {
                self.unanswered.remove(&token);
                self.replies.insert(token, Reply::Done(Value::Null));
                continue;
            }
            self.pump.take(self.now, input, Some(token))?;
        }
        Ok(())
    }

    /// Whether this is an acknowledgement that is written down already.
    fn is_acknowledged(&self, input: &Input) -> Result<bool, Broken> {
        let Input::Operator(Operator::Acknowledge { run, by }) = input else { return Ok(false) };
        let run = self.pump.view().run(*run)?;
        let taken = run.as_ref().and_then(|run| run.ladder.as_ref()?.acknowledged.as_ref());
        Ok(taken.is_some_and(|(who, at)| who == by && *at == self.now))
    }

    fn watch(&mut self) {
        let seen = self.seen.clone();
        self.pump.observe(Box::new(move |write| {
            seen.lock().unwrap_or_else(PoisonError::into_inner).write(write);
        }));
    }

    fn release(&mut self, released: Released<u64>) {
        for (token, response) in released.responses {
            self.unanswered.remove(&token);
            if let Response::Reply(reply) = response {
                self.replies.insert(token, reply);
            }
        }
        self.asks.extend(released.asks);
        for (command, bundle) in released.commands {
            self.perform(&command, bundle);
        }
    }

    /// What was announced and has not been sent, at the end.
    pub(super) fn unsent(&self) -> Result<Vec<(Text, Text)>, Broken> {
        let mut found = Vec::new();
        let mut after = RunNo(0);
        loop {
            let page = self.pump.view().runs_after(after, 1_000)?;
            let Some(last) = page.last() else { return Ok(found) };
            after = last.no;
            let unsent = page.iter().filter(|run| {
                run.status.is_alive()
                    && run.effect().is_some_and(|effect| !self.ledger.contains_key(&effect.key))
            });
            found.extend(unsent.map(|run| {
                let action = run.effect().map_or("", |effect| effect.action.as_str());
                (run.workflow.clone(), Text::from(action))
            }));
        }
    }
}

/// The event from outside at the beginning of what led to an event.
fn root_of(view: &dyn View, event: &Event) -> Option<(Text, Text)> {
    let mut lineage = event.lineage.run;
    let mut identity = (event.source.clone(), event.id.clone());
    // Each emits one deeper, and there is a bound to that.
    for _ in 0..=limits::CAUSE_DEPTH {
        let Some(no) = lineage else { break };
        let run = view.run(no).ok().flatten()?;
        let cause = view.event(run.event).ok().flatten()?;
        identity = (cause.event.source.clone(), cause.event.id.clone());
        lineage = cause.event.lineage.run;
    }
    (!identity.0.starts_with("adjutant")).then_some(identity)
}

/// When the process dies, relative to what a commit lets out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    /// Nothing that the commit announces was performed, and nobody was answered.
    BeforePerforming,
    /// All of it was performed, and nobody heard what came of it.
    AfterPerforming,
}

/// What scripts and checks read of records.
struct Lookups<'p>(&'p Pump<u64>);

impl Host for Lookups<'_> {
    fn record(&self, kind: &str, id: &str) -> Result<Value, ReadError> {
        self.0.lookup(kind, id)
    }

    fn records(
        &self,
        kind: &str,
        filter: Option<(&str, &Value)>,
    ) -> Result<Option<Vec<Value>>, ReadError> {
        self.0.lookup_all(kind, filter)
    }

    fn suppressed(&self, address: &str, purpose: &str) -> Result<bool, ReadError> {
        let reading = Reading::Suppressed(address.into(), purpose.into());
        Ok(self.0.read(&reading)? == Value::Bool(true))
    }

    fn ledger(&self, kind: &str) -> Result<Value, ReadError> {
        let reading = Reading::Ledger(kind.into());
        self.0.read(&reading)
    }

    fn metric(&self, name: &str, since: Instant) -> Result<Option<Value>, ReadError> {
        let reading = Reading::Metric(name.into(), since);
        Ok(Some(self.0.read(&reading)?).filter(|value| !value.is_null()))
    }

    fn open_after(
        &self,
        from: Instant,
        duration: Duration,
        calendar: &str,
    ) -> Result<Instant, String> {
        let reading = Reading::OpenAfter(from, duration, calendar.into());
        match self.0.read(&reading).map_err(|error| error.to_string())? {
            Value::Instant(at) => Ok(at),
            other => Err(other.to_string()),
        }
    }
}
