//! Dead receivers beside a living one: one refuses connections, one takes them and never answers. What
//! the living one notices of it.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use super::latency::Latencies;
use super::ledger::Matching;
use super::outcome::Result;
use super::receiver::{self, Receiver};
use super::report::{Row, Section, Target, Unit};
use super::subject::Subject;
use super::{say, w1, work};

/// The addresses are different ones, as those of different receivers are.
const REFUSES: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// See [`REFUSES`].
const SILENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// Events a second to the living one.
const LIVE: f64 = 500.0;
/// Events a second to each of the dead.
const DEAD: f64 = 100.0;

/// So long without the dead, and so long with them.
pub(crate) async fn run(length: Duration) -> Result<Section> {
    let receiver = Receiver::start(None).await?;
    // Free a moment ago, so nobody listens.
    let refuses = TcpListener::bind((REFUSES, 0))?.local_addr()?;
    let silent = receiver::silent(SILENT).await?;
    let rules = [
        work::rule(&receiver.url()),
        work::always("to-refusing", "dead.refuses", &work::step(&format!("http://{refuses}/hook"))),
        work::always("to-silent", "dead.silent", &work::step(&format!("http://{silent}/hook"))),
    ];
    let mut subject = Subject::adjutant(&rules.join("---\n"), "")?;
    subject.start()?;

    say("dead receivers: without");
    let without = receiver.ledgers.open(Matching::Half);
    subject.load().open(&without, LIVE, length).await;
    w1::settle(&without).await;

    say("dead receivers: with");
    let with = receiver.ledgers.open(Matching::Half);
    let mut dead = Vec::new();
    for kind in ["dead.refuses", "dead.silent"] {
        let (mut load, ledger) = (subject.load(), receiver.ledgers.open(Matching::None));
        load.event = work::others(kind, Matching::All);
        let sent = ledger.clone();
        // Half of the time before the living one is measured, so that a backlog is there.
        dead.push((
            tokio::spawn(async move { load.open(&ledger, DEAD, length * 3 / 2).await }),
            sent,
        ));
    }
    tokio::time::sleep(length / 2).await;
    subject.load().open(&with, LIVE, length).await;
    w1::settle(&with).await;
    let mut accepted = 0;
    for (load, ledger) in dead {
        load.await?;
        accepted += ledger.audit().accepted;
    }

    let mut section = Section::new("Dead receivers beside a living one");
    for (share, label) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")] {
        for (ledger, name, when) in [(&without, "without", "alone"), (&with, "with", "beside them")]
        {
            let value = Latencies::end_to_end(ledger).at(share);
            let what = format!("living one {when}, {label}");
            section.row(Row::new(&format!("dead_{name}_{label}"), &what, Unit::Millis, value));
        }
    }
    let lost = with.audit().lost + without.audit().lost;
    let lost = Row::new("dead_lost", "lost to the living one", Unit::Count, lost as f64);
    section.row(lost.target(Target::Never));
    section.note(format!(
        "{LIVE}/s to the living one, {DEAD}/s to each of one that refuses connections and one that never \
         answers; {accepted} events for the dead accepted"
    ));
    Ok(section)
}
