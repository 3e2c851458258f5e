//! SIGKILL under full load, again and again. Senders insist, as careful ones do: an event that was not
//! answered is sent again under its id. Afterwards the ledger is audited against what came, and the
//! runs are counted: a redelivery must not have started a second one.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::ledger::Matching;
use super::outcome::Result;
use super::receiver::Receiver;
use super::report::{Row, Section, Target, Unit, median};
use super::subject::{Program, Subject};
use super::{moment, say, w1};

/// Longer than any number of kills takes; the load is stopped after the last one.
const LONG: Duration = Duration::from_hours(1);
/// Long enough for a second, wrong webhook to show.
const QUIET: Duration = Duration::from_secs(2);

/// Kills it so often.
pub(crate) async fn run(kills: u64) -> Result<Section> {
    let receiver = Receiver::start(None).await?;
    let mut subject = w1::subject(Program::Adjutant, &receiver)?;
    subject.start()?;
    let ledger = receiver.ledgers.open(Matching::Half);
    let mut load = subject.load();
    load.insists = true;
    let sender = tokio::spawn({
        let (load, ledger) = (load.clone(), ledger.clone());
        async move { load.closed(&ledger, LONG).await }
    });
    let mut starts = Vec::new();
    for kill in 0..kills {
        // No two alike; where exactly it hits is chance anyway.
        tokio::time::sleep(Duration::from_millis(300 + kill * 377 % 900)).await;
        subject.kill();
        starts.push(subject.start()?.as_secs_f64());
        say(&format!("crash: kill {} of {kills}, {} events so far", kill + 1, ledger.len()));
    }
    tokio::time::sleep(QUIET).await;
    load.stop.store(true, Relaxed);
    sender.await?;
    // One more in the middle of the drain.
    subject.kill();
    starts.push(subject.start()?.as_secs_f64());
    w1::settle(&ledger).await;
    tokio::time::sleep(QUIET).await;
    let audit = ledger.audit();
    let began = moment::now();
    let (runs, twice) = runs(&subject)?;
    let listed = moment::seconds_between(began, moment::now());

    let mut section = Section::new(&format!("{} SIGKILLs under full load", kills + 1));
    let mut count = |name: &str, what: &str, count: usize, target: Option<Target>| {
        let row = Row::new(name, what, Unit::Count, count as f64);
        section.row(row.target(target));
    };
    count("crash_accepted", "events accepted", audit.accepted, None);
    count("crash_lost", "accepted and never delivered", audit.lost, Some(Target::Never));
    count("crash_twice", "events run twice", twice, Some(Target::Never));
    count("crash_two_keys", "delivered under two keys", audit.two_keys, Some(Target::Never));
    count("crash_unasked", "delivered and not matching", audit.unasked, Some(Target::Never));
    let foreign = receiver.foreign() as usize;
    count("crash_foreign", "webhooks that belong to no event", foreign, Some(Target::Never));
    count("crash_repeated", "repeated under the same key", audit.repeated, None);
    let start = median(starts.iter().copied());
    section.row(Row::new("crash_start", "restart to ready, median", Unit::Seconds, start));
    section.note(format!(
        "{} events unanswered at the end, {} webhooks, {runs} runs listed in {listed:.1} s; slowest restart {:.2} s",
        audit.unanswered,
        audit.delivered,
        starts.iter().copied().fold(0.0, f64::max)
    ));
    Ok(section)
}

/// How many runs there are, and how many more than subjects: W1 has one subject an event.
fn runs(subject: &Subject) -> Result<(usize, usize)> {
    let mut by_subject: HashMap<String, usize> = HashMap::new();
    let mut path = "/v1/runs?limit=1000".to_owned();
    loop {
        let page = subject.get(&path)?;
        for run in page["runs"].as_array().into_iter().flatten() {
            let about = run["subject"].as_str().unwrap_or_default().to_owned();
            *by_subject.entry(about).or_default() += 1;
        }
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/runs?limit=1000&before={next}"),
            None => break,
        }
    }
    let runs: usize = by_subject.values().sum();
    Ok((runs, runs - by_subject.len()))
}
