//! [`Verdict`]: the stored answer to "did this workflow fire for this event, and if not, why?".

use serde::{Deserialize, Serialize};

use super::id::Name;
use super::value::Text;

/// What one workflow decided about one event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The workflow.
    pub workflow: Name,
    /// What it decided.
    pub code: Code,
    /// The failing clause with its operands, or the error: at most `limits::VERDICT_BYTES`.
    pub detail: Option<Text>,
}

/// What was decided. Append only: the position of a variant is its form on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Code {
    /// A run started.
    Fired,
    /// A run was made and waits for its turn (`mode: queued` or `max`).
    Queued,
    /// A trigger's `where` was false.
    Where,
    /// The workflow's `if` was false.
    If,
    /// `mode: single`, and a run of the same key is alive.
    Busy,
    /// A cause of the event is this workflow itself.
    Own,
    /// An expression failed.
    Error,
    /// A running workflow took it: a wait passed.
    Woke,
    /// A running workflow took it: the run ended by `exit`.
    Exited,
    /// A running escalation took it: resolved.
    Resolved,
    /// `throttle`: as many as may start have started.
    Throttled,
    /// `debounce`: a run of the same key rests, and will begin with this event instead.
    Rested,
    /// `count` or `absent`: noted, and nothing is to start yet.
    Noted,
    /// The storm breaker of the workflow has tripped: nothing starts until a person resets it.
    Storm,
    /// No workflow: the event itself came again, at the instant in the detail, and nothing was done.
    Again,
}

impl Code {
    /// The word shown to people and machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Queued => "queued",
            Self::Where => "where",
            Self::If => "if",
            Self::Busy => "busy",
            Self::Own => "own",
            Self::Error => "error",
            Self::Woke => "woke",
            Self::Exited => "exited",
            Self::Resolved => "resolved",
            Self::Throttled => "throttled",
            Self::Rested => "rested",
            Self::Noted => "noted",
            Self::Storm => "storm",
            Self::Again => "again",
        }
    }
}

/// What a workflow's conditions come to for an event, as the rules and records are when somebody asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// The workflow.
    pub workflow: Name,
    /// What it decided when the event came, if it was asked.
    pub verdict: Option<Verdict>,
    /// Each clause of its conditions, in order.
    pub clauses: Vec<Tested>,
    /// Its key for this event, and what it does when a run of the same key is alive.
    pub key: Option<(Text, Text)>,
}

/// One clause of a condition: what stands between `&&`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tested {
    /// Which condition: `triggers[0].where`, `if`.
    pub place: Text,
    /// The clause as written.
    pub clause: Text,
    /// Whether it holds; `None`: it cannot be said.
    pub held: Option<bool>,
    /// What it compares, with their values.
    pub operands: Vec<(Text, Text)>,
    /// Why it cannot be said.
    pub error: Option<Text>,
}
