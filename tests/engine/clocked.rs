//! What starts workflows besides events by themselves: `schedule`, `count`, `absent`, `record … becomes`.

use std::sync::Arc;

use adjutant::model::View;

use crate::play::{START, act, begin, lines, plays};
use crate::support::sim::{Setup, Sim};

fn scheduled(cron: &str, zone: &str, fields: &str) -> String {
    format!(
        "calendar: office\ntimezone: Europe/Berlin\nopen: {{ mon-fri: \"09:00-17:00\" }}\n---\nworkflow: \
         w\ntriggers:\n  - schedule: \"{cron}\"\n    timezone: {zone}\n{fields}steps: [{{ log: \
         \"${{event.data.at}}\" }}]\n"
    )
}

/// When it ran, as logged, with the instant it was for.
fn times(rules: &str, timeline: &[&str]) -> Vec<String> {
    let mut sim = begin(rules);
    for line in timeline {
        act(&mut sim, line);
    }
    sim.log
}

#[test]
fn a_schedule_begins_when_it_is_loaded_and_keeps_its_time_over_restarts() {
    let seen = times(&scheduled("0 9 * * *", "Europe/Berlin", ""), &["+1d", "restart", "+1d"]);
    assert_eq!(
        seen,
        [
            "2026-03-03T08:00:00 w: 2026-03-03T08:00:00Z",
            "2026-03-04T08:00:00 w: 2026-03-04T08:00:00Z",
        ],
        "09:00 of the day it was loaded had passed"
    );
}

#[test]
fn clocks_that_change_neither_skip_a_job_nor_double_it() {
    // 02:30 does not exist on 29 March, and comes twice on 25 October.
    let seen = times(
        &scheduled("30 2 * * *", "Europe/Berlin", ""),
        &["@2026-03-28T12:00:00Z", "@2026-03-30T12:00:00Z"],
    );
    let last: Vec<&str> = seen.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!(last[0], "2026-03-30T00:30:00 w: 2026-03-30T00:30:00Z");
    assert!(
        last[1].ends_with("2026-03-29T01:00:00Z") || last[1].ends_with("2026-03-29T01:30:00Z"),
        "{last:?}"
    );
}

/// What is missed while nobody is there.
fn missed(catchup: &str) -> Vec<String> {
    let rules = scheduled("0 * * * *", "UTC", &format!("    catchup: {catchup}\n"));
    let rules = Setup::rules(&rules).compile().expect("sound rules");
    let mut sim = Sim::with_rules(Arc::new(rules), crate::support::sim::at(START));
    sim.until("2026-03-02T10:30:00Z");
    // Time passes without the daemon.
    sim.now = crate::support::sim::at("2026-03-02T14:20:00Z");
    sim.restart();
    sim.until("2026-03-02T15:10:00Z");
    sim.log.iter().map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn what_was_missed_is_made_up_for_as_the_rule_says() {
    let at = |hours: &[u32]| -> Vec<String> {
        hours.iter().map(|hour| format!("2026-03-02T{hour}:00:00Z")).collect()
    };
    assert_eq!(missed("none"), at(&[10, 15]));
    assert_eq!(missed("last"), at(&[10, 14, 15]));
    assert_eq!(missed("all"), at(&[10, 11, 12, 13, 14, 15]));
}

#[test]
fn a_calendar_moves_an_instant_to_its_next_opening() {
    let rules = scheduled("0 6,12,20 * * *", "Europe/Berlin", "    hours: office\n");
    let seen = times(&rules, &["@2026-03-06T12:00:00Z", "@2026-03-09T12:00:00Z"]);
    let tail: Vec<&str> = seen.iter().rev().take(3).rev().map(String::as_str).collect();
    assert_eq!(
        tail,
        [
            "2026-03-06T11:00:00 w: 2026-03-06T11:00:00Z",
            // Of what fell due over the weekend the last, when it opens on Monday.
            "2026-03-09T08:00:00 w: 2026-03-09T05:00:00Z",
            "2026-03-09T11:00:00 w: 2026-03-09T11:00:00Z",
        ],
        "{seen:?}"
    );
}

#[test]
fn a_changed_schedule_begins_anew_and_one_that_is_gone_never_catches_up() {
    let compile = |text: &str| Arc::new(Setup::rules(text).compile().expect("sound rules"));
    let hourly = scheduled("0 * * * *", "UTC", "");
    let mut sim = begin(&hourly);
    sim.until("2026-03-02T10:30:00Z");
    sim.reload(compile("workflow: other\ntriggers: []\nsteps: []\n"));
    assert!(
        sim.state().windows(None, 9).expect("readable").iter().all(|key| key.workflow.is_empty())
    );
    sim.until("2026-03-02T12:30:00Z");
    sim.reload(compile(&hourly));
    sim.until("2026-03-02T13:30:00Z");
    sim.reload(compile(&scheduled("30 * * * *", "UTC", "")));
    sim.until("2026-03-02T14:10:00Z");
    sim.reload(compile(
        &scheduled("30 * * * *", "UTC", "").replace("workflow: w", "enabled: false\nworkflow: w"),
    ));
    sim.until("2026-03-02T18:00:00Z");
    let ran: Vec<&str> = sim.log.iter().map(|line| &line[..8]).collect();
    assert_eq!(ran, ["10:00:00", "13:00:00"], "{:?}", sim.log);
}

#[test]
fn a_count_fires_on_reaching_and_again_only_after_it_was_below() {
    let rules = "workflow: w\ntriggers:\n  - count: mail.bounced\n    where: event.data.hard\n    by: \
                 ${event.data.to}\n    at_least: 3\n    within: 1h\nsteps: [{ log: \"${event.data.key} \
                 ${event.data.count} ${event.data.last.subject} ${event.subject}\" }]\n";
    let mut sim = begin(rules);
    let bounce =
        |to: &str, hard: bool| format!("mail.bounced m/1 {{\"to\": \"{to}\", \"hard\": {hard}}}");
    for line in [
        bounce("a", true),
        bounce("a", false),
        bounce("b", true),
        "+10m".into(),
        bounce("a", true),
        "restart".into(),
        bounce("a", true),
        bounce("a", true),
        "+2h".into(),
        bounce("a", true),
        bounce("a", true),
        bounce("a", true),
    ] {
        act(&mut sim, &line);
    }
    assert_eq!(
        lines(&mut sim),
        ["09:10:00 w: a 3 m/1 a", "11:10:00 w: a 3 m/1 a", "#1 w done", "#2 w done"]
    );
    act(&mut sim, "+2h");
    assert!(
        sim.state().windows(None, 9).expect("readable").iter().all(|key| key.workflow.is_empty()),
        "what no longer counts is forgotten"
    );
}

#[test]
fn an_absence_is_noticed_once_and_armed_again_by_the_next_event() {
    let rules = "workflow: w\ntriggers:\n  - absent: heartbeat\n    by: ${event.subject}\n    for: 10m\nsteps: \
                 [{ log: \"${event.data.key} ${event.data.count} ${event.data.last.data.n}\" }]\n";
    plays(
        rules,
        &[
            "heartbeat a {\"n\": 1}",
            "heartbeat b {\"n\": 2}",
            "+9m",
            "heartbeat a {\"n\": 3}",
            "restart",
            "+1h",
            "heartbeat b {\"n\": 4}",
            "+1h",
        ],
        &[
            "09:10:00 w: b 1 2",
            "09:19:00 w: a 2 3",
            "10:19:00 w: b 1 4",
            "#1 w done",
            "#2 w done",
            "#3 w done",
        ],
    );
}

#[test]
fn a_record_that_becomes_something_starts_a_workflow_and_wakes_one() {
    let rules = r#"
workflow: write
triggers: [{ event: set }]
steps:
  - record: ${event.subject}
    set: { stage: "${event.data.stage}", n: '${event.data.get("n") ?? 0}' }
---
workflow: won
triggers: [{ record: lead, becomes: record.stage == "won", where: event.data.record.n < 9 }]
steps: [{ log: '${event.subject} was ${event.data.old?.stage ?? "new"}' }]
---
workflow: waits
triggers: [{ event: begin }]
exit: [{ record: lead, becomes: record.stage == "lost" }]
steps:
  - wait_for: { record: lead, becomes: record.stage == "won" }
    timeout: 1d
    id: won
  - log: ${steps.won.timed_out} ${steps.won.event.data.record.n}
"#;
    plays(
        rules,
        &[
            "begin lead/1",
            "begin lead/2",
            "set lead/1 {\"stage\": \"open\"}",
            "set lead/1 {\"stage\": \"won\", \"n\": 1}",
            // Not a change of what it becomes.
            "set lead/1 {\"stage\": \"won\", \"n\": 2}",
            "set lead/2 {\"stage\": \"lost\"}",
            "set lead/3 {\"stage\": \"won\", \"n\": 9}",
            "set lead/3 {\"stage\": \"open\"}",
            "set lead/4 {\"stage\": \"won\"}",
        ],
        &[
            "09:00:00 waits: false 1",
            "09:00:00 won: lead/1 was open",
            "09:00:00 won: lead/4 was new",
            "#1 waits done",
            "#2 waits done: record.lead (event 10) ended it",
            "#3 write done",
            "#4 write done",
            "#5 won done",
            "#6 write done",
            "#7 write done",
            "#8 write done",
            "#9 write done",
            "#10 write done",
            "#11 won done",
        ],
    );
}

#[test]
fn an_inbound_webhook_is_an_event_of_its_name() {
    let rules =
        "workflow: w\ntriggers: [{ webhook: forms, where: event.data.ok }]\nsteps: [{ log: in }]\n";
    plays(
        rules,
        &[
            "webhook.forms s {\"ok\": true}",
            "webhook.forms s {\"ok\": false}",
            "webhook.other s {\"ok\": true}",
        ],
        &["09:00:00 w: in", "#1 w done"],
    );
}

#[test]
fn runs_in_flight_end_with_the_rules_they_began_with_over_a_reload() {
    let version = |n: u32| {
        format!(
            "workflow: w\ntriggers: [{{ event: go }}]\nsteps: [{{ delay: 1h }}, {{ log: \"version {n}\" }}]\n"
        )
    };
    let mut sim = begin(&version(1));
    act(&mut sim, "go a");
    sim.reload(Arc::new(Setup::rules(&version(2)).compile().expect("sound rules")));
    act(&mut sim, "+30m");
    act(&mut sim, "go b");
    sim.reload(Arc::new(
        Setup::rules("workflow: x\ntriggers: []\nsteps: []\n").compile().expect("sound rules"),
    ));
    act(&mut sim, "restart");
    act(&mut sim, "+2h");
    assert_eq!(sim.log, ["10:00:00 w: version 1", "10:30:00 w: version 2"]);
    // Nobody needs them now.
    sim.input(adjutant::model::Input::Sweep);
    assert!(sim.state().idle_bundles().is_empty(), "{:?}", sim.state().idle_bundles());
}

#[test]
fn open_time_is_added_in_expressions() {
    let rules = "calendar: office\ntimezone: Europe/Berlin\nopen: { mon-fri: \"09:00-17:00\" }\n---\nworkflow: w\n\
        triggers: [{ event: go }]\nsteps:\n  - log: '${open_after(event.time, \"4bh\", \"office\")}'\n  \
        - log: '${open_after(now, event.data.in, \"office\")}'\n    on_error: continue\n  \
        - log: '${open_after(now, \"1bd\", event.data.in)}'\n";
    let mut sim = begin(rules);
    act(&mut sim, "@2026-03-31T13:30:00Z");
    act(&mut sim, r#"go x {"in": "30m"}"#);
    let seen = lines(&mut sim);
    assert_eq!(seen[0], "2026-03-31T13:30:00 w: 2026-04-01T09:30:00Z");
    assert_eq!(seen[1], "2026-03-31T13:30:00 w: 2026-03-31T14:00:00Z");
    assert!(seen[2].contains("there is no calendar `30m`"), "{seen:?}");
}
