//! A crash at any commit changes nothing that anybody can see.

use adjutant::model::{ArmSubject, EffectState, EventNo, Operator, Pattern, RunNo, Status, View};

use crate::play::{START, act, scripted};
use crate::support::chance::Chance;
use crate::support::sim::{Crash, Setup, Sim};

const EVERYTHING: &str = r#"
record: lead
index: [stage]
---
record: person
rows: { ana: { email: ana@x.example } }
---
workflow: all
triggers: [{ event: go }]
key: ${event.subject}
mode: queued
vars: { n: 1 }
steps:
  - record: ${event.subject}
    set: { stage: new }
  - vars: { n: "${vars.n + 1}" }
  - rhai: vars.n * 2
    id: twice
  - email: a@x.example
    purpose: internal
    subject: Hi
    text: "${steps.twice}"
    on_uncertain: hold
    id: mail
  - webhook: https://x.example/retry-ok
    id: hook
  - webhook: https://x.example/failed
    on_error: [{ log: "${error.code}" }]
  - switch:
      - if: vars.n > 5
        then: [{ fail: no }]
      - else: [{ delay: 5m }]
  - emit: ping
    data: { n: "${vars.n}" }
  - wait_for: pong
    timeout: 1h
    id: pong
  - call: child
    args: { n: 4 }
    id: child
  - escalate: up
    resolve: { event: fixed }
    id: up
  - wait_for: never
    timeout: 10m
    on_timeout: [{ log: late }]
  - foreach: ${[1, 2, 3]}
    max_parallel: 2
    steps:
      - webhook: https://z.example/ok
        json: { n: "${item}" }
      - delay: 1m
    id: each
  - parallel:
      - [{ log: left }, { delay: 2m }]
      - [{ fail: right }]
    on_error: continue
    id: both
  - record: ${event.subject}
    set:
      stage: ${old.stage + "+"}
      count: ${(old.get("count") ?? 0) + 1}
  - script: plus
    args: ["${vars.n}", 1]
    id: sum
  - metric: all_total
    add: ${steps.sum}
  - action: deeds
    args: { list: [ok, retry-ok, uncertain-ok] }
    id: deeds
  - then: [{ log: done }]
    if: steps.deeds.len() == 3
    else: [{ fail: deeds }]
  - stop: done
---
workflow: ponger
triggers: [{ event: ping }]
steps:
  - emit: pong
---
workflow: child
triggers: []
steps:
  - vars: { m: "${args.n}" }
  - delay: 1m
  - webhook: https://y.example/ok
---
workflow: failing
triggers: [{ event: ping }]
steps: [{ fail: always }]
on_failure: [{ webhook: "https://y.example/ok", json: { why: "${error.message}" } }]
---
workflow: calm
triggers: [{ event: ping }]
key: ${event.subject}
debounce: 3m
throttle: { max: 1, per: ever }
steps: [{ webhook: "https://y.example/calm-ok" }]
---
workflow: dry
triggers: [{ event: ping }]
shadow: true
steps: [{ webhook: "https://y.example/dry-ok" }, { emit: never }]
---
workflow: often
triggers: [{ count: ping, by: "${event.subject}", at_least: 2, within: 1d }]
steps: [{ webhook: "https://y.example/often-ok" }]
---
workflow: quiet
triggers: [{ absent: ping, by: "${event.subject}", for: 90m }]
steps: [{ webhook: "https://y.example/quiet-ok" }]
---
workflow: hourly
triggers: [{ schedule: "0 * * * *", timezone: Europe/Berlin }]
steps: [{ webhook: "https://y.example/hourly-ok" }]
---
workflow: staged
triggers: [{ record: lead, becomes: record.stage == "new" }]
steps: [{ webhook: "https://y.example/staged-ok" }]
---
workflow: watch
triggers: [{ event: run.failed }]
steps: [{ email: ops@x.example, purpose: internal, subject: "${event.data.workflow}", text: t }]
---
escalation: up
levels:
  - { after: 5m, notify: [ana] }
  - { after: 5m, notify: [ana] }
"#;

const MANIFEST: &str = "name: desk\nversion: 1.0.0\npermissions: { hosts: [w.example] }\n";
const DESK: &str = "fn plus(a, b) { a + b }\n\
    fn action_deeds(args) { args.list.map(|to| #{ url: \"https://w.example/\" + to }) }\n";

fn everything() -> Sim {
    let setup = Setup::rules(EVERYTHING).plugin_folder("desk", MANIFEST, DESK);
    Sim::start(&setup, START).answers(scripted)
}

/// A person releases what a crash left uncertain and its rule holds.
fn release(sim: &mut Sim) {
    for no in 1..=sim.runs() {
        if sim.run(no).effect().is_some_and(|effect| effect.state == EffectState::Held) {
            sim.operator(Operator::Retry { run: RunNo(no), assume_done: false, by: "tom".into() });
        }
    }
}

fn story(sim: &mut Sim) {
    act(sim, "go lead/1");
    release(sim);
    act(sim, "go lead/1");
    act(sim, "+15m");
    release(sim);
    act(sim, "fixed lead/1");
    act(sim, "+1h");
    release(sim);
    act(sim, "+1h");
    act(sim, "fixed lead/1");
    act(sim, "+3h");
}

#[test]
fn a_crash_at_any_commit_changes_nothing() {
    let mut plain = everything();
    // Opening the store commits as well; crashes are planned after that.
    let opening = plain.commits;
    story(&mut plain);
    let expected = plain.final_state();
    assert!((1..=plain.runs()).all(|no| !plain.status(no).is_alive()), "{expected:#?}");
    assert!(plain.commits > 20, "{}", plain.commits);
    for crash in [Crash::Before, Crash::After, Crash::AfterPerforming] {
        for commit in 1..=plain.commits - opening {
            let mut sim = everything();
            sim.crash_at(commit, crash);
            story(&mut sim);
            assert!(sim.crashed, "{crash:?} {commit}");
            let seen = sim.final_state();
            for (a, b) in expected.iter().zip(&seen) {
                assert_eq!(a, b, "{crash:?} at commit {commit}");
            }
            assert_eq!(expected.len(), seen.len(), "{crash:?} at commit {commit}");
        }
    }
}

/// What is derived and kept in memory is what another process would derive.
fn indexes_agree(sim: &Sim) {
    let (live, fresh) = (sim.state(), sim.reloaded());
    assert_eq!(live.next_event(), fresh.next_event());
    assert_eq!(live.next_run(), fresh.next_run());
    assert_eq!(live.next_due(), fresh.next_due());
    assert_eq!(live.in_flight(), fresh.in_flight());
    for lane in ["smtp", "script", "https://x.example", "https://y.example", "https://w.example"] {
        assert_eq!(live.credit(lane), fresh.credit(lane), "{lane}");
    }
    for subject in ["lead/1", "lead/2", "lead/3"] {
        let about = |state: &dyn View| state.events_about(subject, EventNo(0), 9_999);
        assert_eq!(about(live), about(&fresh));
        for kind in ["pong", "fixed", "never"] {
            let pattern = Pattern::parse(kind).expect("a pattern");
            let who = ArmSubject::Is(subject.into());
            let waiters = |state: &dyn View| state.waiters(&pattern, &who, RunNo(0), 999);
            assert_eq!(waiters(live), waiters(&fresh), "{kind} of {subject}");
        }
        let holders = |state: &dyn View| state.holders("all", Some(subject), 999);
        assert_eq!(holders(live), holders(&fresh));
    }
    for no in 1..=sim.runs() {
        assert_eq!(live.children(RunNo(no)), fresh.children(RunNo(no)));
    }
}

#[test]
fn a_random_workload_with_random_crashes_loses_nothing() {
    let seed = Chance::seed("ENGINE_SEED");
    for round in 0..20 {
        let seed = seed.wrapping_add(round);
        let mut chance = Chance::new(seed);
        let mut sim = everything();
        let mut accepted = 0;
        for _ in 0..60 {
            let crash = [Crash::Before, Crash::After, Crash::AfterPerforming];
            if chance.below(4) == 0 {
                sim.crash_at(1 + chance.below(6) as usize, crash[chance.below(3) as usize]);
            }
            let subject = format!("lead/{}", 1 + chance.below(3));
            match chance.below(8) {
                0..=2 => {
                    act(&mut sim, &format!("go {subject}"));
                    accepted += 1;
                }
                3 => act(&mut sim, &format!("fixed {subject}")),
                4 => release(&mut sim),
                5 if sim.runs() > 0 => {
                    let run = 1 + chance.below(sim.runs());
                    act(
                        &mut sim,
                        &format!("{} {run}", if chance.below(2) == 0 { "ack" } else { "retry" }),
                    );
                }
                _ => act(&mut sim, &format!("+{}m", 1 + chance.below(20))),
            }
            indexes_agree(&sim);
        }
        let own = |run: &adjutant::model::Run| run.branch.is_none() && &*run.workflow == "all";
        let all = (1..=sim.runs()).filter(|no| own(&sim.run(*no))).count();
        assert_eq!(all, accepted, "seed {seed}: every event has its run, once");
        // Duplicated runs and effects with two contents fail here.
        sim.final_state();
        for _ in 0..accepted * 40 {
            act(&mut sim, "+1h");
            release(&mut sim);
            (1..=3).for_each(|no| act(&mut sim, &format!("fixed lead/{no}")));
            if (1..=sim.runs()).all(|no| !sim.status(no).is_alive()) {
                break;
            }
        }
        for no in 1..=sim.runs() {
            let run = sim.run(no);
            assert!(
                !run.status.is_alive(),
                "seed {seed}: run {no} {:?} {:?}",
                run.workflow,
                run.wait
            );
            let fails = ["failing", "up"].contains(&&*run.workflow) || run.branch.is_some();
            assert!(
                fails || run.status == Status::Done,
                "seed {seed}: {} {:?}",
                run.workflow,
                run.reason
            );
        }
    }
}
