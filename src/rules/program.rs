//! What a workflow compiles to: a flat list of steps that point at each other.
//!
//! Blocks (`then`, `switch`, `on_timeout`, `on_error`, levels of a ladder) are flattened, so that a
//! run's whole position is one number, its `pc`, and nothing nests at run time. No step is reached
//! twice: `next` and every other target lie further down the list.

use crate::model::{Duration, FileGlob, Name, Pattern, Text};
use crate::script::{Condition, Shape};

pub use super::live::*;
pub use super::program_steps::*;
use super::schedule::Schedule;

/// Index of a step in [`Workflow::steps`]; the length of that list means the end of the run.
pub type Pc = u32;

/// A compiled workflow, or the ladder of an escalation policy.
#[derive(Debug)]
pub struct Workflow {
    /// Its name.
    pub name: Name,
    /// What it is for, in the words of its author.
    pub description: Option<Text>,
    /// Who answers for it.
    pub owner: Option<Text>,
    /// Starts nothing new when false.
    pub enabled: bool,
    /// What starts it; the first that matches wins.
    pub triggers: Vec<Trigger>,
    /// Decides, once a trigger matched, whether a run starts.
    pub condition: Option<Condition>,
    /// What runs are kept apart by.
    pub key: Option<Shape>,
    /// What happens when a run of the same key is alive.
    pub mode: Mode,
    /// Runs alive at a time; more are queued.
    pub max: Option<u32>,
    /// Computed at the start, in order, each seeing the earlier.
    pub vars: Vec<(Text, Shape)>,
    /// How many runs of a key may start.
    pub throttle: Option<Throttle>,
    /// How long events of a key must have come to rest before a run begins with the last of them.
    pub debounce: Option<Duration>,
    /// Decides and tells, and performs nothing.
    pub shadow: bool,
    /// Where a run goes on that failed.
    pub on_failure: Option<Pc>,
    /// Filters that end a run wherever it is.
    pub exit: Vec<Filter>,
    /// How long a run may live.
    pub lifetime: Duration,
    /// Default calendar of its durations.
    pub hours: Option<Name>,
    /// The steps.
    pub steps: Vec<Step>,
    /// The ladder's own settings, when this is an escalation policy.
    pub ladder: Option<LadderPolicy>,
}

/// `throttle:` of a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// How many runs may start.
    pub max: u32,
    /// In how long; `None` is for ever.
    pub per: Option<crate::model::Span>,
}

/// What happens when a trigger matches while a run of the same key is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Another run starts.
    Parallel,
    /// The new one is ignored.
    Single,
    /// The old one is cancelled.
    Restart,
    /// The new one waits.
    Queued,
}

/// What starts a workflow.
#[derive(Debug)]
pub struct Trigger {
    /// Which events.
    pub filter: Filter,
    /// Offer also events that this workflow caused.
    pub own: bool,
    /// Whether an event starts it by itself.
    pub kind: TriggerKind,
}

/// How a trigger starts its workflow.
#[derive(Debug)]
pub enum TriggerKind {
    /// With each event that its filter takes.
    Event,
    /// When so many events of a key came.
    Count {
        /// What is kept of them.
        kept: Kept,
        /// How many.
        at_least: u32,
        /// In how long.
        within: crate::model::Span,
    },
    /// When no event of a key came, of which there was one.
    Absent {
        /// What is kept of them.
        kept: Kept,
        /// In how long.
        after: Duration,
        /// The calendar that counts.
        hours: Option<Name>,
    },
    /// At certain times; its filter takes nothing.
    Schedule(Schedule),
    /// With each n-th event of a key: the example of `ARCHITECTURE.md`.
    #[cfg(test)]
    Nth {
        /// What is kept of them.
        kept: Kept,
        /// Each how many-th.
        n: u64,
    },
    /// With each event that its filter takes, which a function of a plugin is asked for every so often.
    Poll(Poll),
    /// With each row of such files that its filter takes.
    Files(FileGlob),
}

/// `poll:` of a trigger.
#[derive(Clone, Debug)]
pub struct Poll {
    /// The function: of the cursor, what to ask; of the cursor and the answer, the events.
    pub function: Text,
    /// How often.
    pub every: crate::model::Span,
    /// Tells it from other triggers.
    pub id: Text,
}

/// What a trigger keeps of the events it watches.
#[derive(Debug)]
pub struct Kept {
    /// What is kept apart.
    pub by: Shape,
    /// Tells it from other triggers, and from what it was before a change.
    pub id: Text,
}

impl TriggerKind {
    /// Whether an event that its filter takes starts the workflow by itself.
    #[must_use]
    pub fn starts_by_itself(&self) -> bool {
        matches!(self, Self::Event | Self::Poll(_) | Self::Files(_))
    }

    /// What it keeps of the events it watches, if it watches any.
    #[must_use]
    pub fn kept(&self) -> Option<&Kept> {
        match self {
            Self::Count { kept, .. } | Self::Absent { kept, .. } => Some(kept),
            #[cfg(test)]
            Self::Nth { kept, .. } => Some(kept),
            Self::Event | Self::Schedule(_) | Self::Poll(_) | Self::Files(_) => None,
        }
    }

    /// What its windows are for: [`crate::model::WindowKey::what`].
    #[must_use]
    pub fn window(&self) -> Option<&Text> {
        match self {
            Self::Event | Self::Files(_) => None,
            Self::Count { kept, .. } | Self::Absent { kept, .. } => Some(&kept.id),
            Self::Schedule(schedule) => Some(&schedule.id),
            Self::Poll(poll) => Some(&poll.id),
            #[cfg(test)]
            Self::Nth { kept, .. } => Some(&kept.id),
        }
    }
}

/// Selects events, in triggers, `wait_for`, `exit` and `resolve`.
#[derive(Debug)]
pub struct Filter {
    /// Types of events; at least one.
    pub patterns: Vec<Pattern>,
    /// Which of them.
    pub condition: Option<Condition>,
    /// Whose, in a running workflow: default the run's own subject.
    pub subject: FilterSubject,
    /// Of changes of records: what is false of the old one and true of the new one.
    pub becomes: Option<Condition>,
}

/// The `subject:` of a filter.
#[derive(Debug)]
pub enum FilterSubject {
    /// The run's own. In a trigger: anybody's.
    Own,
    /// `subject: any`.
    Any,
    /// This one, evaluated when the wait is armed (in a trigger: when an event arrives).
    Is(Shape),
}

/// One step.
#[derive(Debug)]
pub struct Step {
    /// Where it stands, for people: `steps[3].then[0]`.
    pub path: Text,
    /// Line of the rule file, from 1.
    pub line: u32,
    /// Under which name its result is kept.
    pub id: Option<Text>,
    /// Leaves the step out when false (`then` uses its own: [`Action::Branch`]).
    pub guard: Option<Condition>,
    /// What it does.
    pub action: Action,
    /// Where the run goes on when it is done or left out.
    pub next: Pc,
    /// Where the run goes on when it fails: `None` fails the run. A target that equals `next`
    /// comes from `on_error: continue`.
    pub on_error: Option<Pc>,
    /// Calendar of its durations.
    pub hours: Option<Name>,
    /// Per attempt on mail and webhooks; on calls and escalations for the whole.
    pub timeout: Option<Duration>,
    /// How it is tried again.
    pub retry: Retry,
    /// Whether an attempt with unknown outcome waits for a person; `None`: as the purpose says.
    pub hold_uncertain: Option<bool>,
}

/// `retry:` of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, the first included.
    pub attempts: u16,
    /// The wait before the second attempt; it doubles from then on.
    pub initial: crate::model::Span,
    /// The longest wait.
    pub max_wait: crate::model::Span,
}

impl Default for Retry {
    fn default() -> Self {
        use crate::model::Span;
        Self { attempts: 10, initial: Span::from_secs(1), max_wait: Span::from_secs(900) }
    }
}

/// The settings of an escalation policy that are not steps.
#[derive(Clone, Debug)]
pub struct LadderPolicy {
    /// After an acknowledgement, goes on with the next level when this has passed.
    pub unresolved: Option<Duration>,
    /// Its calendar.
    pub hours: Option<Name>,
}
