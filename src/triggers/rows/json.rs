//! JSON and NDJSON. An object is a row; anything else among them is none.

use std::io::{BufRead as _, BufReader, Read as _};

use serde_json::value::RawValue;

use super::super::json;
use super::{Input, Raw, Unreadable};
use crate::model::{Map, Value, limits};

/// The objects of a list; a file that is one object has one row.
pub(super) struct Items(std::vec::IntoIter<Box<RawValue>>);

impl Items {
    pub(super) fn open(input: Input) -> Result<Self, Unreadable> {
        let most = limits::JSON_FILE_BYTES;
        let mut bytes = Vec::new();
        input.take(most as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > most {
            return Err(Unreadable(format!(
                "it has more than {most} bytes, and JSON is read as a whole: write NDJSON, an object a line"
            )));
        }
        let text = json::utf8("the file", &bytes).map_err(|error| Unreadable(error.to_string()))?;
        let invalid =
            |error: serde_json::Error| Unreadable(format!("it is not valid JSON: {error}"));
        let items: Vec<Box<RawValue>> = match text.trim_start().as_bytes().first() {
            Some(b'{') => vec![serde_json::from_str(text).map_err(invalid)?],
            Some(b'[') => serde_json::from_str(text).map_err(invalid)?,
            _ => {
                return Err(Unreadable("it is neither a list of objects nor an object".to_owned()));
            }
        };
        Ok(Self(items.into_iter()))
    }

    pub(super) fn next(&mut self) -> Option<Raw> {
        let text = String::from(Box::<str>::from(self.0.next()?));
        let data = object(text.as_bytes());
        Some((None, text, data))
    }
}

/// The lines of a file; empty ones are passed over.
pub(super) struct Lines {
    reader: BufReader<Input>,
    line: u64,
}

impl Lines {
    pub(super) fn open(input: Input) -> Self {
        Self { reader: BufReader::new(input), line: 0 }
    }

    pub(super) fn next(&mut self) -> Result<Option<Raw>, Unreadable> {
        loop {
            let mut bytes = Vec::new();
            let most = limits::ROW_BYTES as u64 + 1;
            if self.reader.by_ref().take(most).read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if self.line == 1 && bytes.starts_with("\u{feff}".as_bytes()) {
                bytes.drain(..3);
            }
            let whole = bytes.last() == Some(&b'\n');
            let data = if !whole && bytes.len() > limits::ROW_BYTES {
                self.skip()?;
                bytes.truncate(100);
                Err(format!("it has more than {} bytes", limits::ROW_BYTES))
            } else if bytes.trim_ascii().is_empty() {
                continue;
            } else {
                object(&bytes)
            };
            let text = String::from_utf8_lossy(&bytes).trim().to_owned();
            return Ok(Some((Some(self.line), text, data)));
        }
    }

    /// Passes over the rest of a line.
    fn skip(&mut self) -> std::io::Result<()> {
        loop {
            let buffer = self.reader.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let (passed, over) = match end {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            };
            self.reader.consume(passed);
            if over {
                return Ok(());
            }
        }
    }
}

fn object(bytes: &[u8]) -> Result<Map, String> {
    if bytes.len() > limits::ROW_BYTES {
        return Err(format!("it has more than {} bytes", limits::ROW_BYTES));
    }
    match json::parse("it", bytes).map_err(|error| error.to_string())? {
        Value::Map(row) => Ok(row),
        other => Err(format!("a row is an object, not {}", other.type_name())),
    }
}
