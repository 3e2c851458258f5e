//! Files of rows: each row of a CSV, JSON or NDJSON file becomes one event.
//!
//! A file is read as a stream, so its size is no matter; what a row may have is bounded. A row that cannot be
//! read is an item like the others, with its reason, and those after it are read; only a file that
//! is none of its format ends early, as [`Unreadable`].

mod csv;
mod json;
mod report;

use std::io::{BufRead as _, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::EventError;
use super::made::{Around, from_plugin};
pub use report::FileReport;

use crate::model::{Digest, Draft, FileGlob, Hasher, Map, Text, Value, limits};

/// How a file lays out its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, RFC 4180, with a header; `;` and tab serve as well.
    Csv,
    /// A list of objects, or one object.
    Json,
    /// An object a line (JSON Lines).
    Ndjson,
}

impl Format {
    /// By the end of a file's name.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        let (_, ending) = path.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "csv" | "tsv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            _ => None,
        }
    }
}

/// A row of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which, from 1; a header is none.
    pub number: u64,
    /// The line on which it begins, from 1, where the format has lines.
    pub line: Option<u64>,
    /// As it stands in the file, as far as it is text.
    pub text: String,
    /// What it says, or why nobody knows.
    pub data: Result<Map, String>,
}

/// Why a file cannot be read, or not any further.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

impl From<std::io::Error> for Unreadable {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// The rows of a file, in order.
pub struct Rows {
    form: Form,
    number: u64,
    over: bool,
}

enum Form {
    Csv(Box<csv::Table>),
    Json(json::Items),
    Ndjson(json::Lines),
}

/// The input of a file.
type Input = Box<dyn Read + Send>;

impl Rows {
    /// Begins to read.
    ///
    /// # Errors
    /// [`Unreadable`] if it is no file of this format.
    pub fn open(format: Format, input: Input) -> Result<Self, Unreadable> {
        let form = match format {
            Format::Csv => Form::Csv(Box::new(csv::Table::open(input)?)),
            Format::Json => Form::Json(json::Items::open(input)?),
            Format::Ndjson => Form::Ndjson(json::Lines::open(input)),
        };
        Ok(Self { form, number: 0, over: false })
    }
}

impl Iterator for Rows {
    type Item = Result<Row, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let read = match &mut self.form {
            Form::Csv(table) => table.next(),
            Form::Json(items) => Ok(items.next()),
            Form::Ndjson(lines) => lines.next(),
        };
        match read {
            Ok(Some((line, text, data))) => {
                self.number += 1;
                Some(Ok(Row { number: self.number, line, text, data }))
            }
            Ok(None) => {
                self.over = true;
                None
            }
            Err(error) => {
                self.over = true;
                Some(Err(error))
            }
        }
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("read", &self.number).finish_non_exhaustive()
    }
}

/// A row as a format gives it: its line, its text, and what it says.
type Raw = (Option<u64>, String, Result<Map, String>);

/// The event that a row is: of type `file.FOLDER`, its fields as `data`, with the attributes `file` and `row`.
///
/// A field `subject` is the event's subject as well. A field `id` is what the row is known by, in whatever
/// file it comes again; without one it is known by the content of its file (`content`) and its number, so
/// that the same file starts nothing a second time, whatever it is called.
///
/// # Errors
/// [`EventError`] if its `id` or `subject` can be none.
pub fn from_row(
    glob: &FileGlob,
    path: &str,
    content: Digest,
    number: u64,
    row: Map,
) -> Result<Draft, EventError> {
    let named = |key: &str| match row.get(key) {
        Some(Value::Text(text)) if text.trim().is_empty() => None,
        Some(Value::Text(text)) => Some(Value::from(text.trim())),
        Some(Value::Null) | None => None,
        Some(other) => Some(other.clone()),
    };
    let mut event = Map::new();
    for key in ["id", "subject"] {
        event.extend(named(key).map(|value| (key.into(), value)));
    }
    event.insert("data".into(), Value::Map(row));
    let source = Text::from(format!("files/{}", glob.folder()));
    let kind = glob.kind();
    let id = Some(format!("{content}/{number}"));
    let around = Around { kind: &kind, may_choose: false, source: &source, id };
    let mut draft = from_plugin(&Value::Map(event), around)?;
    draft.extensions.insert("file".into(), path.into());
    draft.extensions.insert("row".into(), Value::Int(i64::try_from(number).unwrap_or(i64::MAX)));
    Ok(draft)
}

/// What a file in the spool becomes: an event a row, and the report, which counts nothing as accepted yet.
///
/// # Errors
/// Why there can be no such file.
pub fn events_of(path: &str, bytes: &[u8]) -> Result<(Vec<Draft>, FileReport), String> {
    let glob = FileGlob::parse(path).map_err(|(why, _)| why)?;
    let content = Digest::of(&[bytes]);
    let mut report = FileReport::of(path, content);
    let mut events = Vec::new();
    let rows = format_of(path).and_then(|format| {
        let input: Input = Box::new(std::io::Cursor::new(bytes.to_vec()));
        Rows::open(format, input)
    });
    match rows {
        Err(error) => report.error = Some(error.0.into()),
        Ok(rows) => {
            for row in rows {
                let row = match row {
                    Ok(row) => row,
                    Err(error) => {
                        report.error = Some(error.0.into());
                        break;
                    }
                };
                report.rows += 1;
                let event = row.data.and_then(|data| {
                    from_row(&glob, path, content, row.number, data).map_err(|why| why.to_string())
                });
                match event {
                    Ok(event) => events.push(event),
                    Err(_) => report.rejected += 1,
                }
            }
        }
    }
    Ok((events, report))
}

/// What identifies the content of a file, read from where it stands to its end.
///
/// # Errors
/// Those of reading.
pub fn content_of(input: &mut impl Read) -> std::io::Result<Digest> {
    let mut whole = Hasher::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = input.read(&mut buffer)?;
        if read == 0 {
            return Ok(whole.finish());
        }
        whole.more(&buffer[..read]);
    }
}

/// The format of a file by its name.
///
/// # Errors
/// [`Unreadable`] if it is none that can be read.
pub fn format_of(path: &str) -> Result<Format, Unreadable> {
    Format::of(path).ok_or_else(|| {
        Unreadable("its name ends with none of .csv, .tsv, .json, .ndjson and .jsonl".to_owned())
    })
}

/// Lets through so many bytes until it is told that another row begins. Readers of rows have no bound
/// of their own: one quotation mark that is not closed makes the rest of a file one row.
struct Metered {
    input: Input,
    left: Arc<AtomicUsize>,
}

/// What a reader may have read ahead of the row it gives.
const AHEAD: usize = 64 * 1024;

impl Metered {
    fn new(input: Input) -> (Self, Arc<AtomicUsize>) {
        let left = Arc::new(AtomicUsize::new(limits::ROW_BYTES + AHEAD));
        (Self { input, left: left.clone() }, left)
    }
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            let most = limits::ROW_BYTES;
            let why = format!(
                "a row has more than {most} bytes: is there a quotation mark that is not closed?"
            );
            return Err(std::io::Error::other(why));
        }
        let most = buffer.len().min(left);
        let read = self.input.read(&mut buffer[..most])?;
        self.left.store(left - read, Ordering::Relaxed);
        Ok(read)
    }
}

/// The first line of an input, as far as `most` bytes go, and the input with it put back.
fn first_line(mut input: Input, most: usize) -> std::io::Result<(Vec<u8>, Input)> {
    let mut reader = BufReader::new(input.by_ref().take(most as u64));
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    let mut head = line.clone();
    head.extend_from_slice(reader.buffer());
    Ok((line, Box::new(std::io::Cursor::new(head).chain(input))))
}

#[cfg(test)]
mod tests;
