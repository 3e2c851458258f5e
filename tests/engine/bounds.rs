//! What is bounded goes on from the inbox, and nothing of it is lost.

use adjutant::model::{Code, Draft, EventNo, Input, Map, RunNo, Trace, Value, View};
use adjutant::pump::{Answer, Query};
use adjutant::store::{Op, Store};

use crate::play::{act, begin, lines};

fn long(steps: usize) -> String {
    let steps: Vec<String> = (0..steps).map(|no| format!("  - log: step {no}\n")).collect();
    format!("workflow: w\ntriggers: [{{ event: go }}]\nsteps:\n{}", steps.concat())
}

#[test]
fn a_long_run_goes_on_and_its_story_is_whole() {
    let mut sim = begin(&long(250));
    act(&mut sim, "go s");
    let expected: Vec<String> = (0..250).map(|no| format!("09:00:00 w: step {no}")).collect();
    assert_eq!(sim.log, expected);
    let id = sim.run(1).id();
    assert!(sim.run(1).spilled > 48);
    let Answer::Story(Some(story)) = sim.ask(&Query::Run(id)) else { panic!("no story") };
    let done = story.trace.iter().filter_map(|entry| match &entry.what {
        Trace::Done(text) => Some((entry.pc, text.to_string())),
        _ => None,
    });
    let expected: Vec<(u32, String)> = (0..250).map(|no| (no, format!("step {no}"))).collect();
    assert_eq!(done.collect::<Vec<_>>(), expected);
}

#[test]
fn the_sweep_removes_what_is_old_and_keeps_what_lives() {
    let rules = r#"
workflow: short
triggers: [{ event: go }]
steps: [{ log: hi }]
---
workflow: long
triggers: [{ event: stay }]
steps: [{ wait_for: reply, timeout: 300d }, { log: "${event.data.n}" }]
---
workflow: bad
triggers: [{ event: fail }]
steps: [{ fail: no }]
"#;
    let mut sim = begin(rules);
    act(&mut sim, "stay s {\"n\": 5}");
    act(&mut sim, "fail s");
    for _ in 0..600 {
        act(&mut sim, "go t");
    }
    act(&mut sim, "+100d");
    sim.input(Input::Sweep);
    let alive: Vec<u64> = (1..=sim.runs())
        .filter(|no| sim.state().run(RunNo(*no)).expect("readable").is_some())
        .collect();
    assert_eq!(alive, [1, 2], "the living and the failed");
    sim.log.clear();
    act(&mut sim, "reply s");
    assert_eq!(sim.log.len(), 1);
    assert!(sim.log[0].ends_with("long: 5"), "its event is still there");
    assert_eq!(
        sim.state().events_after(adjutant::model::EventNo(0), 1_000).expect("readable").len(),
        3
    );
    act(&mut sim, "+400d");
    sim.input(Input::Sweep);
    assert!((1..=sim.runs()).all(|no| sim.state().run(RunNo(no)).expect("readable").is_none()));
}

/// A damaged row lies between those that a sweep removes.
#[test]
fn the_sweep_goes_on_past_a_damaged_event() {
    let mut sim = begin("workflow: w\ntriggers: [{ event: go }]\nsteps: [{ log: hi }]\n");
    for _ in 0..3 {
        act(&mut sim, "other s");
    }
    // Rows of events are `e`, those of their subjects `s`, and the number of the last one in them.
    for tag in [b'e', b's'] {
        let mut key = vec![tag];
        key.extend(2u64.to_be_bytes());
        assert!(sim.store().get(&key).expect("readable").is_some());
        sim.damage(Op::Put(key, vec![0xff; 3]));
    }
    act(&mut sim, "+500d");
    sim.input(Input::Sweep);
    let first = |tag: u8| sim.store().scan(&[tag], &[tag + 1], 9).expect("readable");
    let left = [first(b'e'), first(b's')].map(|rows| rows.len());
    assert_eq!(left, [1, 1], "only what is damaged is left");
    act(&mut sim, "go s");
    assert_eq!(sim.log.len(), 1, "and work goes on");
}

#[test]
fn a_damaged_run_is_put_aside_and_does_not_loop() {
    let mut sim =
        begin("workflow: w\ntriggers: [{ event: go }]\nsteps: [{ delay: 1h }, { log: hi }]\n");
    act(&mut sim, "go s");
    act(&mut sim, "go s");
    // A row of a run is `r` and its number; what is written there is no run.
    let mut key = vec![b'r'];
    key.extend(1u64.to_be_bytes());
    assert!(sim.store().get(&key).expect("readable").is_some());
    sim.damage(Op::Put(key, vec![0xff; 3]));
    act(&mut sim, "+2h");
    assert_eq!(sim.log, ["10:00:00 w: hi"], "the other one is not touched");
}

#[test]
fn a_run_put_aside_gives_its_place_and_its_answer() {
    let rules = r"
workflow: w
triggers: [{ event: go }]
key: k
mode: queued
steps: [{ call: child }, { log: not reached }]
---
workflow: child
triggers: []
steps: [{ delay: 1h }]
";
    let mut sim = begin(rules);
    act(&mut sim, "go s");
    act(&mut sim, "go s");
    // The event that began the first run is gone: nothing of it can be decided.
    let mut key = vec![b'e'];
    key.extend(1u64.to_be_bytes());
    sim.damage(Op::Delete(key));
    act(&mut sim, "+3h");
    let seen = lines(&mut sim);
    assert!(
        seen.iter()
            .any(|line| line == "10:00:00 w: not reached" || line == "11:00:00 w: not reached"),
        "{seen:#?}"
    );
    assert!(!sim.run(1).status.is_alive(), "{seen:#?}");
}

#[test]
fn an_event_that_comes_again_is_noted_a_few_times() {
    let mut sim = begin(&long(1));
    let event = || {
        Input::Event(Box::new(Draft {
            id: "e-1".into(),
            source: "crm".into(),
            kind: "go".into(),
            subject: None,
            time: None,
            data: Value::Null,
            extensions: Map::new(),
        }))
    };
    let mut noted = Vec::new();
    for _ in 0..7 {
        sim.input(event());
        act(&mut sim, "+1m");
        let stored = sim.state().event(EventNo(1)).expect("readable").expect("kept");
        assert_eq!(stored.runs.len(), 1, "it starts one run, however often it comes");
        let again = stored.verdicts.iter().filter(|verdict| verdict.code == Code::Again);
        noted.push(again.count());
        assert_eq!(stored.verdicts[0].code, Code::Fired);
    }
    assert_eq!(noted, [0, 1, 2, 3, 4, 4, 4]);
    assert_eq!(sim.log.len(), 1);
}
