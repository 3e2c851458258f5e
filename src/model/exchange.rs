//! What goes into the engine and what comes out: [`Input`], [`Decision`], [`Reply`].

use std::sync::Arc;

use super::address::Address;
use super::effect::{Command, Outcome};
use super::event::{Draft, StoredEvent};
use super::id::{BundleId, Digest, EffectKey, EventNo, InboxNo, Name, RunId, RunNo};
use super::poll::{Ask, Found, Polled};
use super::record::Record;
use super::run::{Run, TraceEntry};
use super::task::Task;
use super::time::Instant;
use super::value::{Map, Text, Value};
use super::window::{Window, WindowKey};

/// Every reason for the engine to wake. Closed.
#[derive(Clone, Debug)]
pub enum Input {
    /// Something happened outside.
    Event(Box<Draft>),
    /// A run's due instant has come.
    Timer(RunNo),
    /// An attempt ended.
    Outcome(Settled),
    /// There is credit for a pending effect of this run.
    Start(RunNo),
    /// The daemon started and found this attempt of a run started without an outcome.
    Recover(RunNo, EffectKey, u16),
    /// A person asks for something.
    Operator(Operator),
    /// An item of the durable inbox.
    Inbox(InboxNo, Task),
    /// The rule set was put in force (at start, or by a reload).
    Rules,
    /// Time to remove what is past its retention.
    Sweep,
    /// 32 random bytes for the state to hash addresses with; it keeps the first it is given.
    Key([u8; 32]),
    /// A window has to be looked at.
    Window(WindowKey),
    /// A poll ended.
    Polled(Box<Polled>),
}

impl Input {
    /// The run that it is for, if it is for one by the engine's own doing.
    #[must_use]
    pub const fn run(&self) -> Option<RunNo> {
        match self {
            Self::Timer(run)
            | Self::Start(run)
            | Self::Recover(run, ..)
            | Self::Outcome(Settled { run, .. })
            | Self::Inbox(_, Task::Advance { run } | Task::Fan { run }) => Some(*run),
            _ => None,
        }
    }

    /// Which input it is, without what it holds: for logs.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Event(draft) => format!("event {} from {}", draft.id, draft.source),
            Self::Timer(run) => format!("a timer of run {run}"),
            Self::Outcome(settled) => format!("an outcome of run {}", settled.run),
            Self::Start(run) => format!("the start of run {run}'s effect"),
            Self::Recover(run, ..) => format!("the recovery of run {run}"),
            Self::Operator(_) => "what a person asked for".to_owned(),
            Self::Inbox(no, _) => format!("item {no} of the inbox"),
            Self::Rules => "the rules".to_owned(),
            Self::Sweep => "the sweep".to_owned(),
            Self::Key(_) => "a key".to_owned(),
            Self::Window(key) => format!("{} of {}", key.what, key.workflow),
            Self::Polled(polled) => {
                format!("the answer to {} of {}", polled.key.what, polled.key.workflow)
            }
        }
    }

    /// Who and what, without what the event or the answer holds: for a log, and cheap to make.
    #[must_use]
    pub fn without_payload(&self) -> Self {
        match self {
            Self::Event(draft) => Self::Event(Box::new(Draft {
                id: draft.id.clone(),
                source: draft.source.clone(),
                kind: draft.kind.clone(),
                subject: draft.subject.clone(),
                time: draft.time,
                data: Value::Null,
                extensions: Map::new(),
            })),
            Self::Outcome(settled) => Self::Outcome(Settled {
                run: settled.run,
                key: settled.key,
                attempt: settled.attempt,
                outcome: match &settled.outcome {
                    Outcome::Done(_) => Outcome::Done(Value::Null),
                    other => other.clone(),
                },
            }),
            Self::Polled(polled) => Self::Polled(Box::new(Polled {
                key: polled.key.clone(),
                begun: polled.begun,
                found: Ok(Found::default()),
                after: polled.after,
            })),
            other => other.clone(),
        }
    }
}

/// The end of an attempt, addressed.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The run.
    pub run: RunNo,
    /// The effect's key.
    pub key: EffectKey,
    /// Which attempt.
    pub attempt: u16,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a person asks for. `by` is who: a user name or the name of a token.
#[derive(Clone, Debug)]
pub enum Operator {
    /// End a run.
    Cancel {
        /// The run.
        run: RunNo,
        /// Why, for its story.
        reason: Option<Text>,
        /// Who asks.
        by: Text,
    },
    /// Go on with a failed run from the failed step, or release a held effect.
    Retry {
        /// The run.
        run: RunNo,
        /// Take the held or failed effect as done instead of performing it again.
        assume_done: bool,
        /// Who asks.
        by: Text,
    },
    /// Acknowledge an escalation.
    Acknowledge {
        /// The escalation's run.
        run: RunNo,
        /// Who asks.
        by: Text,
    },
    /// Let the children of a `foreach` begin, of which there are more than its `limit`.
    Release {
        /// The run.
        run: RunNo,
        /// Who asks.
        by: Text,
    },
    /// Let a workflow start runs again after its storm breaker has tripped.
    Reset {
        /// The workflow.
        workflow: Name,
        /// Who asks.
        by: Text,
    },
    /// Move a waiting run to the version of its workflow that is in force.
    Migrate {
        /// The run.
        run: RunNo,
        /// Only say whether it would.
        dry_run: bool,
        /// Who asks.
        by: Text,
    },
    /// Lay fields over those of a record, which is made if it is not there.
    Write {
        /// Which record.
        address: Address,
        /// The fields.
        fields: Map,
        /// Who asks.
        by: Text,
    },
    /// Choose one of the outcomes of an approval.
    Decide {
        /// The approval.
        approval: Text,
        /// Which outcome.
        outcome: Text,
        /// Why, for its story.
        comment: Option<Text>,
        /// Whether only those may who are asked: else anybody else decides as an operator, alone.
        asked_only: bool,
        /// Who chooses: the id of a person, an address, or the name of an operator.
        by: Text,
    },
    /// Pass an approval on to somebody else.
    Delegate {
        /// The approval.
        approval: Text,
        /// The id of a person.
        to: Text,
        /// Who passes it on, one of those who are asked.
        by: Text,
    },
    /// Somebody wants no more mail of a purpose.
    Unsubscribe {
        /// The purpose.
        purpose: Name,
        /// The address.
        address: Text,
        /// The run that sent the mail whose link was followed.
        run: RunNo,
    },
    /// Resolve an escalation.
    Resolve {
        /// The escalation's run.
        run: RunNo,
        /// Who asks.
        by: Text,
    },
}

/// What the engine decided about one input.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// Applied in order, all or none.
    pub writes: Vec<Write>,
    /// Released to the executor when the writes are durable.
    pub release: Vec<Command>,
    /// Given to whoever waits for it when the writes are durable.
    pub reply: Option<Reply>,
    /// Polls to carry out when the writes are durable.
    pub asks: Vec<Ask>,
    /// What `log:` steps said, for the daemon's log: the run, its workflow, the text.
    pub said: Vec<(RunId, Name, Text)>,
}

/// A change of state. `State` derives every index from these.
#[derive(Clone, Debug)]
pub enum Write {
    /// A new event, or a known one with more runs and verdicts.
    Event(Arc<StoredEvent>),
    /// Events that are past their retention and lie near each other: a page of a sweep.
    EventsGone(Vec<Arc<StoredEvent>>),
    /// A run is past its retention.
    RunGone(Arc<Run>),
    /// (source, id) is taken: by which event, with which fingerprint.
    Identity(Digest, EventNo, Digest),
    /// A new or changed run, with what it was before.
    Run(Option<Arc<Run>>, Arc<Run>),
    /// Some of what the children of a run are for, until they begin: by the number of the piece.
    Items(RunNo, u32, Vec<Value>),
    /// These children have begun, or never will.
    ItemsGone(RunNo, u32),
    /// Entries of a run's story that left its row; the number is that of the first.
    Spill(RunNo, u32, Vec<TraceEntry>),
    /// A new or changed record with the values of its declared indexes.
    Record(Arc<Record>, Vec<(Name, Value)>),
    /// A record is gone.
    RecordGone(Address),
    /// Work to go on with.
    Inbox(InboxNo, Task),
    /// That work is done.
    InboxDone(InboxNo),
    /// A version that a run is pinned to, as encoded sources.
    Bundle(BundleId, Arc<[u8]>),
    /// A new or changed window, with when it was due before; `None`: it is over.
    Window(WindowKey, Option<Instant>, Option<Window>),
    /// A version that no run needs any more.
    BundleGone(BundleId),
    /// The declared indexes of every record kind, so that a change is noticed at start.
    Indexes(Vec<(Name, Vec<Name>)>),
}

/// The answer to an input.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The event is accepted, now or earlier.
    Accepted {
        /// Its number.
        event: EventNo,
        /// Whether it was known already.
        duplicate: bool,
    },
    /// It is done; the value says what.
    Done(Value),
    /// It is not, and asking again will not help.
    Refused(Refusal),
}

/// Why the engine refused. Each has one HTTP status and one exit code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// (source, id) is known with another payload: 422.
    #[error(
        "event `{id}` from `{source_name}` is known with another payload: a new event needs a new id"
    )]
    Conflict {
        /// The id.
        id: Text,
        /// The source.
        source_name: Text,
    },
    /// There is no such thing: 404.
    #[error("there is no {0}")]
    NotFound(String),
    /// It is not in a state that allows this: 409.
    #[error("{0}")]
    State(String),
    /// The input itself is wrong: 400.
    #[error("{0}")]
    Invalid(String),
    /// The engine failed on it and put it aside: 500.
    #[error("{0}")]
    Broken(String),
}
