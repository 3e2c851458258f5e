//! CSV after RFC 4180, as it really comes: with a byte order mark, with `;` where commas are decimal
//! points, with rows that are too short.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use csv::ByteRecord;

use super::{AHEAD, Input, Metered, Raw, Unreadable, first_line};
use crate::model::{Map, Text, Value, limits};

/// What parts fields; the one that is in the header most often.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// The header's line is looked at as far as this.
const HEADER_BYTES: usize = 64 * 1024;

pub(super) struct Table {
    reader: csv::Reader<Metered>,
    left: Arc<AtomicUsize>,
    delimiter: u8,
    /// Lines end with CR LF, of which the reader leaves the second half for later.
    pending: bool,
    columns: Vec<Text>,
    record: ByteRecord,
}

impl Table {
    pub(super) fn open(input: Input) -> Result<Self, Unreadable> {
        let (line, input) = first_line(input, HEADER_BYTES)?;
        let delimiter = delimiter(&line);
        let pending = line.ends_with(b"\r\n");
        // So that also the last row ends as the others do, which tells its line.
        let end: &[u8] = if pending { b"\r\n" } else { b"\n" };
        let (metered, left) = Metered::new(Box::new(input.chain(end)));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .has_headers(true)
            .from_reader(metered);
        let header = reader.byte_headers().map_err(unreadable)?;
        let columns = columns(header)?;
        Ok(Self { reader, left, delimiter, pending, columns, record: ByteRecord::new() })
    }

    pub(super) fn next(&mut self) -> Result<Option<Raw>, Unreadable> {
        self.left.store(limits::ROW_BYTES + AHEAD, Ordering::Relaxed);
        if !self.reader.read_byte_record(&mut self.record).map_err(unreadable)? {
            return Ok(None);
        }
        Ok(Some((Some(self.line()), self.text(), self.fields())))
    }

    /// The line on which the row begins: the reader knows where it stands after it.
    fn line(&self) -> u64 {
        let within = self.record.as_slice().split(|byte| *byte == b'\n').count() as u64 - 1;
        let own = u64::from(!self.pending);
        self.reader.position().line().saturating_sub(own + within)
    }

    fn fields(&self) -> Result<Map, String> {
        let (found, wanted) = (self.record.len(), self.columns.len());
        if found != wanted {
            let noun = if found == 1 { "field" } else { "fields" };
            return Err(format!("it has {found} {noun}, and the header has {wanted}"));
        }
        let mut row = Map::new();
        for (column, field) in self.columns.iter().zip(&self.record) {
            let Ok(text) = std::str::from_utf8(field) else {
                return Err(format!("`{column}` is not UTF-8"));
            };
            row.insert(column.clone(), Value::from(text));
        }
        Ok(row)
    }

    /// The row as it would be written: what was there, but for quotation marks that need not be.
    fn text(&self) -> String {
        let mut writer = csv::WriterBuilder::new()
            .delimiter(self.delimiter)
            .flexible(true)
            .from_writer(Vec::new());
        // Writing into memory does not fail; if it did, the reason would still stand beside the row.
        let written = writer.write_byte_record(&self.record).is_ok();
        let bytes = if written { writer.into_inner().unwrap_or_default() } else { Vec::new() };
        String::from_utf8_lossy(&bytes).trim_end().to_owned()
    }
}

/// The columns by their names, of which each must be there once.
fn columns(header: &ByteRecord) -> Result<Vec<Text>, Unreadable> {
    let mut columns: Vec<Text> = Vec::new();
    for (at, name) in header.iter().enumerate() {
        let name = std::str::from_utf8(name).map_err(|_| {
            Unreadable(format!("column {} of the header is not UTF-8: save it as UTF-8", at + 1))
        })?;
        let name = name.trim();
        if name.is_empty() {
            return Err(Unreadable(format!("column {} of the header has no name", at + 1)));
        }
        if columns.iter().any(|column| **column == *name) {
            return Err(Unreadable(format!("two columns of the header are called `{name}`")));
        }
        columns.push(name.into());
    }
    if columns.is_empty() {
        return Err(Unreadable("it is empty: the first line names the columns".to_owned()));
    }
    Ok(columns)
}

fn delimiter(header: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [0_usize; DELIMITERS.len()];
    for byte in header {
        match byte {
            b'"' => quoted = !quoted,
            _ if quoted => {}
            byte => {
                if let Some(at) = DELIMITERS.iter().position(|one| one == byte) {
                    counts[at] += 1;
                }
            }
        }
    }
    // Of several that come equally often the first.
    let most = counts.iter().copied().max().unwrap_or(0);
    let at = counts.iter().position(|count| *count == most).unwrap_or(0);
    DELIMITERS[at]
}

fn unreadable(error: csv::Error) -> Unreadable {
    let line = error.position().map(|at| format!("line {}: ", at.line())).unwrap_or_default();
    match error.into_kind() {
        csv::ErrorKind::Io(error) => Unreadable(format!("{line}{error}")),
        other => Unreadable(format!("{line}{other:?}")),
    }
}
