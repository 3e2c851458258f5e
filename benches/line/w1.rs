//! W1 on the floor and on the daemon in turns, so that each pair of rounds gives a ratio under the same
//! conditions. A round: start, idle, 100 events a second, full load and its drain, half of the maximum,
//! SIGKILL under full load, restart, audit.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::latency::Latencies;
use super::ledger::{Audit, Ledger, Matching};
use super::outcome::Result;
use super::receiver::Receiver;
use super::report::Section;
use super::subject::{Program, Subject};
use super::{generator, meter, moment, say, w1_table, work};

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

/// What one round found. Bytes, seconds, events a second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    /// Start to ready, empty.
    pub(crate) start: f64,
    /// The same after the SIGKILL.
    pub(crate) restart: f64,
    /// Memory before anything was sent.
    pub(crate) idle: f64,
    /// The most until the drain was over.
    pub(crate) peak: f64,
    /// Memory after it.
    pub(crate) drained: f64,
    /// See [`Rates`].
    pub(crate) accepted: f64,
    /// See [`Rates`].
    pub(crate) sustained: f64,
    /// Events of the closed loop that were not accepted.
    pub(crate) refused: usize,
    /// Processor time of an event of the quiet load.
    pub(crate) cpu_low: f64,
    /// The same under full load, its drain included.
    pub(crate) cpu_full: f64,
    /// What the data grew by on the disk for each event of the closed loop.
    pub(crate) disk: f64,
    /// Keys and values an event; the floor has none.
    pub(crate) stored: Option<f64>,
    /// Cores that the generator and the receiver took under full load.
    pub(crate) generator: f64,
    /// Cores that neither they nor the subject took, and that were not idle.
    pub(crate) strangers: f64,
    /// Event → webhook in the closed loop.
    pub(crate) closed: Latencies,
    /// The same of the quiet load.
    pub(crate) low: Latencies,
    /// The same at half of the maximum.
    pub(crate) half: Latencies,
    /// The most by which the generator's clock was late at half of the maximum.
    pub(crate) lag: f64,
    /// Of all loads of the round, the one that was killed included.
    pub(crate) audit: Audit,
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
    Ok(w1_table::section(plan, &floors, &ours))
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
    let own = || meter::cpu(std::process::id());
    let (ours, machine, began) = (own(), meter::machine(), moment::now());
    subject.load().closed(&full, plan.full).await;
    let loaded = moment::seconds_between(began, moment::now());
    let (ours, machine) = (own() - ours, meter::machine() - machine);
    round.generator = ours / loaded;
    let strangers = machine - ours - (meter::cpu(subject.pid()) - before);
    round.strangers = strangers.max(0.0) / loaded;
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
    let load = subject.load();
    load.open(&half, rates.sustained / 2.0, plan.open).await;
    round.lag = load.lag.load(Relaxed) as f64 / 1e9;
    settle(&half).await;
    round.half = Latencies::end_to_end(&half);

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
    if program == Program::Adjutant {
        subject.stop()?;
        let events: usize = ledgers.iter().map(|ledger| ledger.len()).sum();
        round.stored = Some(subject.live()? / events.max(1) as f64);
    }
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
    for (_, row) in ledger.rows() {
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
pub(crate) async fn settle(ledger: &Ledger) {
    settle_until(ledger, moment::now() + moment::nanos(DRAIN)).await;
}

/// The same until a moment.
pub(crate) async fn settle_until(ledger: &Ledger, end: u64) {
    while !ledger.is_settled() {
        if moment::now() > end {
            say("gave up waiting for webhooks that did not come");
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The rate that the daemon sustains in a closed loop of this length. A few seconds are a burst: what the
/// store does later for what is accepted now is not in them.
pub(crate) async fn maximum(subject: &Subject, receiver: &Receiver, length: Duration) -> f64 {
    let ledger = receiver.ledgers.open(Matching::Half);
    generator::Load::to(subject.address()).closed(&ledger, length).await;
    settle(&ledger).await;
    rates(&ledger).sustained
}
