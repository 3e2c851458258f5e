//! [`Daemon`]: the shipped rules in force on virtual time, over a store in memory, with the world of
//! [`Outside`] around it.

use std::collections::BTreeMap;
use std::sync::Arc;

use adjutant::engine::Reading;
use adjutant::model::{
    Address, Cause, Draft, Input, Instant, Operator, POLL_BUSY, Polled, Record, Refusal, Reply,
    RunNo, Settled, Status, Value, View as _,
};
use adjutant::pump::{Pump, Released, Response};
use adjutant::rules::RuleSet;
use adjutant::store::{Batch, MemoryStore, Op, State, Store as _};

use crate::outside::Outside;

/// Rows of a listing at a time.
const PAGE: usize = 1_000;

/// See the file's description.
pub(crate) struct Daemon {
    store: Arc<MemoryStore>,
    rules: Arc<RuleSet>,
    pump: Pump<u64>,
    pub(crate) now: Instant,
    pub(crate) outside: Outside,
    /// Answers on their way, by when they arrive.
    under_way: BTreeMap<(Instant, u64), Settled>,
    /// Inputs whose senders wait, and try again after a crash.
    unanswered: BTreeMap<u64, Input>,
    replies: BTreeMap<u64, Reply>,
    tokens: u64,
    /// It dies when it has next sent something.
    doomed: bool,
    pub(crate) deaths: usize,
    pub(crate) commits: usize,
}

impl Daemon {
    pub(crate) fn start(rules: Arc<RuleSet>, now: Instant) -> Self {
        let store = Arc::new(MemoryStore::new());
        let pump = Pump::open(store.clone(), rules.clone(), now).expect("the store opens");
        let pump = pump.with_key(now, [7; 32]).expect("the store can be read");
        let mut daemon = Self {
            store,
            rules,
            pump,
            now,
            outside: Outside::default(),
            under_way: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            replies: BTreeMap::new(),
            tokens: 0,
            doomed: false,
            deaths: 0,
            commits: 0,
        };
        daemon.settle();
        daemon
    }

    /// Somebody sends an event.
    pub(crate) fn event(&mut self, draft: Draft) -> Reply {
        self.input(Input::Event(Box::new(draft)))
    }

    /// Somebody does something.
    pub(crate) fn operator(&mut self, operator: Operator) -> Reply {
        self.input(Input::Operator(operator))
    }

    fn input(&mut self, input: Input) -> Reply {
        self.tokens += 1;
        let token = self.tokens;
        self.unanswered.insert(token, input.clone());
        self.pump.take(self.now, input, Some(token)).expect("the store works");
        self.settle();
        let none = || Reply::Refused(Refusal::Broken("nobody answered".into()));
        self.replies.remove(&token).unwrap_or_else(none)
    }

    /// The power goes when it has next sent something, and before it hears what came of it.
    pub(crate) fn doom(&mut self) {
        self.doomed = true;
    }

    /// Lets time pass until then, stopping wherever something is due or arrives.
    pub(crate) fn pass(&mut self, until: Instant) {
        loop {
            let arrives = self.under_way.keys().next().map(|(at, _)| *at);
            let due = self.pump.next_due().into_iter().chain(arrives).min();
            let Some(due) = due.filter(|due| *due <= until) else { break };
            self.now = self.now.max(due);
            self.settle();
        }
        self.now = self.now.max(until);
        self.settle();
    }

    /// Does everything there is to do at this instant.
    fn settle(&mut self) {
        loop {
            while !self.pump.is_full() && self.pump.work(self.now).expect("the store works") {}
            if let Some(batch) = self.pump.seal() {
                self.commits += 1;
                self.store.commit(&batch).expect("a memory store commits");
                let released = self.pump.durable();
                let dies = self.doomed && !released.commands.is_empty();
                self.release(released, dies);
                if dies {
                    self.die();
                }
            } else if let Some(released) = self.pump.unwritten() {
                self.release(released, false);
            } else {
                let first = self.under_way.first_entry();
                let Some(first) = first.filter(|first| first.key().0 <= self.now) else { return };
                let outcome = Input::Outcome(first.remove());
                self.pump.take(self.now, outcome, None).expect("the store works");
            }
        }
    }

    fn release(&mut self, released: Released<u64>, dies: bool) {
        for (command, bundle) in released.commands {
            let (run, key, attempt) = (command.run, command.key, command.attempt);
            let (outcome, takes) =
                self.outside.perform(command, bundle.as_deref(), self.pump.view(), self.now);
            self.tokens += 1;
            let settled = Settled { run, key, attempt, outcome };
            self.under_way.insert((self.now + takes, self.tokens), settled);
        }
        for ask in released.asks {
            // Whoever is polled has no time today.
            let found = Err(Cause::new(POLL_BUSY, "nobody answers"));
            let polled = Polled { key: ask.key, begun: ask.begun, found, after: None };
            let input = Input::Polled(Box::new(polled));
            self.pump.take(self.now, input, None).expect("the store works");
        }
        for (token, response) in released.responses.into_iter().filter(|_| !dies) {
            self.unanswered.remove(&token);
            match response {
                Response::Reply(reply) => drop(self.replies.insert(token, reply)),
                other => panic!("nobody asked: {other:?}"),
            }
        }
    }

    fn die(&mut self) {
        self.doomed = false;
        self.deaths += 1;
        self.under_way.clear();
        self.outside.lost = Some(self.now);
        self.pump = Pump::open(self.store.clone(), self.rules.clone(), self.now)
            .expect("what was committed can be read");
        for (token, input) in self.unanswered.clone() {
            self.pump.take(self.now, input, Some(token)).expect("the store works");
        }
    }

    /// The state, for looking at.
    pub(crate) fn state(&self) -> &State {
        self.pump.view()
    }

    /// The state as another process would load it.
    pub(crate) fn reloaded(&self) -> State {
        let copy = Arc::new(MemoryStore::new());
        let at = copy.lead().expect("a new store");
        let rows = self.store.scan(&[], &[0xff], usize::MAX).expect("readable");
        let ops = rows.into_iter().map(|(key, value)| Op::Put(key, value)).collect();
        copy.commit(&Batch { epoch: at.epoch, number: 1, ops }).expect("a memory store commits");
        State::load(copy).expect("readable").0
    }

    pub(crate) fn read(&self, reading: &Reading) -> Value {
        self.pump.read(reading).expect("readable")
    }

    pub(crate) fn rules(&self) -> &RuleSet {
        &self.rules
    }
}

/// A record, if it is there.
pub(crate) fn record(state: &State, kind: &str, id: &str) -> Option<Arc<Record>> {
    let address = Address::new(kind, id).ok()?;
    state.record(&address).expect("readable")
}

/// A field of a record that is text; else empty.
pub(crate) fn text<'r>(record: &'r Record, field: &str) -> &'r str {
    record.fields.get(field).and_then(Value::as_text).unwrap_or_default()
}

/// All records of a kind.
pub(crate) fn records(state: &State, kind: &str) -> Vec<Arc<Record>> {
    let mut all: Vec<Arc<Record>> = Vec::new();
    loop {
        let after = all.last().map(|last| last.address.id.clone());
        let page = state.records(kind, after.as_deref(), PAGE).expect("readable");
        let full = page.len() == PAGE;
        all.extend(page);
        if !full {
            return all;
        }
    }
}

/// All runs, in order.
pub(crate) fn runs(state: &State) -> Vec<Arc<adjutant::model::Run>> {
    let mut all: Vec<Arc<adjutant::model::Run>> = Vec::new();
    loop {
        let after = all.last().map_or(RunNo(0), |last| last.no);
        let page = state.runs_after(after, PAGE).expect("readable");
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// Runs that failed.
pub(crate) fn is_failed(run: &adjutant::model::Run) -> bool {
    run.status == Status::Failed
}
