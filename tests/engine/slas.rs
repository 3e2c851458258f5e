//! `sla:`: start, pause, resume, change of target, done, reopened, warnings, breach; exact over nights, holidays and
//! changes of the clocks. The times of the complaint were computed by hand.

use adjutant::model::{Instant, Span, Value};
use serde_json::json;

use crate::play::{act, begin};
use crate::support::chance::Chance;
use crate::support::sim::{Setup, Sim, at};

const BASE: &str = r#"
calendar: office
timezone: Europe/Berlin
open: { mon-fri: "09:00-17:00" }
closed: [2026-04-03, 2026-04-06]
---
record: person
rows:
  cara: { email: cara@ops.example, manager: max }
  max: { email: max@ops.example }
  cmo: { email: cmo@ops.example }
---
workflow: write
triggers: [{ event: write }]
steps:
  - record: ${event.subject}
    set: ${event.data}
---
workflow: remove
triggers: [{ event: remove }]
steps:
  - record: ${event.subject}
    delete: true
---
escalation: ladder
hours: office
levels:
  - { after: 0m, notify: ['${record(event.subject).owner}'] }
  - { after: 30m, notify: ['${record("person", record(event.subject).owner).manager}'] }
  - { after: 30m, notify: [cmo] }
unresolved: 4bh
---
"#;

const RESOLVE: &str = r#"
sla: resolve
of: complaint
hours: office
target:
  - { if: record.severity == 1, within: 8bh }
  - { if: record.severity == 2, within: 16bh }
  - within: 5bd
pause: record.status == "pending"
done: record.status == "resolved"
warn: [75%]
on_breach: { escalate: ladder }
"#;

fn start(slas: &str, now: &str) -> Sim {
    let mut sim = begin(&format!("{BASE}{slas}"));
    act(&mut sim, &format!("@{now}"));
    sim
}

fn write(sim: &mut Sim, fields: serde_json::Value) {
    sim.event("write", "complaint/1", fields);
}

fn field(sim: &Sim, name: &str) -> String {
    sim.field("sla/resolve/complaint/1", name).to_string()
}

fn said(sim: &Sim, kind: &str) -> Vec<String> {
    sim.events_of(kind).iter().map(|event| event.accepted.to_string()).collect()
}

fn sent(sim: &Sim) -> Vec<String> {
    sim.effects.iter().map(|one| format!("{} {}", &one.at.to_string()[5..16], one.to)).collect()
}

#[test]
fn the_complaint_of_easter() {
    let mut sim = start(RESOLVE, "2026-04-02T14:30:00Z");
    write(&mut sim, json!({ "status": "open", "severity": 2, "owner": "cara" }));
    assert_eq!(field(&sim, "due"), "2026-04-08T14:30:00Z");
    act(&mut sim, "@2026-04-07T09:00:00Z");
    write(&mut sim, json!({ "status": "pending" }));
    assert_eq!((field(&sim, "status"), field(&sim, "due")), ("paused".into(), "null".into()));
    act(&mut sim, "@2026-04-08T08:00:00Z");
    write(&mut sim, json!({ "status": "open" }));
    assert_eq!(field(&sim, "due"), "2026-04-09T13:30:00Z");
    act(&mut sim, "@2026-04-09T09:29:59Z");
    assert!(said(&sim, "sla.warning").is_empty());
    act(&mut sim, "@2026-04-09T09:30:00Z");
    assert_eq!(said(&sim, "sla.warning"), ["2026-04-09T09:30:00Z"]);
    act(&mut sim, "@2026-04-09T13:29:00Z");
    write(&mut sim, json!({ "status": "resolved" }));
    act(&mut sim, "+10d");
    assert_eq!(field(&sim, "status"), "met");
    assert!(said(&sim, "sla.breached").is_empty() && sim.effects.is_empty());
}

#[test]
fn a_graver_complaint_keeps_what_was_used_and_its_ladder_is_climbed() {
    let mut sim = start(RESOLVE, "2026-04-02T14:30:00Z");
    write(&mut sim, json!({ "status": "open", "severity": 2, "owner": "cara" }));
    act(&mut sim, "@2026-04-07T09:00:00Z");
    write(&mut sim, json!({ "status": "pending" }));
    act(&mut sim, "@2026-04-08T08:00:00Z");
    write(&mut sim, json!({ "status": "open", "severity": 1 }));
    assert_eq!(field(&sim, "due"), "2026-04-08T13:30:00Z");
    act(&mut sim, "@2026-04-08T14:45:00Z");
    assert_eq!(said(&sim, "sla.warning"), ["2026-04-08T11:30:00Z"]);
    assert_eq!(said(&sim, "sla.breached"), ["2026-04-08T13:30:00Z"]);
    let three = [
        "04-08T13:30 cara@ops.example",
        "04-08T14:00 max@ops.example",
        "04-08T14:30 cmo@ops.example",
    ];
    assert_eq!(sent(&sim), three);
    write(&mut sim, json!({ "status": "resolved" }));
    assert_eq!(field(&sim, "status"), "late");
    assert_eq!(sim.events_of("escalation.resolved").len(), 1);
    // Not solved after all: time is up already, and nobody is told twice.
    write(&mut sim, json!({ "status": "open" }));
    assert_eq!(
        (field(&sim, "status"), sim.events_of("sla.reopened").len()),
        ("breached".into(), 1)
    );
    act(&mut sim, "+30d");
    assert_eq!(sent(&sim), three);
}

#[test]
fn an_acknowledgement_stops_the_ladder_and_it_goes_on_when_nothing_follows() {
    let mut sim = start(RESOLVE, "2026-04-07T08:00:00Z");
    write(&mut sim, json!({ "status": "open", "severity": 1, "owner": "cara" }));
    act(&mut sim, "@2026-04-08T08:10:00Z");
    assert_eq!(sent(&sim), ["04-08T08:00 cara@ops.example"]);
    let ladder = field(&sim, "run_no");
    act(&mut sim, &format!("ack {ladder}"));
    act(&mut sim, "@2026-04-08T12:09:59Z");
    assert_eq!(sim.effects.len(), 1);
    act(&mut sim, "@2026-04-08T12:10:00Z");
    assert_eq!(sent(&sim)[1], "04-08T12:10 max@ops.example");
}

#[test]
fn minutes_count_over_the_change_to_summer_time() {
    let hour = "sla: resolve\nof: complaint\nhours: office\ntarget: 1bh\ndone: record.status == \"resolved\"\n";
    let mut sim = start(hour, "2026-03-27T15:30:00Z");
    write(&mut sim, json!({ "status": "open" }));
    assert_eq!(field(&sim, "due"), "2026-03-30T07:30:00Z");
    let days = hour.replace("1bh", "2bd");
    let mut sim = start(&days, "2026-03-27T15:30:00Z");
    write(&mut sim, json!({ "status": "open" }));
    assert_eq!(field(&sim, "due"), "2026-03-31T14:30:00Z");
    let nights = "sla: resolve\nof: complaint\ntarget: 2d\ndone: record.status == \"resolved\"\n";
    let mut sim = start(nights, "2026-03-28T15:30:00Z");
    write(&mut sim, json!({ "status": "open" }));
    assert_eq!(field(&sim, "due"), "2026-03-30T15:30:00Z");
}

#[test]
fn what_fell_due_while_the_daemon_was_down_is_said_before_what_came_later() {
    let mut sim = start(RESOLVE, "2026-04-07T07:00:00Z");
    write(&mut sim, json!({ "status": "open", "severity": 1, "owner": "cara" }));
    sim.pause();
    sim.now = at("2026-04-08T09:00:00Z");
    sim.restart();
    write(&mut sim, json!({ "status": "resolved" }));
    sim.resume();
    act(&mut sim, "+1m");
    assert_eq!(field(&sim, "status"), "late");
    assert_eq!(sim.events_of("sla.breached").len(), 1);
}

#[test]
fn it_ends_with_the_record_and_where_it_is_about_it_no_more() {
    let mut sim = start(&format!("{RESOLVE}if: record.severity <= 3\n"), "2026-04-07T07:00:00Z");
    write(&mut sim, json!({ "status": "open", "severity": 4, "owner": "cara" }));
    assert_eq!(field(&sim, "status"), "null");
    write(&mut sim, json!({ "severity": 1 }));
    write(&mut sim, json!({ "severity": 4 }));
    assert_eq!(field(&sim, "status"), "dropped");
    act(&mut sim, "+30d");
    assert!(sim.effects.is_empty());
    // It begins anew, and not where it stood.
    act(&mut sim, "@2026-05-11T07:00:00Z");
    write(&mut sim, json!({ "severity": 1 }));
    assert_eq!(field(&sim, "due"), "2026-05-11T15:00:00Z");
    sim.event("remove", "complaint/1", json!({}));
    assert_eq!(field(&sim, "status"), "dropped");
    act(&mut sim, "+30d");
    assert!(sim.effects.is_empty());
}

#[test]
fn a_change_of_the_rules_changes_what_begins_then() {
    let mut sim = start(RESOLVE, "2026-04-07T07:00:00Z");
    write(&mut sim, json!({ "status": "open", "severity": 1, "owner": "cara" }));
    let shorter = format!("{BASE}{RESOLVE}").replace("within: 8bh", "within: 2bh");
    sim.reload(std::sync::Arc::new(Setup::rules(&shorter).compile().unwrap()));
    write(&mut sim, json!({ "note": "still ours" }));
    assert_eq!(field(&sim, "due"), "2026-04-07T15:00:00Z");
    sim.event("write", "complaint/2", json!({ "status": "open", "severity": 1, "owner": "cara" }));
    assert_eq!(sim.field("sla/resolve/complaint/2", "due").to_string(), "2026-04-07T09:00:00Z");
    // A document that is gone: nothing is said any more.
    sim.reload(std::sync::Arc::new(Setup::rules(BASE).compile().unwrap()));
    act(&mut sim, "+30d");
    assert!(said(&sim, "sla.breached").is_empty() && sim.state().next_due().is_none());
}

#[test]
fn a_record_that_lacks_a_field_is_written_and_told_of() {
    let mut sim = start(RESOLVE, "2026-04-07T07:00:00Z");
    write(&mut sim, json!({ "status": "open", "owner": "cara" }));
    assert_eq!(sim.field("complaint/1", "owner"), "cara".into());
    let errors = sim.events_of("sla.error");
    assert_eq!(errors.len(), 1);
    let error =
        errors[0].data.get("error").and_then(|error| error.get("message")).map(Value::to_string);
    assert!(error.as_deref().is_some_and(|error| error.contains("severity")), "{error:?}");
    write(&mut sim, json!({ "severity": 1 }));
    assert_eq!(field(&sim, "due"), "2026-04-07T15:00:00Z");
}

/// Whether the office is open, looked up minute by minute with civil time alone.
fn open(at: Instant) -> bool {
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").expect("it is a zone");
    let local = at.to_timestamp().to_zoned(zone);
    let date = local.date().to_string();
    let workday = local.weekday().to_monday_zero_offset() < 5;
    workday
        && (9..17).contains(&local.hour())
        && !["2026-04-03", "2026-04-06"].contains(&date.as_str())
}

/// Each minute that counts is counted, one after the other: another way to the same instants.
#[test]
fn it_agrees_with_an_oracle_that_counts_minutes() {
    const MINUTE: Span = Span::from_secs(60);
    let seed = Chance::seed("SLA_SEED");
    let mut chance = Chance::new(seed);
    for round in 0..12 {
        let mut sim = start(RESOLVE, "2026-03-25T06:00:00Z");
        let (mut severity, mut state, mut used) = (1 + chance.below(2), "none", 0u64);
        let (mut warned, mut breached) = (None, None);
        let mut minute = sim.now;
        for _ in 0..14 {
            let wait = 1 + chance.below(60 * 20);
            let target = |severity: u64| if severity == 1 { 480 } else { 960 };
            for _ in 0..wait {
                let counts = state == "open" && open(minute);
                used += u64::from(counts);
                minute = minute + MINUTE;
                if state == "open" && breached.is_none() {
                    let ends = target(severity);
                    if warned.is_none() && used * 100 >= ends * 75 && counts {
                        warned = Some(minute);
                    }
                    if used >= ends && counts {
                        breached = Some(minute);
                    }
                }
            }
            sim.until_instant(minute);
            if breached.is_some() {
                break;
            }
            if chance.one_in(6) {
                sim.restart();
            }
            // Not to a target that is used up already: when that is said is another matter.
            let other = 1 + chance.below(2);
            if used * 100 < target(other) * 74 {
                severity = other;
            }
            state = if state == "open" && chance.one_in(2) { "pending" } else { "open" };
            write(&mut sim, json!({ "status": state, "severity": severity, "owner": "cara" }));
        }
        let first = |kind: &str| sim.events_of(kind).first().map(|event| event.accepted);
        assert_eq!(first("sla.warning"), warned, "seed {seed}, round {round}: warned");
        assert_eq!(first("sla.breached"), breached, "seed {seed}, round {round}: breached");
    }
}
