//! The codec: every stored type reads back as it was written, what is damaged is an error and never
//! a panic, and what a newer version wrote is refused by name.

use std::fmt::Debug;
use std::sync::Arc;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::{decode, encode};
use super::contract::{Batch, Op, Store as _};
use super::keys;
use super::memory::MemoryStore;
use super::samples::{Samples, TASKS, TRACES, VALUES, WAITS};
use super::state::{Counters, RecordRow, State, pack_events, pack_subjects};
use crate::model::{
    Address, Digest, EventNo, InboxNo, Name, ReadError, Run, RunNo, Status, StoredEvent, Task,
    TraceEntry, Value, View as _, Window, limits,
};

/// A row of every type there is, with what it is called.
fn rows(seed: u64) -> Vec<(&'static str, Vec<u8>)> {
    let mut s = Samples::new(seed);
    let mut rows: Vec<(&'static str, Vec<u8>)> = Vec::new();
    for kind in 0..WAITS {
        rows.push(("run", encode(&s.run(kind))));
    }
    rows.push(("event", encode(&s.event())));
    rows.push(("record", encode(&record_row(&mut s))));
    for kind in 0..TASKS {
        rows.push(("task", encode(&s.task(kind))));
    }
    rows.push(("trace", encode(&s.some(30, Samples::entry))));
    rows.push(("identity", encode(&s.identity())));
    rows.push(("window", encode(&s.window())));
    rows.push(("counters", encode(&counters(&mut s))));
    rows.push(("indexes", encode(&s.indexes())));
    rows
}

fn record_row(s: &mut Samples) -> RecordRow {
    RecordRow { record: s.record(), indexed: s.indexed() }
}

fn counters(s: &mut Samples) -> Counters {
    Counters {
        event: EventNo(s.number()),
        run: RunNo(s.number()),
        inbox: InboxNo(s.number()),
        clock: s.instant(),
    }
}

/// Reads a row as what it is and writes it again.
fn again(name: &str, bytes: &[u8]) -> Result<Vec<u8>, ReadError> {
    fn through<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<Vec<u8>, ReadError> {
        decode::<T>(bytes, "a row").map(|value| encode(&value))
    }
    match name {
        "run" => through::<Run>(bytes),
        "event" => through::<StoredEvent>(bytes),
        "record" => through::<RecordRow>(bytes),
        "task" => through::<Task>(bytes),
        "trace" => through::<Vec<TraceEntry>>(bytes),
        "identity" => through::<(EventNo, Digest)>(bytes),
        "window" => through::<Window>(bytes),
        "counters" => through::<Counters>(bytes),
        "indexes" => through::<Vec<(Name, Vec<Name>)>>(bytes),
        other => panic!("{other}"),
    }
}

fn reads_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let bytes = encode(value);
    let read: T = decode(&bytes, "a row").unwrap_or_else(|error| panic!("{error}: {value:?}"));
    assert_eq!(read, *value);
    assert_eq!(encode(&read), bytes, "one value, one form");
}

proptest! {
    #[test]
    fn every_stored_type_reads_back_as_it_was_written(seed: u64) {
        let mut s = Samples::new(seed);
        for kind in 0..WAITS {
            reads_back(&s.run(kind));
            reads_back(&s.wait(kind));
        }
        for kind in 0..TRACES {
            reads_back(&s.trace(kind));
        }
        for kind in 0..VALUES {
            reads_back(&s.value(kind, 3));
        }
        for kind in 0..TASKS {
            reads_back(&s.task(kind));
        }
        reads_back(&s.event());
        reads_back(&s.some(30, Samples::entry));
        reads_back(&s.identity());
        reads_back(&s.window());
        reads_back(&counters(&mut s));
        reads_back(&s.indexes());
        let row = record_row(&mut s);
        let read: RecordRow = decode(&encode(&row), "a record").unwrap();
        prop_assert_eq!((read.record, read.indexed), (row.record, row.indexed));
    }

    #[test]
    fn a_row_that_was_cut_off_is_an_error(seed: u64, cut: prop::sample::Index) {
        for (name, bytes) in rows(seed) {
            let cut = cut.index(bytes.len());
            let read = again(name, &bytes[..cut]);
            prop_assert!(matches!(read, Err(ReadError::Corrupt(_))), "{name} cut at {cut}: {read:?}");
        }
    }

    #[test]
    fn a_row_with_more_behind_it_is_an_error(seed: u64, more in prop::collection::vec(any::<u8>(), 1..9)) {
        for (name, mut bytes) in rows(seed) {
            bytes.extend(&more);
            let read = again(name, &bytes);
            prop_assert!(matches!(read, Err(ReadError::Corrupt(_))), "{name}: {read:?}");
        }
    }

    /// It may still be a value, another one; whatever it is, it can be written again.
    #[test]
    fn a_row_with_bits_turned_over_is_a_value_or_an_error(
        seed: u64,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u32), 1..6),
    ) {
        for (name, mut bytes) in rows(seed) {
            for (at, bit) in &flips {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            let read = again(name, &bytes);
            prop_assert!(matches!(read, Ok(_) | Err(ReadError::Corrupt(_))), "{name}: {read:?}");
        }
    }

    #[test]
    fn bytes_of_anything_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let versioned = [&[1], bytes.as_slice()].concat();
        for name in ["run", "event", "record", "task", "trace", "identity", "window", "counters", "indexes"] {
            for bytes in [&bytes, &versioned] {
                let read = again(name, bytes);
                prop_assert!(matches!(read, Ok(_) | Err(ReadError::Corrupt(_))), "{name}: {read:?}");
            }
        }
    }
}

#[test]
fn lists_within_lists_without_end_are_an_error() {
    // A list with one member that is a list with one member, and so on.
    let bytes = [&[1], [5, 1].repeat(1 << 20).as_slice()].concat();
    assert!(matches!(decode::<Value>(&bytes, "a value"), Err(ReadError::Corrupt(_))));
    // What is as deep as a rule may make it reads back, and again after an error.
    let deep = (0..2 * limits::NESTING).fold(Value::Null, |inner, _| Value::List(vec![inner]));
    reads_back(&deep);
}

#[test]
fn a_newer_version_is_refused_by_name() {
    for (name, mut bytes) in rows(7) {
        bytes[0] = 3;
        let error = again(name, &bytes).unwrap_err();
        assert_eq!(
            error.to_string(),
            "state is damaged: a row has format 3; this adjutant reads up to 2"
        );
    }
    assert!(again("run", &[]).unwrap_err().to_string().contains("is empty"));
}

/// An event about something.
fn with_subject(s: &mut Samples) -> StoredEvent {
    let mut stored = s.event();
    let event = Arc::make_mut(&mut stored.event);
    (event.no, event.subject) = (EventNo(1), Some("lead/1".into()));
    stored
}

/// A state whose only row at `key` is `bytes`.
fn open_with(key: Vec<u8>, bytes: Vec<u8>) -> Result<State, ReadError> {
    let store = MemoryStore::new();
    let lead = store.lead().unwrap();
    let ops = vec![Op::Put(key, bytes)];
    store.commit(&Batch { epoch: lead.epoch, number: 1, ops }).unwrap();
    State::load(Arc::new(store)).map(|(state, _)| state)
}

#[test]
fn a_state_with_a_row_of_a_newer_version_does_not_open() {
    let mut s = Samples::new(3);
    let newer = |mut bytes: Vec<u8>| {
        bytes[0] += 1;
        bytes
    };
    let event = with_subject(&mut s);
    for (key, bytes) in [
        (keys::run(RunNo(1)), encode(&s.run(1))),
        pack_subjects(std::iter::once(&event)).remove(0),
        (keys::inbox(InboxNo(1)), encode(&s.task(0))),
        (keys::COUNTERS.to_vec(), encode(&counters(&mut s))),
        (keys::INDEXES.to_vec(), encode(&s.indexes())),
    ] {
        assert!(open_with(key.clone(), bytes.clone()).is_ok());
        let error = open_with(key, newer(bytes)).err().unwrap().to_string();
        assert!(error.contains("has format 3; this adjutant reads up to 2"), "{error}");
    }
    // An event and a record are read when they are asked for.
    let (key, bytes) = pack_events(std::iter::once(&event)).remove(0);
    assert_eq!(
        *open_with(key.clone(), bytes.clone()).unwrap().event(EventNo(1)).unwrap().unwrap(),
        event
    );
    let state = open_with(key, newer(bytes)).unwrap();
    assert!(matches!(state.event(EventNo(1)), Err(ReadError::Corrupt(_))));
    let row = record_row(&mut s);
    let address: Address = "lead/42".parse().unwrap();
    let state = open_with(keys::record(&address), newer(encode(&row))).unwrap();
    assert!(matches!(state.record(&address), Err(ReadError::Corrupt(_))));
}

#[test]
fn a_damaged_row_is_put_aside_when_the_state_opens() {
    let mut s = Samples::new(4);
    let store = Arc::new(MemoryStore::new());
    let lead = store.lead().unwrap();
    let mut run = s.run(1);
    (run.no, run.status) = (RunNo(2), Status::Queued);
    let bad = vec![0xff; 9];
    let ops = vec![
        Op::Put(keys::run(RunNo(1)), bad.clone()),
        Op::Put(keys::run(RunNo(2)), encode(&run)),
        Op::Put(keys::run(RunNo(3)), Vec::new()),
        Op::Put(keys::event(EventNo(1)), [&[1], bad.as_slice()].concat()),
        Op::Put(keys::subject(EventNo(1)), [&[1], bad.as_slice()].concat()),
    ];
    store.commit(&Batch { epoch: lead.epoch, number: 1, ops }).unwrap();
    let (state, unfinished) = State::load(store).unwrap();
    assert_eq!(unfinished.damaged.len(), 3, "{:?}", unfinished.damaged);
    assert_eq!(state.runs_in(Status::Active).unwrap().collect::<Vec<_>>(), [RunNo(2)]);
    assert_eq!(*state.runs_after(RunNo(0), 9).unwrap()[0], run, "a page does not end there");
    assert!(state.events_after(EventNo(0), 9).unwrap().is_empty());
    assert!(matches!(state.run(RunNo(1)), Err(ReadError::Corrupt(_))));
    assert!(matches!(state.event(EventNo(1)), Err(ReadError::Corrupt(_))));
}
