//! [`State`] against a model that keeps only the latest rows and looks at all of them for every
//! question: the same answers after any sequence of writes, seals, commits and restarts.

mod questions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::{State, Unfinished};
use crate::model::*;
use crate::store::contract::{Batch, Op, Store as _};
use crate::store::memory::MemoryStore;
use crate::store::samples::Samples;
use crate::store::{codec, keys};

const SUBJECTS: [&str; 3] = ["lead/1", "lead/2", "lead"];
const WORKFLOWS: [&str; 2] = ["w", "x"];
const LANES: [&str; 3] = ["smtp", "https://a.example:443", "https://b.example:443"];
const KINDS: [&str; 2] = ["lead", "lead-x"];
/// One within the other, and one that lies between others in the order of bytes.
const IDS: [&str; 6] = ["a", "a b", "a/b", "ab", "b", "\u{e9}"];
const FIELDS: [&str; 2] = ["by", "by-x"];

/// A record with the values of its declared indexes.
type Indexed = (Arc<Record>, Vec<(Name, Value)>);

/// The latest rows, and the numbers given next.
#[derive(Clone, Default)]
struct Model {
    runs: BTreeMap<RunNo, Arc<Run>>,
    spilled: BTreeMap<RunNo, BTreeMap<u32, Vec<TraceEntry>>>,
    events: BTreeMap<EventNo, Arc<StoredEvent>>,
    identities: BTreeMap<Digest, (EventNo, Digest)>,
    records: BTreeMap<Address, Indexed>,
    inbox: BTreeMap<InboxNo, Task>,
    bundles: BTreeSet<BundleId>,
    indexes: Vec<(Name, Vec<Name>)>,
    next_event: u64,
    next_run: u64,
    next_inbox: u64,
}

/// The state, and the model as it is, as it was at the seal, and as it is on the disk.
struct Pair {
    store: Arc<MemoryStore>,
    state: State,
    now: Model,
    sealed: Option<(Batch, Model)>,
    /// Whether the sealed batch is in the store and the state does not know it yet.
    committed: bool,
    disk: Model,
    s: Samples,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let store = Arc::new(MemoryStore::new());
        let (state, _) = State::load(store.clone()).unwrap();
        let model = Model { next_event: 1, next_run: 1, next_inbox: 1, ..Model::default() };
        let (now, disk) = (model.clone(), model);
        let s = Samples::new(seed);
        Self { store, state, now, sealed: None, committed: false, disk, s }
    }

    fn step(&mut self) {
        match self.s.below(24) {
            0..3 => self.new_event(),
            3 => self.change_event(),
            4 => self.events_gone(),
            5..8 => self.new_run(),
            8..12 => self.change_run(),
            12 => self.run_gone(),
            13..15 => self.put_record(),
            15 => self.record_gone(),
            16 => self.inbox(),
            17 => self.inbox_done(),
            18 => self.bundle_and_indexes(),
            19 | 20 => self.seal(),
            21 => self.commit(),
            22 => self.durable(),
            _ => {
                if self.s.below(4) == 0 {
                    self.restart();
                }
            }
        }
    }

    fn write(&mut self, writes: Vec<Write>) {
        self.state.apply(writes).unwrap();
    }

    fn new_event(&mut self) {
        let mut stored = self.s.event();
        let event = Arc::make_mut(&mut stored.event);
        event.no = EventNo(self.now.next_event);
        event.id = self.now.next_event.to_string().into();
        event.subject = self.s.maybe(|s| s.pick(&SUBJECTS).into());
        self.now.next_event += 1;
        let stored = Arc::new(stored);
        let (no, identity) = (stored.event.no, stored.event.identity());
        self.now.events.insert(no, stored.clone());
        let fingerprint = Digest::of(&[b"fingerprint"]);
        self.now.identities.insert(identity, (no, fingerprint));
        self.write(vec![Write::Identity(identity, no, fingerprint), Write::Event(stored)]);
    }

    fn change_event(&mut self) {
        let all: Vec<_> = self.now.events.values().cloned().collect();
        if all.is_empty() {
            return;
        }
        let mut stored = (*self.s.pick(&all)).clone();
        stored.runs.push(RunNo(self.s.number()));
        let stored = Arc::new(stored);
        self.now.events.insert(stored.event.no, stored.clone());
        self.write(vec![Write::Event(stored)]);
    }

    fn events_gone(&mut self) {
        let all: Vec<_> = self.now.events.values().cloned().collect();
        if all.is_empty() {
            return;
        }
        // a page of a sweep, with some in between that stay
        let first = self.s.below(all.len());
        let page = all.into_iter().skip(first).take(1 + self.s.below(8));
        let mut gone: Vec<_> = page.collect();
        gone.retain(|_| self.s.below(4) > 0);
        for stored in &gone {
            self.now.events.remove(&stored.event.no);
            self.now.identities.remove(&stored.event.identity());
        }
        self.write(vec![Write::EventsGone(gone)]);
    }

    /// A run as it could be, over few names so that runs meet.
    fn random_run(&mut self, no: RunNo) -> Run {
        let s = &mut self.s;
        let status = s.status();
        let kind = match status {
            Status::Queued => 1,
            Status::Active => s.pick(&[0, 2, 3, 4, 5, 5, 5]),
            _ => 6,
        };
        let mut run = s.run(kind);
        run.no = no;
        run.status = status;
        run.workflow = s.pick(&WORKFLOWS).into();
        run.key = s.maybe(|s| s.pick(&["k", "l"]).into());
        run.event = EventNo(s.below(6) as u64);
        run.parent = s.maybe(|s| Parent { run: RunNo(s.below(8) as u64), pc: 0, depth: 1 });
        run.expires = Instant::from_micros(s.below(100) as i64 + 50);
        let at = Instant::from_micros(s.below(100) as i64);
        run.arms = s.some(3, |s| Arm {
            role: ArmRole::Wait,
            patterns: s.some(2, pattern),
            subject: arm_subject(s),
        });
        match &mut run.wait {
            Wait::Until(until) | Wait::Event(until) => *until = at,
            Wait::Effect(effect) => {
                effect.lane = s.pick(&LANES).into();
                if let EffectState::Backoff { until } = &mut effect.state {
                    *until = at;
                }
            }
            _ => {}
        }
        run
    }

    fn new_run(&mut self) {
        let no = RunNo(self.now.next_run);
        self.now.next_run += 1;
        let run = Arc::new(self.random_run(no));
        self.now.runs.insert(no, run.clone());
        self.write(vec![Write::Run(None, run)]);
    }

    fn any_run(&mut self) -> Option<Arc<Run>> {
        let all: Vec<_> = self.now.runs.values().cloned().collect();
        if all.is_empty() { None } else { Some(self.s.pick(&all)) }
    }

    fn change_run(&mut self) {
        let Some(old) = self.any_run() else { return };
        let mut new = self.random_run(old.no);
        let mut spill = None;
        if self.s.below(4) == 0 {
            let parts = self.now.spilled.entry(new.no).or_default();
            let first = parts.last_key_value().map_or(0, |(first, part)| first + part.len() as u32);
            let part = (0..=self.s.below(3)).map(|_| self.s.entry()).collect::<Vec<_>>();
            parts.insert(first, part.clone());
            spill = Some(Write::Spill(new.no, first, part));
        }
        // as the engine keeps count
        let parts = self.now.spilled.get(&new.no).into_iter().flat_map(BTreeMap::values);
        new.spilled = parts.map(|part| part.len() as u32).sum();
        let new = Arc::new(new);
        self.now.runs.insert(new.no, new.clone());
        let writes = [Write::Run(Some(old), new)].into_iter().chain(spill).collect();
        self.write(writes);
    }

    fn run_gone(&mut self) {
        let Some(run) = self.any_run() else { return };
        self.now.runs.remove(&run.no);
        self.now.spilled.remove(&run.no);
        self.write(vec![Write::RunGone(run)]);
    }

    fn address(&mut self) -> Address {
        Address { kind: self.s.pick(&KINDS).into(), id: self.s.pick(&IDS).into() }
    }

    fn put_record(&mut self) {
        let mut record = self.s.record();
        record.address = self.address();
        let indexed: Vec<(Name, Value)> = FIELDS
            .iter()
            .filter_map(|field| self.s.maybe(|s| (Name::from(*field), index_value(s))))
            .collect();
        let record = Arc::new(record);
        self.now.records.insert(record.address.clone(), (record.clone(), indexed.clone()));
        self.write(vec![Write::Record(record, indexed)]);
    }

    fn record_gone(&mut self) {
        let address = self.address();
        self.now.records.remove(&address);
        self.write(vec![Write::RecordGone(address)]);
    }

    fn inbox(&mut self) {
        let no = InboxNo(self.now.next_inbox);
        self.now.next_inbox += 1;
        let kind = self.s.below(crate::store::samples::TASKS);
        let task = self.s.task(kind);
        self.now.inbox.insert(no, task.clone());
        self.write(vec![Write::Inbox(no, task)]);
    }

    fn inbox_done(&mut self) {
        let all: Vec<_> = self.now.inbox.keys().copied().collect();
        if all.is_empty() {
            return;
        }
        let no = self.s.pick(&all);
        self.now.inbox.remove(&no);
        self.write(vec![Write::InboxDone(no)]);
    }

    fn bundle_and_indexes(&mut self) {
        let source = self.s.number().to_be_bytes();
        let id = Digest::of(&[&source]);
        self.now.bundles.insert(id);
        self.now.indexes = self.s.indexes();
        let indexes = self.now.indexes.clone();
        self.write(vec![Write::Bundle(id, Arc::from(source.as_slice())), Write::Indexes(indexes)]);
    }

    fn seal(&mut self) {
        if self.sealed.is_some() {
            return;
        }
        self.sealed = self.state.seal().map(|batch| (batch, self.now.clone()));
        assert_eq!(self.state.pending(), (0, 0));
    }

    fn commit(&mut self) {
        if let Some((batch, model)) = &self.sealed {
            self.store.commit(batch).unwrap();
            self.disk = model.clone();
            self.committed = true;
        }
    }

    fn durable(&mut self) {
        if self.sealed.is_none() {
            return;
        }
        if !self.committed {
            self.commit();
        }
        self.state.durable();
        (self.sealed, self.committed) = (None, false);
    }

    /// Whatever was not committed is gone, and everything derived is made anew.
    fn restart(&mut self) {
        self.now = self.disk.clone();
        (self.sealed, self.committed) = (None, false);
        let (state, Unfinished { inbox, started, damaged }) =
            State::load(self.store.clone()).unwrap();
        self.state = state;
        let expected: Vec<_> = self.now.inbox.clone().into_iter().collect();
        assert_eq!(inbox, expected);
        assert!(damaged.is_empty(), "{damaged:?}");
        let started: Vec<_> = started.into_iter().map(|(run, ..)| run).collect();
        assert_eq!(started, self.now.living(|run| self.now.is_started(run)));
    }
}

impl Model {
    fn living(&self, wanted: impl Fn(&Run) -> bool) -> Vec<RunNo> {
        let living = self.runs.values().filter(|run| run.status.is_alive() && wanted(run));
        living.map(|run| run.no).collect()
    }

    #[expect(clippy::unused_self, reason = "reads like the other questions")]
    fn is_started(&self, run: &Run) -> bool {
        run.effect().is_some_and(|effect| matches!(effect.state, EffectState::Started { .. }))
    }
}

fn pattern(s: &mut Samples) -> Pattern {
    s.pick(&[
        Pattern::Exact("lead.created".into()),
        Pattern::Exact("lead.".into()),
        Pattern::Prefix("lead.".into()),
        Pattern::Prefix("".into()),
    ])
}

fn arm_subject(s: &mut Samples) -> ArmSubject {
    let is = ArmSubject::Is(s.pick(&SUBJECTS).into());
    s.pick(&[is, ArmSubject::None, ArmSubject::Any])
}

/// Values that look alike and are not, and two that look different and are the same.
fn index_value(s: &mut Samples) -> Value {
    s.pick(&[
        Value::Int(1),
        Value::Float(1.0),
        Value::Float(1.5),
        Value::text("1"),
        Value::text("@1"),
        Value::Instant(Instant::from_micros(1)),
        Value::Bool(true),
        Value::List(vec![Value::Int(1)]),
    ])
}

#[expect(clippy::float_cmp, reason = "exactly one is meant")]
fn is_same(one: &Value, other: &Value) -> bool {
    let whole = |value: &Value| match value {
        Value::Float(float) if *float == 1.0 => Value::Int(1),
        other => other.clone(),
    };
    whole(one) == whole(other)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn every_answer_is_that_of_the_latest_rows(seed: u64, steps in 1_usize..120) {
        let mut pair = Pair::new(seed);
        for _ in 0..steps {
            pair.step();
            pair.compare();
        }
        pair.seal();
        pair.durable();
        pair.seal();
        pair.durable();
        pair.compare();
        let before = pair.now.clone();
        pair.restart();
        prop_assert_eq!(&pair.now.runs, &before.runs, "nothing was left undurable");
        pair.compare();
    }
}

#[test]
fn engine_time_never_goes_back() {
    let mut pair = Pair::new(0);
    let at = Instant::from_micros;
    assert_eq!(pair.state.tick(at(100)), at(100));
    assert_eq!(pair.state.tick(at(50)), at(100));
    pair.new_event();
    pair.seal();
    pair.durable();
    pair.restart();
    assert_eq!(pair.state.clock(), at(100));
    assert_eq!(pair.state.tick(at(99)), at(100), "not over a restart either");
}

/// The first version kept the identity of each event in a row of its own.
#[test]
fn identities_of_the_first_version_are_known_and_go_with_their_events() {
    let mut pair = Pair::new(7);
    pair.new_event();
    pair.new_event();
    pair.seal();
    pair.commit();
    let olds: Vec<_> = pair.now.events.values().cloned().collect();
    let (old, other) = (&olds[0].event, &olds[1].event);
    let (identity, fingerprint) = (old.identity(), Digest::of(&[b"fingerprint"]));
    let rows = keys::event_identities(EventNo(0), EventNo(u64::MAX));
    let rows = pair.store.scan(&rows.start, &rows.end, 10).unwrap();
    let mut ops: Vec<_> = rows.into_iter().map(|(key, _)| Op::Delete(key)).collect();
    ops.push(Op::Put(keys::identity(identity), codec::encode(&(old.no, fingerprint))));
    let lead = pair.store.lead().unwrap();
    let number = lead.number + 1;
    pair.store.commit(&Batch { epoch: lead.epoch, number, ops }).unwrap();

    let (mut state, _) = State::load(pair.store.clone()).unwrap();
    assert_eq!(state.identity(identity).unwrap(), Some((old.no, fingerprint)));
    assert_eq!(state.identity(other.identity()).unwrap(), None);
    state.apply(vec![Write::EventsGone(olds.clone())]).unwrap();
    assert_eq!(state.identity(identity).unwrap(), None);
    let batch = state.seal().unwrap();
    pair.store.commit(&batch).unwrap();
    assert_eq!(pair.store.get(&keys::identity(identity)).unwrap(), None, "the row went too");
}

#[test]
fn a_run_set_aside_is_looked_at_by_nobody() {
    let mut pair = Pair::new(5);
    for _ in 0..300 {
        pair.new_run();
    }
    let all: Vec<_> = pair.now.runs.keys().copied().collect();
    for no in all {
        pair.state.put_aside(no);
    }
    assert_eq!(pair.state.next_due(), None);
    assert_eq!(pair.state.startable(), None);
    for workflow in WORKFLOWS {
        assert!(pair.state.holders(workflow, None, usize::MAX).is_empty());
    }
    for subject in SUBJECTS.map(|subject| ArmSubject::Is(subject.into())) {
        let pattern = Pattern::Prefix("".into());
        assert!(pair.state.waiters(&pattern, &subject, RunNo(0), usize::MAX).is_empty());
    }
}
