//! [`FileReport`]: what became of the rows of a file.

use crate::model::{Digest, Draft, Map, Text, Value};

/// What became of the rows of a file. Every row is accepted, known or rejected.
#[derive(Clone, Debug, PartialEq)]
pub struct FileReport {
    /// Its path within the spool.
    pub file: Text,
    /// What is in it.
    pub content: Digest,
    /// Rows that were read.
    pub rows: u64,
    /// Those that became events.
    pub accepted: u64,
    /// Those that were accepted before: nothing starts a second time.
    pub known: u64,
    /// Those that are no events; each is kept with its reason.
    pub rejected: u64,
    /// Whether reading was broken off and begun again; what was accepted before that counts as accepted.
    pub resumed: bool,
    /// Why it could not be read, or not to its end.
    pub error: Option<Text>,
}

impl FileReport {
    /// Of a file of which nothing is read yet.
    #[must_use]
    pub fn of(file: &str, content: Digest) -> Self {
        Self {
            file: file.into(),
            content,
            rows: 0,
            accepted: 0,
            known: 0,
            rejected: 0,
            resumed: false,
            error: None,
        }
    }

    /// As data.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let count = |count: u64| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
        Value::from([
            ("file", Value::Text(self.file.clone())),
            ("content", Value::from(self.content.to_string())),
            ("rows", count(self.rows)),
            ("accepted", count(self.accepted)),
            ("known", count(self.known)),
            ("rejected", count(self.rejected)),
            ("resumed", Value::Bool(self.resumed)),
            ("error", self.error.clone().map_or(Value::Null, Value::Text)),
        ])
    }

    /// The event that tells of it: `file.done`, once for each content of a file.
    #[must_use]
    pub fn event(&self) -> Draft {
        Draft {
            id: format!("{}/{}", self.content, self.file).into(),
            source: "files".into(),
            kind: "file.done".into(),
            subject: Some(format!("file/{}", self.file).into()),
            time: None,
            data: self.to_value(),
            extensions: Map::new(),
        }
    }
}
