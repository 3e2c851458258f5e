//! The scenarios of the shipped rules, played by the real daemon: a process with a store on disk, SMTP and HTTP to real
//! servers, the rules and plugins as they are shipped, and the scenario files themselves as the script. The clock is
//! the test's (feature `test-clock`): it moves from one instant at which something is due to the next, so that months
//! pass in seconds. Each scenario gets SIGKILLs in its middle: while everything waits, while a mail is under way, while
//! an event comes in, and just after the clock was moved.
//!
//! What the mail server and the receiver got and what the API tells of is judged as `adjutant test` judges it. Of a mail,
//! its template, purpose and language cannot be seen: they are those of the mail on virtual time that says the same
//! word by word, and there must be one. What is checked is evaluated by the daemon itself.
//!
//! Not played are scenarios in which the other side answers anything but 200, and calls of a plugin's function: nobody
//! makes those from outside. What a kill leaves for a person to decide is tried again, as the person would.
//!
//! Ledgers that a scenario has filled are then tampered with on the disk, which `adjutant audit verify` must notice.
//!
//! `ADJUTANT_SEED` plays a run again as far as chance is ours: the moments of blows are real.

#![allow(clippy::disallowed_methods, reason = "a real process is watched in real time")]

mod clock;
mod ledger;
mod mime;
mod outside;
mod people;
mod rules;
mod same;
mod stage;
#[path = "../support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::path::Path;

use adjutant::rules::{Context, Files, Look, render};
use adjutant::scenario::{Failure, Happening, Suite, Unit, Verb, happenings, judge};
use stage::Stage;
use support::chance::Chance;
use support::say;

/// Every file is a test, so that several are played at a time.
macro_rules! played {
    ($($name:ident: $file:literal,)*) => {
        $(#[test]
        fn $name() {
            play_file($file);
        })*
    };
}

played! {
    hot_lead: "leads/tests/scenario-1-hot-lead.yaml",
    decay: "leads/tests/scenario-2-decay.yaml",
    nurture: "leads/tests/scenario-3-nurture.yaml",
    unsubscribe: "leads/tests/scenario-4-unsubscribe.yaml",
    erasure: "leads/tests/scenario-4-erasure.yaml",
    complaint: "complaints/tests/scenario-06-complaint.yaml",
    campaign_end: "campaigns/tests/scenario-5-campaign-end.yaml",
    past_customer_and_nps: "customers/tests/past-customer-and-nps.yaml",
}

fn play_file(file: &str) {
    let seed = Chance::seed("ADJUTANT_SEED");
    let mut chance = Chance::new(seed);
    let path = rules::shipped(file);
    let suite = Suite {
        rules: vec![rules::shipped("")],
        plugins: vec![rules::shipped("../plugins")],
        context: Context { endpoints: vec!["crm".into()], ..Context::default() },
    };
    let found = suite.load(std::slice::from_ref(&path));
    let wrong = render(&found.diagnostics, &Files::of(&found.files), Look::Plain);
    assert!(found.diagnostics.is_empty() && !found.units.is_empty(), "{file}: {wrong}");
    let mut told = String::new();
    for unit in &found.units {
        let wrong = play(unit, &path, Chance::new(chance.next()));
        if !wrong.is_empty() {
            let _ = writeln!(told, "{}:\n{}", unit.scenario.name, wrong.join("\n"));
        }
    }
    assert!(told.is_empty(), "{file}, seed {seed}\n{told}");
}

/// Where in a scenario the daemon is killed.
struct Plan {
    /// While it waits, after this entry.
    at_rest: usize,
    /// While an event comes in, at this entry.
    event: Option<usize>,
    /// While a mail is under way: at this entry, after so many others.
    mail: Option<(usize, usize)>,
}

impl Plan {
    fn new(unit: &Unit, wanted: &[Vec<Happening>], chance: &mut Chance) -> Self {
        let timeline = &unit.scenario.timeline;
        let is_event = |at: &usize| matches!(timeline[*at].verb, Verb::Event(_));
        let events: Vec<usize> = (0..timeline.len()).filter(is_event).collect();
        let mails = wanted.iter().enumerate().flat_map(|(entry, happened)| {
            let mails = happened.iter().filter(|one| one.kind == "email").count();
            (0..mails).map(move |mail| (entry, mail))
        });
        let mails: Vec<(usize, usize)> = mails.collect();
        Self {
            at_rest: chance.below(timeline.len() as u64) as usize,
            event: one_of(&events, chance),
            mail: one_of(&mails, chance),
        }
    }
}

fn one_of<T: Copy>(of: &[T], chance: &mut Chance) -> Option<T> {
    (!of.is_empty()).then(|| of[chance.below(of.len() as u64) as usize])
}

/// Plays a scenario; what is not as it says.
fn play(unit: &Unit, file: &Path, mut chance: Chance) -> Vec<String> {
    let scenario = &unit.scenario;
    assert!(!scenario.has_answers(), "{}: the receiver answers 200 here", scenario.name);
    let began = std::time::Instant::now();
    let wanted = happenings(&unit.pack, scenario).expect("it can be played on virtual time");
    let plan = Plan::new(unit, &wanted, &mut chance);
    let mut stage = Stage::new(scenario.start, chance);
    // What is given was there before the rules, so nothing starts with it.
    stage.write(&scenario.given, "given");
    stage.rules.put(file, scenario);
    stage.reload();
    stage.outside.fresh(&stage.daemon, stage.now);
    let mut wrong = Vec::new();
    for (number, wanted) in wanted.iter().enumerate() {
        wrong.extend(play_entry(&mut stage, unit, file, number, wanted, &plan));
    }
    // Neither the last checks nor the last kill bring anything about.
    let mut late = stage.outside.fresh(&stage.daemon, stage.now);
    wrong.extend(same::compare(&mut late, &[]));
    wrong.extend(unsent(&stage));
    let audit = stage.daemon.run(&["audit", "verify"]);
    wrong.extend((audit.code != 0).then(|| format!("the ledgers: {}{}", audit.out, audit.err)));
    let planned = 1 + usize::from(plan.event.is_some()) + usize::from(plan.mail.is_some());
    assert!(stage.kills.len() >= planned, "it was only killed {:?}", stage.kills);
    assert_eq!(stage.daemon.stop().0, 0, "it ends well");
    stage.start();
    wrong.extend(ledger::tamper(&mut stage));
    say(&format!(
        "live: {}: {} entries in {:.1?}, {} repeated, {} kills: {}",
        scenario.name,
        scenario.timeline.len(),
        began.elapsed(),
        stage.outside.again,
        stage.kills.len(),
        stage.kills.join("; ")
    ));
    wrong
}

/// Plays one entry, on which virtual time saw this happen; what is not as it says.
fn play_entry(
    stage: &mut Stage,
    unit: &Unit,
    file: &Path,
    number: usize,
    wanted: &[Happening],
    plan: &Plan,
) -> Vec<String> {
    let entry = &unit.scenario.timeline[number];
    if let Some((_, after)) = plan.mail.filter(|(entry, _)| *entry == number) {
        stage.kill_at_mail(after);
    }
    stage.pass(entry.at);
    stage.play(&entry.verb, file, number, plan.event == Some(number));
    let mut happened = stage.outside.fresh(&stage.daemon, stage.now);
    let mut wrong = same::compare(&mut happened, wanted);
    let failures = judge(&unit.scenario, entry, &happened);
    wrong.extend(failures.iter().map(|failure| said(unit, failure)));
    for (check, condition) in entry.checks().enumerate() {
        let why = stage.check(&rules::check_name(number, check));
        wrong.extend(why.map(|why| format!("at {}: {condition}: {why}", stage.now)));
    }
    if plan.at_rest == number {
        stage.kill("at rest");
        stage.settle();
    }
    wrong
}

/// What was announced and not sent when the timeline is over.
fn unsent(stage: &Stage) -> Vec<String> {
    let runs = support::runs::all(&stage.daemon);
    let waits = runs.iter().filter(|run| run["waits"]["what"] == "effect");
    waits.map(|run| format!("still to be sent: {run}")).collect()
}

fn said(unit: &Unit, failure: &Failure) -> String {
    let line = unit.file.text[..failure.place.start].lines().count();
    format!("{}:{line}: {}\n  {}", unit.file.name, failure.title, failure.lines.join("\n  "))
}
