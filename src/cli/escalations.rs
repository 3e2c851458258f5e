//! `adjutant escalations`: ladders, and who is on them.

use clap::Subcommand;
use comfy_table::Cell;
use serde_json::json;

use super::client::{Client, part, with_query};
use super::runs::done;
use super::screen::{self, Screen, cut, rows, table};
use super::{Exit, Failure};
use crate::api::wire;

/// Characters of a summary in the listing.
const SUMMARY: usize = 60;

#[derive(Debug, Subcommand)]
pub(super) enum Escalations {
    /// List open escalations
    #[command(after_help = "\
Examples:
  adjutant escalations list
  adjutant escalations list --all --limit 20")]
    List {
        /// Those that are over as well
        #[arg(long)]
        all: bool,
        /// At most so many [default: 100]
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Acknowledge: somebody is on it, no further level is called
    #[command(after_help = "\
Examples:
  adjutant escalations ack 18")]
    Ack {
        /// The escalation: the number or id of its run
        escalation: String,
    },
    /// Resolve: it is over, and the run that escalated goes on
    #[command(after_help = "\
Examples:
  adjutant escalations resolve 18")]
    Resolve {
        /// The escalation: the number or id of its run
        escalation: String,
    },
}

pub(super) async fn run(
    escalations: Escalations,
    client: &Client,
    screen: &Screen,
) -> Result<Exit, Failure> {
    let (escalation, verb, word) = match escalations {
        Escalations::List { all, limit } => {
            let pairs = [
                ("all", all.then(|| "true".to_owned())),
                ("limit", limit.map(|limit| limit.to_string())),
            ];
            let path = with_query("/v1/escalations", &pairs);
            let answer = client.get::<wire::Escalations>(&path).await?;
            screen.show(&answer.json, |screen| list(&answer.value, screen));
            return Ok(Exit::Fine);
        }
        Escalations::Ack { escalation } => (escalation, "acknowledge", "acknowledged"),
        Escalations::Resolve { escalation } => (escalation, "resolve", "resolved"),
    };
    let path = format!("/v1/escalations/{}/{verb}", part(&escalation));
    let answer = client.post::<wire::Done>(&path, &json!({})).await?;
    screen.show(&answer.json, |_| done(&answer.value, word));
    Ok(Exit::Fine)
}

fn list(escalations: &wire::Escalations, screen: &Screen) -> String {
    let mut table = table(&["RUN", "POLICY", "STATUS", "LEVEL", "SUBJECT", "SUMMARY", "NEXT"]);
    for escalation in &escalations.escalations {
        let next = match (&escalation.acknowledged, &escalation.due) {
            _ if escalation.ended.is_some() => String::new(),
            (Some(taken), _) => format!("{} is on it", taken.by),
            (None, Some(due)) => screen.instant(due),
            (None, None) => "no more levels".to_owned(),
        };
        table.add_row([
            Cell::new(&escalation.id),
            Cell::new(&escalation.policy),
            screen::status(&escalation.status),
            Cell::new(escalation.level),
            Cell::new(escalation.subject.as_deref().unwrap_or("–")),
            Cell::new(cut(&escalation.summary, SUMMARY)),
            Cell::new(next),
        ]);
    }
    rows(&table, "no open escalations")
}
