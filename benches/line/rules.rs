//! What workflows cost that an event does not concern: always ten match, beside them more and more that
//! do not, of other types of events or of the same type with another constant in their condition.

use std::fmt::Write as _;
use std::time::Duration;

use super::ledger::Matching;
use super::outcome::Result;
use super::receiver::Receiver;
use super::report::{Row, Section, Target, Unit};
use super::subject::Subject;
use super::{meter, say, w1, work};

/// Workflows that match.
const MATCH: usize = 10;
/// Workflows in one file: files have a bound.
const PER_FILE: usize = 500;

/// What the workflows that do not match have in common with those that do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// Nothing.
    OtherType,
    /// The type of the event.
    OtherConstant,
}

/// Full load for so long on each set of rules.
pub(crate) async fn run(counts: &[usize], length: Duration) -> Result<Section> {
    let mut section =
        Section::new("Workflows of which 10 match: events in, 10 runs each, no webhook");
    let mut base = None;
    for &count in counts {
        for rest in [Rest::OtherType, Rest::OtherConstant] {
            if count == MATCH && rest == Rest::OtherConstant {
                continue;
            }
            say(&format!("rules: {count} workflows, {rest:?}"));
            let found = measure(count, rest, length).await?;
            let base = *base.get_or_insert(found.cpu);
            let name = |what: &str| format!("rules_{count}_{rest:?}_{what}").to_lowercase();
            let which = match (count, rest) {
                (MATCH, _) => "10".to_owned(),
                (_, Rest::OtherType) => {
                    format!("{}, others of other types", Unit::Count.show(count as f64))
                }
                (_, Rest::OtherConstant) => {
                    format!("{}, others of another constant", Unit::Count.show(count as f64))
                }
            };
            let row = |what: &str, label: &str, unit, value: f64| {
                Row::new(&name(what), &format!("{which}: {label}"), unit, value)
            };
            section.row(row("rate", "events/s", Unit::Count, found.rate));
            section.row(row("cpu", "CPU an event", Unit::Micros, found.cpu * 1e6));
            if count > MATCH {
                let ratio = row("cost", "times the cost with 10", Unit::Ratio, found.cpu / base);
                section.row(ratio.target(Target::AtMost(1.3)));
            }
            section.row(row("start", "start to ready", Unit::Seconds, found.start));
            section.row(row("memory", "memory, idle", Unit::Megabytes, found.memory));
        }
    }
    Ok(section)
}

struct Found {
    rate: f64,
    cpu: f64,
    start: f64,
    memory: f64,
}

async fn measure(count: usize, rest: Rest, length: Duration) -> Result<Found> {
    let receiver = Receiver::start(None).await?;
    let mut subject = Subject::adjutant("", "")?;
    for (file, numbers) in (0..count).collect::<Vec<_>>().chunks(PER_FILE).enumerate() {
        let mut text = String::new();
        for number in numbers {
            let (kind, region) = match (*number < MATCH, rest) {
                (true, _) => (work::KIND.to_owned(), "EU".to_owned()),
                (false, Rest::OtherType) => (format!("other.t{number}"), "EU".to_owned()),
                (false, Rest::OtherConstant) => (work::KIND.to_owned(), format!("R{number}")),
            };
            let _ = write!(
                text,
                "---\nworkflow: w-{number}\ntriggers:\n  - event: {kind}\n    where: event.data.region == \
                 \"{region}\"\nsteps:\n  - stop: seen\n"
            );
        }
        subject.write(&format!("rules/w{file}.yaml"), text.trim_start_matches("---\n"))?;
    }
    let start = subject.start()?.as_secs_f64();
    let memory = meter::memory(subject.pid()).now;
    let warm = receiver.ledgers.open(Matching::None);
    let mut load = subject.load();
    load.event = work::others(work::KIND, Matching::All);
    load.closed(&warm, Duration::from_millis(500)).await;
    let ledger = receiver.ledgers.open(Matching::None);
    let before = meter::cpu(subject.pid());
    load.closed(&ledger, length).await;
    let cpu = (meter::cpu(subject.pid()) - before) / ledger.len().max(1) as f64;
    Ok(Found { rate: w1::rates(&ledger).accepted, cpu, start, memory })
}
