//! What the documents compile to that no run is pinned to: record kinds, purposes, teams,
//! service levels. They are
//! looked at as they are in force, each time.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jsonschema::Validator;

use crate::model::{Class, Duration, Map, Name, Span, Text, Value};
use crate::script::{Condition, Expr, Shape};

pub use super::quiet::Quiet;

/// A record kind.
#[derive(Clone, Debug, Default)]
pub struct RecordKind {
    /// Fields that `records(kind, field, value)` may look up, the unique ones among them.
    pub indexes: Vec<Name>,
    /// Fields of which no two records have the same, whatever its spelling: see [`RecordKind::row_of`].
    pub unique: Vec<Name>,
    /// Fields that `erase` removes.
    pub personal: Vec<Name>,
    /// Whether records are only ever created, each chained to the one before by a hash.
    pub ledger: bool,
    /// How long a record is kept that does not change.
    pub keep: Option<Span>,
    /// What the fields of a record must be.
    pub schema: Option<Arc<Validator>>,
    /// Read-only rows shipped with the rules, by id.
    pub rows: BTreeMap<Text, Map>,
}

impl RecordKind {
    /// Under which name and value an indexed field is found: of a unique one the spelling does not count.
    #[must_use]
    pub fn row_of(&self, field: &str, value: &Value) -> (Name, Value) {
        if !self.unique.iter().any(|name| **name == *field) {
            return (field.into(), value.clone());
        }
        let value = match value {
            Value::Text(text) => Value::from(text.trim().to_lowercase()),
            other => other.clone(),
        };
        (format!("~{field}").into(), value)
    }

    /// The names under which its fields are found, as they are remembered with the state.
    #[must_use]
    pub fn index_rows(&self) -> Vec<Name> {
        self.indexes.iter().map(|field| self.row_of(field, &Value::Null).0).collect()
    }
}

/// Why a mail is sent, and whether it may be.
#[derive(Debug)]
pub struct Purpose {
    /// Its name.
    pub name: Name,
    /// Must hold for each recipient, read again at each attempt.
    pub allow: Option<Condition>,
    /// Whether people can unsubscribe from it.
    pub unsubscribe: bool,
    /// When nothing is sent, by the recipient's clock.
    pub quiet: Option<Quiet>,
    /// Gives the name of the recipient's time zone.
    pub zone: Option<Shape>,
    /// The zone where that gives none: the configured one, else UTC.
    pub home: TimeZone,
    /// How many a recipient may get.
    pub cap: Option<MailCap>,
    /// How many may go out before a person is asked.
    pub guard: Option<Guard>,
    /// Announced longer ago than this: suppressed.
    pub expires: Option<Duration>,
    /// Whether an attempt with unknown outcome waits for a person.
    pub hold_uncertain: bool,
    /// Its place in the queue.
    pub class: Class,
}

/// `cap:` of a [`Purpose`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailCap {
    /// How many mails.
    pub max: u32,
    /// In how long; `None`: on a day of the recipient's calendar.
    pub per: Option<Span>,
}

/// `guard:` of a [`Purpose`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// How many mails.
    pub max: u32,
    /// In how long.
    pub per: Span,
}

/// People of whom `pick:` picks one.
#[derive(Debug)]
pub struct Team {
    /// Its name.
    pub name: Name,
    /// Its members, in the order of the file: who comes first among those whose turn it is.
    pub members: Vec<Member>,
    /// Must hold for a member to be picked; sees `member`.
    pub available: Option<Condition>,
    /// How much a member has to do at present, for `cap: { active }`; sees `member`.
    pub active: Option<Expr>,
    /// Who is picked when nobody else can be.
    pub fallback: Text,
}

/// A member of a [`Team`].
#[derive(Debug)]
pub struct Member {
    /// The id of a `person` record.
    pub id: Text,
    /// How many turns it has for each turn of a member of weight 1.
    pub weight: u32,
    /// How much it may get.
    pub cap: MemberCap,
}

/// `cap:` of a [`Member`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberCap {
    /// Picks within 60 minutes.
    pub hour: Option<u32>,
    /// Picks within 24 hours.
    pub day: Option<u32>,
    /// What it may have to do at a time, as the team's `active` counts it.
    pub active: Option<u32>,
}

/// By when something must have become true of a record.
#[derive(Debug)]
pub struct Sla {
    /// Its name.
    pub name: Name,
    /// The kind of records.
    pub of: Name,
    /// Of which of them; all if nothing is said.
    pub applies: Option<Condition>,
    /// The calendar that counts.
    pub hours: Option<Name>,
    /// In how long: the first whose condition holds. The last one has none.
    pub targets: Vec<Target>,
    /// While this holds time does not count.
    pub pause: Option<Condition>,
    /// What must have become true.
    pub done: Condition,
    /// When it is warned, in percent of the target, in ascending order.
    pub warn: Vec<u8>,
    /// The policy that is escalated when time is up.
    pub escalate: Option<Name>,
}

/// One of the targets of an [`Sla`].
#[derive(Debug)]
pub struct Target {
    /// Of which records; `None`: of all others.
    pub condition: Option<Condition>,
    /// In how long.
    pub within: Duration,
}
