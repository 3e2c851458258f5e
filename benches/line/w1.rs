//! W1 on the floor and on the daemon in turns, so that each pair of rounds gives a ratio under the same
//! conditions. A round: start, idle, 100 events a second, full load and its drain, half of the maximum,
//! SIGKILL under full load, restart, audit.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::latency::Latencies;
use super::ledger::{Audit, Ledger, Matching};
use super::outcome::Result;
use super::receiver::Receiver;
use super::report::{Row, Section, Target, Unit, median};
use super::subject::{self, Program, Subject};
use super::{generator, meter, moment, say, work};

/// Events a second of the quiet load.
const LOW: f64 = 100.0;
/// After a start and after a drain, before memory is looked at.
const REST: Duration = Duration::from_secs(1);
/// How long what was accepted may take to be delivered.
pub(crate) const DRAIN: Duration = Duration::from_mins(2);
/// How often it is looked at whether it was.
const LOOK: Duration = Duration::from_millis(20);

/// How much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Pairs of rounds.
    pub(crate) rounds: usize,
    /// Length of the closed loop.
    pub(crate) full: Duration,
    /// Length of each open loop.
    pub(crate) open: Duration,
}

/// What one round found.
#[derive(Clone, Debug, Default)]
struct Round {
    start: f64,
    restart: f64,
    idle: f64,
    peak: f64,
    drained: f64,
    accepted: f64,
    sustained: f64,
    refused: usize,
    cpu_low: f64,
    cpu_full: f64,
    disk: f64,
    generator: f64,
    closed: Latencies,
    low: Latencies,
    half: Latencies,
    lag: Latencies,
    audit: Audit,
}

/// Runs the rounds.
pub(crate) async fn run(plan: Plan) -> Result<Section> {
    let (mut floors, mut ours) = (Vec::new(), Vec::new());
    for number in 1..=plan.rounds {
        for (program, rounds) in [(Program::Floor, &mut floors), (Program::Adjutant, &mut ours)] {
            let round = round(program, plan).await?;
            say(&format!(
                "w1, round {number} of {}, {program:?}: {:.0} accepted/s, {:.0} sustained/s",
                plan.rounds, round.accepted, round.sustained
            ));
            rounds.push(round);
        }
    }
    Ok(section(plan, &floors, &ours))
}

/// W1's daemon or floor, not yet started.
pub(crate) fn subject(program: Program, receiver: &Receiver) -> Result<Subject> {
    match program {
        Program::Floor => Subject::floor(&receiver.url()),
        Program::Adjutant => Subject::adjutant(&work::rule(&receiver.url()), ""),
    }
}

async fn round(program: Program, plan: Plan) -> Result<Round> {
    let receiver = Receiver::start(None).await?;
    let mut subject = subject(program, &receiver)?;
    let mut round = Round { start: subject.start()?.as_secs_f64(), ..Round::default() };
    tokio::time::sleep(REST).await;
    round.idle = meter::memory(subject.pid()).now;

    // Connections are opened and code is paged in; not counted.
    let warm = receiver.ledgers.open(Matching::Half);
    subject.load().open(&warm, 2.0 * LOW, Duration::from_secs(1)).await;
    settle(&warm).await;

    let low = receiver.ledgers.open(Matching::Half);
    let before = meter::cpu(subject.pid());
    subject.load().open(&low, LOW, plan.open).await;
    settle(&low).await;
    round.cpu_low = (meter::cpu(subject.pid()) - before) / low.len().max(1) as f64;
    round.low = Latencies::end_to_end(&low);

    let full = receiver.ledgers.open(Matching::Half);
    let (before, disk) = (meter::cpu(subject.pid()), subject.disk());
    let (own, began) = (meter::cpu(std::process::id()), moment::now());
    subject.load().closed(&full, plan.full).await;
    let loaded = moment::seconds_between(began, moment::now());
    round.generator = (meter::cpu(std::process::id()) - own) / loaded;
    settle(&full).await;
    let events = full.len().max(1) as f64;
    round.cpu_full = (meter::cpu(subject.pid()) - before) / events;
    round.peak = meter::memory(subject.pid()).peak;
    let rates = rates(&full);
    (round.accepted, round.sustained) = (rates.accepted, rates.sustained);
    round.closed = Latencies::end_to_end(&full);
    round.refused = full.len() - full.audit().accepted;
    tokio::time::sleep(REST).await;
    round.drained = meter::memory(subject.pid()).now;
    round.disk = (subject.disk() - disk) / events;

    let half = receiver.ledgers.open(Matching::Half);
    subject.load().open(&half, rates.sustained / 2.0, plan.open).await;
    settle(&half).await;
    round.half = Latencies::end_to_end(&half);
    round.lag = Latencies::of_generator(&half);

    let killed = receiver.ledgers.open(Matching::Half);
    let load = subject.load();
    let sender = tokio::spawn({
        let (load, killed) = (load.clone(), killed.clone());
        async move { load.closed(&killed, plan.full.min(Duration::from_secs(2))).await }
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    subject.kill();
    load.stop.store(true, Relaxed);
    sender.await?;
    round.restart = subject.start()?.as_secs_f64();
    settle(&killed).await;
    tokio::time::sleep(REST).await;
    let ledgers = [&warm, &low, &full, &half, &killed];
    round.audit = ledgers.iter().fold(Audit::default(), |sum, one| sum.with(one.audit()));
    Ok(round)
}

/// Rates of a closed loop that is settled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    /// Accepted events over the time from the first one sent to the last one answered.
    pub(crate) accepted: f64,
    /// The same to the last webhook: the drain counts.
    pub(crate) sustained: f64,
}

/// See [`Rates`].
pub(crate) fn rates(ledger: &Ledger) -> Rates {
    let (mut first, mut last, mut accepted) = (u64::MAX, 0, 0.0);
    for row in (0..ledger.len()).map(|seq| ledger.row(seq)) {
        first = first.min(row.sent.load(Relaxed));
        if row.accepted() {
            last = last.max(row.answered.load(Relaxed));
            accepted += 1.0;
        }
    }
    let drained = last.max(ledger.last_received());
    Rates {
        accepted: accepted / moment::seconds_between(first, last),
        sustained: accepted / moment::seconds_between(first, drained),
    }
}

/// Waits until everything accepted came back, but not for ever: what is missing shows in the audit.
pub(crate) async fn settle(ledger: &Arc<Ledger>) -> bool {
    let end = moment::now() + moment::nanos(DRAIN);
    while !ledger.is_settled() {
        if moment::now() > end {
            say("gave up waiting for webhooks that did not come");
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
    true
}

/// The rate that the daemon sustains, by a short closed loop.
pub(crate) async fn maximum(subject: &Subject, receiver: &Receiver) -> f64 {
    let ledger = receiver.ledgers.open(Matching::Half);
    generator::Load::to(subject.address()).closed(&ledger, Duration::from_secs(3)).await;
    settle(&ledger).await;
    rates(&ledger).sustained
}

fn section(plan: Plan, floors: &[Round], ours: &[Round]) -> Section {
    let mut section = Section::new("W1: events in, half of them a webhook out");
    let mut pair = |name: &str, what: &str, unit, get: &dyn Fn(&Round) -> f64, target| {
        let row = Row::new(name, what, unit, median(ours.iter().map(get)));
        let row = row.floor(median(floors.iter().map(get)));
        section.row(match target {
            Some(target) => row.target(target),
            None => row,
        });
    };
    let share = Some(Target::OfFloor(0.6));
    pair("accepted", "accepted/s, 64 connections", Unit::Count, &|round| round.accepted, share);
    pair("sustained", "sustained/s, with the drain", Unit::Count, &|round| round.sustained, share);
    let most = |most| Some(Target::AtMost(most));
    pair("cpu_full", "CPU an event, full load", Unit::Millis, &|r| r.cpu_full * 1e3, most(0.06));
    pair("cpu_low", "CPU an event at 100/s", Unit::Millis, &|r| r.cpu_low * 1e3, most(1.0));
    let pooled = |rounds: &[Round], get: fn(&Round) -> &Latencies, at| {
        let mut all = Latencies::default();
        rounds.iter().for_each(|round| all.add(get(round)));
        all.at(at)
    };
    type Loop = (&'static str, &'static str, fn(&Round) -> &Latencies, [Option<f64>; 3]);
    let loops: [Loop; 3] = [
        ("low", "event → webhook at 100/s", |round| &round.low, [Some(1.5), Some(4.0), None]),
        ("half", "… at half of the maximum", |round| &round.half, [None, Some(15.0), Some(50.0)]),
        ("closed", "… in the closed loop", |round| &round.closed, [None; 3]),
    ];
    for (name, what, get, targets) in loops {
        for ((at, label), target) in
            [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")].into_iter().zip(targets)
        {
            let what = format!("{what}, {label}");
            let row =
                Row::new(&format!("{name}_{label}"), &what, Unit::Millis, pooled(ours, get, at));
            let row = row.floor(pooled(floors, get, at));
            section.row(match target {
                Some(most) => row.target(Target::AtMost(most)),
                None => row,
            });
        }
    }
    let mut pair = |name: &str, what: &str, unit, get: &dyn Fn(&Round) -> f64, target| {
        let row = Row::new(name, what, unit, median(ours.iter().map(get)));
        let row = row.floor(median(floors.iter().map(get)));
        section.row(match target {
            Some(most) => row.target(Target::AtMost(most)),
            None => row,
        });
    };
    pair("idle", "memory, idle", Unit::Megabytes, &|round| round.idle, Some(20e6));
    pair("peak", "memory, most under full load", Unit::Megabytes, &|r| r.peak, Some(150e6));
    pair("drained", "memory, after the drain", Unit::Megabytes, &|round| round.drained, None);
    pair("disk", "disk an event", Unit::Bytes, &|round| round.disk, None);
    pair("start", "start to ready, empty", Unit::Seconds, &|round| round.start, Some(0.1));
    pair("restart", "restart to ready after SIGKILL", Unit::Seconds, &|round| round.restart, None);
    let sum = |rounds: &[Round], get: fn(&Audit) -> usize| {
        rounds.iter().map(|round| get(&round.audit)).sum::<usize>() as f64
    };
    type Count = (&'static str, &'static str, fn(&Audit) -> usize, Option<f64>);
    let counts: [Count; 4] = [
        ("lost", "accepted and never delivered", |audit| audit.lost, Some(0.0)),
        ("two_keys", "delivered under two keys", |audit| audit.two_keys, Some(0.0)),
        ("unasked", "delivered and not matching", |audit| audit.unasked, Some(0.0)),
        ("repeated", "repeated under the same key", |audit| audit.repeated, None),
    ];
    for (name, what, get, target) in counts {
        let row = Row::new(name, what, Unit::Count, sum(ours, get)).floor(sum(floors, get));
        section.row(match target {
            Some(most) => row.target(Target::AtMost(most)),
            None => row,
        });
    }
    let binary = std::fs::metadata(subject::binary()).map_or(0.0, |found| found.len() as f64);
    let row = Row::new("binary", "binary, with line tables", Unit::Megabytes, binary);
    section.row(row.target(Target::AtMost(25e6)));
    notes(&mut section, plan, floors, ours);
    section
}

fn notes(section: &mut Section, plan: Plan, floors: &[Round], ours: &[Round]) {
    let ratios: Vec<f64> =
        ours.iter().zip(floors).map(|(ours, floor)| ours.sustained / floor.sustained).collect();
    let each: Vec<String> = ours
        .iter()
        .zip(floors)
        .zip(&ratios)
        .map(|((ours, floor), ratio)| {
            format!("{:.0} of {:.0} = {ratio:.2}", ours.sustained, floor.sustained)
        })
        .collect();
    section.note(format!(
        "sustained/s by round: {}; median ratio {:.2}",
        each.join(", "),
        median(ratios).unwrap_or(0.0)
    ));
    let mut lag = Latencies::default();
    ours.iter().chain(floors).for_each(|round| lag.add(&round.lag));
    let generator = median(ours.iter().map(|round| round.generator)).unwrap_or(0.0);
    section.note(format!(
        "{} rounds of each in turns; closed loop {:.0?}, open loops {:.0?} each, counted from the moment \
         an event should have been sent; the generator was late by {:.2} ms at p99 at half of the \
         maximum, and with the receiver took {generator:.2} cores under full load; {} events refused",
        plan.rounds,
        plan.full,
        plan.open,
        lag.at(0.99).unwrap_or(0.0),
        ours.iter().map(|round| round.refused).sum::<usize>(),
    ));
}
