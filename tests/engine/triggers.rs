//! Which workflows an event starts, and what is said of those it does not.

use adjutant::model::{Refusal, Reply};
use serde_json::json;

use crate::play::{act, begin, play, plays};
use crate::support::sim::Sim;

/// The verdicts on the last event: `workflow code detail`.
fn verdicts(sim: &Sim) -> Vec<String> {
    use adjutant::model::{EventNo, View};
    let last = sim.state().next_event().0 - 1;
    let stored = sim.state().event(EventNo(last)).expect("readable").expect("there");
    stored
        .verdicts
        .iter()
        .map(|v| {
            format!("{} {} {}", v.workflow, v.code.as_str(), v.detail.as_deref().unwrap_or("-"))
        })
        .collect()
}

#[test]
fn exact_list_prefix_and_all() {
    let rules = r"
workflow: exact
triggers: [{ event: a.b }]
steps: [{ log: exact }]
---
workflow: list
triggers: [{ event: [a.b, a.c] }]
steps: [{ log: list }]
---
workflow: prefix
triggers: [{ event: a.* }]
steps: [{ log: prefix }]
";
    let count = |kind: &str| play(rules, &[&format!("{kind} s")]).len() / 2;
    assert_eq!(
        [count("a.b"), count("a.c"), count("a.b.c"), count("a"), count("b.a")],
        [3, 2, 1, 0, 0]
    );
}

#[test]
fn verdicts_say_why_not() {
    let rules = r"
workflow: w
triggers:
  - { event: go, where: event.data.amount > 100 }
  - { event: go, where: event.data.vip }
if: event.data.open
key: ${event.data.key}
mode: single
steps: [{ delay: 1h }]
";
    let mut sim = begin(rules);
    let mut ask = |data: serde_json::Value| {
        sim.event("go", "s", data);
        verdicts(&sim).join("; ")
    };
    let small = ask(json!({ "amount": 5, "vip": false }));
    assert!(small.starts_with("w where") && small.contains("vip"), "{small}");
    let missing = ask(json!({ "amount": 5 }));
    assert!(missing.starts_with("w where") && missing.contains("vip"), "{missing}");
    let closed = ask(json!({ "amount": 500, "open": false }));
    assert!(closed.starts_with("w if") && closed.contains("open"), "{closed}");
    let wrong = ask(json!({ "amount": "much", "open": true }));
    assert!(wrong.starts_with("w error"), "{wrong}");
    let empty = ask(json!({ "amount": 500, "open": true, "key": "" }));
    assert!(empty.starts_with("w error") && empty.contains("key"), "{empty}");
    assert_eq!(ask(json!({ "amount": 500, "open": true, "key": "k" })), "w fired -");
    let busy = ask(json!({ "vip": true, "open": true, "key": "k" }));
    assert!(busy.starts_with("w busy"), "the second trigger matched: {busy}");
    sim.event("nobody.wants", "s", json!({}));
    assert!(verdicts(&sim).is_empty());
}

#[test]
fn duplicates_are_known_and_conflicts_refused() {
    let mut sim = begin("workflow: w\ntriggers: [{ event: go }]\nsteps: [{ log: hi }]\n");
    let send = |sim: &mut Sim, data| {
        let token = sim.event_with_id("one", "go", "s", data);
        sim.replies[&token].clone()
    };
    assert!(matches!(send(&mut sim, json!({ "a": 1 })), Reply::Accepted { duplicate: false, .. }));
    assert!(matches!(send(&mut sim, json!({ "a": 1 })), Reply::Accepted { duplicate: true, .. }));
    sim.restart();
    assert!(matches!(send(&mut sim, json!({ "a": 1 })), Reply::Accepted { duplicate: true, .. }));
    assert!(matches!(send(&mut sim, json!({ "a": 2 })), Reply::Refused(Refusal::Conflict { .. })));
    assert_eq!(sim.runs(), 1);
}

#[test]
fn loops_end() {
    let rules = |own: &str| {
        format!(
            "workflow: a\ntriggers: [{{ event: ping, own: {own} }}]\nsteps:\n  - emit: pong\n---\n\
                 workflow: b\ntriggers: [{{ event: pong, own: {own} }}]\nsteps:\n  - emit: ping\n"
        )
    };
    plays(&rules("false"), &["ping s"], &["#1 a done", "#2 b done"]);
    let seen = play(&rules("true"), &["ping s"]);
    assert_eq!(seen.len(), 17, "{seen:#?}");
    assert!(seen[16].contains("this is a loop"), "{seen:#?}");
}

#[test]
fn a_failure_is_an_event() {
    let rules = r#"
workflow: w
triggers: [{ event: go }]
steps: [{ fail: no }]
---
workflow: watch
triggers: [{ event: run.failed }]
steps: [{ log: "${event.data.workflow} ${event.data.error.message} ${event.subject}" }, { fail: me too }]
"#;
    plays(
        rules,
        &["go s"],
        &["09:00:00 watch: w no s", "#1 w failed: no", "#2 watch failed: me too"],
    );
}

#[test]
fn a_fan_out_reaches_every_workflow_once() {
    let rules: Vec<String> = (0..300)
        .map(|no| {
            format!("workflow: w{no:03}\ntriggers: [{{ event: go }}]\nsteps: [{{ log: hi }}]\n")
        })
        .collect();
    let seen = play(&rules.join("---\n"), &["go s"]);
    assert_eq!(seen.iter().filter(|line| line.ends_with(": hi")).count(), 300);
    assert_eq!(seen.iter().filter(|line| line.ends_with(" done")).count(), 300);
}

#[test]
fn many_waiters_are_all_woken_once() {
    let rules = r"
workflow: w
triggers: [{ event: go }]
steps:
  - wait_for: reply
    timeout: 1h
  - log: one
  - wait_for: reply
    timeout: 1h
  - log: two
";
    let mut sim = begin(rules);
    for _ in 0..200 {
        act(&mut sim, "go s");
    }
    for word in ["one", "two"] {
        sim.log.clear();
        act(&mut sim, "reply s");
        assert_eq!(sim.log.iter().filter(|line| line.ends_with(word)).count(), 200);
        assert_eq!(sim.log.len(), 200);
    }
}
