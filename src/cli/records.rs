//! `adjutant records`: what the rules remember.

use clap::Subcommand;
use comfy_table::Cell;

use super::client::{Client, part, with_query};
use super::screen::{BOLD, DIM, Screen, cut, put, rows, styled, table};
use super::{Exit, Failure};
use crate::api::wire;
use crate::model::Address;

/// Characters of a record's fields in a listing.
const FIELDS: usize = 100;

#[derive(Debug, Subcommand)]
pub(super) enum Records {
    /// List the records of a kind, in order of id
    #[command(after_help = "\
Examples:
  adjutant records list lead
  adjutant records list lead --after 42 --limit 20")]
    List {
        /// The kind, such as `lead`; without one, the kinds there are
        kind: Option<String>,
        /// Only those after this id
        #[arg(long, value_name = "ID")]
        after: Option<String>,
        /// At most so many [default: 100]
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Show a record
    #[command(after_help = "\
Examples:
  adjutant records show lead/42
  adjutant records show lead/42 --json")]
    Show {
        /// The record: kind/id
        #[arg(value_name = "KIND/ID")]
        address: Address,
    },
}

pub(super) async fn run(
    records: Records,
    client: &Client,
    screen: &Screen,
) -> Result<Exit, Failure> {
    match records {
        Records::List { kind: None, .. } => {
            let answer = client.get::<wire::Kinds>("/v1/records").await?;
            screen.show(&answer.json, |_| kinds(&answer.value));
        }
        Records::List { kind: Some(kind), after, limit } => {
            let pairs = [("after", after), ("limit", limit.map(|limit| limit.to_string()))];
            let path = with_query(&format!("/v1/records/{}", part(&kind)), &pairs);
            let answer = client.get::<wire::Records>(&path).await?;
            screen.show(&answer.json, |screen| list(&answer.value, &kind, screen));
        }
        Records::Show { address } => {
            let path = format!("/v1/records/{}/{}", part(&address.kind), part(&address.id));
            let answer = client.get::<wire::Record>(&path).await?;
            screen.show(&answer.json, |screen| show(&answer.value, screen));
        }
    }
    Ok(Exit::Fine)
}

fn kinds(found: &wire::Kinds) -> String {
    match found.kinds.as_slice() {
        [] => "no records\n".to_owned(),
        kinds => format!("{}\n", kinds.join("\n")),
    }
}

fn list(page: &wire::Records, kind: &str, screen: &Screen) -> String {
    let mut table = table(&["ID", "REVISION", "UPDATED", "FIELDS"]);
    for record in &page.records {
        let fields: Vec<_> =
            record.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        table.add_row([
            Cell::new(&record.id),
            Cell::new(record.revision),
            Cell::new(screen.instant(&record.updated)),
            Cell::new(cut(&fields.join(" "), FIELDS)),
        ]);
    }
    let mut text = rows(&table, &format!("no records of kind {kind}"));
    if let Some(next) = &page.next {
        put(&mut text, format_args!("more: --after {next}\n"));
    }
    text
}

fn show(record: &wire::Record, screen: &Screen) -> String {
    let about = format!(
        "revision {}, created {}, updated {}",
        record.revision,
        screen.instant(&record.created),
        screen.instant(&record.updated)
    );
    let mut text = format!(
        "{}  {}\n",
        styled(BOLD, format_args!("{}/{}", record.kind, record.id)),
        styled(DIM, about)
    );
    let width = record.fields.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, value) in &record.fields {
        put(&mut text, format_args!("  {name:width$}  {value}\n"));
    }
    text
}
