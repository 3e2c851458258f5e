//! The rows of an event and of a waiting run, written and read: the codec, with what the state does
//! around it (indexes, order of keys), and without any store's work.

use std::hint::black_box;
use std::sync::Arc;

use adjutant::model::{EventNo, RunNo, View, Write};
use adjutant::store::State;
use criterion::{Criterion, Throughput};

use crate::driver::Driver;

/// Rows written or read at a time.
const ROWS: u64 = 64;

const RULES: &str = "\
workflow: w
triggers: [{ event: lead.created }]
vars: { name: \"${event.data.name}\", next: \"${event.data.score + 1}\" }
exit: [{ event: lead.lost }]
steps:
  - log: ${vars.name} came
  - delay: 3d
";

pub(crate) fn benches(criterion: &mut Criterion) {
    let mut driver = Driver::new(RULES);
    for _ in 0..ROWS {
        let input = driver.lead("EU");
        driver.take(input);
    }
    driver.finish();
    let (mut state, _) = State::load(driver.into_store()).expect("what was written can be read");
    let event = |state: &State, no| state.event(EventNo(no)).expect("readable").expect("there");
    let run = |state: &State, no| state.run(RunNo(no)).expect("readable").expect("there");
    let events: Vec<_> = (1..=ROWS).map(|no| event(&state, no)).collect();
    let runs: Vec<_> = (1..=ROWS).map(|no| run(&state, no)).collect();

    let mut group = criterion.benchmark_group("row");
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("write an event", |bencher| {
        bencher.iter(|| write(&mut state, events.iter().cloned().map(Write::Event).collect()));
    });
    group.bench_function("write a waiting run", |bencher| {
        let rows = || runs.iter().map(|run| Write::Run(Some(run.clone()), run.clone())).collect();
        bencher.iter(|| write(&mut state, rows()));
    });
    group.bench_function("read an event", |bencher| {
        bencher.iter(|| (1..=ROWS).for_each(|no| drop(black_box(event(&state, no)))));
    });
    group.bench_function("read a waiting run", |bencher| {
        bencher.iter(|| (1..=ROWS).for_each(|no| drop(black_box(run(&state, no)))));
    });
    group.finish();
    assert!(Arc::strong_count(&runs[0]) < 3, "nothing keeps them decoded");
}

/// Up to the batch that a store would commit.
fn write(state: &mut State, writes: Vec<Write>) {
    state.apply(writes).expect("nothing has to be read");
    let batch = state.seal().expect("something was written");
    assert_eq!(black_box(&batch).ops.len() as u64, ROWS + 1, "the rows and the counters");
    state.durable();
}
