//! Approvals on the wire.

use serde::{Deserialize, Serialize};

use crate::model;

/// What people are asked to decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Its id.
    pub id: String,
    /// `open`, the outcome, `timed_out` or `withdrawn`.
    pub status: String,
    /// What waits: `approve`, `foreach`, or the `guard` of a purpose.
    pub what: String,
    /// What it is about, in words.
    pub summary: String,
    /// Who is asked: ids of people; nobody in particular if empty.
    pub people: Vec<String>,
    /// How many must choose the first outcome.
    pub need: u32,
    /// What they choose from.
    pub outcomes: Vec<String>,
    /// What was chosen so far.
    pub votes: Vec<Vote>,
    /// When it was asked.
    pub opened: String,
    /// When its time is up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// The workflow that asks.
    pub workflow: String,
    /// Its run.
    pub run: String,
    /// What the run is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// What somebody chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who.
    pub by: String,
    /// What.
    pub outcome: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// When.
    pub at: String,
}

/// Approvals, the most urgent first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvals {
    /// The approvals.
    pub approvals: Vec<Approval>,
}

impl Approval {
    /// From its record.
    #[must_use]
    pub fn new(record: &model::Record) -> Self {
        let of = |name: &str| record.fields.get(name);
        let text = |name: &str| of(name).map(model::Value::to_string).unwrap_or_default();
        let maybe = |name: &str| of(name).filter(|value| !value.is_null()).map(ToString::to_string);
        let list = |name: &str| match of(name) {
            Some(model::Value::List(items)) => items.clone(),
            _ => Vec::new(),
        };
        let texts = |name: &str| list(name).iter().map(ToString::to_string).collect();
        Self {
            id: record.address.id.to_string(),
            status: text("status"),
            what: text("what"),
            summary: text("summary"),
            people: texts("people"),
            need: text("need").parse().unwrap_or(1),
            outcomes: texts("outcomes"),
            votes: list("votes").iter().map(Vote::new).collect(),
            opened: record.created.to_string(),
            due: maybe("due"),
            workflow: text("workflow"),
            run: text("run"),
            subject: maybe("about"),
        }
    }
}

impl Vote {
    fn new(vote: &model::Value) -> Self {
        let text = |name: &str| vote.get(name).map(ToString::to_string).unwrap_or_default();
        let comment = vote.get("comment").filter(|comment| !comment.is_null());
        Self {
            by: text("by"),
            outcome: text("outcome"),
            comment: comment.map(ToString::to_string),
            at: text("at"),
        }
    }
}
