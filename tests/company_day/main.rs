//! One working day of a small company: five thousand events over all shipped packs, on virtual time.
//!
//! The rules and plugins are those that ship, unedited. From one seed comes who writes, buys, complains and
//! accepts what, when; what comes again, what makes no sense; which mail servers refuse, delay or lose what is
//! sent there; an outage of the CRM, and a crash of the daemon with everything under way. At the end of the day,
//! and when a year later everything has ended, `checks.rs` looks at what must always be true. The summaries are
//! printed. `COMPANY_DAY=17` tells another day.

mod checks;
mod company;
mod day;
mod heard;
mod marketing;
mod outside;
mod summary;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use adjutant::rules::{Context, Files, Look, RuleSet, render};

use adjutant::model::{Address, Map, Operator, Value};
use day::Day;
use heard::Heard;
use support::say;
use table::ROWS;

/// Told unless the variable names another.
const SEED: u64 = 1;
/// Events of the day.
const EVENTS: usize = 5_000;
/// Those of a day that is only told to look at the checks.
const FEW: usize = 700;
/// Wrong things that are shown.
const SHOWN: usize = 30;
/// Days after which everything has ended: half a year of a customer's calendar, then half a year's quarantine.
const AFTERWARDS: i64 = 400;

fn rules() -> Arc<RuleSet> {
    let sources = heard::shipped();
    let context = Context { endpoints: vec!["crm".into()], ..Context::default() };
    match RuleSet::compile(&sources, &context) {
        Ok((rules, _)) => Arc::new(rules),
        Err(found) => panic!("{}", render(&found, &Files::of(sources.files()), Look::Plain)),
    }
}

fn holds(day: &Day, when: &str) {
    let wrong = checks::all(day);
    let shown = wrong.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} things are wrong {when}:\n{shown}", wrong.len());
}

#[test]
#[allow(clippy::disallowed_methods, reason = "how long it takes is told, and decides nothing")]
fn a_day_of_a_small_company() {
    let seed = std::env::var("COMPANY_DAY").map_or(SEED, |seed| seed.parse().expect("a number"));
    let began = std::time::Instant::now();
    let mut day = Day::told(rules(), seed, EVENTS);
    say(&summary::of(&day, "a day of a small company"));
    let told = began.elapsed();
    holds(&day, "at the end of the day");
    let came: BTreeSet<&str> = day.counted.accepted.values().map(|(_, kind)| *kind).collect();
    let never: Vec<_> =
        ROWS.iter().map(|row| row.kind).filter(|kind| !came.contains(kind)).collect();
    assert_eq!(never, [""; 0], "these never came");
    assert_eq!(day.counted.accepted.len(), EVENTS);
    assert_eq!(day.daemon.deaths, 1, "the power went");

    day.afterwards(AFTERWARDS);
    say(&summary::of(&day, "and when all of it is over"));
    holds(&day, "when all of it is over");
    let left = day::alive(&day.daemon);
    let left: BTreeSet<_> = left
        .iter()
        .map(|run| format!("{} waits for {}", run.workflow, day::waits_for(run)))
        .collect();
    assert!(left.is_empty(), "this never ends: {left:#?}");
    let (told, all) = (told.as_secs_f64(), began.elapsed().as_secs_f64());
    say(&format!(
        "  told in {told:.1} s, and the {AFTERWARDS} days after in {:.1} s\n",
        all - told
    ));
}

#[test]
fn told_again_it_is_the_same_day() {
    let rules = rules();
    let tell = |seed: u64| summary::of(&Day::told(rules.clone(), seed, FEW), "a day");
    assert_eq!(tell(7), tell(7));
    assert_ne!(tell(7), tell(8));
}

/// Each check notices what is made wrong on purpose.
#[test]
fn what_is_wrong_is_noticed() {
    let rules = rules();
    let tell = || Day::told(rules.clone(), 3, FEW);
    holds(&tell(), "with nothing made wrong");
    let noticed = |what: &str, wrong: &str, spoil: &dyn Fn(&mut Day)| {
        let mut day = tell();
        spoil(&mut day);
        let found = checks::all(&day);
        assert!(found.iter().any(|line| line.contains(wrong)), "{what}: {found:#?}");
    };
    noticed("an event is lost", "not kept", &|day| {
        let lost = (adjutant::model::EventNo(999_999), "lead.created");
        day.counted.accepted.insert("lost".to_owned(), lost);
    });
    noticed("an answer is not counted", "survey_answers", &|day| {
        *day.counted.answers.values_mut().next().expect("somebody answered") += 1;
    });
    noticed("somebody had not agreed", "without consent", &|day| {
        day.daemon.outside.said.clear();
    });
    noticed("somebody wanted no more", "wanted no more", &|day| {
        let long_ago = day::MIDNIGHT.parse().expect("an instant");
        for said in day.daemon.outside.said.values_mut() {
            said.push((long_ago, outside::Said::Never));
        }
    });
    noticed("a mail is sent at night", "at night", &|day| {
        for sent in day.daemon.outside.sent.values_mut() {
            sent.attempts.iter_mut().for_each(|(_, zone)| "Pacific/Honolulu".clone_into(zone));
        }
    });
    noticed("a mail is sent twice", "over the cap", &|day| {
        let sent = &mut day.daemon.outside.sent;
        let mut one = sent.values().find(|one| one.purpose == "marketing").expect("one").clone();
        for nth in 0..3 {
            one.run = adjutant::model::RunNo(1_000_000 + nth);
            sent.insert(spare_key(nth), one.clone());
        }
    });
    noticed("it is done under two keys", "says what", &|day| {
        let sent = &mut day.daemon.outside.sent;
        let one = sent.values().next().expect("one").clone();
        sent.insert(spare_key(1), one);
    });
    noticed("a mail that was not taken counts as sent", "taken false", &|day| {
        let sent = day.daemon.outside.sent.values_mut();
        sent.filter(|one| one.template == "complaint-received")
            .for_each(|one| one.accepted = false);
    });
    noticed("a lead was not answered", "× lead-ack", &|day| {
        day.daemon.outside.sent.retain(|_, one| one.template != "lead-ack");
    });
    noticed("nobody has refused anything", "failed: http_422", &|day| {
        day.daemon.outside.sent.values_mut().for_each(|one| one.refused = false);
    });
    noticed("a promise is nobody's", "who is nobody", &|day| {
        let fields = Map::from([
            ("status".into(), Value::from("open")),
            ("owner".into(), Value::from("nobody")),
            ("due".into(), Value::Instant(day.daemon.now)),
        ]);
        let address = Address::new("obligation", "orphan").expect("an address");
        day.daemon.operator(Operator::Write { address, fields, by: "somebody".into() });
    });
    noticed("the daemon has slept too long", "that is past", &|day| {
        day.daemon.now = day.daemon.now + adjutant::model::Span::from_days(30);
    });
}

/// The key of something that never was.
fn spare_key(nth: u64) -> adjutant::model::EffectKey {
    adjutant::model::EffectKey(adjutant::model::Digest::of(&[&nth.to_be_bytes()]))
}

#[test]
fn every_type_that_a_shipped_rule_hears_has_a_row() {
    let rows: BTreeSet<String> = ROWS.iter().map(|row| row.kind.to_owned()).collect();
    assert_eq!(rows.len(), ROWS.len(), "a type has two rows");
    let sources = heard::shipped();
    let Heard { heard, emitted } = Heard::of(&sources.rules);
    assert!(heard.len() > 30, "only {heard:?}");
    let missing: Vec<_> = heard.difference(&emitted).filter(|kind| !rows.contains(*kind)).collect();
    assert!(missing.is_empty(), "tests/company_day/table.rs has no row for {missing:?}");
    let missing: Vec<_> =
        heard::expected().into_iter().filter(|kind| !rows.contains(kind)).collect();
    assert!(missing.is_empty(), "the table of rules/README.md has {missing:?}, and no row here");
    let rules = rules();
    let deaf: Vec<_> =
        ROWS.iter().map(|row| row.kind).filter(|kind| !heard.contains(*kind)).collect();
    assert!(deaf.is_empty(), "no rule hears {deaf:?}");
    assert!(rules.workflows.len() > 40);
}
