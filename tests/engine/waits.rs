//! `wait_for` and `exit`: which events a run takes, once each.

use adjutant::model::{Code, EventNo, View as _};

use crate::play::{act, begin, lines, play, plays};

const TWO: &str = r"
workflow: w
triggers: [{ event: go }]
steps:
  - wait_for: reply
    timeout: 1h
    id: a
  - log: first ${steps.a.timed_out}
  - wait_for: reply
    timeout: 1h
    id: b
  - log: second
";

fn two() -> String {
    TWO.replace("${steps.a.timed_out ? 1 : 0}", "${steps.a.timed_out}").replace("yes", "reply")
}

#[test]
fn two_equal_waits_take_two_events() {
    plays(
        &two(),
        &["reply s/1", "go s/1", "+1m", "reply s/1", "reply s/2", "+1m", "reply s/1"],
        &["09:01:00 w: first false", "09:02:00 w: second", "#1 w done"],
    );
}

#[test]
fn time_runs_out() {
    plays(
        &two(),
        &["go s/1", "+3h"],
        &["10:00:00 w: first true", "11:00:00 w: second", "#1 w done"],
    );
}

#[test]
fn an_event_at_the_very_end_goes_to_the_next_wait() {
    // The first wait is over when the event comes; the second looks back and finds it.
    let mut sim = crate::play::begin(&two());
    crate::play::act(&mut sim, "go s/1");
    sim.now = crate::support::sim::at("2026-03-02T10:00:00Z");
    crate::play::act(&mut sim, "reply s/1");
    assert_eq!(
        crate::play::lines(&mut sim),
        ["10:00:00 w: first true", "10:00:00 w: second", "#1 w done"]
    );
}

#[test]
fn on_timeout_runs_inline() {
    let rules = r"
workflow: w
triggers: [{ event: go }]
steps:
  - wait_for: reply
    timeout: 2026-03-02T09:30:00Z
    on_timeout:
      - log: late
      - log: still here
  - log: after
";
    plays(rules, &["go s/1", "reply s/1"], &["09:00:00 w: after", "#1 w done"]);
    let late = ["09:30:00 w: late", "09:30:00 w: still here", "09:30:00 w: after", "#1 w done"];
    plays(rules, &["go s/1", "+1h", "reply s/1"], &late);
}

#[test]
fn a_wait_looks_back_to_the_trigger_and_no_further() {
    let rules = r#"
workflow: w
triggers: [{ event: go }]
steps:
  - delay: 1h
  - wait_for: [reply, go]
    timeout: 1h
    id: a
  - log: ${steps.a.event?.id ?? "nothing"}
"#;
    plays(rules, &["reply s/1", "go s/1", "+3h"], &["11:00:00 w: nothing", "#1 w done"]);
    let seen = play(rules, &["go s/1", "+1m", "reply s/1", "+1h"]);
    assert!(seen[0].starts_with("10:00:00 w: event-"), "{seen:?}");
}

#[test]
fn other_subjects_and_any() {
    let rules = r"
workflow: w
triggers: [{ event: go }]
vars: { n: 2 }
steps:
  - wait_for: reply
    subject: ${event.data.other}
    where: event.data.n == vars.n && trigger.data.other == event.subject
    timeout: 1h
  - log: other
  - wait_for: reply
    subject: any
    timeout: 1h
  - log: any
";
    plays(
        rules,
        &[
            "go s/1 {\"other\": \"s/2\"}",
            "reply s/1 {\"n\": 2}",
            "reply s/2 {\"n\": 1}",
            "reply s/2 {}",
            "+1m",
            "reply s/2 {\"n\": 2}",
            "+1m",
            "reply - {}",
        ],
        &["09:01:00 w: other", "09:02:00 w: any", "#1 w done"],
    );
}

#[test]
fn events_of_the_same_decision_are_not_missed() {
    // Both begin with one event, in one decision; whichever goes first, the wait is met.
    for (emitter, waiter) in [("a", "b"), ("b", "a")] {
        let rules = format!(
            "workflow: {emitter}\ntriggers: [{{ event: go }}]\nsteps:\n  - emit: ping\n---\n\
             workflow: {waiter}\ntriggers: [{{ event: go }}]\nsteps:\n  - wait_for: ping\n    \
             timeout: 1h\n    id: p\n  - log: met ${{!steps.p.timed_out}}\n"
        );
        let seen = play(&rules, &["go s/1", "+2h"]);
        assert_eq!(seen[0], format!("09:00:00 {waiter}: met true"), "{emitter} emits");
    }
}

#[test]
fn a_run_that_begins_now_does_not_take_its_own_trigger() {
    // 40 runs wait already, so that waking goes on after the new run began.
    let rules = r"
workflow: w
triggers: [{ event: go }]
key: ${event.id}
steps:
  - wait_for: go
    subject: any
    timeout: 1h
    id: a
  - log: took ${steps.a.event.id}
";
    let mut sim = crate::play::begin(rules);
    for no in 1..=41 {
        sim.event_with_id(&format!("e{no}"), "go", "", serde_json::json!({}));
    }
    // Each is woken by the one after it.
    let expected: Vec<String> = (2..=41).map(|no| format!("09:00:00 w: took e{no}")).collect();
    assert_eq!(sim.log, expected);
}

#[test]
fn exits_end_a_run_wherever_it_is() {
    let rules = |step: &str| {
        format!(
            "workflow: w\ntriggers: [{{ event: go }}]\nexit:\n  - event: bye\n    \
             where: event.data.really\nsteps:\n  - {step}\n  - log: not reached\n"
        )
    };
    for step in [
        "delay: 1h",
        "webhook: https://x.example/retry\n    retry: { attempts: 3, initial: 2h, max_wait: 2h }",
        "wait_for: other\n    timeout: 1h",
    ] {
        let seen = play(
            &rules(step),
            &[
                "go -",
                "bye s/1 {\"really\": true}",
                "bye - {\"really\": false}",
                "bye -",
                "+1m",
                "bye - {\"really\": true}",
                "+9h",
            ],
        );
        assert_eq!(seen.last().expect("a run"), "#1 w done: bye (event 5) ended it", "{step}");
        assert!(!seen.iter().any(|line| line.contains("not reached")), "{step}");
    }
}

#[test]
fn an_event_taken_by_one_wait_is_not_taken_by_another() {
    let rules = r"
workflow: w
triggers: [{ event: go }]
steps:
  - delay: 1m
  - wait_for: reply
    timeout: 1h
  - log: one
  - wait_for: [reply, other]
    timeout: 1h
    id: b
  - log: two ${steps.b.timed_out}
";
    let expected = ["09:01:00 w: one", "10:01:00 w: two true", "#1 w done"];
    plays(rules, &["go s/1", "reply s/1", "+3h"], &expected);
}

/// Whether it comes while the run waits or a moment before that must make no difference.
#[test]
fn an_event_that_the_filter_fails_on_ends_no_wait_whenever_it_comes() {
    const RULES: &str = r#"
workflow: w
triggers: [{ event: go }]
steps:
  - delay: 1h
  - wait_for: said
    where: event.data.get("yes") == true
    timeout: 1d
  - log: heard
---
workflow: up
triggers: [{ event: go }]
steps:
  - delay: 1h
  - escalate: climb
    resolve: { event: said, where: event.data.get("yes") == true }
  - log: resolved
---
escalation: climb
levels:
  - after: 1d
    steps: [{ log: nobody }]
"#;
    let ends = ["10:30:00 w: heard", "10:30:00 up: resolved"];
    let all = ["#1 up done", "#2 w done", "#3 climb done: said (event "];
    for early in [true, false] {
        let (nonsense, hour) = (r#"said s "nonsense""#, "+1h");
        let order = if early { [nonsense, hour] } else { [hour, nonsense] };
        let rest = ["+30m", r#"said s {"yes": true}"#];
        let mut sim = begin(RULES);
        for line in ["go s {}"].iter().chain(&order).chain(&rest) {
            act(&mut sim, line);
        }
        let seen = lines(&mut sim);
        for line in ends.iter().chain(&all) {
            assert!(seen.iter().any(|one| one.starts_with(line)), "{early}: {line}: {seen:#?}");
        }
        let stored = sim.state().events_after(EventNo(0), 10).expect("readable");
        let nonsense = stored.iter().find(|one| one.event.data.as_text().is_some());
        let verdicts = &nonsense.expect("it was accepted").verdicts;
        assert_eq!(
            verdicts.iter().filter(|one| one.code == Code::Error).count(),
            2,
            "{verdicts:?}"
        );
    }
}
