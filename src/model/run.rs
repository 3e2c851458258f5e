//! [`Run`]: one execution of a workflow, all of it in one row.
//!
//! A run is sequential: it is ready, or it waits for exactly one thing ([`Wait`]). What it listens
//! for besides ([`Arm`]) are its exits and, for an escalation, what resolves it.

use serde::{Deserialize, Serialize};

use super::effect::{Cause, Effect, EffectState};
use super::event::{Event, Pattern};
use super::id::{BundleId, Digest, EventNo, Name, RunId, RunNo};
use super::time::Instant;
use super::value::{Map, Text, Value};

/// A run as stored. What the indexes need comes first: a start reads no more of a row than that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its place in the order of starting.
    pub no: RunNo,
    /// Where it stands.
    pub status: Status,
    /// What began it; children have their parent's.
    pub event: EventNo,
    /// Who called it.
    pub parent: Option<Parent>,
    /// The workflow, or the policy of an escalation.
    pub workflow: Name,
    /// Its key, if its workflow has one.
    pub key: Option<Text>,
    /// Whether it counts for `mode` and `max`.
    pub slot: bool,
    /// When its lifetime is over.
    pub expires: Instant,
    /// What it listens for.
    pub arms: Vec<Arm>,
    /// The state of an escalation's ladder, for a run of a policy.
    pub ladder: Option<Ladder>,
    /// What it waits for.
    pub wait: Wait,
    /// Hash of the workflow's name and the origin: the same origin never starts a second.
    pub hash: Digest,
    /// The version it is pinned to.
    pub bundle: BundleId,
    /// Why it stopped, failed or was cancelled.
    pub reason: Option<Cause>,
    /// The subject of its event: what its filters match by default.
    pub subject: Option<Text>,
    /// What the caller passed.
    pub args: Value,
    /// Its variables.
    pub vars: Map,
    /// Results of steps with an id.
    pub steps: Map,
    /// The error that an `on_error` block handles.
    pub error: Option<Cause>,
    /// The next step to do, or the one it waits at.
    pub pc: u32,
    /// Events up to this one are not looked back at.
    pub look_back: EventNo,
    /// The last event taken by each wait, by a hash of the wait's filter.
    pub taken: Vec<(u64, EventNo)>,
    /// When it was made.
    pub began: Instant,
    /// When it ended.
    pub ended: Option<Instant>,
    /// Emits between an event from outside and this run.
    pub depth: u8,
    /// Workflows among its causes, itself included.
    pub lineage: Vec<Name>,
    /// Generation of its next effect at the same step (an operator's retries).
    pub generation: u16,
    /// It ended with an effect that may have been performed: an operator's retry keeps the key.
    pub uncertain: bool,
    /// The newest entries of its story.
    pub trace: Vec<TraceEntry>,
    /// How many older entries are in rows of their own.
    pub spilled: u32,
    /// For one of many beside each other (`foreach`, `parallel`): which it is, and what it sees.
    pub branch: Option<Branch>,
    /// It decides and performs nothing: its workflow was in shadow mode when it began.
    pub shadow: bool,
    /// It has failed and does what its workflow says for that.
    pub failing: Option<Failing>,
    /// Of many beside each other some failed, and with them this run: an operator's retry does those again,
    /// and not the others.
    pub redo: Option<Redo>,
}

/// Which children of a step failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redo {
    /// The step.
    pub pc: u32,
    /// How many there were.
    pub of: u32,
    /// Which failed, in order.
    pub only: Vec<u32>,
}

/// What a run of a `foreach` or `parallel` has besides what it took over from its caller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    /// Its place among those beside it, from 0.
    pub index: u32,
    /// Names that its expressions see besides the usual ones: the item, `index`, those of branches
    /// above it.
    pub names: Map,
}

/// Why and where a run failed, while its `on_failure` is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failing {
    /// Why.
    pub cause: Cause,
    /// The step that failed: an operator's retry begins there.
    pub pc: u32,
    /// Whether the effect of that step may have been performed.
    pub uncertain: bool,
}

/// Where a run stands. Append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Waits for its turn.
    Queued,
    /// Alive.
    Active,
    /// Came to its end, a `stop`, or an exit.
    Done,
    /// Failed for good: a dead letter until retried or cancelled.
    Failed,
    /// Ended by a person, by `mode: restart`, or by its parent.
    Cancelled,
}

impl Status {
    /// The word shown to people and machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Active => "active",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// From that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Queued, Self::Active, Self::Done, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == word)
    }

    /// Whether the run still has something to do.
    #[must_use]
    pub const fn is_alive(self) -> bool {
        matches!(self, Self::Queued | Self::Active)
    }
}

/// What made a run: hashed with the workflow's name into [`Run::hash`].
#[derive(Clone, Copy, Debug)]
pub enum Origin<'a> {
    /// An event, by source and id.
    Event(&'a str, &'a str),
    /// A step of a parent run, and how often a person had it tried again.
    Child(Digest, u32, u16),
    /// The same of a step that has many children: which of them.
    Branch(Digest, u32, u16, u32),
}

impl Origin<'_> {
    /// The hash of a run of `workflow` with this origin.
    #[must_use]
    pub fn hash(self, workflow: &str) -> Digest {
        match self {
            Self::Event(source, id) => {
                Digest::of(&[workflow.as_bytes(), b"event", source.as_bytes(), id.as_bytes()])
            }
            Self::Child(parent, pc, generation) => Digest::of(&[
                workflow.as_bytes(),
                b"child",
                &parent.0,
                &pc.to_be_bytes(),
                &generation.to_be_bytes(),
            ]),
            Self::Branch(parent, pc, generation, index) => Digest::of(&[
                workflow.as_bytes(),
                b"branch",
                &parent.0,
                &pc.to_be_bytes(),
                &generation.to_be_bytes(),
                &index.to_be_bytes(),
            ]),
        }
    }
}

/// Who called a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The calling run.
    pub run: RunNo,
    /// The calling step.
    pub pc: u32,
    /// How many calls lie above it.
    pub depth: u8,
}

/// The one thing a run waits for. Append only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Wait {
    /// Nothing: a task in the inbox advances it.
    Ready,
    /// Its turn among the runs of its key or workflow.
    Slot,
    /// An instant.
    Until(Instant),
    /// An event that its `Wait` arm takes, at most until the instant.
    Event(Instant),
    /// A child run, at most until the instant.
    Child(RunNo, Option<Instant>),
    /// The outcome of an effect.
    Effect(Box<Effect>),
    /// Nothing any more.
    Over,
    /// Its children, which do the same beside each other.
    Join(Box<Join>),
    /// Events of its key to come to rest: it begins at the instant, with the last of them.
    Rest(Instant),
}

/// How far the children of a `foreach` or `parallel` are. What they are for lies in rows of its own
/// until they begin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Join {
    /// When all must be over.
    pub until: Option<Instant>,
    /// How many there are.
    pub of: u32,
    /// Which of them are done, in order; empty: all. The others were done before a person had it tried again.
    pub only: Vec<u32>,
    /// How many are done here.
    pub total: u32,
    /// How many of those have begun.
    pub begun: u32,
    /// How many of those are not over.
    pub running: u32,
    /// Which failed, and why; in order of their end.
    pub failed: Vec<(u32, Cause)>,
    /// There are more than the step's `limit`: none begins until a person lets them.
    pub held: bool,
    /// A task is on its way that begins more of them.
    pub fanning: bool,
}

/// One thing a run listens for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// What happens when it matches.
    pub role: ArmRole,
    /// The types of events.
    pub patterns: Vec<Pattern>,
    /// Whose events.
    pub subject: ArmSubject,
}

/// What happens when an [`Arm`] matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArmRole {
    /// The `wait_for` at the run's `pc` passes.
    Wait,
    /// The run ends: the workflow's `exit` filter of this index.
    Exit(u16),
    /// The escalation is resolved; its filter stands at the parent's step.
    Resolve,
}

/// Whose events an [`Arm`] takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArmSubject {
    /// Only this subject's.
    Is(Text),
    /// Only events without a subject: the run has none.
    None,
    /// Anybody's.
    Any,
}

impl ArmSubject {
    /// Whether an event is about it.
    #[must_use]
    pub fn takes(&self, event: &Event) -> bool {
        match self {
            Self::Is(subject) => event.subject.as_deref() == Some(&**subject),
            Self::None => event.subject.is_none(),
            Self::Any => true,
        }
    }
}

/// The state of an escalation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ladder {
    /// What it is about, for people.
    pub summary: Text,
    /// How grave, as the rule says.
    pub severity: Option<Text>,
    /// Levels reached so far, from 0; counts on through repeats.
    pub level: u32,
    /// When the last of them was reached, or the ladder began: the next one counts from here.
    pub reached: Instant,
    /// Who acknowledged it last, and when; cleared when it goes on unresolved.
    pub acknowledged: Option<(Text, Instant)>,
}

/// One entry of a run's story.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceEntry {
    /// When.
    pub at: Instant,
    /// At which step.
    pub pc: u32,
    /// What happened.
    pub what: Trace,
}

/// What happened at a step. Append only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Trace {
    /// The run began with this event.
    Began(EventNo),
    /// It waits for its turn.
    Queued,
    /// A step was done; the text says what came of it.
    Done(Text),
    /// A step was left out: its `if` was false, with the operands.
    Skipped(Text),
    /// A branch was taken; the text names it and why.
    Branch(Text),
    /// It began to wait: for what, and until when.
    Waiting(Text, Option<Instant>),
    /// An event ended the wait.
    Woken(EventNo),
    /// The time was up.
    TimedOut,
    /// An attempt was started under this key.
    Attempt(u16, super::id::EffectKey),
    /// An attempt failed and is tried again.
    Retrying(u16, Cause, Instant),
    /// An attempt's outcome is not known; it is performed again under the same key.
    Repeated(u16, Cause),
    /// An attempt's outcome is not known; a person decides.
    Held(u16, Cause),
    /// A mail was not sent, and why.
    Suppressed(Text),
    /// A child run began.
    Called(RunNo),
    /// A child run ended.
    Returned(RunNo, Status),
    /// An escalation reached this level.
    Level(u32),
    /// Somebody acknowledged it.
    Acknowledged(Text),
    /// An event, a person or its rule resolved it.
    Resolved(Text),
    /// A step failed; the text says where it goes on.
    Failed(Cause, Text),
    /// A person did something: who and what.
    Operator(Text),
    /// The run ended.
    Ended(Status, Text),
    /// It moved to another version; what is above was done by this one, and its steps are meant.
    Moved(BundleId),
}

impl Run {
    /// How people and receivers name this run.
    #[must_use]
    pub fn id(&self) -> RunId {
        RunId { no: self.no, check: Some(self.hash.short()) }
    }

    /// The next instant at which something is due without anybody's doing.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        if !self.status.is_alive() {
            return None;
        }
        let waits = match &self.wait {
            Wait::Until(at) | Wait::Event(at) | Wait::Rest(at) => Some(*at),
            Wait::Child(_, until) => *until,
            Wait::Join(join) => join.until,
            Wait::Effect(effect) => match effect.state {
                EffectState::Backoff { until } => Some(until),
                EffectState::Pending | EffectState::Started { .. } | EffectState::Held => None,
            },
            Wait::Ready | Wait::Slot | Wait::Over => None,
        };
        Some(waits.map_or(self.expires, |at| at.min(self.expires)))
    }

    /// A close estimate of its size in bytes: what it remembers and what its effect holds.
    #[must_use]
    pub fn weight(&self) -> usize {
        let remembered = [&self.vars, &self.steps].into_iter().flatten();
        remembered.map(|(key, value)| key.len() + value.weight()).sum::<usize>()
            + self.args.weight()
            + self.effect().map_or(0, |effect| effect.params.weight())
    }

    /// The effect it is busy with.
    #[must_use]
    pub fn effect(&self) -> Option<&Effect> {
        match &self.wait {
            Wait::Effect(effect) => Some(effect),
            _ => None,
        }
    }
}
