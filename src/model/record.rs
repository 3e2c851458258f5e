//! [`Record`]: a JSON document the rules keep about something.

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::time::Instant;
use super::value::{Map, Value};

/// The kind of the records that `metric` steps keep.
pub const METRIC: &str = "metric";

/// A record as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Kind and id.
    pub address: Address,
    /// Its fields. `id`, `kind` and `subject` are reserved and never among them.
    pub fields: Map,
    /// 1 at creation, one more at each change.
    pub revision: u64,
    /// When it was created.
    pub created: Instant,
    /// When it last changed.
    pub updated: Instant,
}

/// Field names a rule may not write: a read record carries them beside its fields.
pub(crate) const RESERVED_FIELDS: [&str; 3] = ["id", "kind", "subject"];

impl Record {
    /// Whether `field` may be written by a rule.
    #[must_use]
    pub fn is_reserved(field: &str) -> bool {
        RESERVED_FIELDS.contains(&field)
    }

    /// What an expression sees: the fields, and `id`, `kind`, `subject` beside them.
    #[must_use]
    pub fn as_read(&self) -> Value {
        Self::read(&self.address, &self.fields)
    }

    /// [`Record::as_read`] for fields that are not in the store, such as rows shipped with rules.
    #[must_use]
    pub fn read(address: &Address, fields: &Map) -> Value {
        let mut map = fields.clone();
        map.insert("id".into(), Value::Text(address.id.clone()));
        map.insert("kind".into(), Value::Text(address.kind.clone()));
        map.insert("subject".into(), Value::text(address.to_string()));
        Value::Map(map)
    }
}
