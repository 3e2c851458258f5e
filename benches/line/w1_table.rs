//! The rounds of `w1` as lines of the table: medians over rounds, latencies of all rounds together.

use std::path::Path;
use std::process::Command;

use super::latency::Latencies;
use super::ledger::Audit;
use super::report::{Row, Section, Target, Unit, median};
use super::subject;
use super::w1::{Plan, Round};

/// A figure of a round: name, words, unit, where it stands, what it should be.
type Figure = (&'static str, &'static str, Unit, fn(&Round) -> f64, Option<Target>);

const RATES: [Figure; 2] = [
    (
        "accepted",
        "accepted/s, 64 connections",
        Unit::Count,
        |round| round.accepted,
        Some(Target::OfFloor(0.6)),
    ),
    (
        "sustained",
        "sustained/s, with the drain",
        Unit::Count,
        |round| round.sustained,
        Some(Target::OfFloor(0.6)),
    ),
];

const COSTS: [Figure; 8] = [
    (
        "cpu_full",
        "CPU an event, full load",
        Unit::Millis,
        |round| round.cpu_full * 1e3,
        Some(Target::AtMost(0.06)),
    ),
    (
        "cpu_low",
        "CPU an event at 100/s",
        Unit::Millis,
        |round| round.cpu_low * 1e3,
        Some(Target::AtMost(1.0)),
    ),
    ("idle", "memory, idle", Unit::Megabytes, |round| round.idle, Some(Target::AtMost(20e6))),
    (
        "peak",
        "memory, most under full load",
        Unit::Megabytes,
        |round| round.peak,
        Some(Target::AtMost(150e6)),
    ),
    ("drained", "memory, after the drain", Unit::Megabytes, |round| round.drained, None),
    ("disk", "disk an event", Unit::Bytes, |round| round.disk, None),
    (
        "start",
        "start to ready, empty",
        Unit::Seconds,
        |round| round.start,
        Some(Target::AtMost(0.1)),
    ),
    ("restart", "restart to ready after SIGKILL", Unit::Seconds, |round| round.restart, None),
];

/// Cores that other processes may take before wall-clock figures say little.
const QUIET: f64 = 0.1;

/// Latencies: name, words, where they stand, what p50, p99 and p99.9 should be in milliseconds.
type Loop = (&'static str, &'static str, fn(&Round) -> &Latencies, [Option<f64>; 3]);

const LOOPS: [Loop; 3] = [
    ("low", "event → webhook at 100/s", |round| &round.low, [Some(1.5), Some(4.0), None]),
    ("half", "… at half of the maximum", |round| &round.half, [None, Some(15.0), Some(50.0)]),
    ("closed", "… in the closed loop", |round| &round.closed, [None; 3]),
];
const SHARES: [(f64, &str); 3] = [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")];

/// A count of the audit.
type Count = (&'static str, &'static str, fn(&Audit) -> usize, Option<Target>);

const COUNTS: [Count; 4] = [
    ("lost", "accepted and never delivered", |audit| audit.lost, Some(Target::Never)),
    ("two_keys", "delivered under two keys", |audit| audit.two_keys, Some(Target::Never)),
    ("unasked", "delivered and not matching", |audit| audit.unasked, Some(Target::Never)),
    ("repeated", "repeated under the same key, by the SIGKILL", |audit| audit.repeated, None),
];

/// Makes the section.
pub(crate) fn section(plan: Plan, floors: &[Round], ours: &[Round]) -> Section {
    let mut section = Section::new("W1: events in, half of them a webhook out");
    let figure = |(name, what, unit, get, target): Figure| {
        let row = Row::new(name, what, unit, median(ours.iter().map(get)));
        row.floor(median(floors.iter().map(get))).target(target)
    };
    for rate in RATES {
        // Rounds in turns have the same conditions, so each pair has its ratio.
        let pairs = ours.iter().zip(floors).map(|(ours, floor)| (rate.3)(ours) / (rate.3)(floor));
        section.row(figure(rate).with_ratio(median(pairs)));
    }
    for (name, what, get, targets) in LOOPS {
        for ((share, label), target) in SHARES.into_iter().zip(targets) {
            let name = format!("{name}_{label}");
            let row = Row::new(
                &name,
                &format!("{what}, {label}"),
                Unit::Millis,
                pooled(ours, get, share),
            );
            section.row(row.floor(pooled(floors, get, share)).target(target.map(Target::AtMost)));
        }
    }
    for cost in COSTS {
        section.row(figure(cost));
    }
    let stored = median(ours.iter().filter_map(|round| round.stored));
    section.row(Row::new("stored", "keys and values an event", Unit::Bytes, stored));
    for (name, what, get, target) in COUNTS {
        let sum =
            |rounds: &[Round]| rounds.iter().map(|round| get(&round.audit)).sum::<usize>() as f64;
        section.row(Row::new(name, what, Unit::Count, sum(ours)).floor(sum(floors)).target(target));
    }
    let whole = std::fs::metadata(subject::binary()).map_or(0.0, |found| found.len() as f64);
    section.row(Row::new("binary", "binary, with line tables", Unit::Megabytes, whole));
    let row =
        Row::new("stripped", "binary, stripped", Unit::Megabytes, stripped(subject::binary()));
    section.row(row.target(Target::AtMost(25e6)));
    notes(&mut section, plan, floors, ours);
    section
}

fn pooled(rounds: &[Round], get: fn(&Round) -> &Latencies, share: f64) -> Option<f64> {
    let mut all = Latencies::default();
    for round in rounds {
        all.add(get(round));
    }
    all.at(share)
}

/// Bytes of a binary as packages have it; nothing where there is no `strip`.
fn stripped(binary: &Path) -> Option<f64> {
    let folder = tempfile::tempdir_in(subject::place()).ok()?;
    let copy = folder.path().join("stripped");
    let done = Command::new("strip").arg("-o").arg(&copy).arg(binary).status().ok()?;
    done.success().then(|| std::fs::metadata(&copy).map(|found| found.len() as f64).ok())?
}

fn notes(section: &mut Section, plan: Plan, floors: &[Round], ours: &[Round]) {
    let each: Vec<String> = ours
        .iter()
        .zip(floors)
        .map(|(ours, floor)| {
            let ratio = ours.sustained / floor.sustained;
            format!("{:.0} of {:.0} = {ratio:.2}", ours.sustained, floor.sustained)
        })
        .collect();
    section.note(format!("sustained/s by round: {}; the ratio is their median", each.join(", ")));
    let lag = ours.iter().chain(floors).map(|round| round.lag * 1e3).fold(0.0, f64::max);
    let generator = median(ours.iter().map(|round| round.generator)).unwrap_or(0.0);
    let strangers = ours.iter().chain(floors).map(|round| round.strangers).fold(0.0, f64::max);
    let strangers = match strangers {
        QUIET.. => format!("; NOT A QUIET MACHINE: others took up to {strangers:.2} cores"),
        _ => format!("; others took at most {strangers:.2} cores"),
    };
    section.note(format!(
        "{} rounds of each in turns; closed loop {:.0?}, open loops {:.0?} each, counted from the moment \
         an event should have been sent; the generator's clock was late by at most {lag:.1} ms at half of \
         the maximum, and it took {generator:.2} cores with the receiver under full load; {} events refused{strangers}",
        plan.rounds,
        plan.full,
        plan.open,
        ours.iter().map(|round| round.refused).sum::<usize>(),
    ));
}
