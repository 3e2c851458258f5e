//! [`Record`]: a JSON document the rules keep about something.

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::time::Instant;
use super::value::{Map, Value};

/// The kind of the records that `metric` steps keep.
pub const METRIC: &str = "metric";

/// The kind of the records that stand for people: `person:ID`, members of teams.
pub const PERSON: &str = "person";

/// The kind of the records that the daemon keeps of what people are asked to decide.
pub const APPROVAL: &str = "approval";
/// The kind of the records that say how far a service level is: `sla/NAME/KIND/ID`.
pub const SLA: &str = "sla";

/// The kind of the records that say what somebody has to do by when.
pub const OBLIGATION: &str = "obligation";

/// Kinds that need no document, with the fields by which they can be looked up: the daemon's own, and that of
/// obligations, which rules write too.
pub const KNOWN_KINDS: [(&str, &[&str]); 4] =
    [OWN_KINDS[0], OWN_KINDS[1], OWN_KINDS[2], (OBLIGATION, &["status", "owner", "about"])];

/// The kinds of records that the daemon keeps itself: rules read them and do not write them. With the fields
/// by which they can be looked up.
pub const OWN_KINDS: [(&str, &[&str]); 3] =
    [(METRIC, &["name"]), (APPROVAL, &["status"]), (SLA, &["status", "of"])];

/// Whether records of a kind are the daemon's own.
#[must_use]
pub fn is_own(kind: &str) -> bool {
    OWN_KINDS.iter().any(|(own, _)| *own == kind)
}

/// What people choose from who are asked without `outcomes`.
pub const APPROVED: &str = "approved";
/// See [`APPROVED`].
pub const REJECTED: &str = "rejected";

/// The kind of the records that say who wants no mail of a purpose: `suppression/PURPOSE/ADDRESS`.
pub const SUPPRESSION: &str = "suppression";

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
