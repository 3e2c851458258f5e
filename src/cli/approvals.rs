//! `adjutant approvals`: what people are asked to decide, and deciding it.

use clap::Subcommand;
use comfy_table::Cell;
use serde_json::json;

use super::client::{Client, part, with_query};
use super::runs::done;
use super::screen::{BOLD, DIM, Screen, cut, put, rows, styled, table};
use super::{Exit, Failure};
use crate::api::wire;

/// Characters of a summary in the listing.
const SUMMARY: usize = 60;

#[derive(Debug, Subcommand)]
pub(super) enum Approvals {
    /// List what is to be decided, the most urgent first
    #[command(after_help = "\
Examples:
  adjutant approvals list
  adjutant approvals list --all --limit 20")]
    List {
        /// Those that are decided as well
        #[arg(long)]
        all: bool,
        /// At most so many [default: 100]
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Show one, with what was chosen so far
    #[command(after_help = "\
Examples:
  adjutant approvals show 3f9a01c2d4e5b607")]
    Show {
        /// The approval
        approval: String,
    },
    /// Decide it: as an operator, alone, or on behalf of one of those who are asked
    #[command(after_help = "\
Examples:
  adjutant approvals decide 3f9a01c2d4e5b607 approved
  adjutant approvals decide 3f9a01c2d4e5b607 rejected --by mia --comment \"not this quarter\"
  adjutant approvals decide guard-marketing approved")]
    Decide {
        /// The approval
        approval: String,
        /// One of its outcomes
        outcome: String,
        /// On whose behalf: one of those who are asked
        #[arg(long, value_name = "PERSON")]
        by: Option<String>,
        /// Why
        #[arg(long)]
        comment: Option<String>,
    },
    /// Pass it on from one of those who are asked to somebody else
    #[command(after_help = "\
Examples:
  adjutant approvals delegate 3f9a01c2d4e5b607 --by mia --to max")]
    Delegate {
        /// The approval
        approval: String,
        /// The one who is asked
        #[arg(long, value_name = "PERSON")]
        by: String,
        /// The one who will be
        #[arg(long, value_name = "PERSON")]
        to: String,
    },
}

pub(super) async fn run(
    approvals: Approvals,
    client: &Client,
    screen: &Screen,
) -> Result<Exit, Failure> {
    match approvals {
        Approvals::List { all, limit } => {
            let pairs = [
                ("all", all.then(|| "true".to_owned())),
                ("limit", limit.map(|limit| limit.to_string())),
            ];
            let path = with_query("/v1/approvals", &pairs);
            let answer = client.get::<wire::Approvals>(&path).await?;
            screen.show(&answer.json, |screen| list(&answer.value, screen));
        }
        Approvals::Show { approval } => {
            let path = format!("/v1/approvals/{}", part(&approval));
            let answer = client.get::<wire::Approval>(&path).await?;
            screen.show(&answer.json, |screen| show(&answer.value, screen));
        }
        Approvals::Decide { approval, outcome, by, comment } => {
            let path = format!("/v1/approvals/{}/decide", part(&approval));
            let body = json!({ "outcome": outcome, "by": by, "comment": comment });
            let answer = client.post::<wire::Done>(&path, &body).await?;
            screen.show(&answer.json, |_| done(&answer.value, &outcome));
        }
        Approvals::Delegate { approval, by, to } => {
            let path = format!("/v1/approvals/{}/delegate", part(&approval));
            let answer = client.post::<wire::Done>(&path, &json!({ "by": by, "to": to })).await?;
            screen.show(&answer.json, |_| done(&answer.value, "passed on"));
        }
    }
    Ok(Exit::Fine)
}

fn list(approvals: &wire::Approvals, screen: &Screen) -> String {
    let mut table =
        table(&["APPROVAL", "STATUS", "WORKFLOW", "SUBJECT", "SUMMARY", "ASKED", "DUE"]);
    for one in &approvals.approvals {
        table.add_row([
            Cell::new(&one.id),
            Cell::new(&one.status),
            Cell::new(&one.workflow),
            Cell::new(one.subject.as_deref().unwrap_or("–")),
            Cell::new(cut(&one.summary, SUMMARY)),
            Cell::new(one.people.join(", ")),
            Cell::new(one.due.as_deref().map(|due| screen.instant(due)).unwrap_or_default()),
        ]);
    }
    rows(&table, "nothing to decide")
}

fn show(one: &wire::Approval, screen: &Screen) -> String {
    let asked =
        format!("asked {} by {} (run {})", screen.instant(&one.opened), one.workflow, one.run);
    let head = (styled(BOLD, format_args!("{} {}", one.id, one.status)), styled(DIM, asked));
    let mut text = format!("{}  {}\n  {}\n", head.0, head.1, one.summary);
    if !one.people.is_empty() {
        let need = if one.need > 1 { format!(", {} must agree", one.need) } else { String::new() };
        put(&mut text, format_args!("  asks      {}{need}\n", one.people.join(", ")));
    }
    put(&mut text, format_args!("  outcomes  {}\n", one.outcomes.join(", ")));
    if let Some(due) = &one.due {
        put(&mut text, format_args!("  due       {}\n", screen.instant(due)));
    }
    for vote in &one.votes {
        let why = vote.comment.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let at = screen.instant(&vote.at);
        put(&mut text, format_args!("  {at}  {} chose {}{why}\n", vote.by, vote.outcome));
    }
    text
}
