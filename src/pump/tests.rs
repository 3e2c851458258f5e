//! What leaves the pump, and when: nothing before its batch is durable.

use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::*;
use crate::model::{Draft, Map, Outcome, Settled, Status, Value};
use crate::rules::{Context, SourceFile, Sources};
use crate::store::{Lead, MemoryStore, Row, Space, StoreError};

const RULES: &str = r#"
record: note
index: [by]
---
workflow: note
triggers: [{ event: note.made }]
steps:
  - record: ${event.subject}
    set: { by: "${event.data.by}" }
  - email: ops@x.example
    purpose: internal
    subject: Note
    text: Hello.
---
workflow: later
triggers: [{ event: later.asked }]
steps:
  - delay: 1h
  - record: ${event.subject}
    set: { done: true }
"#;

fn rules(text: &str) -> Arc<RuleSet> {
    let sources =
        Sources { rules: vec![SourceFile::new("rules/t.yaml", text)], ..Sources::default() };
    Arc::new(RuleSet::compile(&sources, &Context::default()).unwrap().0)
}

fn at(seconds: i64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

/// A pump whose first batch, which the rules make, is out of the way.
fn pump(store: Arc<dyn Store>) -> Pump<u32> {
    let mut pump = Pump::open(store.clone(), rules(RULES), at(0)).unwrap();
    settle(&mut pump, &*store, at(0));
    pump
}

/// Does all there is to do, and gives what left, in order.
fn settle(pump: &mut Pump<u32>, store: &dyn Store, now: Instant) -> Released<u32> {
    let mut left = Released::default();
    loop {
        while pump.work(now).unwrap() {}
        match pump.seal() {
            Some(batch) => {
                store.commit(&batch).unwrap();
                left.append(pump.durable());
            }
            None => match pump.unwritten() {
                Some(released) => left.append(released),
                None => return left,
            },
        }
    }
}

fn event(kind: &str, id: &str) -> Input {
    Input::Event(Box::new(Draft {
        id: id.into(),
        source: "test".into(),
        kind: kind.into(),
        subject: Some(format!("note/{id}").into()),
        time: None,
        data: Value::from([("by", "ana".into())]),
        extensions: Map::new(),
    }))
}

fn all_records() -> Query {
    Query::Records { kind: "note".into(), after: None, limit: 100 }
}

fn tokens(released: &Released<u32>) -> Vec<u32> {
    released.responses.iter().map(|(token, _)| *token).collect()
}

fn records_in(released: &Released<u32>, token: u32) -> usize {
    let found = released.responses.iter().find(|(t, _)| *t == token);
    match found {
        Some((_, Response::Answer(Answer::Records(records)))) => records.len(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn replies_and_commands_leave_when_their_batch_is_durable() {
    let store = Arc::new(MemoryStore::new());
    let mut pump = pump(store.clone());
    pump.take(at(1), event("note.made", "1"), Some(1)).unwrap();
    while pump.work(at(1)).unwrap() {}
    assert!(pump.unwritten().is_none(), "something was written");
    let batch = pump.seal().unwrap();
    assert!(pump.is_syncing());

    // While the first batch syncs the second is decided, and may not overtake it.
    pump.take(at(2), event("note.made", "2"), Some(2)).unwrap();
    while pump.work(at(2)).unwrap() {}
    assert!(pump.unwritten().is_none());
    assert!(pump.seal().is_none(), "one batch syncs at a time");

    store.commit(&batch).unwrap();
    let first = pump.durable();
    assert_eq!(tokens(&first), [1]);
    assert_eq!(first.commands.len(), 1, "the first event's mail and not the second's");
    let (command, bundle) = &first.commands[0];
    assert_eq!(command.attempt, 1);
    assert!(bundle.is_some(), "its templates come along");

    assert!(pump.unwritten().is_none());
    let batch = pump.seal().unwrap();
    store.commit(&batch).unwrap();
    let second = pump.durable();
    assert_eq!(tokens(&second), [2]);
    assert_eq!(second.commands.len(), 1);
    assert_eq!(pump.in_flight(), 2);

    let settled = Settled {
        run: command.run,
        key: command.key,
        attempt: 1,
        outcome: Outcome::Done(Value::Null),
    };
    pump.take(at(3), Input::Outcome(settled), None).unwrap();
    let left = settle(&mut pump, &*store, at(3));
    assert!(left.responses.is_empty() && left.commands.is_empty());
    assert_eq!(pump.in_flight(), 1);
}

#[test]
fn what_was_not_durable_was_never_said() {
    let store = Arc::new(MemoryStore::new());
    let mut first = pump(store.clone());
    first.take(at(1), event("note.made", "1"), Some(1)).unwrap();
    while first.work(at(1)).unwrap() {}
    drop(first.seal());
    drop(first);
    // The sender asks again, and it is news.
    let mut again = pump(store.clone());
    again.take(at(2), event("note.made", "1"), Some(1)).unwrap();
    let left = settle(&mut again, &*store, at(2));
    let (_, reply) = &left.responses[0];
    assert!(
        matches!(reply, Response::Reply(Reply::Accepted { duplicate: false, .. })),
        "{reply:?}"
    );
    assert_eq!(left.commands.len(), 1);
}

#[test]
fn an_answer_never_shows_what_is_not_durable() {
    let store = Arc::new(MemoryStore::new());
    let mut pump = pump(store.clone());
    // Nothing written: it may leave at once.
    pump.ask(&all_records(), 10).unwrap();
    assert_eq!(records_in(&pump.unwritten().unwrap(), 10), 0);

    // It saw an undurable write, and leaves with it.
    pump.take(at(1), event("note.made", "1"), Some(1)).unwrap();
    pump.ask(&all_records(), 11).unwrap();
    assert!(pump.unwritten().is_none());
    let batch = pump.seal().unwrap();

    // It saw the batch that syncs and nothing newer: it leaves with that one.
    pump.ask(&all_records(), 12).unwrap();
    assert!(pump.unwritten().is_none());
    pump.attach_unwritten();
    // It saw something newer: it stays for the next batch.
    pump.take(at(2), event("note.made", "2"), Some(2)).unwrap();
    pump.ask(&all_records(), 13).unwrap();
    pump.attach_unwritten();

    store.commit(&batch).unwrap();
    let first = pump.durable();
    assert_eq!(tokens(&first), [1, 11, 12]);
    assert_eq!((records_in(&first, 11), records_in(&first, 12)), (1, 1));
    assert!(pump.unwritten().is_none());
    let second = settle(&mut pump, &*store, at(2));
    assert_eq!(tokens(&second), [2, 13]);
    assert_eq!(records_in(&second, 13), 2);
}

#[test]
fn a_batch_is_full_at_so_many_inputs() {
    let store = Arc::new(MemoryStore::new());
    let mut pump = pump(store.clone());
    for n in 1..=limits::BATCH_INPUTS {
        assert!(!pump.is_full(), "after {} inputs", n - 1);
        // Nobody wants it: the bound counts inputs, not what they lead to.
        pump.take(at(1), event("nobody.wants", &n.to_string()), None).unwrap();
    }
    assert!(pump.is_full());
    let batch = pump.seal().unwrap();
    assert!(!pump.is_full(), "the next batch is empty");
    assert!(!pump.work(at(1)).unwrap());
    store.commit(&batch).unwrap();
    drop(pump.durable());
}

#[test]
fn a_batch_is_full_at_so_many_bytes() {
    let store = Arc::new(MemoryStore::new());
    let mut pump = pump(store);
    let mut inputs = 0;
    while !pump.is_full() {
        inputs += 1;
        let Input::Event(mut draft) = event("note.made", &inputs.to_string()) else {
            panic!("it is an event")
        };
        draft.data = Value::from([("by", "x".repeat(100_000).into())]);
        pump.take(at(1), Input::Event(draft), None).unwrap();
    }
    assert!((10..200).contains(&inputs), "full after {inputs} inputs of 100 kB");
}

#[test]
fn what_is_due_fires_in_order_and_once() {
    let store = Arc::new(MemoryStore::new());
    let mut pump = pump(store.clone());
    for n in 1..=100 {
        pump.take(at(n), event("later.asked", &n.to_string()), None).unwrap();
    }
    drop(settle(&mut pump, &*store, at(100)));
    assert_eq!(pump.next_due(), Some(at(3_601)));
    drop(settle(&mut pump, &*store, at(3_650)));
    assert_eq!(pump.view().records("note", None, 1_000).unwrap().len(), 50);
    assert_eq!(pump.next_due(), Some(at(3_651)));
    drop(settle(&mut pump, &*store, at(10_000)));
    assert_eq!(pump.view().records("note", None, 1_000).unwrap().len(), 100);
    assert_eq!(pump.next_due(), None);
}

#[test]
fn an_attempt_of_this_life_is_not_taken_for_one_of_the_last() {
    let text = RULES.replace(
        "    text: Hello.\n",
        "    text: Hello.\n  - { email: ops@x.example, purpose: internal, subject: Again, text: Hello. }\n",
    );
    let store = Arc::new(MemoryStore::new());
    let open = || Pump::<u32>::open(store.clone(), rules(&text), at(0)).unwrap();
    let mut first = open();
    first.take(at(1), event("note.made", "1"), None).unwrap();
    let left = settle(&mut first, &*store, at(1));
    let [(first_mail, _)] = &left.commands[..] else { panic!("{}", left.commands.len()) };
    drop(first);

    // Its outcome comes before its turn in the recovery, and the next mail begins.
    let mut again = open();
    let settled = Settled {
        run: first_mail.run,
        key: first_mail.key,
        attempt: first_mail.attempt,
        outcome: Outcome::Done(Value::Null),
    };
    again.take(at(2), Input::Outcome(settled), None).unwrap();
    let left = settle(&mut again, &*store, at(2));
    let [(second_mail, _)] = &left.commands[..] else { panic!("{}", left.commands.len()) };
    assert_ne!(second_mail.key, first_mail.key);
    assert_eq!(second_mail.attempt, 1);
}

#[test]
fn a_drain_starts_nothing_more() {
    let store = Arc::new(MemoryStore::new());
    let mut pump = pump(store.clone());
    pump.drain();
    pump.take(at(1), event("note.made", "1"), Some(1)).unwrap();
    let left = settle(&mut pump, &*store, at(1));
    assert_eq!(tokens(&left), [1], "the event is taken");
    assert!(left.commands.is_empty(), "its mail waits for the next start");
    drop(pump);
    let mut pump = Pump::<u32>::open(store.clone(), rules(RULES), at(2)).unwrap();
    assert_eq!(settle(&mut pump, &*store, at(2)).commands.len(), 1);
}

/// A store whose rows of runs cannot be read any more once it is rotten.
#[derive(Default)]
struct Rotting {
    inner: MemoryStore,
    rotten: AtomicBool,
}

/// The first run.
const FIRST_RUN: &[u8] = b"r\0\0\0\0\0\0\0\x01";

impl Store for Rotting {
    fn lead(&self) -> Result<Lead, StoreError> {
        self.inner.lead()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if self.rotten.load(Ordering::Relaxed) && key == FIRST_RUN {
            return Ok(Some(vec![1, 0xff]));
        }
        self.inner.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        self.inner.scan(from, to, limit)
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.inner.commit(batch)
    }

    fn space(&self) -> Result<Space, StoreError> {
        self.inner.space()
    }
}

#[test]
fn a_run_that_cannot_be_read_is_put_aside_and_the_others_go_on() {
    let store = Arc::new(Rotting::default());
    let mut pump = pump(store.clone());
    for n in 1..=3 {
        pump.take(at(n), event("later.asked", &n.to_string()), None).unwrap();
    }
    drop(settle(&mut pump, &*store, at(3)));
    store.rotten.store(true, Ordering::Relaxed);
    assert!(matches!(pump.view().run(RunNo(1)), Err(ReadError::Corrupt(_))));

    let mut pieces = 0;
    while pump.work(at(10_000)).unwrap() {
        pieces += 1;
        assert!(pieces < 100, "it is tried over and over again");
    }
    drop(settle(&mut pump, &*store, at(10_000)));
    assert_eq!(pump.view().records("note", None, 10).unwrap().len(), 2);
    assert_eq!(pump.view().run(RunNo(2)).unwrap().unwrap().status, Status::Done);
    assert_eq!(pump.next_due(), None);
    // Who asks for it is told.
    pump.ask(&Query::Run(RunId { no: RunNo(1), check: None }), 1).unwrap();
    let answer = pump.unwritten().unwrap();
    assert!(matches!(&answer.responses[0], (1, Response::Damaged(why)) if why.contains("a run")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    /// Whatever the order of inputs, questions, seals and syncs: everybody is answered once, in
    /// order, and never before the batch it needs.
    #[test]
    fn everybody_is_answered_once_and_in_order(steps in prop::collection::vec(0_u8..6, 1..60)) {
        let store = Arc::new(MemoryStore::new());
        let mut pump = pump(store.clone());
        let (mut asked, mut answered, mut batch) = (0, Vec::new(), None);
        for step in steps {
            match step {
                0 | 1 => {
                    asked += 1;
                    pump.take(at(1), event("note.made", &asked.to_string()), Some(asked)).unwrap();
                }
                2 => {
                    asked += 1;
                    pump.ask(&all_records(), asked).unwrap();
                }
                3 => drop(pump.work(at(1)).unwrap()),
                4 if batch.is_none() => {
                    batch = pump.seal();
                    if let Some(released) = pump.unwritten() {
                        answered.extend(tokens(&released));
                    }
                }
                4 => pump.attach_unwritten(),
                _ => {
                    if let Some(batch) = batch.take() {
                        store.commit(&batch).unwrap();
                        answered.extend(tokens(&pump.durable()));
                    }
                }
            }
        }
        if let Some(batch) = batch.take() {
            store.commit(&batch).unwrap();
            answered.extend(tokens(&pump.durable()));
        }
        answered.extend(tokens(&settle(&mut pump, &*store, at(1))));
        prop_assert_eq!(answered, (1..=asked).collect::<Vec<_>>());
    }
}

/// Who takes events in for many hours must not be held up by what removes them.
#[test]
fn a_sweep_goes_page_by_page_as_it_is_told_and_only_once() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let hour = Retention { events: crate::model::Span::from_days(1), ..Retention::default() };
    let mut pump = pump(store.clone()).keeping(hour);
    for n in 0..200 {
        pump.take(at(1), event("nobody.wants", &n.to_string()), None).unwrap();
        settle(&mut pump, &*store, at(1));
    }
    let left =
        |pump: &Pump<u32>| pump.view().events_after(crate::model::EventNo(0), 1_000).unwrap().len();
    assert_eq!(left(&pump), 200);

    let late = at(3 * 86_400);
    pump.allow_sweep();
    pump.take(late, Input::Sweep, None).unwrap();
    let mut pages = 0;
    while pump.is_sweeping() {
        let before = left(&pump);
        // another one that comes in between is only counted
        pump.take(late, Input::Sweep, None).unwrap();
        assert_eq!(pump.haste(), pages + 1);
        settle(&mut pump, &*store, late);
        let now = left(&pump);
        assert!(before - now <= 64, "one page, then it waits: {before} to {now}");
        settle(&mut pump, &*store, late);
        assert_eq!(left(&pump), now, "it has not been told to go on");
        pump.allow_sweep();
        pages += 1;
        assert!(pages < 100, "it ends");
    }
    assert_eq!(left(&pump), 0);
    assert!(pages > 3, "{pages}");
    pump.take(late, Input::Sweep, None).unwrap();
    assert_eq!(pump.haste(), pages - 1, "one was done in time");
}
