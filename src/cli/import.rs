//! `adjutant import`: the rows of files, sent as events.

use std::fs::File;
use std::io::{BufWriter, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value as Json, json};

use super::client::Client;
use super::screen::{Screen, put};
use super::{Exit, Failure};
use crate::api::wire;
use crate::model::{Digest, Map, Value, limits};
use crate::triggers::{self, Row, Rows};

/// Who sends the rows, if nobody else is named.
const SOURCE: &str = "import";
/// Reasons for rejects that are shown; all are in the file of rejects.
const SHOWN: usize = 5;
/// Rest before rows are sent again that there was no room for.
const REST: Duration = Duration::from_secs(1);
/// Bytes of a batch at which it is sent: below what a request may have.
const BATCH_BYTES: usize = limits::BATCH_BYTES / 2;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  adjutant import lead.imported leads.csv                       each row an event, its columns the payload
  adjutant import lead.imported leads.csv --dry-run             what would be sent?
  adjutant import order.placed *.ndjson --subject 'order/{number}' --id '{number}'

CSV (with a header; also `;` or tabs), JSON (a list of objects) and NDJSON (an object a line) are read.
A row is known by its id. Without --id that is the content of its file and its number, so a file that
is imported again, after an interruption or by mistake, starts nothing a second time. Rows that are no
events, or are refused, are kept with their reason in FILE.rejects.ndjson. Files that are laid into the spool
need no command: see the trigger `files`.")]
pub(super) struct Import {
    /// Type of the events, such as `lead.imported`
    #[arg(value_name = "TYPE")]
    kind: String,
    /// Files of rows
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What each is about, with columns in braces: `lead/{id}` [default: the column `subject`]
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// What each is known by: `{id}` [default: the content of the file and the row's number]
    #[arg(long, value_name = "TEXT")]
    id: Option<String>,
    /// Who says so
    #[arg(long, value_name = "NAME", default_value = SOURCE)]
    source: String,
    /// Send nothing: read everything, and show the first event
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(import: Import, client: &Client, screen: &Screen) -> Result<Exit, Failure> {
    let mut reports = Vec::with_capacity(import.files.len());
    for file in &import.files {
        let mut importing = Importing::begin(&import, file)?;
        importing.whole(client).await?;
        reports.push(importing.end()?);
    }
    let sound = reports.iter().all(|report| report.rejected == 0 && report.error.is_none());
    let json: Vec<Json> = reports.iter().map(Report::to_json).collect();
    screen.show(&Json::Array(json), |_| reports.iter().map(told).collect());
    Ok(if sound { Exit::Fine } else { Exit::Failed })
}

/// What became of a file.
#[derive(Debug, Default)]
struct Report {
    file: String,
    rows: u64,
    accepted: u64,
    known: u64,
    rejected: u64,
    rejects: Option<String>,
    reasons: Vec<String>,
    error: Option<String>,
    /// The first event, if nothing is sent.
    first: Option<Json>,
}

impl Report {
    fn to_json(&self) -> Json {
        let mut json = json!({
            "file": self.file, "rows": self.rows, "accepted": self.accepted, "known": self.known,
            "rejected": self.rejected, "rejects": self.rejects, "error": self.error,
        });
        if let Some(first) = &self.first {
            json["first"] = first.clone();
        }
        json
    }
}

/// A file on its way.
struct Importing<'a> {
    import: &'a Import,
    path: &'a Path,
    content: Digest,
    rows: Rows,
    bar: ProgressBar,
    rejects: Option<BufWriter<File>>,
    report: Report,
}

impl<'a> Importing<'a> {
    fn begin(import: &'a Import, path: &'a Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let wrong = |why: &dyn std::fmt::Display| {
            Failure::new(Exit::Usage, format!("{name} cannot be read: {why}"))
        };
        let format = triggers::format_of(&name).map_err(|why| wrong(&why))?;
        let mut file = File::open(path).map_err(|why| wrong(&why))?;
        let content = triggers::content_of(&mut file).map_err(|why| wrong(&why))?;
        file.rewind().map_err(|why| wrong(&why))?;
        let bytes = file.metadata().map_or(0, |about| about.len());
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        let style =
            ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes}  {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(name.clone());
        let rows = Rows::open(format, Box::new(bar.wrap_read(file))).map_err(|why| wrong(&why))?;
        let report = Report { file: name, ..Report::default() };
        Ok(Self { import, path, content, rows, bar, rejects: None, report })
    }

    async fn whole(&mut self, client: &Client) -> Result<(), Failure> {
        let mut batch: Vec<(Row, Json)> = Vec::new();
        let mut bytes = 0;
        while let Some(read) = self.rows.next() {
            let row = match read {
                Ok(row) => row,
                Err(error) => {
                    self.report.error = Some(error.to_string());
                    break;
                }
            };
            self.report.rows += 1;
            let event = match &row.data {
                Ok(data) => self.event(&row, data),
                Err(why) => Err(why.clone()),
            };
            match event {
                Err(why) => self.reject(&row, &why)?,
                Ok(event) if self.import.dry_run => {
                    self.report.accepted += 1;
                    self.report.first.get_or_insert(event);
                }
                Ok(event) => {
                    bytes += row.text.len();
                    batch.push((row, event));
                    if batch.len() == limits::EVENTS_PER_REQUEST || bytes >= BATCH_BYTES {
                        self.send(client, std::mem::take(&mut batch)).await?;
                        bytes = 0;
                    }
                }
            }
        }
        self.send(client, batch).await
    }

    /// A row as a CloudEvent.
    fn event(&self, row: &Row, data: &Map) -> Result<Json, String> {
        let id = match &self.import.id {
            Some(id) => filled(id, data)?,
            None => format!("{}/{}", self.content, row.number),
        };
        let mut event = json!({
            "specversion": "1.0", "type": self.import.kind, "source": self.import.source, "id": id,
            "data": Value::Map(data.clone()).to_json(),
        });
        let subject = match &self.import.subject {
            Some(subject) => Some(filled(subject, data)?),
            None => data.get("subject").and_then(Value::as_text).map(str::to_owned),
        };
        if let Some(subject) = subject.filter(|subject| !subject.trim().is_empty()) {
            event["subject"] = json!(subject);
        }
        Ok(event)
    }

    /// Sends rows until each is accepted or refused.
    async fn send(&mut self, client: &Client, mut batch: Vec<(Row, Json)>) -> Result<(), Failure> {
        const BATCH: (&str, &str) = ("content-type", "application/cloudevents-batch+json");
        while !batch.is_empty() {
            let body: Vec<&Json> = batch.iter().map(|(_, event)| event).collect();
            let body = serde_json::to_vec(&body).map_err(|why| {
                Failure::new(Exit::Failed, format!("the rows cannot be sent: {why}"))
            })?;
            let sent = client.send::<wire::BatchAnswer>("/v1/events", &[BATCH], body).await;
            let results = match sent {
                Ok(answer) => answer.value.results,
                // Nothing of it was taken.
                Err(failure) if failure.exit == Exit::Again => {
                    tokio::time::sleep(REST).await;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let mut again = Vec::new();
            for ((row, event), result) in batch.into_iter().zip(results) {
                match result.status {
                    202 if result.duplicate == Some(true) => self.report.known += 1,
                    202 => self.report.accepted += 1,
                    429 | 503 => again.push((row, event)),
                    _ => self.reject(&row, &result.detail.unwrap_or_default())?,
                }
            }
            if !again.is_empty() {
                tokio::time::sleep(REST).await;
            }
            batch = again;
        }
        Ok(())
    }

    /// Keeps a row with the reason why it is no event.
    fn reject(&mut self, row: &Row, why: &str) -> Result<(), Failure> {
        self.report.rejected += 1;
        if self.report.reasons.len() < SHOWN {
            let place = row
                .line
                .map_or_else(|| format!("item {}", row.number), |line| format!("line {line}"));
            self.report.reasons.push(format!("{place}: {why}"));
        }
        if self.import.dry_run {
            return Ok(());
        }
        let place = format!("{}.rejects.ndjson", self.path.display());
        let wrong = |why: std::io::Error| {
            Failure::new(Exit::Usage, format!("{place} cannot be written: {why}"))
        };
        if self.rejects.is_none() {
            self.rejects = Some(BufWriter::new(File::create(&place).map_err(wrong)?));
            self.report.rejects = Some(place.clone());
        }
        let line = json!({ "row": row.number, "line": row.line, "reason": why, "text": row.text });
        match &mut self.rejects {
            Some(out) => writeln!(out, "{line}").map_err(wrong),
            None => Ok(()),
        }
    }

    fn end(mut self) -> Result<Report, Failure> {
        self.bar.finish_and_clear();
        if let Some(out) = &mut self.rejects {
            out.flush().map_err(|why| {
                Failure::new(Exit::Usage, format!("the rejects cannot be written: {why}"))
            })?;
        }
        Ok(self.report)
    }
}

/// A text with the columns of a row in it: `lead/{id}`.
fn filled(text: &str, row: &Map) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((column, after)) = after.split_once('}') else {
            return Err(format!("`{text}` has a brace that is not closed"));
        };
        let value = match row.get(column) {
            Some(Value::Text(value)) => value.trim().to_owned(),
            Some(Value::Int(number)) => number.to_string(),
            _ => return Err(format!("there is no text and no whole number in `{column}`")),
        };
        if value.is_empty() {
            return Err(format!("`{column}` is empty"));
        }
        out.push_str(before);
        out.push_str(&value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn told(report: &Report) -> String {
    let Report { file, rows, accepted, known, rejected, .. } = report;
    let mut text = match &report.first {
        Some(_) => format!("{file}: {rows} rows, {accepted} would be sent"),
        None => format!("{file}: {rows} rows, {accepted} accepted"),
    };
    if *known > 0 {
        put(&mut text, format_args!(", {known} known already"));
    }
    if *rejected > 0 {
        put(&mut text, format_args!(", {rejected} rejected"));
    }
    text.push('\n');
    for reason in &report.reasons {
        put(&mut text, format_args!("  {reason}\n"));
    }
    if let Some(rejects) = &report.rejects {
        put(&mut text, format_args!("  the rejected rows are in {rejects}\n"));
    }
    if let Some(error) = &report.error {
        put(&mut text, format_args!("  the rest of it could not be read: {error}\n"));
    }
    if let Some(first) = &report.first {
        put(&mut text, format_args!("the first of them:\n{first:#}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_in_braces() {
        let row: Map = [("id", Value::Int(42)), ("name", " Ana ".into()), ("none", "".into())]
            .map(|(key, value)| (key.into(), value))
            .into_iter()
            .collect();
        assert_eq!(filled("lead/{id}", &row).unwrap(), "lead/42");
        assert_eq!(filled("{name}-{id}", &row).unwrap(), "Ana-42");
        assert_eq!(filled("all", &row).unwrap(), "all");
        for (text, why) in [
            ("lead/{nr}", "there is no text and no whole number in `nr`"),
            ("lead/{none}", "`none` is empty"),
            ("lead/{id", "not closed"),
        ] {
            let error = filled(text, &row).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
