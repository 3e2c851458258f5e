//! What version 2 of the store's rows added still opens and goes on: children beside each other that have
//! not begun, runs that rest, windows, and identities that lie in order. `tests/fixtures/state-v2.txt` holds
//! such a state as `state-v1.txt` holds an older one (see `state_samples.rs`); it was made with
//! `ADJUTANT_WRITE_SAMPLE=tests/fixtures/state-v2.txt cargo test --test state_v2 write`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;

use adjutant::model::{Reply, RunNo, Status, View, Wait};
use adjutant::store::MemoryStore;
use serde_json::json;
use support::sim::{Setup, Sim, at};
use support::stored;

const RULES: &str = r#"
workflow: fans
triggers: [{ event: a.fans }]
steps:
  - foreach: ${event.data.list}
    max_parallel: 2
    steps: [{ delay: 1h }, { if: item == 3, then: [{ fail: three }] }, { log: "${item}" }]
    on_error: continue
    id: all
  - log: ${steps.all.len()}
---
workflow: held
triggers: [{ event: b.held }]
steps:
  - foreach: ${[1, 2, 3]}
    limit: 2
    steps: [{ log: "held ${item}" }]
---
workflow: rests
triggers: [{ event: c.rests }]
key: ${event.subject}
debounce: 1h
throttle: { max: 1, per: ever }
steps: [{ log: "rested ${event.data.n}" }]
---
workflow: counts
triggers: [{ count: d.counts, by: "${event.subject}", at_least: 2, within: 1d }]
steps: [{ log: counted }]
---
workflow: misses
triggers: [{ absent: d.counts, by: "${event.subject}", for: 3h }]
steps: [{ log: missed }]
---
workflow: ticks
triggers: [{ schedule: "30 12 * * *", timezone: UTC }]
steps: [{ log: ticked }]
---
workflow: shadows
triggers: [{ event: e.shadows }]
shadow: true
steps: [{ delay: 1h }, { webhook: "https://x.example/never" }, { log: shadowed }]
---
workflow: handles
triggers: [{ event: f.handles }]
steps: [{ fail: early }]
on_failure: [{ delay: 1h }, { log: "handled ${error.message}" }]
"#;

/// When the sample was made.
const MADE: &str = "2026-03-02T12:00:00Z";

fn rules() -> Arc<adjutant::rules::RuleSet> {
    Arc::new(Setup::rules(RULES).compile().unwrap_or_else(|text| panic!("{text}")))
}

fn sample() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    let mut sim = Sim::over(store.clone(), rules(), at(MADE));
    let list: Vec<usize> = (0..100).collect();
    sim.event_with_id("1", "a.fans", "x/1", json!({ "list": list }));
    sim.event_with_id("2", "b.held", "x/2", json!({}));
    sim.event_with_id("3", "c.rests", "x/3", json!({ "n": 1 }));
    sim.event_with_id("4", "d.counts", "x/4", json!({}));
    sim.event_with_id("5", "e.shadows", "x/5", json!({}));
    sim.event_with_id("6", "f.handles", "x/6", json!({}));
    store
}

#[test]
fn write_the_sample_if_asked() {
    let store = sample();
    stored::write_if_asked(&store);
    // What is made today goes on as well as what was made then.
    goes_on(&store);
}

#[test]
fn version_2_still_opens_and_goes_on() {
    let (store, kinds) = stored::read("state-v2.txt");
    assert_eq!(kinds, b"befkmrsw".iter().copied().collect(), "every new kind of row is in it");
    goes_on(&store);
}

fn goes_on(store: &Arc<MemoryStore>) {
    let mut sim = Sim::over(store.clone(), rules(), at(MADE));
    let token = sim.event_with_id("4", "d.counts", "x/4", json!({}));
    assert!(matches!(&sim.replies[&token], Reply::Accepted { duplicate: true, .. }), "it is known");

    let of = |sim: &Sim, workflow: &str| {
        let mut all = (1..=sim.runs()).map(|no| sim.run(no));
        all.find(|run| &*run.workflow == workflow && run.branch.is_none()).unwrap()
    };
    assert!(
        matches!(&of(&sim, "fans").wait, Wait::Join(join) if join.begun == 2 && join.total == 100)
    );
    assert!(matches!(&of(&sim, "held").wait, Wait::Join(join) if join.held));
    assert_eq!(of(&sim, "rests").wait, Wait::Rest(at("2026-03-02T13:00:00Z")));
    assert_eq!(of(&sim, "handles").failing.as_ref().unwrap().cause.message.as_ref(), "early");
    assert_eq!(
        sim.state()
            .windows(None, 99)
            .unwrap()
            .iter()
            .filter(|key| !key.workflow.is_empty())
            .count(),
        5,
        "rest, throttle, two of d.counts, one schedule"
    );

    sim.event_with_id("7", "d.counts", "x/4", json!({}));
    sim.event_with_id("8", "c.rests", "x/3", json!({ "n": 2 }));
    let held = of(&sim, "held").no;
    sim.operator(adjutant::model::Operator::Release { run: held, by: "tom".into() });
    sim.until("2026-03-05T12:00:00Z");
    let said = |text: &str| sim.log.iter().filter(|line| line.ends_with(text)).count();
    for (text, times) in [
        (": counted", 1),
        (": missed", 1),
        (": ticked", 3),
        (": shadowed", 1),
        (": handled early", 1),
        (": rested 2", 1),
        (": held 3", 1),
        ("fans: 99", 1),
        ("fans: 3", 0),
        ("fans: 100", 1),
    ] {
        assert_eq!(said(text), times, "{text}: {:#?}", sim.log);
    }
    assert!(sim.effects.is_empty(), "a shadow performs nothing: {:?}", sim.effects);
    assert_eq!(of(&sim, "handles").status, Status::Failed);
    assert_eq!(sim.state().items(RunNo(1), 1).unwrap(), None);
}
