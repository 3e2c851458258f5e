//! `approve`: who is asked, what decides, reminders, the end of the time, passing on, links that are lost.

use adjutant::model::{Operator, Reply, RunNo, Value, View as _};

use crate::play::{act, begin, lines};
use crate::support::sim::Sim;

const PEOPLE: &str = r#"
record: person
rows:
  mia: { email: mia@ops.example }
  max: { email: max@ops.example }
  tom: { email: tom@ops.example }
---
calendar: office
timezone: Europe/Berlin
open: { mon-fri: "09:00-17:00" }
---
team: heads
members: { mia: {}, max: {} }
fallback: tom
---
"#;

fn rules(approve: &str) -> String {
    format!(
        "{PEOPLE}workflow: w\ntriggers: [{{ event: go }}]\nsteps:\n{approve}    id: it\n  \
         - log: '${{json(steps.it.outcome)}} ${{json(steps.it.by)}} ${{steps.it.timed_out}}'\n"
    )
}

/// The only approval that is open.
fn open(sim: &Sim) -> String {
    let all = sim.state().records("approval", None, 100).expect("it can be read");
    let open: Vec<_> = all
        .iter()
        .filter(|one| one.fields.get("status").and_then(Value::as_text) == Some("open"))
        .collect();
    assert_eq!(open.len(), 1, "{all:#?}");
    open[0].address.id.to_string()
}

/// Plays a timeline in which `ID` stands for the approval that is open then.
fn play(rules: &str, timeline: &[&str]) -> (Sim, Vec<String>) {
    let mut sim = begin(rules);
    for line in timeline {
        let line = if line.contains(" ID ") {
            line.replace("ID", &open(&sim))
        } else {
            (*line).to_owned()
        };
        act(&mut sim, &line);
    }
    let seen = lines(&mut sim)
        .into_iter()
        .filter(|line| !line.starts_with('#') && !line.contains(" email "))
        .collect();
    (sim, seen)
}

fn sent(sim: &Sim) -> Vec<String> {
    sim.effects.iter().map(|one| format!("{} {}", &one.at.to_string()[5..16], one.to)).collect()
}

#[test]
fn one_of_them_is_enough() {
    let rules = rules("  - approve: [mia, max]\n    timeout: 2d\n");
    let (sim, seen) = play(&rules, &["go x", "+1h", "decide ID mia approved", "+3d"]);
    assert_eq!(sent(&sim), ["03-02T09:00 mia@ops.example", "03-02T09:00 max@ops.example"]);
    assert_eq!(seen, [r#"10:00:00 w: "approved" "mia" false"#]);
    // By address as well, as a link in a mail says it; one `no` is enough.
    let (_, seen) = play(&rules, &["go x", "decide ID MAX@ops.example rejected"]);
    assert_eq!(seen, [r#"09:00:00 w: "rejected" "max" false"#]);
}

#[test]
fn who_is_asked_may_be_computed_one_by_one_or_all_at_once() {
    for approve in ["${event.data}", "[\"${event.data[0]}\", \"${event.data[1]}\"]"] {
        let rules = rules(&format!("  - approve: {approve}\n    timeout: 2d\n"));
        let timeline = [r#"go x ["max", "tom"]"#, "decide ID tom approved"];
        let (sim, seen) = play(&rules, &timeline);
        assert_eq!(sent(&sim), ["03-02T09:00 max@ops.example", "03-02T09:00 tom@ops.example"]);
        assert_eq!(seen, [r#"09:00:00 w: "approved" "tom" false"#]);
    }
}

#[test]
fn two_of_three_must_agree_and_one_may_refuse() {
    let rules = rules("  - approve: [mia, max, tom]\n    need: 2\n    timeout: 2d\n");
    let timeline =
        ["go x", "decide ID mia approved", "decide ID mia approved", "decide ID tom approved"];
    assert_eq!(play(&rules, &timeline).1, [r#"09:00:00 w: "approved" "tom" false"#]);
    let timeline = ["go x", "decide ID mia approved", "decide ID max rejected"];
    assert_eq!(play(&rules, &timeline).1, [r#"09:00:00 w: "rejected" "max" false"#]);
    // Somebody changes her mind.
    let outcomes = rules.replace("need: 2", "need: 2\n    outcomes: [yes-please, later, no-way]");
    let timeline = ["go x", "decide ID mia yes-please", "decide ID max yes-please"];
    assert_eq!(play(&outcomes, &timeline).1, [r#"09:00:00 w: "yes-please" "max" false"#]);
}

#[test]
fn who_is_not_asked_does_not_decide_unless_as_an_operator() {
    let rules = rules("  - approve: [mia, max]\n    need: 2\n    timeout: 2d\n");
    let (mut sim, seen) = play(&rules, &["go x", "decide ID tom approved", "decide ID mia maybe"]);
    assert!(seen[0].contains("does not ask tom: it asks mia, max"), "{seen:?}");
    assert!(seen[1].contains("cannot be `maybe`: choose approved, rejected"), "{seen:?}");
    let id = open(&sim);
    let decide = |by: &str| Operator::Decide {
        approval: id.as_str().into(),
        outcome: "approved".into(),
        comment: Some("by phone".into()),
        asked_only: false,
        by: by.into(),
    };
    assert!(matches!(sim.operator(decide("root")), Reply::Done(_)));
    assert_eq!(lines(&mut sim)[0], r#"09:00:00 w: "approved" "root" false"#);
    let Reply::Refused(why) = sim.operator(decide("mia")) else { panic!("it is decided") };
    assert!(why.to_string().contains("is not open any more: it is approved by root"), "{why}");
    let Reply::Refused(why) = sim.operator(Operator::Delegate {
        approval: "ffff".into(),
        to: "tom".into(),
        by: "mia".into(),
    }) else {
        panic!("there is no such approval")
    };
    assert_eq!(why.to_string(), "there is no approval ffff");
}

#[test]
fn those_who_have_not_answered_are_reminded_and_time_runs_out() {
    // 5 March is a Thursday; two open days later it is Monday, and half of them have passed on Friday.
    let rules = rules(
        "  - approve: [mia, max]\n    need: 2\n    hours: office\n    timeout: 2bd\n    warn: [50%]\n    \
         on_timeout:\n      - log: nobody decided\n",
    );
    let timeline =
        ["@2026-03-05T14:00:00Z", "go x", "+1h", "decide ID max approved", "@2026-03-12T00:00:00Z"];
    let (sim, seen) = play(&rules, &timeline);
    assert_eq!(
        sent(&sim),
        [
            "03-05T14:00 mia@ops.example",
            "03-05T14:00 max@ops.example",
            "03-06T14:00 mia@ops.example"
        ]
    );
    assert_eq!(
        seen,
        ["2026-03-09T14:00:00 w: nobody decided", "2026-03-09T14:00:00 w: null null true"]
    );
    let kinds =
        ["approval.requested", "approval.warning", "approval.timed_out", "approval.decided"];
    let of: Vec<_> = kinds.map(|kind| sim.events_of(kind).len()).into();
    assert_eq!(of, [1, 1, 1, 0]);
    assert_eq!(sim.field(&format!("approval/{}", approval(&sim)), "status"), "timed_out".into());
}

fn approval(sim: &Sim) -> String {
    sim.state().records("approval", None, 2).expect("it can be read")[0].address.id.to_string()
}

#[test]
fn it_is_passed_on_and_the_other_one_is_asked() {
    let rules = rules("  - approve: [mia]\n    timeout: 2d\n");
    let timeline = [
        "go x",
        "delegate ID max tom",
        "delegate ID mia nobody",
        "delegate ID mia tom",
        "decide ID mia approved",
        "decide ID tom approved",
    ];
    let (sim, seen) = play(&rules, &timeline);
    assert_eq!(sent(&sim), ["03-02T09:00 mia@ops.example", "03-02T09:00 tom@ops.example"]);
    assert!(seen[0].contains("does not ask max"), "{seen:?}");
    assert!(seen[1].contains("no record `person/nobody`"), "{seen:?}");
    assert!(seen[2].contains("does not ask mia: it asks tom"), "{seen:?}");
    assert_eq!(seen[3], r#"09:00:00 w: "approved" "tom" false"#);
}

#[test]
fn a_team_is_asked_as_it_is_then() {
    let rules = rules("  - approve: team:heads\n    need: 2\n    timeout: 2d\n");
    let (_, seen) = play(&rules, &["go x", "decide ID max approved", "decide ID mia approved"]);
    assert_eq!(seen, [r#"09:00:00 w: "approved" "mia" false"#]);
    let too_many = rules.replace("need: 2", "need: 3");
    let mut sim = begin(&too_many);
    act(&mut sim, "go x");
    assert_eq!(lines(&mut sim), ["#1 w failed: 3 must agree, and only 2 can be asked"]);
}

#[test]
fn nobody_decides_what_nothing_waits_for() {
    let rules = rules("  - approve: [mia]\n    timeout: 2d\n");
    let mut sim = begin(&rules);
    act(&mut sim, "go x");
    let id = open(&sim);
    act(&mut sim, "cancel 1");
    assert_eq!(sim.field(&format!("approval/{id}"), "status"), "withdrawn".into());
    act(&mut sim, &format!("decide {id} mia approved"));
    assert!(lines(&mut sim)[1].contains("it is withdrawn"));
}

#[test]
fn it_survives_restarts_and_a_mail_that_fails() {
    let rules = rules("  - approve: [mia]\n    timeout: 2d\n")
        .replace("mia@ops.example", "failed@ops.example");
    let timeline = ["go x", "restart", "+1h", "restart", "decide ID mia approved"];
    assert_eq!(play(&rules, &timeline).1, [r#"10:00:00 w: "approved" "mia" false"#]);
}

#[test]
fn in_shadow_mode_nobody_is_asked() {
    let rules = rules("  - approve: [mia]\n    timeout: 2d\n")
        .replace("triggers: [{ event: go }]", "triggers: [{ event: go }]\nshadow: true");
    let (sim, seen) = play(&rules, &["go x"]);
    assert!(sim.effects.is_empty() && approval_count(&sim) == 0);
    assert_eq!(seen, [r#"09:00:00 w: "approved" null false"#]);
}

fn approval_count(sim: &Sim) -> usize {
    sim.state().records("approval", None, 10).expect("it can be read").len()
}

#[test]
fn many_items_begin_when_a_person_lets_them_and_never_otherwise() {
    let rules = format!(
        "{PEOPLE}workflow: w\ntriggers: [{{ event: go }}]\nsteps:\n  - foreach: [1, 2, 3]\n    limit: 2\n    \
         steps: [{{ log: \"${{item}}\" }}]\n  - log: over\n"
    );
    let (mut sim, seen) = play(&rules, &["go x"]);
    assert_eq!(seen, Vec::<String>::new());
    let id = open(&sim);
    let summary = sim.field(&format!("approval/{id}"), "summary").to_string();
    assert_eq!(summary, "w: 3 items are more than its limit of 2");
    let decide = |outcome: &str| Operator::Decide {
        approval: id.as_str().into(),
        outcome: outcome.into(),
        comment: None,
        asked_only: false,
        by: "tom".into(),
    };
    sim.operator(decide("approved"));
    assert_eq!(lines(&mut sim).iter().filter(|line| line.contains(" w: ")).count(), 4);
    let (mut sim, _) = play(&rules, &["go x"]);
    sim.operator(decide("rejected"));
    assert!(lines(&mut sim)[0].contains("w failed: tom does not let them begin"));
    // Released by the older way, its approval is closed too.
    let (mut sim, _) = play(&rules, &["go x"]);
    sim.operator(Operator::Release { run: RunNo(1), by: "tom".into() });
    assert_eq!(sim.field(&format!("approval/{id}"), "status"), "approved".into());
}
