//! An event is decided against few and many workflows, of which ten match: the cost has to grow with
//! those, not with all.

use std::fmt::Write;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};

use crate::driver::Driver;

/// Events decided in one commit.
const EVENTS: u64 = 32;
/// Workflows that want the leads of one region.
const MATCHING: usize = 10;

pub(crate) fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("event");
    group.throughput(Throughput::Elements(EVENTS));
    for (name, workflows) in [
        ("1 of 1", one()),
        ("0 of 1", nobody(1)),
        ("0 of 30", nobody(30)),
        ("10 of 10", regions(10)),
        ("10 of 100", regions(100)),
        ("10 of 10000", regions(10_000)),
        ("10 of 10000 by the second clause", scored(10_000)),
        ("10 of 10 by if", conditional(10)),
        ("10 of 10000 by if", conditional(10_000)),
    ] {
        // Only when it is measured: ten thousand workflows take a second to compile.
        let mut driver = None;
        let mut inputs = Vec::new();
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            let driver = driver.get_or_insert_with(|| checked(name, &workflows));
            bencher.iter_custom(|rounds| {
                let mut spent = std::time::Duration::ZERO;
                for _ in 0..rounds {
                    inputs.extend((0..EVENTS).map(|_| driver.lead("r-0")));
                    let began = std::time::Instant::now();
                    for input in inputs.drain(..) {
                        driver.take(input);
                    }
                    driver.finish();
                    spent += began.elapsed();
                }
                spent
            });
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("load");
    let text = regions(100);
    group.throughput(Throughput::Elements(100));
    group.bench_function("100 workflows", |bencher| {
        bencher.iter_batched(|| (), |()| Driver::new(&text), BatchSize::PerIteration);
    });
    group.finish();
}

/// With these rules; so many workflows take a lead as `name` says.
fn checked(name: &str, workflows: &str) -> Driver {
    let mut driver = Driver::new(workflows);
    let input = driver.lead("r-0");
    driver.take(input);
    driver.finish();
    let wanted: u64 = name.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
    assert_eq!(driver.runs(), wanted, "{name}");
    driver
}

/// A workflow that wants every lead.
fn one() -> String {
    workflow(0, "where: event.data.score >= 80", "")
}

/// Workflows that want none of the leads.
fn nobody(count: usize) -> String {
    (0..count).map(|n| workflow(n, "where: event.data.region == \"nowhere\"", "")).collect()
}

/// Ten workflows for each region.
fn regions(count: usize) -> String {
    let where_ = |n| format!("where: event.data.region == \"r-{}\"", n / MATCHING);
    (0..count).map(|n| workflow(n, &where_(n), "")).collect()
}

/// The same as people often write it: another clause comes first.
fn scored(count: usize) -> String {
    let where_ = |n| {
        format!(
            "where: event.data.score >= {} && event.data.region == \"r-{}\"",
            n % 50,
            n / MATCHING
        )
    };
    (0..count).map(|n| workflow(n, &where_(n), "")).collect()
}

/// The same in the workflow's own `if`.
fn conditional(count: usize) -> String {
    let if_ = |n| format!("if: event.data.region == \"r-{}\"\n", n / MATCHING);
    (0..count).map(|n| workflow(n, "where: event.data.newsletter", &if_(n))).collect()
}

fn workflow(n: usize, where_: &str, more: &str) -> String {
    let mut text = String::new();
    write!(
        text,
        "---\nworkflow: w-{n:05}\ntriggers:\n  - event: lead.created\n    {where_}\n{more}steps:\n  - log: matched\n"
    )
    .expect("a string takes everything");
    text
}
