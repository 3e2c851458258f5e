//! `adjutant events`: what came in, and what each workflow said to it.

use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::Cell;

use super::client::{Client, part, with_query};
use super::screen::{BOLD, DIM, Screen, cut, put, rows, styled, table};
use super::{Exit, Failure};
use crate::api::wire;

/// Pause between two looks of `tail`: soon enough for a person, little work for the daemon.
const TAIL_PAUSE: Duration = Duration::from_secs(1);
/// Events that `tail` takes at a look; it looks again at once while there are more.
const TAIL_PAGE: usize = 200;
/// Characters of what came of an event in a listing.
const CONSEQUENCES: usize = 80;

#[derive(Debug, Subcommand)]
pub(super) enum Events {
    /// List events, newest first
    #[command(after_help = "\
Examples:
  adjutant events list
  adjutant events list --type 'lead.*' --subject lead/42")]
    List {
        #[command(flatten)]
        filter: Filter,
        /// Only those before this number
        #[arg(long, value_name = "NO")]
        before: Option<u64>,
        /// At most so many [default: 100]
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Show an event, and why each workflow did or did not react
    #[command(after_help = "\
Examples:
  adjutant events show 12
  adjutant events show form-2026-0042
  adjutant events show 12 --workflow lead-response")]
    Show {
        /// Its number, or its id
        event: String,
        /// Of the workflows that its data rule out, only this one
        #[arg(long, value_name = "NAME")]
        workflow: Option<String>,
    },
    /// Print events as they come in, until Ctrl-C
    #[command(after_help = "\
Examples:
  adjutant events tail
  adjutant events tail --type 'complaint.*' --json")]
    Tail {
        #[command(flatten)]
        filter: Filter,
    },
}

#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Only of this type, or below this prefix: `lead.*`
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only about this subject
    #[arg(long)]
    subject: Option<String>,
}

impl Filter {
    fn path(&self, before: Option<u64>, limit: Option<usize>) -> String {
        let pairs = [
            ("type", self.kind.clone()),
            ("subject", self.subject.clone()),
            ("before", before.map(|no| no.to_string())),
            ("limit", limit.map(|limit| limit.to_string())),
        ];
        with_query("/v1/events", &pairs)
    }
}

pub(super) async fn run(events: Events, client: &Client, screen: &Screen) -> Result<Exit, Failure> {
    match events {
        Events::List { filter, before, limit } => {
            let answer = client.get::<wire::Events>(&filter.path(before, limit)).await?;
            screen.show(&answer.json, |screen| list(&answer.value, screen));
        }
        Events::Show { event, workflow } => {
            let path = format!("/v1/events/{}", part(&event));
            let path = with_query(&path, &[("workflow", workflow)]);
            let answer = client.get::<wire::Event>(&path).await?;
            screen.show(&answer.json, |screen| show(&answer.value, screen));
        }
        Events::Tail { filter } => tail(&filter, client, screen).await?,
    }
    Ok(Exit::Fine)
}

/// Prints what is new, oldest first, for ever.
async fn tail(filter: &Filter, client: &Client, screen: &Screen) -> Result<(), Failure> {
    let newest = client.get::<wire::Events>(&filter.path(None, Some(1))).await?.value.events;
    let mut seen = newest.first().map_or(0, |event| event.no);
    loop {
        tokio::time::sleep(TAIL_PAUSE).await;
        let mut fresh: Vec<wire::Event> = Vec::new();
        let mut before = None;
        loop {
            let page =
                client.get::<wire::Events>(&filter.path(before, Some(TAIL_PAGE))).await?.value;
            let old = page.events.iter().any(|event| event.no <= seen);
            fresh.extend(page.events.into_iter().filter(|event| event.no > seen));
            before = page.next;
            if old || before.is_none() {
                break;
            }
        }
        for event in fresh.iter().rev() {
            seen = event.no;
            let json = serde_json::to_value(event).unwrap_or_default();
            screen.show_line(&json, |screen| line(event, screen));
        }
    }
}

fn line(event: &wire::Event, screen: &Screen) -> String {
    format!(
        "{}  {:>6}  {}  {}  {}\n",
        styled(DIM, screen.instant(&event.accepted)),
        event.no,
        styled(BOLD, &event.r#type),
        event.subject.as_deref().unwrap_or("–"),
        summary(event)
    )
}

fn list(page: &wire::Events, screen: &Screen) -> String {
    let mut table = table(&["NO", "ACCEPTED", "TYPE", "SUBJECT", "ID", "WHAT CAME OF IT"]);
    for event in &page.events {
        table.add_row([
            Cell::new(event.no),
            Cell::new(screen.instant(&event.accepted)),
            Cell::new(&event.r#type),
            Cell::new(event.subject.as_deref().unwrap_or("–")),
            Cell::new(cut(&event.id, 40)),
            Cell::new(cut(&summary(event), CONSEQUENCES)),
        ]);
    }
    let mut text = rows(&table, "no events");
    if let Some(next) = page.next {
        put(&mut text, format_args!("more: --before {next}\n"));
    }
    text
}

/// What came of an event, on one line.
fn summary(event: &wire::Event) -> String {
    let mut parts = Vec::new();
    if !event.runs.is_empty() {
        let plural = if event.runs.len() == 1 { "run" } else { "runs" };
        parts.push(format!("{plural} {}", event.runs.join(" ")));
    }
    let others = event.verdicts.iter().filter(|verdict| verdict.code != "fired");
    parts.extend(others.map(|verdict| format!("{}: {}", verdict.workflow, verdict.code)));
    if parts.is_empty() { "nobody wanted it".to_owned() } else { parts.join(", ") }
}

fn show(event: &wire::Event, screen: &Screen) -> String {
    let mut text =
        format!("{}\n", styled(BOLD, format_args!("event {}  {}", event.no, event.r#type)));
    let mut field = |name: &str, value: &str| {
        put(&mut text, format_args!("  {}  {value}\n", styled(DIM, format_args!("{name:9}"))));
    };
    field("subject", event.subject.as_deref().unwrap_or("–"));
    field("id", &event.id);
    field("source", &event.source);
    field("time", &screen.instant(&event.time));
    field("accepted", &screen.instant(&event.accepted));
    if let Some(run) = &event.emitted_by {
        let causes = event.causes.join(" → ");
        field("from", &format!("run {run} ({causes})"));
    }
    for (name, value) in &event.extensions {
        field(name, &value.to_string());
    }
    if let Some(again) = came_again(event, screen) {
        field("again", &again);
    }
    let data = format!("{:#}", event.data).replace('\n', "\n             ");
    field("data", &data);
    text.push_str(&consequences(event));
    text
}

/// When an event came again, in words.
pub(super) fn came_again(event: &wire::Event, screen: &Screen) -> Option<String> {
    /// As many as are noted.
    const NOTED: usize = crate::model::limits::AGAIN;
    if event.again.is_empty() {
        return None;
    }
    let times: Vec<String> = event.again.iter().map(|at| screen.instant(at)).collect();
    let more = if times.len() >= NOTED { ", and perhaps more often" } else { "" };
    Some(format!("on {}{more}; it was known, so nothing was done", times.join(", on ")))
}

/// What each workflow said to an event, a line each.
pub(super) fn consequences(event: &wire::Event) -> String {
    if event.verdicts.is_empty() && event.runs.is_empty() && event.ruled_out.is_empty() {
        return "  no workflow listens to it\n".to_owned();
    }
    let mut text = String::new();
    for verdict in &event.verdicts {
        let detail = verdict.detail.as_deref();
        put(
            &mut text,
            format_args!("  → {}: {}\n", verdict.workflow, words(&verdict.code, detail)),
        );
    }
    if !event.runs.is_empty() {
        put(&mut text, format_args!("  started: run {}\n", event.runs.join(", run ")));
    }
    if !event.ruled_out.is_empty() {
        text.push_str("  not asked, since its data rule them out, as the rules are now:\n");
    }
    for verdict in &event.ruled_out {
        let detail = verdict.detail.as_deref();
        put(
            &mut text,
            format_args!("  – {}: {}\n", verdict.workflow, words(&verdict.code, detail)),
        );
    }
    if event.others > 0 {
        put(
            &mut text,
            format_args!("  – and {} more: `--workflow NAME` picks one\n", event.others),
        );
    }
    text
}

/// A verdict in words.
pub(super) fn words(code: &str, detail: Option<&str>) -> String {
    let clause = match code {
        "where" => Some("`where`"),
        "if" => Some("`if`"),
        _ => None,
    };
    // Such a detail says itself what was false, and with which operands.
    if let (Some(clause), Some(detail)) = (clause, detail) {
        return format!("{clause}: {detail}");
    }
    let text = match code {
        "fired" => "started a run",
        "queued" => "a run waits for its turn",
        "where" => "`where` was false",
        "if" => "`if` was false",
        "busy" => "ignored, a run of the same key is alive",
        "own" => "not offered, the workflow caused it itself",
        "error" => "an expression failed",
        "woke" => "a waiting run went on",
        "exited" => "a run ended by `exit`",
        "resolved" => "an escalation is resolved",
        "throttled" => "throttled, as many as may start have started",
        "rested" => "it waits for events of its key to come to rest",
        "noted" => "noted, nothing is to start yet",
        "storm" => "not started, its storm breaker has tripped",
        other => other,
    };
    detail.map_or_else(|| text.to_owned(), |detail| format!("{text}: {detail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_what_came_of_it() {
        let event: wire::Event = serde_json::from_value(serde_json::json!({
            "no": 12, "id": "e-1", "source": "crm", "type": "lead.created", "subject": "lead/42",
            "time": "2026-03-02T10:00:00Z", "accepted": "2026-03-02T10:00:01Z",
            "data": {"score": 80}, "runs": ["17"],
            "verdicts": [
                {"workflow": "lead-response", "code": "fired"},
                {"workflow": "vip", "code": "where", "detail": "event.data.score > 90 was false: event.data.score = 80"},
            ],
        }))
        .unwrap();
        let text = anstream::adapter::strip_str(&show(&event, &Screen::utc())).to_string();
        assert_eq!(
            text,
            "event 12  lead.created\n  \
               subject    lead/42\n  \
               id         e-1\n  \
               source     crm\n  \
               time       2026-03-02 10:00:00 UTC\n  \
               accepted   2026-03-02 10:00:01 UTC\n  \
               data       {\n               \"score\": 80\n             }\n  \
               → lead-response: started a run\n  \
               → vip: `where`: event.data.score > 90 was false: event.data.score = 80\n  \
               started: run 17\n"
        );
        assert_eq!(summary(&event), "run 17, vip: where");
    }

    #[test]
    fn who_was_not_asked_is_told_apart() {
        let event: wire::Event = serde_json::from_value(serde_json::json!({
            "no": 12, "id": "e-1", "source": "crm", "type": "lead.created", "time": "2026-03-02T10:00:00Z",
            "accepted": "2026-03-02T10:00:01Z", "data": {}, "runs": [], "verdicts": [],
            "ruled_out": [{"workflow": "eu", "code": "where", "detail": "event.data.region == \"EU\" was false"}],
            "others": 7,
        }))
        .unwrap();
        assert_eq!(
            consequences(&event),
            "  not asked, since its data rule them out, as the rules are now:\n  \
               – eu: `where`: event.data.region == \"EU\" was false\n  \
               – and 7 more: `--workflow NAME` picks one\n"
        );
    }
}
