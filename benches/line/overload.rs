//! Twice the maximum, in an open loop: what is refused and how, what becomes of what is accepted, and
//! how soon everything is as before. Once with one event a request, where the number of connections
//! bounds what can wait, and once with batches, which put far more on the doorstep.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::latency::Latencies;
use super::ledger::{self, Ledger, Matching};
use super::outcome::Result;
use super::receiver::Receiver;
use super::report::{Row, Section, Target, Unit};
use super::subject::{Program, Subject};
use super::{meter, moment, say, w1};

/// Connections of the generator: nearly as many as the daemon serves at a time.
const CONNECTIONS: usize = 1_000;
/// Events of a request in the second part.
const BATCH: usize = 64;
/// What comes back within this is not held up by a backlog, also on a busy machine.
const NORMAL: Duration = Duration::from_millis(50);
/// How long the quiet load before and after lasts: as long as the overload within these.
const LEAST_CALM: Duration = Duration::from_secs(2);
/// See [`LEAST_CALM`].
const MOST_CALM: Duration = Duration::from_secs(5);
/// Events a second of the quiet load before and after.
const QUIET: f64 = 100.0;

/// Overloads it twice for so long.
pub(crate) async fn run(length: Duration) -> Result<Section> {
    let mut section = Section::new("Overload: twice the maximum");
    for (batch, name, what) in [(1, "single", "single events"), (BATCH, "batch", "batches of 64")] {
        say(&format!("overload: {what}"));
        let receiver = Receiver::start(None).await?;
        let mut subject = w1::subject(Program::Adjutant, &receiver)?;
        subject.start()?;
        let part = Part { name, what, batch, length };
        overload(&subject, &receiver, &part, &mut section).await?;
    }
    Ok(section)
}

struct Part {
    name: &'static str,
    what: &'static str,
    batch: usize,
    length: Duration,
}

async fn overload(
    subject: &Subject,
    receiver: &Receiver,
    part: &Part,
    section: &mut Section,
) -> Result<()> {
    let maximum = w1::maximum(subject, receiver, Duration::from_secs(3)).await;
    let rate = 2.0 * maximum;
    let calm = part.length.clamp(LEAST_CALM, MOST_CALM);
    let mut before = Latencies::end_to_end(quiet(subject, receiver, calm).await.as_ref());

    let ledger = receiver.ledgers.open(Matching::Half);
    let mut load = subject.load();
    load.connections = CONNECTIONS;
    load.batch = part.batch;
    load.overtime = Duration::ZERO;
    load.open(&ledger, rate, part.length).await;
    let ended = moment::now();
    let calm = quiet(subject, receiver, calm).await;
    let recovered = normal_since(&calm).map(|since| moment::seconds_between(ended, since));
    let mut after = Latencies::end_to_end(&calm);
    w1::settle(&ledger).await;
    let drained = moment::seconds_between(ended, ledger.last_received().max(ended));
    let audit = ledger.audit();

    let offered = rate * part.length.as_secs_f64();
    let shares = shares(&ledger);
    let share = |status: u16| shares.get(&status).copied().unwrap_or(0) as f64 / offered;
    let mut row = |name: &str, what: &str, unit, value: Option<f64>, target: Option<Target>| {
        let name = format!("overload_{}_{name}", part.name);
        let row = Row::new(&name, &format!("{}: {what}", part.what), unit, value);
        section.row(row.target(target));
    };
    row("offered", "offered/s", Unit::Count, Some(rate), None);
    let sent = ledger.len() as f64 / part.length.as_secs_f64();
    row("sent", "sent/s (the rest found every connection busy)", Unit::Count, Some(sent), None);
    row("202", "accepted, of those offered", Unit::Share, Some(share(202)), None);
    row("429", "429", Unit::Share, Some(share(429)), None);
    row("503", "503", Unit::Share, Some(share(503)), None);
    let refused: Vec<_> =
        ledger.rows().filter(|(_, row)| refused(row.status.load(Relaxed))).collect();
    let told = refused.iter().filter(|(_, row)| row.retry_after.load(Relaxed) > 0).count();
    let told = (!refused.is_empty()).then(|| told as f64 / refused.len() as f64);
    row("told", "refusals with Retry-After", Unit::Share, told, Some(Target::AtLeast(1.0)));
    let mut answers = Latencies::of_answers(&ledger);
    row("answer_p99", "accepted: sent → answered, p99", Unit::Millis, answers.at(0.99), None);
    let mut whole = Latencies::since_sent(&ledger);
    row("e2e_p99", "accepted: sent → webhook, p99", Unit::Millis, whole.at(0.99), None);
    row("lost", "lost", Unit::Count, Some(audit.lost as f64), Some(Target::Never));
    let peak = meter::memory(subject.pid()).peak;
    row("peak", "memory, most", Unit::Megabytes, Some(peak), None);
    row("drain", "drained after", Unit::Seconds, Some(drained), None);
    let target = Some(Target::AtMost(1.0));
    row("recovered", "as before after", Unit::Seconds, recovered, target);
    row("before", "p99 at 100/s before", Unit::Millis, before.at(0.99), None);
    row("after", "p99 at 100/s right after", Unit::Millis, after.at(0.99), None);
    section.note(format!(
        "{}: {} events, statuses {shares:?} (0: no answer); as before: within {NORMAL:?}, as all later ones",
        part.what,
        ledger.len()
    ));
    Ok(())
}

fn refused(status: u16) -> bool {
    matches!(status, 429 | 503)
}

fn shares(ledger: &Ledger) -> BTreeMap<u16, usize> {
    let mut shares = BTreeMap::new();
    for (_, row) in ledger.rows() {
        *shares.entry(row.status.load(Relaxed)).or_default() += 1;
    }
    shares
}

/// When the first of those events was sent that all came back within [`NORMAL`], as every later one
/// did; nothing if even the last one took longer.
fn normal_since(ledger: &Ledger) -> Option<u64> {
    let slow = |row: &ledger::Row| {
        let (came, due) = (row.received.load(Relaxed), row.intended.load(Relaxed));
        came == 0 || came - due.min(came) > moment::nanos(NORMAL)
    };
    let mut since = None;
    for row in ledger.matching() {
        since = if slow(row) { None } else { since.or(Some(row.intended.load(Relaxed))) };
    }
    since
}

/// A quiet load.
async fn quiet(subject: &Subject, receiver: &Receiver, length: Duration) -> Arc<Ledger> {
    let ledger = receiver.ledgers.open(Matching::Half);
    subject.load().open(&ledger, QUIET, length).await;
    w1::settle(&ledger).await;
    ledger
}
