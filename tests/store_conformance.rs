//! Every store against the one suite, and against a `BTreeMap` under random batches and reopens.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends where it fails and prints figures"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use adjutant::store::{
    Batch, Fault, Faulty, JournalOptions, JournaledStore, MemoryStore, Op, SledOptions, SledStore,
    Store, StoreError, SyncMode, When, conformance, honest,
};
use proptest::prelude::*;

fn conforms<S: Store, O: FnMut() -> Result<S, StoreError>>(fresh: impl FnMut() -> O) {
    if let Err(violations) = conformance::check(fresh) {
        let lines: Vec<_> = violations.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"));
    }
}

fn memory() -> impl FnMut() -> Result<Arc<MemoryStore>, StoreError> {
    let store = Arc::new(MemoryStore::new());
    move || Ok(Arc::clone(&store))
}

fn sled(sync: Option<SyncMode>) -> impl FnMut() -> Result<SledStore, StoreError> {
    let dir = tempfile::tempdir().unwrap();
    let options = SledOptions { sync, ..SledOptions::default() };
    move || SledStore::open_with(dir.path(), &options)
}

/// `settled_at`: bytes of changes at which the journal is settled.
fn journaled(settled_at: usize) -> impl FnMut() -> Result<JournaledStore, StoreError> {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions { settled_at, ..JournalOptions::default() };
    move || JournaledStore::open_with(dir.path(), &options)
}

#[test]
fn the_journal_conforms_while_nothing_is_settled() {
    honest::install().unwrap();
    conforms(|| journaled(usize::MAX));
}

#[test]
fn the_journal_conforms_while_everything_is_settled() {
    honest::install().unwrap();
    conforms(|| journaled(0));
}

#[test]
fn memory_conforms() {
    conforms(memory);
}

#[test]
fn sled_conforms_with_the_filter() {
    honest::install().unwrap();
    conforms(|| sled(None));
}

#[test]
fn sled_conforms_with_a_second_sync() {
    conforms(|| sled(Some(SyncMode::Fdatasync)));
}

/// What is applied and not yet durable must look the same to readers as what is.
#[test]
fn a_store_whose_commits_are_volatile_conforms() {
    conforms(|| {
        let store = Arc::new(Faulty::new(MemoryStore::new()));
        for commit in 1..=10_000 {
            store.plan(When::Commit(commit), Fault::Lose);
        }
        move || Ok(Arc::clone(&store))
    });
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Op>),
    Again,
    Reopen,
    Scan(Vec<u8>, Vec<u8>, usize),
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    // few and short, so that they meet; now and then one at the limit
    prop_oneof![
        9 => prop::collection::vec(prop_oneof![Just(0), Just(1), Just(b'a'), Just(255)], 0..4),
        1 => (0_u8..3).prop_map(|n| [vec![b'a'; adjutant::store::MAX_KEY - 1], vec![n]].concat()),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![
        6 => 0..64_usize,
        2 => 4_080..4_110_usize,
        1 => 8_180..8_200_usize,
        1 => 10_000..60_000_usize,
    ];
    (any::<u8>(), length)
        .prop_map(|(seed, length)| (0..length).map(|n| seed.wrapping_add((n / 7) as u8)).collect())
}

fn step() -> impl Strategy<Value = Step> {
    let op = prop_oneof![
        3 => (key(), value()).prop_map(|(key, value)| Op::Put(key, value)),
        1 => key().prop_map(Op::Delete),
    ];
    prop_oneof![
        8 => prop::collection::vec(op, 0..12).prop_map(Step::Commit),
        1 => Just(Step::Again),
        1 => Just(Step::Reopen),
        4 => (key(), key(), 0..20_usize).prop_map(|(from, to, limit)| Step::Scan(from, to, limit)),
    ]
}

fn agrees_with_a_map<S: Store>(mut open: impl FnMut() -> Result<S, StoreError>, steps: &[Step]) {
    let mut map = BTreeMap::<Vec<u8>, Vec<u8>>::new();
    let mut store = Some(open().unwrap());
    let mut lead = store.as_ref().unwrap().lead().unwrap();
    let mut last = Batch::default();
    for step in steps {
        match step {
            Step::Commit(ops) => {
                last = Batch { epoch: lead.epoch, number: lead.number + 1, ops: ops.clone() };
                store.as_ref().unwrap().commit(&last).unwrap();
                lead.number += 1;
                for op in ops {
                    match op {
                        Op::Put(key, value) => map.insert(key.clone(), value.clone()),
                        Op::Delete(key) => map.remove(key),
                    };
                }
            }
            Step::Again if lead.number > 0 => {
                last.epoch = lead.epoch;
                store.as_ref().unwrap().commit(&last).unwrap();
            }
            Step::Again => {}
            Step::Reopen => {
                drop(store.take());
                let opened = open().unwrap();
                let again = opened.lead().unwrap();
                assert_eq!((again.epoch, again.number), (lead.epoch + 1, lead.number));
                lead = again;
                store = Some(opened);
            }
            Step::Scan(from, to, limit) => {
                let expected: Vec<_> = map
                    .iter()
                    .filter(|(key, _)| *key >= from && *key < to)
                    .take(*limit)
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                assert_eq!(store.as_ref().unwrap().scan(from, to, *limit).unwrap(), expected);
            }
        }
    }
    let store = store.unwrap();
    let all = store.scan(b"", &[255; 9], usize::MAX).unwrap();
    assert!(all.into_iter().eq(map.clone()), "the whole of it");
    for (key, value) in map {
        assert_eq!(store.get(&key).unwrap(), Some(value));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn memory_agrees_with_a_map(steps in prop::collection::vec(step(), 1..60)) {
        agrees_with_a_map(memory(), &steps);
    }

    #[test]
    fn the_journal_agrees_with_a_map(
        steps in prop::collection::vec(step(), 1..60),
        settled_at in prop_oneof![Just(0), Just(30_000), Just(usize::MAX)],
    ) {
        let mut open = journaled(settled_at);
        agrees_with_a_map(&mut open, &steps);
        // no piece of a long value is left over or missing
        open().unwrap().verify().unwrap();
    }

    #[test]
    fn sled_agrees_with_a_map(steps in prop::collection::vec(step(), 1..60)) {
        let mut open = sled(None);
        agrees_with_a_map(&mut open, &steps);
        // no piece of a long value is left over or missing
        open().unwrap().verify().unwrap();
    }
}
