//! What waiting costs, with the real pump over the real store and without HTTP: memory, disk and
//! time of so many runs that wait, each begun by its own event; half of them for an instant and half
//! for an event. Then a kill, a start, timers due together, cancelling, and the removal of it all.
//!
//! `cargo bench --bench waiting -- 1000000`. Every phase is a process of its own, so that its memory
//! is its own; phases end by SIGKILL where a daemon could. Time is virtual, work and disk are real.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a bench measures time and prints figures"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use adjutant::model::{
    Draft, Input, Instant, Map, Operator, Outcome, Retention, RunNo, Settled, Span, Value, View,
    limits,
};
use adjutant::pump::{Pump, Released};
use adjutant::rules::{Context, RuleSet, SourceFile, Sources};
use adjutant::store::{Batch, JournaledStore, Op, Store, StoreError, honest};

const RULES: &str = r#"
workflow: sleeps
triggers: [{ event: lead.sleeps }]
steps:
  - delay: 30d
  - webhook: https://receiver.example/in
    json: { id: "${event.id}" }
---
workflow: waits
triggers: [{ event: lead.waits }]
exit: [{ event: lead.left }]
steps:
  - wait_for: lead.came
    timeout: 60d
"#;

/// Runs when nothing is said.
const RUNS: u64 = 100_000;
/// Timers due together, and runs cancelled each way.
const TOGETHER: u64 = 10_000;
/// When the first event comes.
const BEGUN: &str = "2026-01-01T00:00:00Z";

/// As in the daemon.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

type Failed = Box<dyn Error>;

fn main() -> Result<(), Failed> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [] => all(RUNS),
        [runs] => all(runs.parse()?),
        [phase, dir, runs] => one(phase, Path::new(dir), runs.parse()?),
        _ => Err("say how many runs, or nothing".into()),
    }
}

/// Every phase in turn, each in a process of its own.
fn all(runs: u64) -> Result<(), Failed> {
    let folder = tempfile::tempdir_in(".")?;
    let dir = |name: &str| folder.path().join(name);
    println!("{runs} runs");
    for (phase, name) in [
        ("bare rows", "bare"),
        ("fill", "state"),
        ("start after a kill", "state"),
        ("start once more", "state"),
        ("rows", "state"),
        ("timers", "state"),
        ("cancel", "state"),
        ("remove", "state"),
    ] {
        let program = std::env::current_exe()?;
        let mut child = Command::new(program);
        // Their last line says so; how they end does not matter.
        child.arg(phase).arg(dir(name)).arg(runs.to_string()).status()?;
    }
    Ok(())
}

fn one(phase: &str, dir: &Path, runs: u64) -> Result<(), Failed> {
    honest::install()?;
    let (wall, cpu) = (std::time::Instant::now(), cpu());
    let mut figures = Figures(Vec::new());
    match phase {
        "bare rows" => bare(dir, runs)?,
        "fill" => fill(dir, runs)?,
        "start after a kill" | "start once more" => start(dir, &mut figures)?,
        "rows" => rows(dir, runs, &mut figures)?,
        "timers" => timers(dir, runs, &mut figures)?,
        "cancel" => cancel(dir, &mut figures)?,
        "remove" => remove(dir, &mut figures)?,
        other => return Err(format!("no phase is called `{other}`").into()),
    }
    let seconds = wall.elapsed().as_secs_f64();
    let disk = size(dir)?;
    let said = figures.0.iter().fold(String::new(), |mut said, (name, value)| {
        said.extend([", ", name, " ", value]);
        said
    });
    println!(
        "{phase:18} {seconds:7.2} s, {:9.0} runs/s, cpu {:6.2} s, memory {:4} MB (most {:4}), disk {:5} MB, {:5} B a run{said}",
        runs as f64 / seconds,
        self::cpu() - cpu,
        memory("VmRSS:")? >> 20,
        memory("VmHWM:")? >> 20,
        disk >> 20,
        disk / runs.max(1),
    );
    std::io::stdout().flush()?;
    // As if killed: nothing is tidied up.
    std::process::abort();
}

/// What a phase has to say besides.
struct Figures(Vec<(&'static str, String)>);

impl Figures {
    fn add(&mut self, name: &'static str, value: impl ToString) {
        self.0.push((name, value.to_string()));
    }

    fn time<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let begun = std::time::Instant::now();
        let done = work();
        self.add(name, format!("{:.2} s", begun.elapsed().as_secs_f64()));
        done
    }
}

/// What the store alone takes for runs of seven rows: the measure of the machine.
fn bare(dir: &Path, runs: u64) -> Result<(), Failed> {
    const ROWS: u64 = 7;
    const RUNS_PER_BATCH: u64 = 256;
    const VALUE: usize = 64;
    let store = JournaledStore::open(dir)?;
    let lead = store.lead()?;
    let firsts = (0..runs).step_by(RUNS_PER_BATCH as usize);
    for (number, first) in (lead.number + 1..).zip(firsts) {
        let ops = (0..ROWS).flat_map(|row| {
            (first..(first + RUNS_PER_BATCH).min(runs)).map(move |run| {
                let key = [&[row as u8], run.to_be_bytes().as_slice()].concat();
                Op::Put(key, vec![run as u8; VALUE])
            })
        });
        store.commit(&Batch { epoch: lead.epoch, number, ops: ops.collect() })?;
    }
    Ok(())
}

/// The pump with its writer's thread, as the daemon has them.
struct Engine {
    pump: Pump<()>,
    now: Instant,
    todo: SyncSender<Batch>,
    done: Receiver<Result<(), StoreError>>,
    performed: u64,
}

impl Engine {
    fn open(dir: &Path, now: Instant, figures: &mut Figures) -> Result<Self, Failed> {
        let store = Arc::new(figures.time("store", || JournaledStore::open(dir))?);
        let rules = Arc::new(rules()?);
        let pump = figures.time("state", || Pump::open(store.clone(), rules, now))?;
        let (todo, batches) = sync_channel::<Batch>(1);
        let (said, done) = sync_channel(1);
        std::thread::spawn(move || {
            while let Ok(batch) = batches.recv() {
                if said.send(store.commit(&batch)).is_err() {
                    return;
                }
            }
        });
        Ok(Self { pump, now, todo, done, performed: 0 })
    }

    /// Takes an input, and commits as the daemon does: the next batch is decided while one syncs.
    fn take(&mut self, input: Input) -> Result<(), Failed> {
        self.pump.take(self.now, input, Some(()))?;
        if self.pump.is_full() { self.turn() } else { Ok(()) }
    }

    fn turn(&mut self) -> Result<(), Failed> {
        self.wait()?;
        if let Some(batch) = self.pump.seal() {
            self.todo.send(batch)?;
        }
        Ok(())
    }

    /// Waits for the batch that syncs. What it released is performed at once, and well.
    fn wait(&mut self) -> Result<(), Failed> {
        if !self.pump.is_syncing() {
            return Ok(());
        }
        self.done.recv()??;
        let released = self.pump.durable();
        self.perform(released)
    }

    fn perform(&mut self, released: Released<()>) -> Result<(), Failed> {
        for (command, _) in released.commands {
            self.performed += 1;
            let outcome = Outcome::Done(Value::from([("status", Value::Int(200))]));
            let (run, key, attempt) = (command.run, command.key, command.attempt);
            let settled = Settled { run, key, attempt, outcome };
            self.pump.take(self.now, Input::Outcome(settled), None)?;
        }
        Ok(())
    }

    /// Everything that there is to do at this instant, and its commits.
    fn settle(&mut self) -> Result<(), Failed> {
        loop {
            while !self.pump.is_full() && self.pump.work(self.now)? {}
            let syncing = self.pump.is_syncing();
            self.turn()?;
            if !syncing && !self.pump.is_syncing() {
                return Ok(());
            }
        }
    }
}

fn rules() -> Result<RuleSet, Failed> {
    let file = SourceFile { name: "rules/waiting.yaml".into(), text: RULES.into() };
    let sources = Sources { rules: vec![file], templates: Vec::new(), plugins: Vec::new() };
    let context = Context { timezone: "UTC".into(), ..Context::default() };
    RuleSet::compile(&sources, &context)
        .map(|(rules, _)| rules)
        .map_err(|found| format!("{found:?}").into())
}

fn begun() -> Result<Instant, Failed> {
    Ok(BEGUN.parse()?)
}

fn event(kind: &str, no: u64) -> Input {
    let data = Value::from([
        ("name", Value::text(format!("Person Number {no}"))),
        ("email", Value::text(format!("person.{no}@customer-{}.example", no % 1_000))),
        ("company", Value::text(format!("Customer {} Limited", no % 1_000))),
        ("region", Value::text(if no.is_multiple_of(2) { "EU" } else { "US" })),
        ("score", Value::Int((no % 100) as i64)),
        ("source", Value::text("website, the form on the page of prices")),
    ]);
    Input::Event(Box::new(Draft {
        id: format!("{kind}-{no:012}").into(),
        source: "https://crm.example/leads".into(),
        kind: kind.into(),
        subject: Some(format!("lead/{no}").into()),
        time: None,
        data,
        extensions: Map::new(),
    }))
}

/// Makes the runs wait: the first of them all begun at one instant, the others one after the other.
fn fill(dir: &Path, runs: u64) -> Result<(), Failed> {
    let mut engine = Engine::open(dir, begun()?, &mut Figures(Vec::new()))?;
    for no in 0..runs {
        if no >= 2 * TOGETHER {
            engine.now = begun()? + Span::from_millis(3_600_000 + no as i64);
        }
        engine.take(event(if no.is_multiple_of(2) { "lead.sleeps" } else { "lead.waits" }, no))?;
    }
    engine.settle()?;
    engine.settle()
}

fn start(dir: &Path, figures: &mut Figures) -> Result<(), Failed> {
    Engine::open(dir, begun()?, figures)?;
    Ok(())
}

/// Rows and bytes by tag.
fn rows(dir: &Path, runs: u64, figures: &mut Figures) -> Result<(), Failed> {
    let store = JournaledStore::open(dir)?;
    let mut kinds: BTreeMap<u8, (u64, u64)> = BTreeMap::new();
    let mut from = Vec::new();
    loop {
        let page = store.scan(&from, &[0xff], 4_096)?;
        let Some((last, _)) = page.last() else { break };
        from = [last.as_slice(), &[0]].concat();
        for (key, value) in page {
            let (rows, bytes) = kinds.entry(key[0]).or_default();
            *rows += 1;
            *bytes += (key.len() + value.len()) as u64;
        }
    }
    for (tag, (rows, bytes)) in kinds {
        let name = match tag {
            b'e' => "events",
            b's' => "subjects",
            b'r' => "runs",
            b'd' => "identities",
            _ => "others",
        };
        let text = format!("{rows} rows of {} B ({} B a run)", bytes / rows, bytes / runs.max(1));
        figures.0.push((name, text));
    }
    Ok(())
}

/// The first timers, all due at one instant.
fn timers(dir: &Path, runs: u64, figures: &mut Figures) -> Result<(), Failed> {
    let together = TOGETHER.min(runs / 2);
    let mut engine = Engine::open(dir, begun()?, figures)?;
    engine.now = begun()? + Span::from_days(30) - Span::from_millis(1);
    engine.settle()?;
    figures.add("fired early", engine.performed);
    engine.now = begun()? + Span::from_days(30);
    figures.time("fired in", || engine.settle())?;
    figures.add("fired", engine.performed);
    if engine.performed != together {
        return Err(format!("{together} timers were due, {} fired", engine.performed).into());
    }
    Ok(())
}

/// Ends runs by an event, and by hand.
fn cancel(dir: &Path, figures: &mut Figures) -> Result<(), Failed> {
    let mut engine = Engine::open(dir, begun()?, figures)?;
    let alive = |engine: &Engine| {
        let state = engine.pump.view();
        state.runs_in(adjutant::model::Status::Active).map_or(0, Iterator::count)
    };
    let before = alive(&engine);
    let many = TOGETHER.min(before as u64 / 4);
    figures.time("by event", || {
        (0..many).try_for_each(|n| engine.take(event("lead.left", 2 * n + 1)))?;
        engine.settle()
    })?;
    let by_event = before - alive(&engine);
    let newest: Vec<RunNo> = {
        let state = engine.pump.view();
        let runs = state.runs_in(adjutant::model::Status::Active).into_iter().flatten();
        runs.take(many as usize).collect()
    };
    figures.time("by hand", || {
        for run in newest {
            let by = "bench".into();
            engine.take(Input::Operator(Operator::Cancel { run, reason: None, by }))?;
        }
        engine.settle()
    })?;
    figures.add("cancelled", format!("{by_event} + {}", before - by_event - alive(&engine)));
    Ok(())
}

/// Ends every run by its lifetime, and removes what is past its retention.
fn remove(dir: &Path, figures: &mut Figures) -> Result<(), Failed> {
    let mut engine = Engine::open(dir, begun()?, figures)?;
    let retention = Retention {
        events: Span::from_days(1),
        runs: Span::from_days(1),
        failed_runs: Span::from_days(1),
    };
    engine.pump = engine.pump.keeping(retention);
    engine.now = begun()? + Span::from_days(100);
    figures.time("all fired in", || engine.settle())?;
    figures.add("most memory", memory("VmHWM:")? >> 20);
    engine.now = begun()? + Span::from_days(200);
    for name in ["swept in", "swept again in"] {
        engine.pump.take(engine.now, Input::Sweep, None)?;
        figures.time(name, || engine.settle())?;
    }
    let state = engine.pump.view();
    let left = state.runs_after(RunNo(0), limits::PAGE)?.len();
    figures.add("runs left", left);
    std::thread::sleep(Duration::from_secs(2));
    Ok(())
}

/// Seconds of processor time that this process has used (utime and stime of proc(5), 100 a second).
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Bytes of memory, from proc(5).
fn memory(field: &str) -> Result<u64, Failed> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(field)).ok_or("no such field")?;
    let kilobytes: u64 = line.split_whitespace().nth(1).ok_or("no figure")?.parse()?;
    Ok(kilobytes * 1024)
}

/// Bytes of the files in a folder, as the disk counts them.
fn size(dir: &Path) -> Result<u64, Failed> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    let mut folders: Vec<PathBuf> = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let about = entry.metadata()?;
            if about.is_dir() {
                folders.push(entry.path());
            } else {
                bytes += about.blocks() * 512;
            }
        }
    }
    Ok(bytes)
}
