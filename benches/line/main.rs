//! `cargo bench --bench line`: the whole line over real HTTP, beside a bare durable floor.
//!
//! Builds the release binary, starts it in a folder of its own, drives it, kills it, audits what it
//! promised, and prints one table. Every figure is measured in this run; figures of different runs are
//! compared by their ratio to the floor. One file a question: `w1`, `crash`, `overload`, `waiting`,
//! `timers`, `rules`, `features`, `soak`; what they share: `subject` (the processes), `generator`,
//! `receiver`, `ledger` (what was sent and came back), `meter` (what it cost), `report`.
#![allow(clippy::disallowed_methods, reason = "real processes are measured in real time")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table and the progress")]

mod crash;
mod dead;
mod features;
mod floor;
mod generator;
mod latency;
mod ledger;
mod machine;
mod meter;
mod moment;
mod outcome;
mod overload;
mod receiver;
mod report;
mod rules;
mod self_check;
mod soak;
mod subject;
mod timers;
mod w1;
mod w1_table;
mod waiting;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use machine::Machine;
use outcome::Result;
use report::Report;

/// Measures the daemon over real HTTP beside a bare durable floor, and prints one table.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench line --", max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    what: Option<What>,
    /// Everything, but short: about two minutes, for a look and for CI
    #[arg(long, global = true)]
    quick: bool,
    /// Also write the figures to this file as JSON
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    /// What cargo adds to the command line
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

const EXAMPLES: &str = "\
Examples:
  cargo bench --bench line                                the whole table
  cargo bench --bench line -- --quick                     a short look at everything
  cargo bench --bench line -- w1 --rounds 5               only the ratio to the floor
  cargo bench --bench line -- w1 --json figures.json      the same, for programs as well
  cargo bench --bench line -- crash --kills 100           SIGKILLs under full load, and the audit
  cargo bench --bench line -- overload                    twice the maximum; dead receivers
  cargo bench --bench line -- waiting --runs 1000000      what a million waiting runs cost
  cargo bench --bench line -- timers --runs 10000         all due at one instant
  cargo bench --bench line -- features                    verdicts, traces, signatures, TLS
  cargo bench --bench line -- rules                       10, 1,000 and 10,000 workflows
  cargo bench --bench line -- soak --minutes 60           an hour at half of the maximum";

#[derive(Debug, Subcommand)]
enum What {
    /// The floor and the daemon in turns: rates, latencies, costs
    W1 {
        /// Pairs of rounds
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Seconds of full load, and of each open loop
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// SIGKILLs under full load, then the audit of the ledger
    Crash {
        /// How many
        #[arg(long, default_value_t = 25)]
        kills: u64,
    },
    /// Twice the maximum, and dead receivers beside a living one
    Overload {
        /// Seconds of each part
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Runs that wait: memory, disk, starts, cancelling
    Waiting {
        /// How many
        #[arg(long, default_value_t = 1_000_000)]
        runs: usize,
    },
    /// Runs that are all due at one instant, with a SIGKILL before
    Timers {
        /// How many
        #[arg(long, default_value_t = 10_000)]
        runs: usize,
        /// Seconds until they are due
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// What verdicts, runs, webhooks, signatures and TLS cost
    Features {
        /// Rounds of each
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Seconds of full load
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
    /// More and more workflows of which ten match
    Rules {
        /// How many there are in all
        #[arg(long, value_delimiter = ',', default_values_t = [10, 1_000, 10_000])]
        workflows: Vec<usize>,
        /// Seconds of full load
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
    /// Half of the maximum for a long time
    Soak {
        /// How long
        #[arg(long, default_value_t = 60)]
        minutes: u64,
        /// Events a second [default: half of the maximum]
        #[arg(long)]
        rate: Option<f64>,
        /// Minutes for which events and runs are kept
        #[arg(long, default_value_t = 10)]
        keep: u64,
    },
    /// The floor itself, as a process
    #[command(hide = true)]
    Floor {
        #[arg(long)]
        port: u16,
        #[arg(long)]
        log: PathBuf,
        #[arg(long)]
        hook: String,
    },
}

fn main() -> ExitCode {
    // The first look at the clock is its zero.
    moment::now();
    let cli = Cli::parse();
    let done = match cli.what {
        Some(What::Floor { port, log, hook }) => floor::run(port, &log, hook),
        _ => measure(&cli),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark ended: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(cli: &Cli) -> Result<()> {
    self_check::run()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut report = Report::new(Machine::here());
    runtime.block_on(fill(cli, &mut report))?;
    println!("{}", report.markdown());
    if let Some(file) = &cli.json {
        std::fs::write(file, serde_json::to_vec_pretty(&report.json())?)?;
    }
    match report.broken().as_slice() {
        [] => Ok(()),
        broken => Err(format!("a promise was broken: {}", broken.join("; ")).into()),
    }
}

async fn fill(cli: &Cli, report: &mut Report) -> Result<()> {
    let seconds = Duration::from_secs;
    match &cli.what {
        Some(What::W1 { rounds, seconds: length }) => {
            let plan = w1::Plan { rounds: *rounds, full: seconds(*length), open: seconds(*length) };
            report.add(w1::run(plan).await?);
        }
        Some(What::Crash { kills }) => report.add(crash::run(*kills).await?),
        Some(What::Overload { seconds: length }) => {
            report.add(overload::run(seconds(*length)).await?);
            report.add(dead::run(seconds(*length)).await?);
        }
        Some(What::Waiting { runs }) => report.add(waiting::run(*runs).await?),
        Some(What::Timers { runs, seconds: ahead }) => {
            report.add(timers::run(*runs, seconds(*ahead)).await?);
        }
        Some(What::Features { rounds, seconds: length }) => {
            report.add(features::run(*rounds, seconds(*length)).await?);
        }
        Some(What::Rules { workflows, seconds: length }) => {
            report.add(rules::run(workflows, seconds(*length)).await?);
        }
        Some(What::Soak { minutes, rate, keep }) => {
            let (length, lap) = (Duration::from_mins(*minutes), Duration::from_mins(1));
            report.add(soak::run(soak::Plan { length, lap, rate: *rate, keep: *keep }).await?);
        }
        Some(What::Floor { .. }) => {}
        None if cli.quick => quick(report).await?,
        None => full(report).await?,
    }
    Ok(())
}

/// Everything at the sizes that the targets speak of, but for the hour of `soak`: some twenty minutes.
async fn full(report: &mut Report) -> Result<()> {
    let seconds = Duration::from_secs;
    report.add(w1::run(w1::Plan { rounds: 5, full: seconds(10), open: seconds(20) }).await?);
    report.add(crash::run(25).await?);
    report.add(overload::run(seconds(10)).await?);
    report.add(dead::run(seconds(10)).await?);
    report.add(timers::run(10_000, seconds(60)).await?);
    report.add(rules::run(&[10, 1_000, 10_000], seconds(5)).await?);
    report.add(features::run(3, seconds(5)).await?);
    report.add(waiting::run(100_000).await?);
    report.add(waiting::run(1_000_000).await?);
    Ok(())
}

/// The same, small: shows that everything works, and what has become much worse.
async fn quick(report: &mut Report) -> Result<()> {
    let seconds = Duration::from_secs;
    report.add(w1::run(w1::Plan { rounds: 1, full: seconds(3), open: seconds(3) }).await?);
    report.add(crash::run(3).await?);
    report.add(overload::run(seconds(2)).await?);
    report.add(dead::run(seconds(3)).await?);
    report.add(timers::run(1_000, seconds(6)).await?);
    report.add(rules::run(&[10, 200], seconds(1)).await?);
    report.add(features::run(1, seconds(1)).await?);
    report.add(waiting::run(5_000).await?);
    let (length, lap) = (seconds(12), seconds(4));
    report.add(soak::run(soak::Plan { length, lap, rate: None, keep: 10 }).await?);
    Ok(())
}

/// Progress, for whoever waits.
pub(crate) fn say(text: &str) {
    eprintln!("[{:7.1} s] {text}", moment::now() as f64 / 1e9);
}
