//! W2, timers: runs that are all due at one instant, with a SIGKILL and a restart before it. None may be
//! early; how late the webhooks come is measured.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::latency::Latencies;
use super::ledger::Matching;
use super::outcome::Result;
use super::receiver::Receiver;
use super::report::{Row, Section, Target, Unit};
use super::subject::Subject;
use super::{meter, moment, say, w1, work};

const KIND: &str = "timer.set";
/// Events of a request.
const BATCH: usize = 250;

/// So many runs, due so long after the first was sent.
pub(crate) async fn run(runs: usize, ahead: Duration) -> Result<Section> {
    let receiver = Receiver::start(None).await?;
    let step = format!("  - delay: ${{time(event.data.due)}}\n{}", work::step(&receiver.url()));
    let mut subject = Subject::adjutant(&work::always("due", KIND, &step), "")?;
    subject.start()?;
    // A whole second of the wall clock, and the same moment on ours.
    let due = Duration::from_secs((moment::wall() + ahead).as_secs());
    let moment_due = moment::now() + moment::nanos(due.saturating_sub(moment::wall()));
    let text = jiff::Timestamp::from_second(due.as_secs() as i64)?.to_string();

    say(&format!("timers: {runs} runs, due at {text}"));
    let ledger = receiver.ledgers.open(Matching::All);
    let mut load = subject.load();
    let more = format!(r#""due":"{text}","#);
    load.event =
        Arc::new(move |ledger, seq| work::of(ledger.run, seq, KIND, ledger.matching, &more));
    (load.batch, load.connections, load.most) = (BATCH, 4, runs.div_ceil(BATCH));
    load.insists = true;
    load.closed(&ledger, ahead).await;
    let scheduled = w1::rates(&ledger).accepted;
    let memory = meter::memory(subject.pid()).now;
    subject.kill();
    let start = subject.start()?.as_secs_f64();
    let ready_before = moment_due.saturating_sub(moment::now()) > 0;
    w1::settle_until(&ledger, moment_due + moment::nanos(w1::DRAIN)).await;
    // Long enough for a second, wrong webhook to show.
    tokio::time::sleep(Duration::from_secs(1)).await;

    let received: Vec<u64> = ledger.matching().map(|row| row.received.load(Relaxed)).collect();
    let came = received.iter().filter(|at| **at > 0);
    let early = came.clone().filter(|at| **at < moment_due).count();
    let mut late = Latencies::of(came.map(|at| at.saturating_sub(moment_due)).collect());
    let audit = ledger.audit();
    let mut section = Section::new(&format!(
        "{} timers due at one instant",
        Unit::Count.show(received.len() as f64)
    ));
    section.row(Row::new("timers_rate", "scheduled/s", Unit::Count, scheduled));
    section.row(Row::new("timers_memory", "memory with them", Unit::Megabytes, memory));
    section.row(Row::new("timers_start", "restart to ready after SIGKILL", Unit::Seconds, start));
    let row = Row::new("timers_early", "early", Unit::Count, early as f64);
    section.row(row.target(Target::Never));
    for (share, label, most) in
        [(0.5, "p50", None), (0.99, "p99", None), (1.0, "most", Some(1_000.0))]
    {
        let name = format!("timers_late_{label}");
        let what = format!("due → webhook received, {label}");
        let row = Row::new(&name, &what, Unit::Millis, late.at(share));
        section.row(row.target(most.map(Target::AtMost)));
    }
    let row = Row::new("timers_lost", "never delivered", Unit::Count, audit.lost as f64);
    section.row(row.target(Target::Never));
    section.row(Row::new("timers_repeated", "repeated", Unit::Count, audit.repeated as f64));
    if !ready_before {
        section.note("the restart took longer than the timers had left: lateness counts it");
    }
    Ok(section)
}
