//! Records on the wire.

use serde::{Deserialize, Serialize};

use crate::model;

/// A record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its kind.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its fields.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// 1 at creation, one more at each change.
    pub revision: u64,
    /// When it was created.
    pub created: String,
    /// When it last changed.
    pub updated: String,
}

/// Kinds of which there are records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kinds {
    /// In order.
    pub kinds: Vec<String>,
}

/// A page of records, in order of id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Records {
    /// The records.
    pub records: Vec<Record>,
    /// `after` of the next page; left out on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Record {
    /// From the model.
    #[must_use]
    pub fn new(record: &model::Record) -> Self {
        let fields = record.fields.iter();
        Self {
            kind: record.address.kind.to_string(),
            id: record.address.id.to_string(),
            fields: fields.map(|(name, value)| (name.to_string(), value.to_json())).collect(),
            revision: record.revision,
            created: record.created.to_string(),
            updated: record.updated.to_string(),
        }
    }
}
