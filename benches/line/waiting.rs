//! Runs that wait: each for an answer on its subject, for 30 days at most. What they cost in memory, on
//! the disk and at a start; then some are cancelled by hand, the rest get their answer, and all that is
//! left of them is removed.

use std::time::Duration;

use super::generator::Line;
use super::ledger::{Ledger, Matching};
use super::outcome::Result;
use super::receiver::Receiver;
use super::report::{Row, Section, Target, Unit};
use super::subject::Subject;
use super::{meter, moment, say, w1, work};

/// What begins a wait, and what it is for.
const BEGIN: &str = "wait.begin";
/// See [`BEGIN`].
const ANSWER: &str = "wait.answer";
/// Events of a request: what the daemon takes.
const BATCH: usize = 512;
/// Connections, so that the next batch is read while one is synced.
const CONNECTIONS: usize = 4;
/// Runs cancelled by hand, one request each.
const CANCELLED: usize = 1_000;
/// Before memory is looked at.
const REST: Duration = Duration::from_secs(3);
/// Everything that is over is past it at the next start.
const SHORT: &str = "retention: { events: 1s, runs: 1s, failed_runs: 1s }\n";
/// How often it is asked whether anything is left.
const ASK: Duration = Duration::from_secs(1);
/// How long removing all of it may take.
const REMOVED: Duration = Duration::from_mins(20);
/// Longer than it takes.
const LONG: Duration = Duration::from_hours(1);

/// With so many runs.
pub(crate) async fn run(runs: usize) -> Result<Section> {
    let requests = runs.div_ceil(BATCH);
    let runs = requests * BATCH;
    let receiver = Receiver::start(None).await?;
    let step = format!("  - wait_for: {ANSWER}\n    timeout: 30d\n");
    let mut subject = Subject::adjutant(&work::always("hold", BEGIN, &step), "")?;
    subject.start()?;
    tokio::time::sleep(REST).await;
    let (idle, empty) = (meter::memory(subject.pid()).now, subject.disk());
    let mut section = Section::new(&format!("{} runs that wait", Unit::Count.show(runs as f64)));
    let key = |name: &str| format!("waiting_{runs}_{name}");

    say(&format!("waiting: {runs} runs begin"));
    let begun = receiver.ledgers.open(Matching::None);
    let cpu = meter::cpu(subject.pid());
    send(&subject, &begun, BEGIN, requests).await;
    let cpu = (meter::cpu(subject.pid()) - cpu) / runs as f64;
    let rate = w1::rates(&begun).accepted;
    let accepted = begun.audit().accepted;
    receiver.ledgers.forget(&begun);
    let row = Row::new(&key("rate"), "begun/s, in batches of 512", Unit::Count, rate);
    section.row(row.target(Target::AtLeast(15_000.0)));
    section.row(Row::new(&key("cpu"), "CPU a run", Unit::Micros, cpu * 1e6));
    tokio::time::sleep(REST).await;
    let memory = meter::memory(subject.pid());
    let row = Row::new(&key("memory"), "memory with them", Unit::Megabytes, memory.now);
    section.row(row.target(Target::AtMost(400e6)));
    section.row(Row::new(&key("peak"), "memory, most on the way", Unit::Megabytes, memory.peak));
    let disk = (subject.disk() - empty) / runs as f64;
    let row = Row::new(&key("disk"), "disk a run, its event included", Unit::Bytes, disk);
    section.row(row.target(Target::AtMost(1_200.0)));

    say("waiting: restarts");
    subject.kill();
    let start = subject.start()?.as_secs_f64();
    let row = Row::new(&key("start"), "start to ready after SIGKILL", Unit::Seconds, start);
    section.row(row.target(Target::AtMost(3.0)));
    let stop = subject.stop()?.as_secs_f64();
    let live = subject.live()?;
    let start = subject.start()?.as_secs_f64();
    let row = Row::new(&key("start_term"), "start to ready after SIGTERM", Unit::Seconds, start);
    section.row(row.target(Target::AtMost(3.0)));
    section.row(Row::new(&key("stop"), "SIGTERM to the end", Unit::Seconds, stop));
    section.row(Row::new(&key("live"), "keys and values a run", Unit::Bytes, live / runs as f64));
    tokio::time::sleep(REST).await;
    let memory = meter::memory(subject.pid());
    section.row(Row::new(&key("started"), "memory after a start", Unit::Megabytes, memory.now));
    section.row(Row::new(
        &key("start_peak"),
        "memory, most at a start",
        Unit::Megabytes,
        memory.peak,
    ));

    let each = cancel(&subject).await?;
    section.row(Row::new(&key("cancel"), "cancelling one by hand", Unit::Millis, each * 1e3));
    say("waiting: all get their answer");
    let answered = receiver.ledgers.open(Matching::None);
    send(&subject, &answered, ANSWER, requests).await;
    let rate = w1::rates(&answered).accepted;
    section.row(Row::new(&key("answered"), "woken and finished/s", Unit::Count, rate));
    tokio::time::sleep(REST).await;
    let memory = meter::memory(subject.pid());
    section.row(Row::new(&key("after"), "memory after that", Unit::Megabytes, memory.now));
    section.row(Row::new(
        &key("after_peak"),
        "memory, most since the start",
        Unit::Megabytes,
        memory.peak,
    ));
    subject.kill();
    let start = subject.start()?.as_secs_f64();
    section.row(Row::new(&key("start_done"), "start to ready, all done", Unit::Seconds, start));
    tokio::time::sleep(REST).await;
    let memory = meter::memory(subject.pid()).now;
    section.row(Row::new(&key("done"), "memory, all done and restarted", Unit::Megabytes, memory));
    let newest = subject.get("/v1/runs?limit=1000")?;
    let newest = newest["runs"].as_array().cloned().unwrap_or_default();
    let waiting = newest.iter().filter(|run| run["status"] == "active").count();
    section.note(format!(
        "{accepted} of {runs} begun, {} of {runs} answers accepted, {waiting} of the newest {} still wait; idle \
         memory before {:.1} MB; disk at the end {:.0} MB",
        answered.audit().accepted,
        newest.len(),
        idle / 1e6,
        subject.disk() / 1e6
    ));
    remove(&mut subject, &mut section, runs).await?;
    Ok(section)
}

/// Has everything removed: the runs, and the events that began and ended them.
async fn remove(subject: &mut Subject, section: &mut Section, runs: usize) -> Result<()> {
    say("waiting: all are removed");
    let key = |name: &str| format!("waiting_{runs}_{name}");
    subject.stop()?;
    subject.configure(SHORT)?;
    subject.start()?;
    let (began, cpu) = (moment::now(), meter::cpu(subject.pid()));
    let left = || -> Result<bool> {
        let is_empty = |path, list| -> Result<bool> {
            Ok(subject.get(path)?[list].as_array().is_none_or(Vec::is_empty))
        };
        Ok(!is_empty("/v1/runs?limit=1", "runs")? || !is_empty("/v1/events?limit=1", "events")?)
    };
    while left()? {
        if moment::seconds_between(began, moment::now()) > REMOVED.as_secs_f64() {
            return Err(format!("not all is removed after {REMOVED:?}").into());
        }
        tokio::time::sleep(ASK).await;
    }
    let took = moment::seconds_between(began, moment::now());
    let cpu = (meter::cpu(subject.pid()) - cpu) / runs as f64;
    tokio::time::sleep(REST).await;
    let memory = meter::memory(subject.pid());
    let rate = runs as f64 / took;
    section.row(Row::new(&key("removed"), "removed/s, with two events each", Unit::Count, rate));
    section.row(Row::new(&key("removed_cpu"), "CPU for that", Unit::Micros, cpu * 1e6));
    let most = "memory, most while they are removed";
    section.row(Row::new(&key("removed_peak"), most, Unit::Megabytes, memory.peak));
    section.row(Row::new(&key("removed_memory"), "memory after", Unit::Megabytes, memory.now));
    subject.stop()?;
    let (disk, live) = (subject.disk(), subject.live()?);
    section.row(Row::new(&key("removed_disk"), "disk after", Unit::Megabytes, disk));
    section.row(Row::new(&key("removed_live"), "keys and values after", Unit::Bytes, live));
    Ok(())
}

/// One event of this type on each subject.
async fn send(
    subject: &Subject,
    ledger: &std::sync::Arc<Ledger>,
    kind: &'static str,
    requests: usize,
) {
    let mut load = subject.load();
    load.event = work::others(kind, Matching::All);
    (load.batch, load.connections, load.most) = (BATCH, CONNECTIONS, requests);
    load.insists = true;
    load.closed(ledger, LONG).await;
}

/// Cancels the newest runs one after the other. Answers the seconds of one.
async fn cancel(subject: &Subject) -> Result<f64> {
    let page = subject.get(&format!("/v1/runs?limit={CANCELLED}"))?;
    let ids: Vec<&str> = page["runs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|run| run["id"].as_str())
        .collect();
    let mut line = Line::to(subject.address());
    let began = moment::now();
    for id in &ids {
        let path = format!("/v1/runs/{id}/cancel");
        if !line.ready().await {
            return Err("the daemon does not take connections".into());
        }
        let answer = line.post(&path, "application/json", "{}".into()).await;
        let status = answer.map_or(0, |answer| answer.status);
        if status != 200 {
            return Err(format!("cancelling run {id} was answered {status}").into());
        }
    }
    Ok(moment::seconds_between(began, moment::now()) / ids.len().max(1) as f64)
}
