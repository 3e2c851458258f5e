//! `adjutant migrate`: waiting runs moved to the version in force.

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::{Value as Json, json};

use super::client::{Client, part, with_query};
use super::screen::{Screen, put};
use super::{Exit, Failure};
use crate::api::wire;

/// Runs asked for at a time.
const PAGE: usize = 1_000;
/// Runs that are listed which stay as they are.
const LISTED: usize = 20;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  adjutant migrate --workflow lead-response --dry-run   which runs would move, and why the others would not
  adjutant migrate --workflow lead-response
  adjutant migrate 17 18

A run moves if the step it waits at is in the version in force, by its `id` or else by its place in the file.
It keeps what it knows and until when it waits. What it sends from there on has new keys.")]
pub(super) struct Migrate {
    /// These runs
    #[arg(value_name = "RUN", required_unless_present = "workflow")]
    runs: Vec<String>,
    /// Every living run of this workflow or escalation policy
    #[arg(long, value_name = "NAME", conflicts_with = "runs")]
    workflow: Option<String>,
    /// Move nothing, only say what would
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(
    migrate: Migrate,
    client: &Client,
    screen: &Screen,
) -> Result<Exit, Failure> {
    let runs = match &migrate.workflow {
        Some(workflow) => living(client, workflow).await?,
        None => migrate.runs,
    };
    let bar = ProgressBar::with_draw_target(Some(runs.len() as u64), ProgressDrawTarget::stderr());
    let (mut moved, mut stay) = (Vec::new(), Vec::new());
    for run in &runs {
        let path = format!("/v1/runs/{}/migrate", part(run));
        let body = json!({ "dry_run": migrate.dry_run });
        match client.post::<wire::Done>(&path, &body).await {
            Ok(answer) => moved.push(answer.json),
            Err(failure) if failure.exit == Exit::Failed => {
                stay.push(json!({ "run": run, "why": failure.message }));
            }
            Err(failure) => return Err(failure),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let json = json!({ "dry_run": migrate.dry_run, "moved": moved, "stay": stay });
    screen.show(&json, |_| told(&moved, &stay, migrate.dry_run));
    Ok(if stay.is_empty() || migrate.workflow.is_some() { Exit::Fine } else { Exit::Failed })
}

/// The ids of the living runs of a workflow.
async fn living(client: &Client, workflow: &str) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for status in ["active", "queued"] {
        let mut before: Option<String> = None;
        loop {
            let pairs = [
                ("workflow", Some(workflow.to_owned())),
                ("status", Some(status.to_owned())),
                ("limit", Some(PAGE.to_string())),
                ("before", before),
            ];
            let page = client.get::<wire::Runs>(&with_query("/v1/runs", &pairs)).await?.value;
            found.extend(page.runs.into_iter().map(|run| run.id));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
    }
    Ok(found)
}

fn told(moved: &[Json], stay: &[Json], dry_run: bool) -> String {
    let verb = if dry_run { "would move" } else { "moved" };
    let runs = if moved.len() == 1 { "run" } else { "runs" };
    let mut text = format!("{} {runs} {verb}\n", moved.len());
    for one in stay.iter().take(LISTED) {
        put(&mut text, format_args!("  {}\n", one["why"].as_str().unwrap_or_default()));
    }
    if stay.len() > LISTED {
        put(&mut text, format_args!("  and {} more stay as they are\n", stay.len() - LISTED));
    }
    text
}
