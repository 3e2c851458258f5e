//! What goes over the wire: JSON in and out of the API, also read by the commands.
//!
//! Separate from the model, so that neither the state nor the engine is bound by what clients rely
//! on. Instants are RFC 3339 in UTC, runs are named `17-9f86d081884c7d65` (or by number alone where
//! only that is known), what is not there is left out.

mod approval;
mod event;
mod ledger;
mod record;
mod run;
mod story;

pub use approval::{Approval, Approvals, Vote};
pub use event::{Clause, Event, Events, Explanation, Verdict, Verdicts};
pub use ledger::{Checked, Head, Ledgers};
pub use record::{Kinds, Record, Records};
pub use run::{Acknowledged, Cause, Escalation, Escalations, Listening, Run, Runs, Waiting};
pub use story::{Entry, StepRef, Story};

use serde::{Deserialize, Serialize};

use crate::model::Text;
use crate::pump;

/// An error, `application/problem+json` of RFC 9457 with the extension `code`. The type is
/// `about:blank` and so left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// A stable word for machines, such as `conflict`.
    pub code: String,
    /// What is wrong and what to do about it.
    pub detail: String,
}

/// The answer of `/-/healthy` and `/-/ready`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// `healthy`, `ready`, or `degraded`: ready, with earlier rules than those of the files.
    pub status: String,
}

/// Other rules are in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// `in force`.
    pub status: String,
    /// Workflows in them.
    pub workflows: usize,
    /// Escalation policies.
    pub policies: usize,
    /// How many rule sets were in force since the start.
    pub generation: u64,
}

/// What putting the rule files in force would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Every workflow and policy, in force or in the files, in order of name.
    pub changes: Vec<Change>,
}

/// What becomes of a workflow or policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// Whether it is an escalation policy.
    pub policy: bool,
    /// `added changed same removed`.
    pub what: String,
    /// Runs by version: those that live, and those that failed and may be retried.
    pub versions: Vec<Version>,
    /// What its triggers remember and will not any more: counts, absences, schedules.
    pub timers: usize,
}

/// Runs of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its content hash.
    pub bundle: String,
    /// How many.
    pub runs: usize,
}

impl Plan {
    /// From the pump's answer.
    #[must_use]
    pub fn new(plan: &pump::Plan) -> Self {
        let change = |change: &pump::Change| Change {
            name: change.name.to_string(),
            policy: change.policy,
            what: change.what.as_str().to_owned(),
            versions: change
                .versions
                .iter()
                .map(|(bundle, runs)| Version { bundle: bundle.to_string(), runs: *runs })
                .collect(),
            timers: change.timers,
        };
        Self { changes: plan.changes.iter().map(change).collect() }
    }
}

/// A delivery of an inbound webhook is accepted: all its events are on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookAnswer {
    /// What its transform made of it, in order; nothing, if it means nothing.
    pub events: Vec<Accepted>,
}

/// An event is accepted: it is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Its id.
    pub id: Text,
    /// Its source.
    pub source: Text,
    /// Its number.
    pub event: u64,
    /// Whether it was known already.
    pub duplicate: bool,
}

/// The answer to a batch, in its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchAnswer {
    /// One for each event.
    pub results: Vec<BatchResult>,
}

/// What became of one event of a batch: the fields of [`Accepted`], or those of [`Problem`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchResult {
    /// The status it would have got alone.
    pub status: u16,
    /// See [`Accepted::id`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text>,
    /// See [`Accepted::source`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Text>,
    /// See [`Accepted::event`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<u64>,
    /// See [`Accepted::duplicate`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<bool>,
    /// See [`Problem::code`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// See [`Problem::detail`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl BatchResult {
    /// 202.
    #[must_use]
    pub fn accepted(accepted: Accepted) -> Self {
        Self {
            status: 202,
            id: Some(accepted.id),
            source: Some(accepted.source),
            event: Some(accepted.event),
            duplicate: Some(accepted.duplicate),
            ..Self::default()
        }
    }

    /// Any other status.
    #[must_use]
    pub fn refused(problem: &Problem) -> Self {
        Self {
            status: problem.status,
            code: Some(problem.code.clone()),
            detail: Some(problem.detail.clone()),
            ..Self::default()
        }
    }
}

/// What an operator asked for is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// The run.
    pub id: String,
    /// What came of it.
    pub result: serde_json::Value,
}
