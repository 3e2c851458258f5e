//! The packs of `tests/language/`, the language's own examples, on virtual time through the pump.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::path::Path;
use std::sync::Arc;

use adjutant::model::{Code, EventNo, Outcome, Reply, Status, Trace, Value, View, Wait};
use serde_json::json;
use support::sim::{Setup, Sim, at};

/// Mail of the purpose `marketing` needs the recipient's consent, which comes by this.
const CONSENT: &str = "
workflow: consent
triggers: [{ event: consent.given }]
steps:
  - record: consent/${event.data.email}
    set: { marketing: true }
";

/// Every file of a folder of the packs, with its name and text.
fn files(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/language").join(folder);
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    found.sort();
    found
}

/// All packs together, as an installation would have them.
fn packs() -> Setup {
    let under = |folder: &str, (name, text): (String, String)| (format!("{folder}/{name}"), text);
    let mut rules: Vec<_> = files("").into_iter().map(|file| under("rules", file)).collect();
    rules.push(("rules/consent.yaml".to_owned(), CONSENT.to_owned()));
    let plugins = files("plugins").into_iter().map(|file| under("plugins", file)).collect();
    Setup { rules, templates: files("templates"), plugins, ..Setup::default() }
}

/// Every effect is done, and a mail's result names its key.
fn sim(start: &str) -> Sim {
    Sim::start(&packs(), start).answers(|command, _| {
        Outcome::Done(Value::from([("message", command.key.to_string().into())]))
    })
}

fn is_duplicate(sim: &Sim, token: usize) -> bool {
    matches!(sim.replies[&token], Reply::Accepted { duplicate: true, .. })
}

/// Nothing is left to happen, ever.
fn assert_at_rest(sim: &Sim) {
    for no in 1..=sim.runs() {
        let run = sim.run(no);
        assert!(!run.status.is_alive() && run.arms.is_empty(), "{run:?}");
    }
}

// The scenario of the hot lead. Berlin is an hour ahead of UTC until 29 March.

#[test]
fn a_hot_lead_goes_round_until_somebody_accepts() {
    let mut sim = sim("2026-03-02T08:55:00Z");
    away(&mut sim, "ana");
    sim.until("2026-03-02T08:56:00Z");
    sim.event("lead.created", "lead/1", json!({ "id": 1, "email": "z@x.example" }));
    assert_eq!(
        sim.seen(),
        [
            "2026-03-02T08:56:00Z z@x.example lead-ack",
            "2026-03-02T08:56:00Z ben@ops.example new-lead"
        ]
    );
    sim.until("2026-03-02T08:57:00Z");
    sim.event("lead.accepted", "lead/1", json!({ "by": "ben" }));

    sim.until("2026-03-02T09:00:00Z");
    let lead = json!({ "id": 42, "email": "ANA@x.example" });
    let first = sim.event_with_id("e-1", "lead.created", "lead/42", lead.clone());
    assert!(!is_duplicate(&sim, first));
    assert_eq!(
        sim.seen(),
        [
            "2026-03-02T09:00:00Z ana@x.example lead-ack",
            "2026-03-02T09:00:00Z cara@ops.example new-lead"
        ]
    );
    sim.until("2026-03-02T09:00:30Z");
    let again = sim.event_with_id("e-1", "lead.created", "lead/42", lead);
    assert!(is_duplicate(&sim, again));
    assert!(sim.seen().is_empty());

    sim.until("2026-03-02T09:05:00Z");
    let passed_on = sim.effects.last().cloned().unwrap();
    assert_eq!(passed_on.params.get("cc"), Some(&Value::List(vec!["max@ops.example".into()])));
    assert_eq!(
        passed_on.said.unwrap(),
        ("Lead 42 was passed on to you".to_owned(), "cara did not accept it in time.\n".to_owned())
    );
    assert_eq!(sim.seen(), ["2026-03-02T09:05:00Z dan@ops.example lead-passed-on"]);

    sim.until("2026-03-02T09:10:00Z");
    assert_eq!(sim.seen(), ["2026-03-02T09:10:00Z tom@ops.example adjutant-escalation"]);

    sim.until("2026-03-02T09:12:00Z");
    sim.event("lead.accepted", "lead/42", json!({ "by": "dan" }));
    sim.until("2026-03-09T11:00:00Z");
    assert!(sim.seen().is_empty());
    assert_eq!(sim.field("lead/42", "owner"), "dan".into());
    assert_eq!(sim.field("lead/42", "stage"), "accepted".into());
    assert_eq!(sim.field("lead/1", "owner"), "ben".into());
    assert_at_rest(&sim);
}

#[test]
fn a_lead_accepted_between_the_levels_goes_no_further() {
    let mut sim = sim("2026-03-02T09:00:00Z");
    sim.event("lead.created", "lead/42", json!({ "id": 42, "email": "a@x.example" }));
    sim.until("2026-03-02T09:07:00Z");
    assert_eq!(sim.seen().len(), 3, "the first level was reached");
    // Whoever accepts another lead has not accepted this one.
    sim.event("lead.accepted", "lead/43", json!({ "by": "dan" }));
    sim.event("lead.accepted", "lead/42", json!({ "by": "cara" }));
    sim.until("2026-03-09T11:00:00Z");
    assert!(sim.seen().is_empty());
    assert_eq!(sim.field("lead/42", "owner"), "cara".into());
    assert_at_rest(&sim);
}

/// Somebody is away for a month.
fn away(sim: &mut Sim, who: &str) {
    let ends = Value::Instant(sim.now + adjutant::model::Span::from_days(30));
    let address = format!("absence/{who}").parse().unwrap();
    let fields = [("ends".into(), ends)].into();
    sim.operator(adjutant::model::Operator::Write { address, fields, by: "tom".into() });
}

/// When the two levels of a lead created then are reached.
fn levels(created: &str) -> Vec<String> {
    let mut sim = sim(created);
    away(&mut sim, "ana");
    sim.event("lead.created", "lead/42", json!({ "id": 42, "email": "a@x.example" }));
    assert!(sim.seen().iter().all(|line| line.starts_with(created)), "the first mails go at once");
    sim.until_instant(at(created) + adjutant::model::Span::from_days(10));
    sim.seen().iter().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn the_ladder_waits_for_open_hours() {
    // Friday 17:58: open minutes begin on Monday at 09:00.
    assert_eq!(
        levels("2026-03-06T16:58:00Z"),
        ["2026-03-09T08:05:00Z cara@ops.example", "2026-03-09T08:10:00Z tom@ops.example"]
    );
    // Friday 16:58, and the clocks go forward on Sunday: two minutes on Friday, three on Monday.
    assert_eq!(
        levels("2026-03-27T15:58:00Z"),
        ["2026-03-30T07:03:00Z cara@ops.example", "2026-03-30T07:08:00Z tom@ops.example"]
    );
    // The Thursday before Easter, 16:53: the second level only on Tuesday.
    assert_eq!(
        levels("2026-04-02T14:53:00Z"),
        ["2026-04-02T14:58:00Z cara@ops.example", "2026-04-07T07:03:00Z tom@ops.example"]
    );
}

#[test]
fn a_lead_that_is_known_by_its_mail_is_merged() {
    let mut sim = sim("2026-03-02T09:00:00Z");
    sim.event("lead.created", "lead/1", json!({ "id": 1, "email": "a@x.example" }));
    assert_eq!(sim.seen().len(), 2);
    sim.event("lead.created", "lead/2", json!({ "id": 2, "email": "A@X.example" }));
    assert!(sim.seen().is_empty());
    assert_eq!(sim.field("lead/2", "stage"), Value::Null);
    let merged = sim.state().events_after(EventNo(2), 10).unwrap();
    let merged: Vec<_> = merged.iter().map(|stored| &stored.event).collect();
    assert_eq!(merged.len(), 1);
    assert_eq!((&*merged[0].kind, merged[0].subject.as_deref()), ("lead.merged", Some("lead/1")));
    assert_eq!(merged[0].data, Value::from([("from", "lead/2".into())]));
    // A lead without an address is not for this workflow, and the verdict says why.
    sim.event("lead.created", "lead/3", json!({ "id": 3, "email": "" }));
    let stored = sim.state().event(EventNo(4)).unwrap().unwrap();
    let verdict = stored.verdicts.iter().find(|v| &*v.workflow == "lead-response").unwrap();
    assert_eq!(verdict.code, Code::Where);
}

// Nurture: a mail, a reminder after three days, another mail after four more, and out.

const JOE: &str = "joe@x.example";

/// Joe has agreed to marketing and is qualified.
fn enrolled() -> Sim {
    let mut sim = sim("2026-03-02T09:00:00Z");
    sim.event("consent.given", "", json!({ "email": JOE }));
    sim.event("lead.qualified", "lead/7", json!({ "email": JOE }));
    sim
}

/// The number of the nurturing run of a subject that began last.
fn nurture(sim: &Sim, subject: &str) -> u64 {
    let is = |no: &u64| {
        let run = sim.run(*no);
        &*run.workflow == "nurture" && run.subject.as_deref() == Some(subject)
    };
    (1..=sim.runs()).rev().find(is).unwrap()
}

fn story(sim: &Sim, no: u64) -> Vec<Trace> {
    let mut all = sim.state().spilled(adjutant::model::RunNo(no)).unwrap();
    all.extend(sim.run(no).trace.clone());
    all.into_iter().map(|entry| entry.what).collect()
}

#[test]
fn who_does_not_click_is_reminded_and_gets_the_second_mail() {
    let mut sim = enrolled();
    let first = sim.seen();
    assert_eq!(first.len(), 1, "{first:?}");
    sim.until("2026-04-01T00:00:00Z");
    assert_eq!(
        sim.seen(),
        [
            "2026-03-05T09:00:00Z joe@x.example nurture-reminder",
            "2026-03-09T09:00:00Z joe@x.example nurture-2"
        ]
    );
    let run = sim.run(nurture(&sim, "lead/7"));
    assert_eq!((run.status, run.ended), (Status::Done, Some(at("2026-03-12T09:00:00Z"))));
    assert_at_rest(&sim);
}

#[test]
fn who_clicks_is_not_reminded_and_only_the_second_mails_click_ends_it() {
    let mut sim = enrolled();
    let no = nurture(&sim, "lead/7");
    sim.until("2026-03-03T09:00:00Z");
    sim.event("email.clicked", "lead/7", json!({ "message": "the first" }));
    sim.until("2026-03-07T08:59:59Z");
    assert_eq!(sim.seen().len(), 1, "only the mail it began with");
    sim.until("2026-03-07T09:00:00Z");
    assert_eq!(sim.seen(), ["2026-03-07T09:00:00Z joe@x.example nurture-2"]);

    let second = sim.run(no).steps["second"].get("message").cloned().unwrap();
    let second = second.as_text().unwrap().to_owned();
    for (subject, message) in [("lead/7", "the first"), ("lead/8", second.as_str())] {
        sim.event("email.clicked", subject, json!({ "message": message }));
        assert!(matches!(sim.run(no).wait, Wait::Event(_)), "{subject} {message}");
    }
    sim.event("email.clicked", "lead/7", json!({ "message": second }));
    let run = sim.run(no);
    assert_eq!((run.status, run.ended), (Status::Done, Some(at("2026-03-07T09:00:00Z"))));
    assert_at_rest(&sim);
}

#[test]
fn who_buys_is_left_alone() {
    // In the first wait, in the delay, and in the last wait.
    for (bought, mails) in
        [("2026-03-04T12:00:00Z", 1), ("2026-03-06T12:00:00Z", 2), ("2026-03-10T12:00:00Z", 3)]
    {
        let mut sim = enrolled();
        sim.until(bought);
        sim.event("customer.purchased", "lead/8", json!({}));
        let no = nurture(&sim, "lead/7");
        assert_eq!(sim.status(no), Status::Active, "somebody else bought");
        sim.event("customer.purchased", "lead/7", json!({}));
        let run = sim.run(no);
        assert_eq!((run.status, run.ended), (Status::Done, Some(at(bought))));
        assert!(run.due().is_none() && run.arms.is_empty(), "no timer is left");
        sim.until("2026-05-01T00:00:00Z");
        assert_eq!(sim.seen().len(), mails);
        assert_at_rest(&sim);
    }
}

#[test]
fn who_is_enrolled_is_not_enrolled_again() {
    let mut sim = enrolled();
    let no = nurture(&sim, "lead/7");
    sim.until("2026-03-04T09:00:00Z");
    sim.event_with_id("again", "lead.qualified", "lead/7", json!({ "email": JOE }));
    assert_eq!(nurture(&sim, "lead/7"), no);
    let event = sim.state().next_event().0 - 1;
    let stored = sim.state().event(EventNo(event)).unwrap().unwrap();
    let verdicts: Vec<_> = stored.verdicts.iter().map(|v| (&*v.workflow, v.code)).collect();
    assert_eq!(verdicts, [("nurture", Code::Throttled)], "once, for ever");
    assert!(stored.runs.is_empty());
    assert_eq!(sim.seen().len(), 1);
    // Somebody else is.
    sim.event("lead.qualified", "lead/8", json!({ "email": JOE }));
    assert_ne!(nurture(&sim, "lead/8"), no);
    // And Joe is not when it is over, either.
    sim.until("2026-04-01T09:00:00Z");
    sim.event("lead.qualified", "lead/7", json!({ "email": JOE }));
    assert_eq!(nurture(&sim, "lead/7"), no);
}

#[test]
fn without_consent_no_mail_goes_and_the_run_goes_on() {
    let mut sim = sim("2026-03-02T09:00:00Z");
    sim.event("lead.qualified", "lead/7", json!({ "email": JOE }));
    // It is asked again for each mail.
    sim.until("2026-03-06T09:00:00Z");
    assert!(sim.seen().is_empty());
    sim.event("consent.given", "", json!({ "email": JOE }));
    sim.until("2026-04-01T00:00:00Z");
    assert_eq!(sim.seen(), ["2026-03-09T09:00:00Z joe@x.example nurture-2"]);
    let no = nurture(&sim, "lead/7");
    assert_eq!(sim.status(no), Status::Done);
    let story = story(&sim, no);
    let suppressed =
        |what: &&Trace| matches!(what, Trace::Done(text) if text.starts_with("suppressed: "));
    assert_eq!(story.iter().filter(suppressed).count(), 2, "{story:?}");
}

#[test]
fn the_halves_are_halves_and_stay_so() {
    let half = |sim: &mut Sim, n: usize| {
        // Each has an address of his own: one gets two mails a day.
        let email = format!("joe{n}@x.example");
        sim.event("consent.given", "", json!({ "email": email }));
        sim.event("lead.qualified", &format!("lead/{n}"), json!({ "email": email }));
        let seen = sim.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        if seen[0].ends_with("nurture-a") { 'a' } else { 'b' }
    };
    let mut one = enrolled();
    one.seen();
    let first: String = (100..300).map(|n| half(&mut one, n)).collect();
    // Another installation, another order, another day: nobody changes sides.
    let mut other = sim("2027-11-11T11:11:11Z");
    let mut second: Vec<char> = (100..300).rev().map(|n| half(&mut other, n)).collect();
    second.reverse();
    assert_eq!(first, second.into_iter().collect::<String>());
    let a = first.matches('a').count();
    assert!((70..=130).contains(&a), "{a} of 200 got the first mail");
    // Not in another version of ours either.
    assert_eq!(&first[..32], "aabbaabbbabbabbabbababbaabbbbbbb");
}

#[test]
fn an_edited_workflow_leaves_the_run_on_its_version() {
    let mut edited = packs();
    for (name, text) in &mut edited.rules {
        if name.ends_with("nurture.yaml") {
            let new =
                text.replace("delay: 4d", "delay: 1d").replace("nurture-reminder", "nurture-a");
            assert_ne!(*text, new);
            *text = new;
        }
    }
    for (name, text) in &mut edited.templates {
        if name == "nurture-2.txt" {
            *text = "Subject: Edited\n\nOther news.\n".to_owned();
        }
    }
    let edited = Arc::new(edited.compile().unwrap());

    let mut sim = enrolled();
    sim.until("2026-03-04T09:00:00Z");
    sim.seen();
    let old = sim.run(nurture(&sim, "lead/7"));
    sim.restart_with(edited);
    assert_eq!(*sim.run(old.no.0), *old, "a restart changes nothing about it");
    sim.event("lead.qualified", "lead/8", json!({ "email": JOE }));
    let new = sim.run(nurture(&sim, "lead/8"));
    assert_ne!(new.bundle, old.bundle);
    sim.effects.clear();

    sim.until("2026-03-06T00:00:00Z");
    assert_eq!(sim.seen(), ["2026-03-05T09:00:00Z joe@x.example nurture-reminder"]);
    sim.until("2026-03-08T12:00:00Z");
    let said: Vec<_> = sim.effects.iter().map(|e| e.said.clone().unwrap().0).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(
        sim.seen(),
        [
            "2026-03-07T09:00:00Z joe@x.example nurture-a",
            "2026-03-08T09:00:00Z joe@x.example nurture-2"
        ],
        "the new run: reminded with another template, and one day later the second mail"
    );
    assert_eq!(said[1], "Edited");
    // One more restart, and the old run still sends what it said when it began.
    sim.restart();
    sim.until("2026-03-09T12:00:00Z");
    assert_eq!(sim.effects.len(), 1);
    assert_eq!(sim.effects[0].said.clone().unwrap().0, "News 2");
    assert_eq!(sim.seen(), ["2026-03-09T09:00:00Z joe@x.example nurture-2"]);
    sim.until("2026-04-01T00:00:00Z");
    assert!(sim.seen().is_empty());
    assert_at_rest(&sim);
}

/// All files of the language's examples pass whole, as `adjutant test` plays them.
#[test]
fn the_examples_of_the_language_pass_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/language");
    let tested = std::process::Command::new(env!("CARGO_BIN_EXE_adjutant"))
        .arg("test")
        .arg(folder)
        .args(["--color", "never"])
        .output()
        .unwrap();
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stdout));
}
