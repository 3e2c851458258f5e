//! Questions of people and the API about the state, answered between decisions from what is durable.

use std::sync::Arc;

use crate::model::{
    Address, Name, Pattern, Record, Run, RunId, RunNo, Status, StoredEvent, Text, TraceEntry,
};

/// A question. Listings are newest first and at most `limits::PAGE` long.
#[derive(Clone, Debug)]
pub enum Query {
    /// Runs.
    Runs {
        /// Only these.
        status: Option<Status>,
        /// Only of this workflow.
        workflow: Option<Name>,
        /// Only those before this one.
        before: Option<RunNo>,
        /// At most so many.
        limit: usize,
    },
    /// The whole story of one run.
    Run(RunId),
    /// Escalations: runs of a policy.
    Escalations {
        /// Those that are over as well.
        all: bool,
        /// At most so many.
        limit: usize,
    },
    /// Events.
    Events {
        /// Only of these types.
        kind: Option<Pattern>,
        /// Only about this subject.
        subject: Option<Text>,
        /// Only those before this number.
        before: Option<u64>,
        /// At most so many.
        limit: usize,
    },
    /// One event, by its number or its id.
    Event(Text),
    /// Records of a kind, in order of id; without a kind, nothing is listed but the kinds' rows in order of kind.
    Records {
        /// The kind.
        kind: Name,
        /// Only those after this id.
        after: Option<Text>,
        /// At most so many.
        limit: usize,
    },
    /// One record.
    Record(Address),
}

/// The answer to a [`Query`].
#[derive(Clone, Debug)]
pub enum Answer {
    /// To `Runs` and `Escalations`.
    Runs(Vec<Arc<Run>>),
    /// To `Run`; `None`: there is no such run.
    Story(Option<Box<Story>>),
    /// To `Events`.
    Events(Vec<Arc<StoredEvent>>),
    /// To `Event`.
    Event(Option<Arc<StoredEvent>>),
    /// To `Records`.
    Records(Vec<Arc<Record>>),
    /// To `Record`.
    Record(Option<Arc<Record>>),
}

/// The whole story of a run.
#[derive(Clone, Debug)]
pub struct Story {
    /// The run.
    pub run: Arc<Run>,
    /// What began it.
    pub event: Option<Arc<StoredEvent>>,
    /// Every entry of its trace, oldest first.
    pub trace: Vec<TraceEntry>,
    /// For each `pc`: the path of its step (`steps[3].then[0]`), its main key (`email`) and its id.
    /// Empty when its version can no longer be compiled.
    pub steps: Vec<(Text, Text, Option<Text>)>,
    /// Runs it called, living or over, in order.
    pub children: Vec<Arc<Run>>,
}
