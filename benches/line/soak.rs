//! Endurance: half of the maximum for as long as asked, in laps. Each lap has its own ledger, is drained
//! and audited, and tells latencies, memory and disk; the first and the last are compared.

use std::time::Duration;

use super::latency::Latencies;
use super::ledger::{Audit, Matching};
use super::outcome::Result;
use super::receiver::Receiver;
use super::report::{Row, Section, Target, Unit};
use super::subject::Subject;
use super::{meter, say, w1, work};

/// How much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Of all laps.
    pub(crate) length: Duration,
    /// Of one.
    pub(crate) lap: Duration,
    /// Events a second; `None`: half of what a closed loop of one lap finds.
    pub(crate) rate: Option<f64>,
    /// Minutes for which events and runs are kept.
    pub(crate) keep: u64,
}

struct Lap {
    latencies: [f64; 3],
    /// p99 of the answers: what of the latencies lies before the webhook.
    answered: f64,
    memory: f64,
    disk: f64,
    cpu: f64,
}

/// See the file's description.
pub(crate) async fn run(plan: Plan) -> Result<Section> {
    let receiver = Receiver::start(None).await?;
    let keep = plan.keep;
    let retention =
        format!("retention: {{ events: {keep}m, runs: {keep}m, failed_runs: {keep}m }}\n");
    let mut subject = Subject::adjutant(&work::rule(&receiver.url()), &retention)?;
    subject.start()?;
    let rate = match plan.rate {
        Some(rate) => rate,
        None => w1::maximum(&subject, &receiver, plan.lap).await / 2.0,
    };
    let count = (plan.length.as_secs_f64() / plan.lap.as_secs_f64()).ceil().max(1.0) as usize;
    let (mut laps, mut audit, mut events) = (Vec::new(), Audit::default(), 0);
    for number in 1..=count {
        let ledger = receiver.ledgers.open(Matching::Half);
        let before = meter::cpu(subject.pid());
        subject.load().open(&ledger, rate, plan.lap).await;
        w1::settle(&ledger).await;
        let cpu = (meter::cpu(subject.pid()) - before) / ledger.len().max(1) as f64;
        let mut found = Latencies::end_to_end(&ledger);
        let latencies = [0.5, 0.99, 0.999].map(|share| found.at(share).unwrap_or(0.0));
        let answered = Latencies::of_answers(&ledger).at(0.99).unwrap_or(0.0);
        let (memory, disk) = (meter::memory(subject.pid()).now, subject.disk());
        audit = audit.with(ledger.audit());
        events += ledger.len();
        receiver.ledgers.forget(&ledger);
        say(&format!(
            "soak, lap {number} of {count}: {:.0}/s, p50 {:.2} p99 {:.2} p99.9 {:.2} ms, answered p99 \
             {answered:.2} ms, CPU {:.3} ms an event, memory {:.1} MB, disk {:.1} MB, {} lost",
            rate,
            latencies[0],
            latencies[1],
            latencies[2],
            cpu * 1e3,
            memory / 1e6,
            disk / 1e6,
            audit.lost
        ));
        laps.push(Lap { latencies, answered, memory, disk, cpu });
    }
    subject.stop()?;
    let (disk, live) = (subject.disk(), subject.live()?);
    Ok(section(plan, rate, events, &laps, audit, (disk, live)))
}

fn section(
    plan: Plan,
    rate: f64,
    events: usize,
    laps: &[Lap],
    audit: Audit,
    (disk, live): (f64, f64),
) -> Section {
    let mut section =
        Section::new(&format!("Endurance: {:.0?} at half of the maximum", plan.length));
    section.row(Row::new("soak_rate", "events/s", Unit::Count, rate));
    let (Some(first), Some(last)) = (laps.first(), laps.last()) else { return section };
    let mut ends = |name: &str, what: &str, unit, get: &dyn Fn(&Lap) -> f64| {
        let most = laps.iter().map(get).fold(0.0, f64::max);
        for (lap, value) in [("first", get(first)), ("last", get(last)), ("most", most)] {
            let what = format!("{what}, {lap} lap").replace("most lap", "worst lap");
            section.row(Row::new(&format!("soak_{name}_{lap}"), &what, unit, value));
        }
    };
    ends("p50", "p50", Unit::Millis, &|lap| lap.latencies[0]);
    ends("p99", "p99", Unit::Millis, &|lap| lap.latencies[1]);
    ends("p999", "p99.9", Unit::Millis, &|lap| lap.latencies[2]);
    ends("answered", "answered, p99", Unit::Millis, &|lap| lap.answered);
    ends("cpu", "CPU an event", Unit::Millis, &|lap| lap.cpu * 1e3);
    ends("memory", "memory", Unit::Megabytes, &|lap| lap.memory);
    ends("disk", "disk", Unit::Megabytes, &|lap| lap.disk);
    section.row(Row::new("soak_live", "keys and values at the end", Unit::Megabytes, live));
    section.row(Row::new(
        "soak_amplification",
        "disk ÷ keys and values",
        Unit::Ratio,
        disk / live.max(1.0),
    ));
    for (name, what, count, target) in [
        ("soak_lost", "accepted and never delivered", audit.lost, Target::Never),
        ("soak_two_keys", "delivered under two keys", audit.two_keys, Target::Never),
        ("soak_repeated", "repeated", audit.repeated, Target::AtMost(0.0)),
    ] {
        section.row(Row::new(name, what, Unit::Count, count as f64).target(target));
    }
    let p99: Vec<String> = laps.iter().map(|lap| format!("{:.1}", lap.latencies[1])).collect();
    let memory: Vec<String> = laps.iter().map(|lap| format!("{:.0}", lap.memory / 1e6)).collect();
    let disk: Vec<String> = laps.iter().map(|lap| format!("{:.0}", lap.disk / 1e6)).collect();
    section.note(format!(
        "{} laps of {:.0?}, {events} events, {} accepted, kept {} minutes; by lap: p99 ms {}; memory MB {}; disk MB {}",
        laps.len(),
        plan.lap,
        audit.accepted,
        plan.keep,
        p99.join(" "),
        memory.join(" "),
        disk.join(" ")
    ));
    section
}
