//! A run advances over pure steps, and goes on when its effect is settled.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use adjutant::model::{Input, Outcome, Settled, Value};
use criterion::{Criterion, Throughput};

use crate::driver::Driver;

/// Pure steps of a run: less than one input may advance.
const STEPS: u64 = 60;
/// Effects settled in one commit: what one lane has under way at a time.
const EFFECTS: u64 = 64;

pub(crate) fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("run");
    advance(&mut group);
    settle(&mut group);
    group.finish();
}

type Group<'c> = criterion::BenchmarkGroup<'c, criterion::measurement::WallTime>;

/// Branches, variables and emitted text in turns.
fn advance(group: &mut Group<'_>) {
    let mut rules = "workflow: w\ntriggers: [{ event: lead.created }]\nsteps:\n".to_owned();
    for n in 0..STEPS / 3 {
        rules.push_str("  - if: event.data.score >= 80\n    then: []\n");
        writeln!(rules, "  - vars: {{ v{n}: \"${{event.data.score + {n}}}\" }}")
            .expect("a string takes everything");
        rules.push_str("  - log: ${event.data.name} scored ${event.data.score}\n");
    }
    let mut driver = Driver::new(&rules);
    group.throughput(Throughput::Elements(STEPS));
    group.bench_function("advance 60 pure steps", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                let input = driver.lead("EU");
                let began = Instant::now();
                driver.take(input);
                driver.finish();
                spent += began.elapsed();
            }
            spent
        });
    });
}

/// From the outcome of a webhook to the end of its run, 64 in one commit; and from the event to the
/// command.
fn settle(group: &mut Group<'_>) {
    let rules = "workflow: w\ntriggers: [{ event: lead.created }]\nsteps:\n  \
                 - webhook: http://127.0.0.1:9900/hook\n    \
                   json: { id: \"${event.id}\", text: \"New lead ${event.data.name}\" }\n";
    let mut driver = Driver::new(rules);
    group.throughput(Throughput::Elements(EFFECTS));
    for (name, measured) in [("start an effect", 0), ("settle an effect", 1)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let mut spent = [Duration::ZERO; 2];
                for _ in 0..rounds {
                    let inputs: Vec<_> = (0..EFFECTS).map(|_| driver.lead("EU")).collect();
                    spent[0] += timed(&mut driver, inputs);
                    let commands = std::mem::take(&mut driver.commands);
                    assert_eq!(commands.len() as u64, EFFECTS);
                    let done = || Outcome::Done(Value::from([("status", Value::Int(200))]));
                    let outcomes = commands.into_iter().map(|command| {
                        Input::Outcome(Settled {
                            run: command.run,
                            key: command.key,
                            attempt: command.attempt,
                            outcome: done(),
                        })
                    });
                    spent[1] += timed(&mut driver, outcomes.collect());
                }
                spent[measured]
            });
        });
    }
}

/// How long it takes to decide and commit these.
fn timed(driver: &mut Driver, inputs: Vec<Input>) -> Duration {
    let began = Instant::now();
    for input in inputs {
        driver.take(input);
    }
    driver.finish();
    began.elapsed()
}
