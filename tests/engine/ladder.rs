//! Calls and escalations: children, their results, their ends.

use crate::play::{act, begin, lines, play, plays};

const LADDER: &str = r#"
record: person
rows: { ana: { email: ana@x.example }, tom: { email: tom@x.example } }
---
workflow: w
triggers: [{ event: go }]
vars: { n: 7 }
exit: [{ event: bye }]
steps:
  - escalate: up
    resolve: { event: fixed, where: "event.data.n == vars.n" }
    id: e
    AWAIT
  - log: ${steps.e.get("level") ?? "goes on"} ${steps.e.get("acknowledged_by") ?? "nobody"}
---
escalation: up
UNRESOLVED
repeat: 1
levels:
  - { after: 10m, notify: [ana] }
  - { after: 20m, notify: [tom] }
"#;

fn ladder(unresolved: &str, wait: &str) -> String {
    LADDER.replace("UNRESOLVED", unresolved).replace("AWAIT", wait)
}

#[test]
fn levels_repeat_until_an_event_resolves() {
    plays(
        &ladder("", ""),
        &["go s", "fixed s {\"n\": 1}", "+50m", "fixed s {\"n\": 7}", "+5h"],
        &[
            "09:10:00 email ana@x.example",
            "09:30:00 email tom@x.example",
            "09:40:00 email ana@x.example",
            "09:50:00 w: 3 nobody",
            "#1 w done",
            "#2 up done: fixed (event 3) resolved it",
        ],
    );
}

#[test]
fn an_acknowledgement_stops_it_and_unresolved_goes_on() {
    plays(
        &ladder("", ""),
        &["go s", "+15m", "ack 2", "+9h", "resolve 2"],
        &[
            "09:10:00 email ana@x.example",
            "18:15:00 w: 1 tom",
            "#1 w done",
            "#2 up done: tom resolved it",
        ],
    );
    plays(
        &ladder("unresolved: 1h", ""),
        &["go s", "+15m", "ack 2", "+65m"],
        &[
            "09:10:00 email ana@x.example",
            "10:15:00 email tom@x.example",
            "#1 w active",
            "#2 up active",
        ],
    );
}

#[test]
fn what_came_before_resolves_at_once_and_only_once() {
    let rules =
        ladder("", "").replace("steps:\n  - escalate", "steps:\n  - delay: 5m\n  - escalate");
    plays(&rules, &["go s", "fixed s {\"n\": 7}", "+5h"], &["09:05:00 w: 0 nobody", "#1 w done"]);
    // Two escalations in turn: the event that resolved the first does not resolve the second.
    let second = "  - escalate: up\n    resolve: { event: fixed, where: \"event.data.n == vars.n\" }\n  - log: again\n---\nescalation";
    let rules = ladder("", "").replacen("---\nescalation", second, 1);
    let seen = play(&rules, &["go s", "+1m", "fixed s {\"n\": 7}", "+1m"]);
    assert_eq!(
        seen,
        [
            "09:01:00 w: 0 nobody",
            "#1 w active",
            "#2 up done: fixed (event 2) resolved it",
            "#3 up active"
        ]
    );
}

#[test]
fn the_end_of_the_caller_is_the_end_of_the_ladder() {
    let cancelled = ["#1 w cancelled: cancelled by tom", "#2 up cancelled: its caller ended"];
    plays(&ladder("", ""), &["go s", "cancel 1", "+5h"], &cancelled);
    let exited = ["#1 w done: bye (event 2) ended it", "#2 up cancelled: its caller ended"];
    plays(&ladder("", ""), &["go s", "bye s", "+5h"], &exited);
    plays(
        &ladder("", ""),
        &["go s", "cancel 2", "+5h"],
        &[
            "#1 w failed: run 2, which it called, cancelled: cancelled by tom",
            "#2 up cancelled: cancelled by tom",
        ],
    );
}

#[test]
fn a_ladder_nobody_waits_for_goes_on_alone() {
    plays(
        &ladder("", "await: false"),
        &["go s", "+15m", "fixed s {\"n\": 7}", "+5h"],
        &[
            "09:00:00 w: goes on nobody",
            "09:10:00 email ana@x.example",
            "#1 w done",
            "#2 up done: fixed (event 2) resolved it",
        ],
    );
}

#[test]
fn a_relay_that_is_down_does_not_hold_the_ladder_up() {
    let rules = ladder("", "").replace("ana@x.example", "retry@x.example");
    let mut sim = begin(&rules);
    act(&mut sim, "go s");
    act(&mut sim, "+31m");
    let tom =
        sim.effects.iter().find(|effect| effect.to == "tom@x.example").expect("the second level");
    assert_eq!(tom.at.to_string(), "2026-03-02T09:30:00Z");
}

#[test]
fn a_level_holds_until_its_hours() {
    let hours = "hours: office\n---\ncalendar: office\ntimezone: Europe/Berlin\nopen: { mon-fri: \"09:00-17:00\" }\n---\nescalation: other\nlevels: [{ after: 1m, notify: [ana] }]\n";
    let rules = LADDER.replace("AWAIT", "").replace("UNRESOLVED\n", "").replace(
        "  - { after: 20m, notify: [tom] }\n",
        &format!("  - {{ after: 20m, notify: [tom] }}\n{hours}"),
    );
    let seen = play(&rules, &["@2026-03-06T15:45:00Z", "go s", "@2026-03-09T12:00:00Z"]);
    // Friday 16:55 in Berlin, then 20 minutes on: Monday 9:00.
    assert_eq!(seen[0], "2026-03-06T15:55:00 email ana@x.example");
    assert_eq!(seen[1], "2026-03-09T08:00:00 email tom@x.example");
}

const CALL: &str = r#"
workflow: w
triggers: [{ event: go }]
steps:
  - call: child
    args: { n: 3 }
    id: c
    FIELDS
  - log: got ${steps.c.get("vars")?.m ?? "no vars"}
---
workflow: child
triggers: []
steps:
  - vars: { m: "${args.n + 1}" }
  - STEP
"#;

fn call(fields: &str, step: &str) -> String {
    CALL.replace("FIELDS", fields).replace("STEP", step)
}

#[test]
fn a_call_gives_a_result_or_a_failure() {
    plays(
        &call("", "delay: 1m"),
        &["go s", "+1h"],
        &["09:01:00 w: got 4", "#1 w done", "#2 child done"],
    );
    plays(
        &call("", "stop: enough"),
        &["go s"],
        &["09:00:00 w: got 4", "#1 w done", "#2 child done: enough"],
    );
    plays(
        &call("", "fail: no"),
        &["go s"],
        &["#1 w failed: run 2, which it called, failed: no", "#2 child failed: no"],
    );
    plays(
        &call("await: false", "delay: 1m"),
        &["go s", "+1h"],
        &["09:00:00 w: got no vars", "#1 w done", "#2 child done"],
    );
    plays(
        &call("timeout: 5m", "delay: 1h"),
        &["go s", "+2h"],
        &[
            "#1 w failed: run 2, which it called, did not end in time",
            "#2 child cancelled: its caller's time was up",
        ],
    );
}

#[test]
fn a_retry_by_hand_calls_anew() {
    let seen = play(&call("", "fail: no"), &["go s", "retry 1"]);
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen[2].starts_with("#3 child failed"));
    let mut sim = begin(&call("", "delay: 1h"));
    act(&mut sim, "go s");
    act(&mut sim, "cancel 2");
    act(&mut sim, "assume 1");
    assert_eq!(lines(&mut sim)[0], "09:00:00 w: got no vars");
}
