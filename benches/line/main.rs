//! `cargo bench --bench line`: the whole line over real HTTP, beside a bare durable floor.
//!
//! Builds the release binary, starts it in a folder of its own, drives it, kills it, audits what it
//! promised, and prints one table. Every figure is measured in this run; figures of different runs are
//! compared by their ratio to the floor. One file a question: `w1`, `crash`, `overload`, `waiting`,
//! `timers`, `rules`, `features`, `soak`; what they share: `subject` (the processes), `generator`,
//! `receiver`, `ledger` (what was sent and came back), `meter` (what it cost), `report`.
#![allow(clippy::disallowed_methods, reason = "real processes are measured in real time")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table and the progress")]

mod floor;
mod generator;
mod latency;
mod ledger;
mod machine;
mod meter;
mod moment;
mod outcome;
mod receiver;
mod report;
mod subject;
mod w1;
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
    /// Everything, but short: one to two minutes, for a look and for CI
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
  cargo bench --bench line -- w1 --json figures.json      the same, for programs as well";

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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut report = Report::new(Machine::here());
    runtime.block_on(fill(cli, &mut report))?;
    println!("{}", report.markdown());
    if let Some(file) = &cli.json {
        std::fs::write(file, serde_json::to_vec_pretty(&report.json())?)?;
    }
    Ok(())
}

async fn fill(cli: &Cli, report: &mut Report) -> Result<()> {
    let seconds = Duration::from_secs;
    let plan = match cli.what {
        Some(What::W1 { rounds, seconds: length }) => {
            w1::Plan { rounds, full: seconds(length), open: seconds(length) }
        }
        _ if cli.quick => w1::Plan { rounds: 1, full: seconds(3), open: seconds(3) },
        _ => w1::Plan { rounds: 3, full: seconds(10), open: seconds(20) },
    };
    report.add(w1::run(plan).await?);
    Ok(())
}

/// Progress, for whoever waits.
pub(crate) fn say(text: &str) {
    eprintln!("[{:7.1} s] {text}", moment::now() as f64 / 1e9);
}
