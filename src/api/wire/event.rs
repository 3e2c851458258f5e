//! Events on the wire.

use serde::{Deserialize, Serialize};

use crate::model::{self, Explained, StoredEvent};

/// An accepted event with what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the order of acceptance.
    pub no: u64,
    /// Its id.
    pub id: String,
    /// Its source.
    pub source: String,
    /// Its type.
    pub r#type: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened.
    pub time: String,
    /// When it was accepted.
    pub accepted: String,
    /// The payload.
    pub data: serde_json::Value,
    /// Further attributes.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub extensions: serde_json::Map<String, serde_json::Value>,
    /// The run that emitted it, by number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emitted_by: Option<String>,
    /// The workflows among its causes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// The runs it started, by number.
    pub runs: Vec<String>,
    /// What each workflow that looked at it decided: at most 32.
    pub verdicts: Vec<Verdict>,
    /// When it came again, and nothing was done: the first four times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<String>,
    /// Of one event: what workflows would say, as the rules are now, that were not asked, since its
    /// data rule them out. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ruled_out: Vec<Verdict>,
    /// Of one event: how many more are ruled out; `workflow=` picks one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub others: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// What one workflow decided about an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The workflow.
    pub workflow: String,
    /// `fired queued where if busy own error woke exited resolved`.
    pub code: String,
    /// The failing clause with its operands, or the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A page of events, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Events {
    /// The events.
    pub events: Vec<Event>,
    /// `before` of the next page; left out on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// An event and why each workflow that listens to its type did or did not react.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdicts {
    /// The event, with what was decided when it came.
    pub event: Event,
    /// Workflows in order of name, by the rules and records as they are now: at most 32.
    pub workflows: Vec<Explanation>,
}

/// Why a workflow did or did not react.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The workflow.
    pub workflow: String,
    /// What it decided when the event came; left out if it was not asked: the event's data
    /// rule it out, or it was not there yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Each clause of its conditions.
    pub clauses: Vec<Clause>,
    /// Its key for this event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `parallel single restart queued`: what it does when a run of that key is alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// A clause of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clause {
    /// Which condition: `triggers[0].where`, `if`.
    pub place: String,
    /// As written.
    pub clause: String,
    /// Whether it holds; `null`: that cannot be said.
    pub held: Option<bool>,
    /// What it compares, with their values.
    pub operands: Vec<(String, String)>,
    /// Why it cannot be said, or what is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Verdicts {
    /// From the pump's answer.
    #[must_use]
    pub fn new(stored: &StoredEvent, explained: &[Explained]) -> Self {
        let clause = |tested: &model::Tested| Clause {
            place: tested.place.to_string(),
            clause: tested.clause.to_string(),
            held: tested.held,
            operands: tested
                .operands
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            error: tested.error.as_deref().map(str::to_owned),
        };
        let one = |explained: &Explained| Explanation {
            workflow: explained.workflow.to_string(),
            verdict: explained.verdict.as_ref().map(Verdict::new),
            clauses: explained.clauses.iter().map(clause).collect(),
            key: explained.key.as_ref().map(|(key, _)| key.to_string()),
            mode: explained.key.as_ref().map(|(_, mode)| mode.to_string()),
        };
        Self { event: Event::new(stored), workflows: explained.iter().map(one).collect() }
    }
}

impl Event {
    /// From the model.
    #[must_use]
    pub fn new(stored: &StoredEvent) -> Self {
        let event = &stored.event;
        let extensions = event.extensions.iter();
        let is_again = |verdict: &&model::Verdict| verdict.code == model::Code::Again;
        let verdicts = stored.verdicts.iter().filter(|verdict| !is_again(verdict));
        let again = stored.verdicts.iter().filter(is_again);
        Self {
            no: event.no.0,
            id: event.id.to_string(),
            source: event.source.to_string(),
            r#type: event.kind.to_string(),
            subject: event.subject.as_deref().map(str::to_owned),
            time: event.time.to_string(),
            accepted: event.accepted.to_string(),
            data: event.data.to_json(),
            extensions: extensions.map(|(key, value)| (key.to_string(), value.to_json())).collect(),
            emitted_by: event.lineage.run.map(|run| run.to_string()),
            causes: event.lineage.workflows.iter().map(ToString::to_string).collect(),
            runs: stored.runs.iter().map(ToString::to_string).collect(),
            verdicts: verdicts.map(Verdict::new).collect(),
            again: again.filter_map(|one| one.detail.as_deref()).map(str::to_owned).collect(),
            ruled_out: Vec::new(),
            others: 0,
        }
    }

    /// One event, with what is only told when somebody asks.
    #[must_use]
    pub fn told(stored: &StoredEvent, ruled_out: &[model::Verdict], others: usize) -> Self {
        let ruled_out = ruled_out.iter().map(Verdict::new).collect();
        Self { ruled_out, others, ..Self::new(stored) }
    }
}

impl Verdict {
    fn new(verdict: &model::Verdict) -> Self {
        Self {
            workflow: verdict.workflow.to_string(),
            code: verdict.code.as_str().to_owned(),
            detail: verdict.detail.as_deref().map(str::to_owned),
        }
    }
}
