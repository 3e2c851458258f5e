//! Effects: attempts, backoff, what is uncertain, what a person does about it, lanes, purposes.

use adjutant::model::{Status, limits};

use crate::play::{act, begin, lines, play, plays};

fn hook(script: &str, fields: &str) -> String {
    format!(
        "workflow: w\ntriggers: [{{ event: go }}]\nsteps:\n  - webhook: https://x.example/{script}\n    \
         retry: {{ attempts: 3, initial: 10s, max_wait: 15s }}\n    id: h\n{fields}  - log: nothing ${{steps.h == ()}}\n"
    )
}

#[test]
fn attempts_back_off_and_are_exhausted() {
    let mut sim = begin(&hook("retry", ""));
    act(&mut sim, "go s");
    act(&mut sim, "+5m");
    let times: Vec<i64> =
        sim.effects.iter().map(|e| e.at.since(sim.effects[0].at).as_micros()).collect();
    assert_eq!(times.len(), 3);
    // Up to a tenth less than 10 s and than 15 s.
    assert!((9_000_000..=10_000_000).contains(&times[1]), "{times:?}");
    assert!((13_500_000..=15_000_000).contains(&(times[2] - times[1])), "{times:?}");
    assert_eq!(
        lines(&mut sim).last().expect("a run"),
        "#1 w failed: attempt 3 of 3 failed: status 503"
    );
    let keys: Vec<_> = sim.effects.iter().map(|effect| effect.key).collect();
    assert!(keys.iter().all(|key| *key == keys[0]), "retries keep the key");
}

#[test]
fn retry_after_is_the_least() {
    for (script, expected) in [("after60-ok", 60), ("after1-ok", 9), ("after0-ok", 9)] {
        let mut sim = begin(&hook(script, ""));
        act(&mut sim, "go s");
        act(&mut sim, "+5m");
        let waited = sim.effects[1].at.since(sim.effects[0].at).as_micros() / 1_000_000;
        assert!(waited == expected || waited == expected + 1, "{script}: {waited}");
        assert_eq!(sim.status(1), Status::Done);
    }
}

#[test]
fn errors_go_where_the_rule_says() {
    let first = "09:00:00 webhook https://x.example/failed";
    plays(&hook("failed", ""), &["go s"], &[first, "#1 w failed: status 400"]);
    plays(
        &hook("failed", "    on_error: continue\n"),
        &["go s"],
        &[first, "09:00:00 w: nothing true", "#1 w done"],
    );
    plays(
        &hook("failed", "    on_error:\n      - log: ${error.code} ${error.message}\n"),
        &["go s"],
        &[first, "09:00:00 w: http_400 status 400", "09:00:00 w: nothing true", "#1 w done"],
    );
}

#[test]
fn uncertain_is_repeated_or_held() {
    let mut sim = begin(&hook("uncertain-ok", ""));
    act(&mut sim, "go s");
    act(&mut sim, "+1m");
    assert_eq!(sim.effects.len(), 2);
    assert_eq!(sim.effects[0].key, sim.effects[1].key);
    assert_eq!(sim.status(1), Status::Done);

    for (verb, performed) in [("retry 1", 2), ("assume 1", 1)] {
        let mut sim = begin(&hook("uncertain-ok", "    on_uncertain: hold\n"));
        act(&mut sim, "go s");
        act(&mut sim, "+1d");
        assert_eq!(sim.effects.len(), 1, "held");
        act(&mut sim, verb);
        assert_eq!(sim.effects.len(), performed);
        assert!(sim.effects.iter().all(|effect| effect.key == sim.effects[0].key));
        assert_eq!(sim.status(1), Status::Done);
    }
}

#[test]
fn the_last_attempt_is_held_as_well() {
    let rules =
        hook("uncertain-ok", "    on_uncertain: hold\n").replace("attempts: 3", "attempts: 1");
    let mut sim = begin(&rules);
    act(&mut sim, "go s");
    assert_eq!(sim.status(1), Status::Active, "what may have happened is no failure");
    act(&mut sim, "retry 1");
    assert_eq!(sim.status(1), Status::Done);
    assert_eq!(sim.effects[0].key, sim.effects[1].key);
}

#[test]
fn a_retry_by_hand_keeps_the_key_only_of_what_may_have_happened() {
    for (script, same) in [
        ("failed-ok", false),
        ("uncertain-failed-ok", true),
        ("uncertain-uncertain-uncertain-ok", true),
    ] {
        let mut sim = begin(&hook(script, ""));
        act(&mut sim, "go s");
        act(&mut sim, "+5m");
        assert_eq!(sim.status(1), Status::Failed, "{script}");
        let before = sim.effects.last().expect("an effect").key;
        act(&mut sim, "retry 1");
        let after = sim.effects.last().expect("an effect").key;
        assert_eq!(before == after, same, "{script}");
    }
}

#[test]
fn a_person_can_only_retry_what_failed_or_is_held() {
    let seen = play(&hook("ok", ""), &["go s", "retry 1", "retry 7", "ack 1", "cancel 1"]);
    let refused: Vec<&String> = seen.iter().filter(|line| line.starts_with("refused")).collect();
    assert_eq!(refused.len(), 4, "{seen:#?}");
}

const MAILS: &str = r#"
purpose: news
allow: record("consent", recipient)?.yes == true
expires: 1h
---
workflow: consent
triggers: [{ event: consent }]
steps:
  - record: consent/${event.data.of}
    set: { yes: "${event.data.yes}" }
---
workflow: mailer
triggers: [{ event: go }]
steps:
  - email: ${event.data.to}
    purpose: news
    subject: Hi
    text: Hi
    retry: { attempts: 5, initial: 30m, max_wait: 30m }
    id: m
  - log: ${steps.m.get("suppressed") ?? "sent"}
---
workflow: watcher
triggers: [{ event: message.suppressed }]
steps:
  - log: ${event.data.reason} ${event.data.workflow}
"#;

#[test]
fn a_purpose_is_asked_at_each_attempt() {
    let yes = |to: &str| format!("consent - {{\"of\": \"{to}\", \"yes\": true}}");
    let no = |to: &str| format!("consent - {{\"of\": \"{to}\", \"yes\": false}}");
    let go = |to: &str| format!("go s {{\"to\": \"{to}\"}}");
    let sent = |to: &str, timeline: &[&str]| -> Vec<String> {
        play(MAILS, timeline)
            .into_iter()
            .filter(|l| !l.starts_with('#'))
            .map(|l| l.replace(to, "TO"))
            .collect()
    };
    assert_eq!(
        sent("a@x.example", &[&go("a@x.example")]),
        ["09:00:00 mailer: not_allowed", "09:00:00 watcher: not_allowed mailer"]
    );
    let (y, n, g) = (yes("retry-ok@x.example"), no("retry-ok@x.example"), go("retry-ok@x.example"));
    let seen = sent("retry-ok@x.example", &[&y, &g, &n, "+1h"]);
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen[1].ends_with("mailer: not_allowed"), "{seen:?}");
    let (y, g) = (yes("retry@x.example"), go("retry@x.example"));
    let seen = sent("retry@x.example", &[&y, &g, "+5h"]);
    // At 0, 30 and 60 minutes (less the spread); after that it is too late.
    assert!(seen.iter().any(|line| line.ends_with("mailer: expired")), "{seen:?}");
}

#[test]
fn lanes_have_bounds_and_take_turns() {
    let rules = r#"
workflow: a
triggers: [{ event: go }]
steps: [{ webhook: "https://x.example/ok" }]
---
workflow: b
triggers: [{ event: go }]
steps: [{ webhook: "https://x.example/ok" }]
---
workflow: m
triggers: [{ event: mail }]
steps: [{ email: a@x.example, purpose: internal, subject: s, text: t }]
"#;
    let mut sim = begin(rules);
    sim.pause();
    // Two webhooks each: half as many again as may be announced.
    let events = limits::LANE_WEBHOOK * 3 / 4;
    for _ in 0..events {
        act(&mut sim, "go s");
        act(&mut sim, "mail s");
    }
    let count = |sim: &crate::support::sim::Sim, what: &str| {
        sim.effects.iter().filter(|effect| effect.action.as_str() == what).count()
    };
    assert_eq!(count(&sim, "webhook"), limits::LANE_WEBHOOK);
    assert_eq!(count(&sim, "email"), limits::LANE_MAIL);
    sim.resume();
    assert_eq!((count(&sim, "webhook"), count(&sim, "email")), (2 * events, events));
    // While there is a backlog of both, the workflows take turns.
    let order: Vec<&str> = sim
        .effects
        .iter()
        .filter(|e| e.action.as_str() == "webhook")
        .map(|e| e.workflow.as_str())
        .skip(limits::LANE_WEBHOOK)
        .take(40)
        .collect();
    assert!(order.windows(2).all(|two| two[0] != two[1]), "{order:?}");
    assert_eq!(sim.state().in_flight(), 0);
}

#[test]
fn a_person_repeats_what_may_have_happened_with_the_same_content_under_the_same_key() {
    let rules = "workflow: w\ntriggers: [{ event: go }]\nsteps:\n  - webhook: https://x.example/uncertain\n    \
                 retry: { attempts: 1 }\n    json: { stage: '${record(\"lead\", \"1\")?.stage}' }\n\
                 on_failure:\n  - webhook: https://x.example/ok\n    json: { at: '${now.to_string()}' }\n  \
                 - emit: told\n  - call: c\n---\nworkflow: c\ntriggers: []\nsteps: [{ log: called }]\n---\n\
                 workflow: set\ntriggers: [{ event: set }]\nsteps: [{ record: lead/1, set: { stage: new } }]\n";
    let mut sim = begin(rules);
    act(&mut sim, "go");
    act(&mut sim, "set");
    act(&mut sim, "+1h");
    act(&mut sim, "retry 1");
    let to = |path: &str| {
        let sent = sim.effects.iter().filter(|effect| effect.to.ends_with(path));
        sent.map(|effect| (effect.key, effect.params.clone())).collect::<Vec<_>>()
    };
    let (sent, told) = (to("/uncertain"), to("/ok"));
    assert_eq!((sent.len(), &sent[0]), (2, &sent[1]));
    // What is told about the second failure is another thing than what was told about the first.
    assert_eq!(told.len(), 2);
    assert_ne!(told[0].0, told[1].0);
    let events = sim.events_of("told");
    assert_eq!(events.len(), 2);
    assert_ne!(events[0].id, events[1].id);
    // No two runs are the same, and no key has two contents.
    sim.final_state();
}
