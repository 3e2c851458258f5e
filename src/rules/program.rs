//! What a workflow compiles to: a flat list of steps that point at each other.
//!
//! Blocks (`then`, `switch`, `on_timeout`, `on_error`, levels of a ladder) are flattened, so that a
//! run's whole position is one number, its `pc`, and nothing nests at run time. No step is reached
//! twice: `next` and every other target lie further down the list.

use crate::model::{Class, Duration, Map, Name, Pattern, Text};
use crate::script::{Condition, Expr, Shape};

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
    /// What its windows are for: [`crate::model::WindowKey::what`].
    #[must_use]
    pub fn window(&self) -> Option<&Text> {
        match self {
            Self::Event => None,
            Self::Count { kept, .. } | Self::Absent { kept, .. } => Some(&kept.id),
            Self::Schedule(schedule) => Some(&schedule.id),
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

/// What a step does.
#[derive(Debug)]
pub enum Action {
    /// `email:`
    Email(Box<EmailStep>),
    /// `webhook:`
    Webhook(Box<WebhookStep>),
    /// `escalate:` starts the ladder as a child run.
    Escalate(Box<EscalateStep>),
    /// `call:` starts a workflow of the same bundle as a child run.
    Call {
        /// The workflow.
        workflow: Name,
        /// What it sees as `args`.
        args: Shape,
        /// Whether the run waits for its result.
        wait: bool,
    },
    /// `record:`
    Record(Box<RecordStep>),
    /// `delay:` a duration or an instant.
    Delay(Shape),
    /// `wait_for:`
    WaitFor {
        /// What it takes.
        filter: Filter,
        /// How long it waits: a duration or an instant.
        timeout: Shape,
        /// Where the run goes on when time is up; `None`: at `next`.
        on_timeout: Option<Pc>,
    },
    /// `then:`/`else:` with the modifier `if`, and `switch:`: the first arm whose condition holds.
    /// Without one the run goes on at `next`.
    Branch(Vec<BranchArm>),
    /// `foreach:` starts a child run for each item.
    ForEach(Box<ForEachStep>),
    /// `parallel:` starts a child run for each list of steps, which begin here.
    Parallel(Vec<Pc>),
    /// `emit:`
    Emit {
        /// The type.
        kind: Shape,
        /// Default: the run's subject.
        subject: Option<Shape>,
        /// The payload.
        data: Shape,
    },
    /// `vars:` in order, each seeing the earlier.
    Vars(Vec<(Text, Shape)>),
    /// `rhai:` its value is the result.
    Rhai(Expr),
    /// `log:`
    Log(Shape),
    /// `stop:` ends the run well.
    Stop(Shape),
    /// `fail:` ends the run as failed (or goes to `on_error`).
    Fail(Shape),
    /// Of a ladder: waits until the level's time has come.
    Level {
        /// Counted from the level before.
        after: Duration,
    },
    /// Of a ladder: all levels are done; waits for a resolution.
    Summit,
}

impl Action {
    /// The step's main key, as people wrote it.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::Webhook(_) => "webhook",
            Self::Escalate(_) => "escalate",
            Self::Call { .. } => "call",
            Self::Record(_) => "record",
            Self::Delay(_) => "delay",
            Self::WaitFor { .. } => "wait_for",
            Self::Branch(_) => "branch",
            Self::ForEach(_) => "foreach",
            Self::Parallel(_) => "parallel",
            Self::Emit { .. } => "emit",
            Self::Vars(_) => "vars",
            Self::Rhai(_) => "rhai",
            Self::Log(_) => "log",
            Self::Stop(_) => "stop",
            Self::Fail(_) => "fail",
            Self::Level { .. } => "level",
            Self::Summit => "summit",
        }
    }
}

/// One arm of a [`Action::Branch`].
#[derive(Debug)]
pub struct BranchArm {
    /// `None` is `else`.
    pub condition: Option<Condition>,
    /// Where its block begins.
    pub target: Pc,
    /// `then`, `else`, `case 2`: for the story of the run.
    pub label: Text,
}

/// `foreach:` with its fields.
#[derive(Debug)]
pub struct ForEachStep {
    /// Gives the list.
    pub items: Shape,
    /// What an item is called in its steps.
    pub name: Text,
    /// With more items than this nothing begins until a person lets it.
    pub limit: u32,
    /// Items under way at a time.
    pub max_parallel: u32,
    /// Where its steps begin.
    pub body: Pc,
}

/// `email:` with its fields. Recipients are addresses, lists of them, or `person:ID`.
#[derive(Debug)]
pub struct EmailStep {
    /// Who gets it.
    pub to: Shape,
    /// Copies.
    pub cc: Option<Shape>,
    /// Blind copies.
    pub bcc: Option<Shape>,
    /// Sender, if not the configured one.
    pub from: Option<Shape>,
    /// Where answers go.
    pub reply_to: Option<Shape>,
    /// Why it is sent: decides whether it may be.
    pub purpose: Name,
    /// What it says.
    pub body: EmailBody,
    /// `args` for its template.
    pub args: Option<Shape>,
    /// Language tag that picks the template's file.
    pub locale: Option<Shape>,
    /// Further headers.
    pub headers: Vec<(Text, Shape)>,
    /// [`Class::Urgent`] for the mails of a ladder.
    pub class: Class,
}

/// What a mail says.
#[derive(Debug)]
pub enum EmailBody {
    /// `template:` a name among the bundle's templates.
    Template(Name),
    /// `subject:` and `text:` in the rule itself.
    Inline {
        /// The subject.
        subject: Shape,
        /// The text part.
        text: Shape,
    },
}

/// `webhook:` with its fields.
#[derive(Debug)]
pub struct WebhookStep {
    /// Where it goes.
    pub target: WebhookTarget,
    /// `POST` unless said otherwise.
    pub method: Text,
    /// Further headers; the only fields that may hold secrets, with `query`.
    pub headers: Vec<(Text, Shape)>,
    /// Added to the URL's query.
    pub query: Vec<(Text, Shape)>,
    /// The body.
    pub body: WebhookBody,
    /// Statuses taken as success; empty: every 2xx.
    pub expect: Vec<u16>,
    /// Whether it is signed, where a signing secret is configured.
    pub sign: bool,
}

/// Where a webhook goes.
#[derive(Debug)]
pub enum WebhookTarget {
    /// A URL whose scheme and host are literal; `${}` in path and query is percent-encoded.
    Url {
        /// `scheme://host[:port]`, literal.
        origin: Text,
        /// The rest, beginning with `/` or empty: literal parts and expressions in turn.
        rest: Vec<UrlPart>,
    },
    /// The name of an endpoint in the configuration.
    Endpoint(Name),
}

/// A part of a URL after the host.
#[derive(Debug)]
pub enum UrlPart {
    /// As written.
    Literal(Text),
    /// Percent-encoded when filled in.
    Value(Expr),
}

/// The body of a webhook.
#[derive(Debug)]
pub enum WebhookBody {
    /// None.
    Empty,
    /// `json:`
    Json(Shape),
    /// `form:`
    Form(Shape),
    /// `body:` text, sent as it is.
    Raw(Shape),
}

/// `escalate:` with its fields.
#[derive(Debug)]
pub struct EscalateStep {
    /// The policy; the latest version when the step is reached.
    pub policy: Name,
    /// What the ladder sees as `args`.
    pub args: Shape,
    /// What it is about, for people.
    pub summary: Option<Shape>,
    /// How grave.
    pub severity: Option<Shape>,
    /// What ends it well.
    pub resolve: Option<Filter>,
    /// Whether the run waits for its end.
    pub wait: bool,
}

/// `record:` with its fields.
#[derive(Debug)]
pub struct RecordStep {
    /// `kind/id`.
    pub address: Shape,
    /// What it does.
    pub change: RecordChange,
    /// Fields taken away.
    pub unset: Vec<Text>,
}

/// What a `record:` step does.
#[derive(Debug)]
pub enum RecordChange {
    /// `set:` merged over the fields.
    Set(Shape),
    /// `create:` fails if present.
    Create(Shape),
    /// `delete: true`.
    Delete,
    /// Only `unset:`, or nothing: reads it.
    Keep,
}

/// The settings of an escalation policy that are not steps.
#[derive(Clone, Debug)]
pub struct LadderPolicy {
    /// After an acknowledgement, goes on with the next level when this has passed.
    pub unresolved: Option<Duration>,
    /// Its calendar.
    pub hours: Option<Name>,
}

/// A record kind.
#[derive(Clone, Debug, Default)]
pub struct RecordKind {
    /// Fields that `records(kind, field, value)` may look up.
    pub indexes: Vec<Name>,
    /// Read-only rows shipped with the rules, by id.
    pub rows: std::collections::BTreeMap<Text, Map>,
}

/// Why a mail is sent, and whether it may be.
#[derive(Debug)]
pub struct Purpose {
    /// Its name.
    pub name: Name,
    /// Must hold for each recipient, read again at each attempt.
    pub allow: Option<Condition>,
    /// Announced longer ago than this: suppressed.
    pub expires: Option<Duration>,
    /// Whether an attempt with unknown outcome waits for a person.
    pub hold_uncertain: bool,
    /// Its place in the queue.
    pub class: Class,
}
