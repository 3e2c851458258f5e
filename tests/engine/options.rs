//! Options of a workflow: `throttle`, `debounce`, `shadow`, `on_failure`; and the storm breaker.

use adjutant::model::{Code, EventNo, Operator, Status, View, limits};

use crate::play::{act, begin, lines, play, plays};
use crate::support::sim::Sim;

fn verdict(sim: &Sim, event: u64, workflow: &str) -> (Code, String) {
    let stored = sim.state().event(EventNo(event)).expect("readable").expect("an event");
    let mut said = stored.verdicts.iter();
    let found = said.find(|verdict| *verdict.workflow == *workflow).expect("a verdict");
    (found.code, found.detail.as_deref().unwrap_or_default().to_owned())
}

#[test]
fn a_throttle_counts_by_key_and_forgets() {
    let rules = "workflow: w\ntriggers: [{ event: go }]\nkey: ${event.subject}\nthrottle: { max: 2, per: 1h }\n\
                 steps: [{ log: \"${event.subject}\" }]\n";
    let mut sim = begin(rules);
    for line in ["go a", "+10m", "go a", "go a", "go b", "restart", "go a", "+51m", "go a", "go a"]
    {
        act(&mut sim, line);
    }
    assert_eq!(verdict(&sim, 3, "w"), (Code::Throttled, "2 started within 1h already".to_owned()));
    assert_eq!(
        sim.log,
        ["09:00:00 w: a", "09:10:00 w: a", "09:10:00 w: b", "10:01:00 w: a"],
        "the first is an hour old, the second is not"
    );
    act(&mut sim, "+2h");
    assert!(
        sim.state().windows(None, 9).expect("readable").iter().all(|key| key.workflow.is_empty()),
        "nothing is kept that does not count"
    );
}

#[test]
fn a_throttle_for_ever_never_forgets() {
    let rules = "workflow: w\ntriggers: [{ event: go }]\nkey: ${event.subject}\nthrottle: { max: 1, per: ever }\n\
                 steps: [{ log: \"${event.subject}\" }]\n";
    plays(
        rules,
        &["go a", "+365d", "restart", "go a", "go b"],
        &["09:00:00 w: a", "2027-03-02T09:00:00 w: b", "#1 w done", "#2 w done"],
    );
}

#[test]
fn a_debounced_workflow_begins_with_the_last_event_when_they_have_come_to_rest() {
    let rules = "workflow: w\ntriggers: [{ event: go }]\nkey: ${event.subject}\ndebounce: 5m\nvars: { n: \
                 \"${event.data.n}\" }\nexit: [{ event: stop }]\nsteps: [{ log: \"${vars.n} ${event.data.n}\" }]\n";
    plays(
        rules,
        &[
            "go a {\"n\": 1}",
            "+4m",
            "go a {\"n\": 2}",
            "restart",
            "go b {\"n\": 3}",
            "+4m",
            "stop b",
            "+1m",
            "go a {\"n\": 4}",
            "+10m",
        ],
        &[
            "09:09:00 w: 2 2",
            "09:14:00 w: 4 4",
            "#1 w done",
            "#2 w done: stop (event 4) ended it",
            "#3 w done",
        ],
    );
}

#[test]
fn what_rests_takes_its_turn_afterwards() {
    let rules = "workflow: w\ntriggers: [{ event: go }]\nkey: ${event.subject}\ndebounce: 5m\nmode: single\n\
                 steps: [{ delay: 1h }, { log: x }]\n";
    let seen = play(rules, &["go a", "+5m", "go a", "+5m", "+2h"]);
    assert_eq!(seen[..2], ["10:05:00 w: x", "#1 w done"], "{seen:?}");
    assert!(seen[2].starts_with("#2 w cancelled: run 1-"), "{seen:?}");
}

#[test]
fn in_shadow_mode_it_decides_and_performs_nothing() {
    let rules = r#"
record: person
rows: { ana: { email: ana@x.example } }
---
workflow: w
triggers: [{ event: go }]
shadow: true
steps:
  - webhook: https://x.example/ok
    id: hook
  - email: a@x.example
    purpose: internal
    subject: Hi
    text: there
    id: mail
  - record: lead/1
    set: { stage: new }
    id: lead
  - emit: ping
  - call: child
  - escalate: up
  - record: lead/1
    delete: true
  - metric: seen_total
  - rhai: '"in shadow mode: it only says so"'
  - log: ${steps.hook.status} ${steps.lead.stage} ${steps.mail.message.len() > 0}
---
workflow: child
triggers: []
steps: [{ webhook: "https://x.example/ok" }]
---
workflow: pinged
triggers: [{ event: ping }]
steps: [{ log: never }]
---
escalation: up
levels: [{ after: 0m, notify: [ana] }]
"#;
    let mut sim = begin(rules);
    act(&mut sim, "go s");
    let said = verdict(&sim, 1, "w");
    assert_eq!(said, (Code::Fired, "in shadow mode: it performs nothing".to_owned()));
    assert!(sim.effects.is_empty(), "{:?}", sim.effects);
    assert_eq!(sim.field("lead/1", "stage"), adjutant::model::Value::Null);
    let would: Vec<String> = sim
        .state()
        .records("metric", None, 100)
        .expect("readable")
        .iter()
        .map(|record| format!("{} {}", record.address.id, record.fields["value"]))
        .collect();
    let expected =
        [("w", "email"), ("w", "emit"), ("w", "escalate"), ("w", "metric"), ("w", "record")];
    let mut expected: Vec<String> = expected
        .iter()
        .chain(&[("child", "webhook"), ("w", "webhook")])
        .map(|(workflow, step)| {
            format!("adjutant_shadow_total{{workflow=\"{workflow}\",would=\"{step}\"}} 1")
        })
        .collect();
    expected.sort();
    let mut would = would;
    would.sort();
    assert_eq!(would, expected, "what it would have done is counted");
    assert_eq!(lines(&mut sim), ["09:00:00 w: 200 new true", "#1 w done", "#2 child done"]);
}

#[test]
fn a_run_that_fails_does_what_its_workflow_says_and_has_failed() {
    let rules = r#"
workflow: w
triggers: [{ event: go }]
key: one
mode: queued
steps:
  - delay: 1m
  - webhook: https://x.example/failed
on_failure:
  - log: ${error.code}
  - delay: 5m
  - log: told
---
workflow: watch
triggers: [{ event: run.failed }]
steps: [{ log: "${event.data.error.code}" }]
"#;
    plays(
        rules,
        &["go s", "go s", "+1m", "restart", "+30m", "retry 1", "+5m"],
        &[
            "09:01:00 webhook https://x.example/failed",
            "09:01:00 w: http_400",
            "09:06:00 w: told",
            "09:06:00 watch: http_400",
            "09:07:00 webhook https://x.example/failed",
            "09:07:00 w: http_400",
            "09:12:00 w: told",
            "09:12:00 watch: http_400",
            // Tried again from the step that failed, not from the handling of it.
            "09:31:00 webhook https://x.example/failed",
            "09:31:00 w: http_400",
            "09:36:00 w: told",
            "09:36:00 watch: http_400",
            "#1 w failed: status 400",
            "#2 w failed: status 400",
            "#3 watch done",
            "#4 watch done",
            "#5 watch done",
        ],
    );
}

#[test]
fn a_handling_that_fails_changes_nothing_and_a_person_may_end_it() {
    let rules = "workflow: w\ntriggers: [{ event: go }]\nlifetime: 1h\nsteps: [{ delay: 2h }]\non_failure: \
                 [{ log: \"${error.code}\" }, { delay: \"${event.data.wait}\" }, { fail: worse }]\n";
    let mut sim = begin(rules);
    act(&mut sim, "go s {\"wait\": \"1m\"}");
    act(&mut sim, "go s {\"wait\": \"1d\"}");
    act(&mut sim, "+2h");
    act(&mut sim, "cancel 2");
    assert_eq!((sim.status(1), sim.status(2)), (Status::Failed, Status::Cancelled));
    let seen = lines(&mut sim);
    assert_eq!(seen[0], "10:00:00 w: lifetime");
    assert!(seen[2].starts_with("#1 w failed: its lifetime was over"), "{seen:?}");
}

#[test]
fn a_failure_may_be_handled_by_many() {
    let rules = "workflow: w\ntriggers: [{ event: go }]\nsteps: [{ fail: first }]\non_failure:\n  - foreach: \
                 ${[1, 2]}\n    steps: [{ log: \"${item} ${error.message}\" }]\n    id: told\n  - log: \
                 \"${steps.told[0].ok} ${steps.told[1].ok}\"\n";
    plays(
        rules,
        &["go s"],
        &[
            "09:00:00 w: 1 first",
            "09:00:00 w: 2 first",
            "09:00:00 w: true true",
            "#1 w failed: first",
            "#2 w done",
            "#3 w done",
        ],
    );
}

#[test]
fn a_storm_trips_the_breaker_until_a_person_resets_it() {
    // Each item emits ten times.
    let emits = "{ emit: ping }, ".repeat(10);
    let rules = format!(
        "workflow: many\ntriggers: [{{ event: go }}]\nsteps:\n  - foreach: \
                 '${{event.data.text.split(\",\")}}'\n    limit: 10000\n    steps: [{emits}]\n---\nworkflow: w\ntriggers: [{{ event: ping }}]\nsteps: \
                 [{{ rhai: 1 }}]\n---\nworkflow: tell\ntriggers: [{{ event: run.storm }}]\nsteps: [{{ log: \
                 \"${{event.data.workflow}}\" }}]\n"
    );
    let mut sim = begin(&rules);
    let go = format!("go s {{\"text\": \"{}\"}}", ["x"; limits::STORM as usize / 20].join(","));
    act(&mut sim, "reset w");
    for _ in 0..3 {
        act(&mut sim, &go);
    }
    let ran = |sim: &Sim| (1..=sim.runs()).filter(|no| &*sim.run(*no).workflow == "w").count();
    assert_eq!(ran(&sim), limits::STORM as usize, "as many as are no storm");
    assert!(sim.log[0].contains("has not tripped"), "{:?}", sim.log);
    assert_eq!(sim.log.iter().filter(|line| line.contains("tell: w")).count(), 1, "{:?}", sim.log);
    act(&mut sim, "+10d");
    act(&mut sim, "restart");
    act(&mut sim, "go s {\"text\": \"x\"}");
    assert_eq!(ran(&sim), limits::STORM as usize, "it stays open");
    act(&mut sim, "ping s");
    assert_eq!(ran(&sim), limits::STORM as usize + 1, "what comes from outside is no part of it");
    sim.operator(Operator::Reset { workflow: "w".into(), by: "tom".into() });
    act(&mut sim, "go s {\"text\": \"x\"}");
    assert_eq!(ran(&sim), limits::STORM as usize + 11);
}
