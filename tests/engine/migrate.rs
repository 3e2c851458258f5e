//! Waiting runs that move to the version in force: where they go on, and when they stay.

use std::collections::BTreeSet;
use std::sync::Arc;

use adjutant::model::{EffectKey, Operator, Outcome, Reply, RunNo, Value};
use serde_json::json;

use crate::play::{START, act, begin, lines};
use crate::support::sim::{Setup, Sim};

const OLD: &str = "
workflow: w
triggers: [{ event: go }]
vars: { a: 1 }
exit: [{ event: stop.old }]
steps:
  - email: first@x.example
    purpose: internal
    subject: old
    text: old
  - wait_for: old.word
    id: answer
    timeout: 1d
  - email: old@x.example
    purpose: internal
    subject: old
    text: old
";

/// A step before the wait, another event to wait for, another exit, and more after it.
const NEW: &str = "
workflow: w
triggers: [{ event: go }]
vars: { a: 2 }
exit: [{ event: stop.new }]
steps:
  - log: new in front
  - email: first@x.example
    purpose: internal
    subject: new
    text: new
  - log: new too
  - wait_for: new.word
    id: answer
    timeout: 1h
  - email: new@x.example
    purpose: internal
    subject: new
    text: \"a is ${vars.a}, ${steps.answer.timed_out}\"
";

fn change(sim: &mut Sim, rules: &str) {
    let rules = Setup::rules(rules).compile().unwrap_or_else(|text| panic!("{text}"));
    sim.reload(Arc::new(rules));
}

fn migrate(sim: &mut Sim, run: u64, dry_run: bool) -> Result<Value, String> {
    match sim.operator(Operator::Migrate { run: RunNo(run), dry_run, by: "tom".into() }) {
        Reply::Done(value) => Ok(value),
        Reply::Refused(why) => Err(why.to_string()),
        Reply::Accepted { .. } => panic!("no event"),
    }
}

#[track_caller]
fn stays(sim: &mut Sim, run: u64, why: &str) {
    let before = sim.run(run);
    let said = migrate(sim, run, false).expect_err("it stays");
    assert!(said.contains(why), "`{why}` is not in: {said}");
    assert_eq!(*sim.run(run), *before, "nothing of it changes");
}

#[test]
fn a_run_goes_on_at_the_same_step_of_the_new_version() {
    let mut sim = begin(OLD);
    act(&mut sim, "go s");
    change(&mut sim, NEW);
    let before = sim.run(1);
    let said = migrate(&mut sim, 1, true).unwrap();
    assert_eq!(said.get("status"), Some(&"would move".into()));
    assert_eq!(said.get("step"), Some(&"steps[3]".into()));
    assert_eq!(*sim.run(1), *before, "a dry run");
    let said = migrate(&mut sim, 1, false).unwrap();
    assert_eq!(said.get("status"), Some(&"moved".into()));
    stays(&mut sim, 1, "it has the version in force already");
    // It hears the new version's events and not the old one's; until when it waits stays as it was.
    act(&mut sim, "old.word s");
    act(&mut sim, "stop.old s");
    act(&mut sim, "+2h");
    sim.restart();
    act(&mut sim, "new.word s");
    let said: Vec<_> =
        sim.effects.iter().map(|one| (one.to.clone(), one.said.clone().unwrap().1)).collect();
    assert_eq!(
        said[1],
        ("new@x.example".to_owned(), "a is 1, false".to_owned()),
        "{:?}",
        lines(&mut sim)
    );
    // The step of the second mail had the number of the wait before: not the same key again.
    let keys: BTreeSet<EffectKey> = sim.effects.iter().map(|effect| effect.key).collect();
    assert_eq!(keys.len(), 2);
}

#[test]
fn the_new_version_s_exits_count() {
    let mut sim = begin(OLD);
    act(&mut sim, "go s");
    change(&mut sim, NEW);
    migrate(&mut sim, 1, false).unwrap();
    act(&mut sim, "stop.new s");
    assert!(lines(&mut sim).last().unwrap().starts_with("#1 w done"), "{:?}", lines(&mut sim));
}

#[test]
fn a_timer_keeps_its_instant_and_a_ladder_its_caller() {
    let rules = |first: &str, after: &str| {
        format!(
            "workflow: w\ntriggers: [{{ event: go }}]\nsteps:\n{first}  - escalate: ladder\n    id: up\n    resolve: {{ event: over }}\n  - log: resolved\n---\n\
             escalation: ladder\nlevels:\n  - after: {after}\n    steps: [{{ log: first }}]\n  - after: {after}\n    steps: [{{ log: second }}]\n"
        )
    };
    let mut sim = begin(&rules("", "1h"));
    act(&mut sim, "go s");
    change(&mut sim, &rules("  - log: in front\n", "3h"));
    migrate(&mut sim, 1, false).unwrap();
    migrate(&mut sim, 2, false).unwrap();
    act(&mut sim, "+1h");
    assert_eq!(sim.log, ["10:00:00 ladder: first"], "the first level was due by then");
    act(&mut sim, "+2h");
    assert_eq!(sim.log.len(), 1, "the second as the new version says");
    act(&mut sim, "+1h");
    assert_eq!(sim.log.len(), 2);
    sim.restart();
    act(&mut sim, "over s");
    assert_eq!(sim.log.last().unwrap(), "13:00:00 w: resolved");
}

#[test]
fn who_cannot_move_stays_and_says_why() {
    let mut sim = begin(OLD);
    act(&mut sim, "go s");
    change(
        &mut sim,
        &NEW.replace("id: answer", "id: other").replace("steps.answer", "steps.other"),
    );
    stays(
        &mut sim,
        1,
        "the step it waits at, steps[1] (answer) wait_for, is not in the new version",
    );
    change(&mut sim, &NEW.replace("vars: { a: 2 }", "vars: { a: 2, b: 3 }"));
    stays(&mut sim, 1, "the new version has the variable `b`");
    change(&mut sim, "workflow: other\ntriggers: [{ event: x }]\nsteps: [{ log: x }]\n");
    stays(&mut sim, 1, "`w` is not among the rules in force");
    act(&mut sim, "old.word s");
    let said = migrate(&mut sim, 1, false).expect_err("it is over");
    assert!(said.contains("it is over"), "{said}");
    assert!(migrate(&mut sim, 9, false).expect_err("nobody").contains("run 9"));
}

#[test]
fn children_and_attempts_under_way_stay() {
    let rules = |word: &str| {
        format!(
            "workflow: w\ntriggers: [{{ event: go }}]\nsteps:\n  - foreach: [1, 2]\n    steps: [{{ delay: 1h }}]\n  - log: {word}\n---\n\
             workflow: caller\ntriggers: [{{ event: call }}]\nsteps:\n  - call: callee\n  - log: {word}\n---\n\
             workflow: callee\ntriggers: []\nsteps: [{{ delay: 1h }}, {{ log: {word} }}]\n---\n\
             workflow: sends\ntriggers: [{{ event: send }}]\nsteps:\n  - webhook: https://x.example/a\n  - log: {word}\n"
        )
    };
    let mut sim = begin(&rules("old"));
    sim.event("go", "s", json!({}));
    sim.event("call", "s", json!({}));
    sim.pause();
    sim.event("send", "s", json!({}));
    change(&mut sim, &rules("new"));
    stays(&mut sim, 1, "those it began beside each other are under way");
    stays(&mut sim, 2, "it is one of many");
    let of = |sim: &Sim, name: &str| {
        (1..=sim.runs()).find(|no| &*sim.run(*no).workflow == name).unwrap()
    };
    let (caller, callee, sends) = (of(&sim, "caller"), of(&sim, "callee"), of(&sim, "sends"));
    stays(&mut sim, callee, "called it: it ends with the version it began with");
    stays(&mut sim, sends, "an attempt of an effect is under way");
    migrate(&mut sim, caller, false).unwrap();
    sim.resume();
    act(&mut sim, "+2h");
    let logs: Vec<&String> = sim.log.iter().filter(|line| !line.contains("webhook")).collect();
    assert_eq!(
        logs,
        ["09:00:00 sends: old", "10:00:00 w: old", "10:00:00 callee: old", "10:00:00 caller: new"]
    );
}

#[test]
fn what_is_still_to_be_sent_keeps_its_key_and_content() {
    let old = "workflow: w\ntriggers: [{ event: go }]\nsteps:\n  - webhook: https://x.example/a\n    json: { word: old }\n    id: call\n  - log: old\n";
    let new = "workflow: w\ntriggers: [{ event: go }]\nsteps:\n  - log: front\n  - webhook: https://x.example/a\n    json: { word: new }\n    id: call\n  - log: new\n";
    let rules = Setup::rules(old).compile().unwrap();
    let mut sim = Sim::with_rules(Arc::new(rules), START.parse().unwrap()).answers(|_, before| {
        let why = adjutant::model::Cause::new("http_503", "busy");
        if before == 0 { Outcome::Retry { after: None, why } } else { Outcome::Done(Value::Null) }
    });
    sim.event("go", "s", json!({}));
    change(&mut sim, new);
    migrate(&mut sim, 1, false).unwrap();
    act(&mut sim, "+5m");
    assert_eq!(sim.effects.len(), 2);
    assert_eq!(sim.effects[0].key, sim.effects[1].key);
    assert_eq!(sim.effects[0].params, sim.effects[1].params);
    assert!(sim.log.last().unwrap().ends_with("w: new"), "{:?}", sim.log);
}

#[test]
fn a_ladder_that_nobody_waits_for_is_resolved_after_a_move() {
    let rules = |first: &str| {
        format!(
            "workflow: w\ntriggers: [{{ event: go }}]\nsteps:\n{first}  - escalate: ladder\n    await: false\n    resolve: {{ event: over, where: event.data.x == 1 }}\n  - delay: 1d\n---\n\
             escalation: ladder\nlevels: [{{ after: 1h, steps: [{{ log: first }}] }}]\n"
        )
    };
    let mut sim = begin(&rules(""));
    act(&mut sim, "go s");
    change(&mut sim, &rules("  - log: in front\n"));
    // The place of the wait is another one, and it has no id.
    stays(&mut sim, 1, "the step it waits at, steps[1] delay, is not in the new version");
    let named = |first: &str| {
        rules(first)
            .replace("escalate: ladder", "escalate: ladder\n    id: up")
            .replace("delay: 1d", "delay: 1d\n    id: rest")
    };
    let mut sim = begin(&named(""));
    act(&mut sim, "go s");
    change(&mut sim, &named("  - log: in front\n").replace("event: over", "event: other"));
    stays(&mut sim, 1, "what resolves run 2 is another event in the new version");
    change(&mut sim, &named("  - log: in front\n"));
    migrate(&mut sim, 1, false).unwrap();
    sim.event("over", "s", json!({ "x": 2 }));
    assert!(sim.run(2).status.is_alive());
    sim.event("over", "s", json!({ "x": 1 }));
    assert!(!sim.run(2).status.is_alive(), "{:?}", lines(&mut sim));
    act(&mut sim, "+2d");
    assert!(sim.log.is_empty(), "{:?}", sim.log);
}

#[test]
fn who_waits_for_a_turn_moves_only_with_everything_it_needs() {
    let rules = |vars: &str, word: &str| {
        format!(
            "workflow: w\ntriggers: [{{ event: go }}]\nkey: k\nmode: queued\n{vars}steps:\n  - delay: 1h\n    id: rest\n  - log: {word}\n"
        )
    };
    let mut sim = begin(&rules("", "old"));
    act(&mut sim, "go s");
    act(&mut sim, "go s");
    change(&mut sim, &rules("vars: { b: 1 }\n", "new ${vars.b}"));
    stays(&mut sim, 2, "the new version has the variable `b`");
    change(&mut sim, &rules("", "new"));
    migrate(&mut sim, 2, false).unwrap();
    act(&mut sim, "+3h");
    assert_eq!(sim.log, ["10:00:00 w: old", "11:00:00 w: new"]);
}

#[test]
fn a_mail_that_may_have_been_sent_stays_what_it_was() {
    let setup = |word: &str| {
        let rules = format!(
            "workflow: w\ntriggers: [{{ event: go }}]\nsteps:\n  - email: a@x.example\n    id: mail\n    purpose: internal\n    template: mail\n    on_uncertain: hold\n  - log: {word}\n"
        );
        Setup::rules(&rules).template("mail.txt", &format!("Subject: {word}\n\n{word}\n"))
    };
    let why = || adjutant::model::Cause::new("timeout", "the connection broke");
    let mut sim = Sim::start(&setup("old"), START).answers(move |_, before| {
        if before == 0 { Outcome::Uncertain(why()) } else { Outcome::Done(Value::Null) }
    });
    sim.event("go", "s", json!({}));
    sim.reload(Arc::new(setup("new").compile().unwrap()));
    stays(&mut sim, 1, "a mail of it was tried");
    sim.operator(Operator::Retry { run: RunNo(1), assume_done: false, by: "tom".into() });
    assert_eq!(sim.effects[0].said, sim.effects[1].said);
}
