//! The shipped rules on virtual time: what they are for, happens; nothing else does.

use std::path::PathBuf;
use std::sync::Arc;

use crate::support::sim::{Crash, Sim, at};
use adjutant::model::{EffectState, Operator, RunNo, Status};
use adjutant::rules::{Context, Files, Look, RuleSet, Sources, render};
use serde_json::{Value as Json, json};

fn start(rules: &str, now: &str) -> Sim {
    start_with(rules, &["plugins"], now)
}

/// With the rules and plugins of these folders, which give no warning.
pub(crate) fn start_with(rules: &str, plugins: &[&str], now: &str) -> Sim {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let plugins: Vec<_> = plugins.iter().map(|folder| root.join(folder)).collect();
    let sources = Sources::read(&[root.join(rules)], &plugins).expect("the folders are there");
    let context = Context {
        endpoints: vec!["crm".into(), "ops-chat".into()],
        timezone: "UTC".into(),
        ..Context::default()
    };
    let rules = match RuleSet::compile(&sources, &context) {
        Ok((rules, warnings)) => {
            assert!(
                warnings.is_empty(),
                "{}",
                render(&warnings, &Files::of(sources.files()), Look::Plain)
            );
            rules
        }
        Err(found) => panic!("{}", render(&found, &Files::of(sources.files()), Look::Plain)),
    };
    Sim::with_rules(Arc::new(rules), at(now))
}

fn sample(name: &str) -> (String, String, Json) {
    let path = format!("{}/examples/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let event: Json =
        serde_json::from_str(&std::fs::read_to_string(path).expect("a sample")).expect("JSON");
    let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
    (text("type"), text("subject"), event["data"].clone())
}

fn send(sim: &mut Sim, name: &str) {
    let (kind, subject, data) = sample(name);
    // What a person does in between must not change the ids of events.
    let id = format!("{name} {}", sim.now);
    sim.event_with_id(&id, &kind, &subject, data);
}

#[test]
fn a_lead_is_answered_and_climbs_until_accepted() {
    // Monday, 10:00 in Berlin
    let mut sim = start("rules", "2026-03-02T09:00:00Z");
    send(&mut sim, "lead-created");
    let mut seen = sim.seen();
    seen.sort();
    assert_eq!(
        seen,
        [
            "2026-03-02T09:00:00Z ana@ops.example lead-assigned",
            "2026-03-02T09:00:00Z crm webhook",
            "2026-03-02T09:00:00Z zoe@widgets.x.example lead-ack",
        ]
    );
    assert_eq!(sim.field("lead/42", "tier"), "hot".into());
    // Sent again under another id while it is worked on: nothing.
    sim.until("2026-03-02T09:00:01Z");
    send(&mut sim, "lead-created");
    assert!(sim.seen().is_empty());
    sim.until("2026-03-02T09:20:00Z");
    assert_eq!(
        sim.seen(),
        [
            "2026-03-02T09:05:00Z ana@ops.example lead-unaccepted",
            "2026-03-02T09:15:00Z mia@ops.example adjutant-escalation",
        ]
    );
    send(&mut sim, "lead-accepted");
    assert_eq!(sim.seen(), ["2026-03-02T09:20:00Z crm webhook"]);
    assert_eq!(sim.field("lead/42", "stage"), "accepted".into());
    assert_eq!(sim.field("lead/42", "owner"), "ana".into());
    sim.until("2026-04-02T09:20:00Z");
    assert!(sim.seen().is_empty());
    // The same person again, as another lead.
    sim.event("lead.created", "lead/43", json!({ "email": "ZOE@widgets.x.example " }));
    assert_eq!(sim.seen(), ["2026-04-02T09:20:00Z crm webhook"]);
    assert!(sim.field("lead/43", "stage").is_null());
}

#[test]
fn leads_can_be_rejected_withdrawn_cold_abandoned_or_resolved_by_hand() {
    let mut sim = start("rules", "2026-03-02T09:00:00Z");
    send(&mut sim, "lead-created");
    send(&mut sim, "lead-rejected");
    assert_eq!(sim.field("lead/42", "reason"), "a competitor".into());
    sim.seen();

    sim.event(
        "lead.created",
        "lead/2",
        json!({ "email": "a@freemail.example", "employees": "about 200" }),
    );
    assert_eq!(sim.field("lead/2", "stage"), "nurture".into());
    sim.until("2026-03-02T12:00:00Z");
    assert_eq!(sim.seen().len(), 2, "the answer and the CRM, nothing more");

    let hot =
        |mail: &str| json!({ "email": mail, "country": "FR", "employees": 100, "title": "CEO" });
    sim.event("lead.created", "lead/3", hot("c@x.example"));
    sim.event("lead.withdrawn", "lead/3", json!({}));
    sim.seen();
    sim.until("2026-03-03T12:00:00Z");
    assert!(sim.seen().is_empty());

    // Nobody answers for five working days: from Tuesday 13:00 to the next Tuesday.
    sim.event("lead.created", "lead/4", hot("d@x.example"));
    sim.until("2026-03-10T11:59:00Z");
    assert_eq!(sim.field("lead/4", "stage"), "new".into());
    sim.until("2026-03-10T12:01:00Z");
    assert_eq!(sim.field("lead/4", "stage"), "abandoned".into());
    sim.seen();
    sim.until("2026-03-20T12:01:00Z");
    assert!(sim.seen().is_empty(), "the ladder ended with its run");

    sim.event("lead.created", "lead/5", hot("e@x.example"));
    let ladder = (1..=sim.runs())
        .rev()
        .find(|no| &*sim.run(*no).workflow == "lead-unaccepted")
        .expect("a ladder");
    sim.operator(Operator::Resolve { run: RunNo(ladder), by: "mia".into() });
    assert_eq!(sim.field("lead/5", "stage"), "accepted".into());
    assert_eq!(sim.field("lead/5", "owner"), "ben".into());
    for no in 1..=sim.runs() {
        let run = sim.run(no);
        assert_ne!(run.status, Status::Failed, "{}: {:?}", run.workflow, run.reason);
    }
}

#[test]
fn a_lead_on_friday_evening_is_due_on_monday() {
    let mut sim = start("rules", "2026-03-06T16:58:00Z");
    send(&mut sim, "lead-created");
    assert_eq!(sim.seen().len(), 3);
    sim.until("2026-03-09T08:04:59Z");
    assert!(sim.seen().is_empty());
    sim.until("2026-03-09T08:05:00Z");
    assert_eq!(sim.seen(), ["2026-03-09T08:05:00Z ana@ops.example lead-unaccepted"]);
}

#[test]
fn a_campaign_is_reported_when_its_figures_come() {
    let mut sim = start("rules", "2026-03-31T14:00:00Z");
    send(&mut sim, "campaign-ended");
    sim.until("2026-04-01T15:00:00Z");
    assert_eq!(sim.seen(), ["2026-04-01T14:00:00Z nora@ops.example metrics-chaser"]);
    send(&mut sim, "campaign-metrics-received");
    assert_eq!(
        sim.effects.iter().map(|e| e.to.as_str()).collect::<Vec<_>>(),
        ["cmo@ops.example", "crm"]
    );
    assert_eq!(
        sim.effects[0].said.as_ref().expect("a mail").0,
        "Spring offer: 86 % of the goal, close"
    );
    assert_eq!(sim.field("campaign/spring", "result"), "close".into());
    sim.seen();

    // Nobody sends any: Thursday 2 April, then Good Friday, the weekend and Easter Monday are closed.
    sim.event(
        "campaign.ended",
        "campaign/easter",
        json!({ "name": "Easter", "goal": { "leads": 10 } }),
    );
    sim.until("2026-04-30T15:00:00Z");
    assert_eq!(
        sim.seen(),
        [
            "2026-04-02T15:00:00Z nora@ops.example metrics-chaser",
            "2026-04-08T15:00:00Z cmo@ops.example campaign-unreported",
        ]
    );
    assert_eq!(sim.field("campaign/easter", "status"), "unreported".into());
    let run = (1..=sim.runs()).map(|no| sim.run(no)).find(|run| run.status == Status::Failed);
    assert!(run.expect("it stands in the list of what went wrong").reason.is_some());
    // Figures that were there before the end was told, and a goal that was missed.
    sim.event(
        "campaign.metrics.received",
        "campaign/june",
        json!({ "leads": 0, "spent_cents": 5 }),
    );
    sim.event(
        "campaign.ended",
        "campaign/june",
        json!({ "name": "June", "goal": { "leads": 10 } }),
    );
    sim.event(
        "campaign.metrics.received",
        "campaign/june",
        json!({ "leads": 0, "spent_cents": 5 }),
    );
    let to: Vec<_> = sim.seen();
    assert_eq!(to.len(), 3, "{to:?}");
}

#[test]
fn a_complaint_is_chased_resolved_and_closed() {
    // Monday, 14:20 in Berlin
    let mut sim = start("rules", "2026-03-02T13:20:00Z");
    send(&mut sim, "complaint-filed");
    assert_eq!(
        sim.seen(),
        [
            "2026-03-02T13:20:00Z yan@y.example complaint-received",
            "2026-03-02T13:20:00Z cara@ops.example complaint-assigned"
        ]
    );
    // 2 h 40 are left on Monday.
    sim.until("2026-03-03T09:20:00Z");
    assert_eq!(sim.seen(), ["2026-03-03T09:20:00Z cara@ops.example adjutant-escalation"]);
    let ladder = (1..=sim.runs())
        .find(|no| &*sim.run(*no).workflow == "complaint-ladder")
        .expect("a ladder");
    sim.operator(Operator::Acknowledge { run: RunNo(ladder), by: "cara".into() });
    sim.until("2026-03-03T13:19:00Z");
    assert!(sim.seen().is_empty());
    sim.until("2026-03-03T13:20:00Z");
    assert_eq!(
        sim.seen(),
        ["2026-03-03T13:20:00Z max@ops.example adjutant-escalation"],
        "forgotten: four hours later it goes on"
    );
    send(&mut sim, "complaint-resolved");
    assert_eq!(sim.seen(), ["2026-03-03T13:20:00Z yan@y.example complaint-solved"]);
    sim.until("2026-03-10T13:19:00Z");
    assert_eq!(sim.field("complaint/9001", "status"), "resolved".into());
    sim.until("2026-03-10T13:21:00Z");
    assert_eq!(sim.field("complaint/9001", "status"), "closed".into());
    assert!(sim.seen().is_empty());
}

#[test]
fn a_complaint_can_be_reopened_twice() {
    let mut sim = start("rules", "2026-03-02T13:20:00Z");
    send(&mut sim, "complaint-filed");
    // Impatient: it is still open.
    send(&mut sim, "complaint-reopened");
    sim.seen();
    sim.until("2026-03-02T13:30:00Z");
    send(&mut sim, "complaint-resolved");
    assert_eq!(sim.seen().len(), 1);
    sim.until("2026-03-02T13:40:00Z");
    assert_eq!(
        sim.field("complaint/9001", "status"),
        "resolved".into(),
        "an early `reopened` does not count"
    );
    for round in 1..=2 {
        send(&mut sim, "complaint-reopened");
        assert_eq!(sim.field("complaint/9001", "reopened"), i64::from(round).into());
        assert_eq!(sim.field("complaint/9001", "status"), "open".into());
        let now = sim.now;
        assert_eq!(sim.seen(), [format!("{now} max@ops.example complaint-back")]);
        sim.until_instant(now + adjutant::model::Span::from_secs(1800));
        let seen = sim.seen();
        assert!(
            seen.len() == 1 && seen[0].contains("max@ops.example adjutant-escalation"),
            "{seen:?}"
        );
        send(&mut sim, "complaint-resolved");
        let seen = sim.seen();
        assert!(seen.len() == 1 && seen[0].contains("complaint-solved"), "{seen:?}");
        sim.until_instant(sim.now + adjutant::model::Span::from_secs(3600));
    }
    sim.until("2026-03-30T13:21:00Z");
    assert_eq!(sim.field("complaint/9001", "status"), "closed".into());
    assert!(sim.seen().is_empty());
    for no in 1..=sim.runs() {
        let run = sim.run(no);
        assert!(
            !run.status.is_alive() && run.status != Status::Failed,
            "{}: {:?} {:?}",
            run.workflow,
            run.status,
            run.reason
        );
    }
}

#[test]
fn severity_decides_and_objections_count() {
    let mut sim = start("rules", "2026-03-07T13:20:00Z");
    sim.event(
        "complaint.filed",
        "complaint/1",
        json!({ "email": "A@y.example", "text": "Sie wurde verletzt", "language": "de-AT" }),
    );
    assert_eq!(
        sim.effects[0].said.as_ref().expect("a mail").0,
        "Ihre Beschwerde ist angekommen (complaint/1)"
    );
    sim.seen();
    sim.until("2026-03-07T15:20:00Z");
    assert_eq!(
        sim.seen(),
        [
            "2026-03-07T13:50:00Z max@ops.example adjutant-escalation",
            "2026-03-07T14:20:00Z cmo@ops.example adjutant-escalation",
            "2026-03-07T14:20:00Z tom@ops.example adjutant-escalation",
            "2026-03-07T15:20:00Z cmo@ops.example adjutant-escalation",
        ],
        "on a Saturday"
    );
    sim.event("contact.opted-out", "", json!({ "email": "a@Y.example" }));
    sim.event("complaint.resolved", "complaint/1", json!({}));
    assert!(sim.seen().is_empty(), "no courtesy mail for who objected");
    sim.event(
        "complaint.filed",
        "complaint/2",
        json!({ "email": "b@y.example", "severity": "low" }),
    );
    assert_eq!(sim.seen().len(), 2);
    assert_eq!(sim.field("complaint/2", "status"), "closed".into());
}

#[test]
fn the_tour_climbs_in_seconds() {
    let mut sim = start("examples/tour/rules", "2026-03-01T03:00:00Z");
    send(&mut sim, "lead-created");
    sim.until("2026-03-01T03:00:33Z");
    assert_eq!(
        sim.seen(),
        [
            "2026-03-01T03:00:00Z zoe@widgets.x.example thanks",
            "2026-03-01T03:00:00Z ana@ops.example new-lead",
            "2026-03-01T03:00:10Z ana@ops.example still-waiting",
            "2026-03-01T03:00:30Z tom@ops.example adjutant-escalation",
        ]
    );
    send(&mut sim, "lead-accepted");
    assert_eq!(sim.seen(), ["2026-03-01T03:00:33Z crm webhook"]);
    sim.until("2026-04-01T03:00:33Z");
    assert!(sim.seen().is_empty());
    for no in 1..=sim.runs() {
        assert_eq!(sim.status(no), Status::Done);
    }
}

/// What is told to the rules, in order; the state is looked at when all is over.
type Story = fn(&mut Sim);

fn lead_story(sim: &mut Sim) {
    send(sim, "lead-created");
    sim.until("2026-03-02T09:20:00Z");
    send(sim, "lead-accepted");
    sim.event("lead.created", "lead/43", json!({ "email": "ZOE@widgets.x.example" }));
    sim.until("2026-03-20T09:20:00Z");
}

fn campaign_story(sim: &mut Sim) {
    send(sim, "campaign-ended");
    sim.until("2026-03-04T09:00:00Z");
    send(sim, "campaign-metrics-received");
    sim.until("2026-03-20T09:20:00Z");
}

fn complaint_story(sim: &mut Sim) {
    send(sim, "complaint-filed");
    sim.until("2026-03-03T09:20:00Z");
    send(sim, "complaint-resolved");
    release(sim);
    sim.until("2026-03-03T10:20:00Z");
    send(sim, "complaint-reopened");
    sim.until("2026-03-03T11:20:00Z");
    send(sim, "complaint-resolved");
    release(sim);
    sim.until("2026-03-20T09:20:00Z");
}

/// A person releases what a crash left uncertain and its purpose holds.
fn release(sim: &mut Sim) {
    for no in 1..=sim.runs() {
        let held = sim.run(no).effect().is_some_and(|effect| effect.state == EffectState::Held);
        if held {
            sim.operator(Operator::Retry { run: RunNo(no), assume_done: false, by: "tom".into() });
        }
    }
}

#[test]
fn a_crash_at_any_commit_changes_nothing() {
    let stories: [Story; 3] = [lead_story, campaign_story, complaint_story];
    for (number, story) in stories.into_iter().enumerate() {
        let mut plain = start("rules", "2026-03-02T09:00:00Z");
        story(&mut plain);
        let expected = plain.final_state();
        let mut crashes = 0;
        for commit in 1..=plain.commits {
            for crash in [Crash::Before, Crash::After, Crash::AfterPerforming] {
                let mut sim = start("rules", "2026-03-02T09:00:00Z");
                sim.crash_at(commit, crash);
                story(&mut sim);
                crashes += usize::from(sim.crashed);
                assert_eq!(
                    sim.final_state(),
                    expected,
                    "story {number}, {crash:?} commit {commit}"
                );
            }
        }
        assert!(crashes >= plain.commits, "story {number}: {crashes} crashes");
    }
}
