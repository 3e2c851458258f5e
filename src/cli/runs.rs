//! `adjutant runs`: what runs are doing; end them, or go on with them.

use clap::Subcommand;
use comfy_table::Cell;
use serde_json::json;

use super::client::{Client, part, with_query};
use super::screen::{self, Screen, cut, put, rows, table};
use super::{Exit, Failure, story};
use crate::api::wire;

/// Characters of a reason or a wait in a listing.
const DETAIL: usize = 60;

#[derive(Debug, Subcommand)]
pub(super) enum Runs {
    /// List runs, newest first
    #[command(after_help = "\
Examples:
  adjutant runs list
  adjutant runs list --status failed --limit 20
  adjutant runs list --workflow lead-response --before 1200")]
    List {
        /// Only these: queued, active, done, failed or cancelled
        #[arg(long)]
        status: Option<String>,
        /// Only runs of this workflow
        #[arg(long)]
        workflow: Option<String>,
        /// Only those before this one
        #[arg(long, value_name = "RUN")]
        before: Option<String>,
        /// At most so many [default: 100]
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Tell the whole story of a run
    #[command(after_help = "\
Examples:
  adjutant runs show 17
  adjutant runs show 17-9f86d081884c7d65 --json")]
    Show {
        /// The run: its number, or its whole id
        run: String,
    },
    /// End a run wherever it is
    #[command(after_help = "\
Examples:
  adjutant runs cancel 17 --reason 'the lead was a test'")]
    Cancel {
        /// The run
        run: String,
        /// Why, for its story
        #[arg(long)]
        reason: Option<String>,
    },
    /// Go on with a failed run from the failed step, or release a held effect
    #[command(after_help = "\
Examples:
  adjutant runs retry 17
  adjutant runs retry 17 --assume-done     the mail was sent after all: go on behind it")]
    Retry {
        /// The run
        run: String,
        /// Take the failed or held effect as done instead of performing it again
        #[arg(long)]
        assume_done: bool,
    },
    /// Let a `foreach` begin that has more items than its `limit`
    #[command(after_help = "\
Examples:
  adjutant runs list                 says which runs wait for a person
  adjutant runs release 17           all items begin
  adjutant runs cancel 17            none does")]
    Release {
        /// The run
        run: String,
    },
}

pub(super) async fn run(runs: Runs, client: &Client, screen: &Screen) -> Result<Exit, Failure> {
    match runs {
        Runs::List { status, workflow, before, limit } => {
            let limit = limit.map(|limit| limit.to_string());
            let pairs =
                [("status", status), ("workflow", workflow), ("before", before), ("limit", limit)];
            let answer = client.get::<wire::Runs>(&with_query("/v1/runs", &pairs)).await?;
            screen.show(&answer.json, |screen| list(&answer.value, screen));
        }
        Runs::Show { run } => {
            let answer = client.get::<wire::Story>(&format!("/v1/runs/{}", part(&run))).await?;
            screen.show(&answer.json, |screen| story::tell(&answer.value, screen));
        }
        Runs::Cancel { run, reason } => {
            let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
            let path = format!("/v1/runs/{}/cancel", part(&run));
            let answer = client.post::<wire::Done>(&path, &body).await?;
            screen.show(&answer.json, |_| done(&answer.value, "cancelled"));
        }
        Runs::Retry { run, assume_done } => {
            let path = format!("/v1/runs/{}/retry", part(&run));
            let body = json!({ "assume_done": assume_done });
            let answer = client.post::<wire::Done>(&path, &body).await?;
            screen.show(&answer.json, |_| done(&answer.value, "goes on"));
        }
        Runs::Release { run } => {
            let path = format!("/v1/runs/{}/release", part(&run));
            let answer = client.post::<wire::Done>(&path, &json!({})).await?;
            screen.show(&answer.json, |_| done(&answer.value, "goes on"));
        }
    }
    Ok(Exit::Fine)
}

/// What an operator's wish came to: the engine's own words, or else ours.
pub(super) fn done(done: &wire::Done, otherwise: &str) -> String {
    let words = done.result.as_str().filter(|text| !text.is_empty()).unwrap_or(otherwise);
    format!("run {}: {words}\n", done.id)
}

fn list(page: &wire::Runs, screen: &Screen) -> String {
    let mut table =
        table(&["RUN", "WORKFLOW", "STATUS", "SUBJECT", "BEGAN", "WAITS FOR / BECAUSE"]);
    for run in &page.runs {
        table.add_row([
            Cell::new(&run.id),
            Cell::new(&run.workflow),
            screen::status(&run.status),
            Cell::new(run.subject.as_deref().unwrap_or("–")),
            Cell::new(screen.instant(&run.began)),
            Cell::new(cut(&detail(run, screen), DETAIL)),
        ]);
    }
    let mut text = rows(&table, "no runs");
    if let Some(next) = &page.next {
        put(&mut text, format_args!("more: --before {next}\n"));
    }
    text
}

/// What a run waits for and until when, or why it ended.
pub(super) fn detail(run: &wire::Run, screen: &Screen) -> String {
    match (&run.waits, &run.reason) {
        (Some(waits), _) => waiting(waits, screen),
        (None, Some(reason)) => reason.message.clone(),
        (None, None) => String::new(),
    }
}

/// What a run waits for, and until when.
pub(super) fn waiting(waits: &wire::Waiting, screen: &Screen) -> String {
    match &waits.until {
        Some(until) if waits.what == "effect" => {
            format!("{}, at {}", waits.text, screen.instant(until))
        }
        Some(until) => format!("{} until {}", waits.text, screen.instant(until)),
        None => waits.text.clone(),
    }
}
