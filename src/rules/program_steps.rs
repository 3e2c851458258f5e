//! [`Action`]: what each kind of step compiles to.

use crate::model::{Class, Duration, Name, Text};
use crate::script::{Condition, Expr, Shape};

use super::program::{Filter, Pc};

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
    /// `script:` a function of a plugin, off the loop.
    Script(PluginCall),
    /// `action:` a function of a plugin, off the loop, and then the requests it gives.
    Plugin(PluginCall),
    /// `metric:`
    Metric(Box<MetricStep>),
    /// `approve:` asks people and waits.
    Approve(Box<ApproveStep>),
    /// Of an `approve`: the mail to one of them, in a run of its own.
    Ask {
        /// What it says.
        template: Name,
    },
    /// `erase:` forgets whom a record is about.
    Erase {
        /// `kind/id`.
        address: Shape,
        /// Keeps that nothing is sent there.
        suppress: bool,
    },
    /// `pick:` a person of a team.
    Pick {
        /// The team.
        team: Name,
        /// Ids of people who are not picked this time: a list, or one.
        except: Option<Shape>,
    },
    /// `echo:`, the example of `ARCHITECTURE.md`: what to say, and whether loudly.
    #[cfg(test)]
    Echo(Shape, bool),
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
            Self::Script(_) => "script",
            Self::Plugin(_) => "action",
            Self::Metric(_) => "metric",
            Self::Approve(_) => "approve",
            Self::Ask { .. } => "ask",
            Self::Pick { .. } => "pick",
            Self::Erase { .. } => "erase",
            #[cfg(test)]
            Self::Echo(..) => "echo",
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

/// A call of a function of a plugin.
#[derive(Debug)]
pub struct PluginCall {
    /// The function.
    pub function: Text,
    /// Its arguments, in order.
    pub args: Vec<Shape>,
}

impl PluginCall {
    /// What the functions of actions begin with.
    pub(super) const ACTION: &str = "action_";

    /// The action as rules name it, if this is one.
    #[must_use]
    pub fn action_name(&self) -> String {
        self.function.strip_prefix(Self::ACTION).unwrap_or(&self.function).replace('_', "-")
    }
}

/// `approve:` with its fields.
#[derive(Debug)]
pub struct ApproveStep {
    /// Who is asked: each gives an address, `person:ID`, `team:NAME`, or a list of them.
    pub people: Vec<Shape>,
    /// How many must choose the first outcome; of any other one is enough.
    pub need: u32,
    /// What they choose from.
    pub outcomes: Vec<Name>,
    /// What it is about, for people.
    pub summary: Option<Shape>,
    /// How long it waits: a duration or an instant.
    pub timeout: Shape,
    /// When those who have not answered are reminded, in percent of that time.
    pub warn: Vec<u8>,
    /// The [`Action::Ask`] of its mails.
    pub ask: Pc,
    /// Where the run goes on when time is up; `None`: at `next`.
    pub on_timeout: Option<Pc>,
}

/// `metric:` with its fields.
#[derive(Debug)]
pub struct MetricStep {
    /// Its name.
    pub name: Text,
    /// What it does.
    pub change: MetricChange,
    /// What it is told apart by, in order of name.
    pub labels: Vec<(Text, Shape)>,
}

/// What a `metric:` step does.
#[derive(Debug)]
pub enum MetricChange {
    /// `add:`
    Add(Shape),
    /// `set:`
    Set(Shape),
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
    /// Another one that goes on in this one.
    pub merge: Option<Shape>,
}

impl RecordStep {
    /// Whether it changes nothing.
    #[must_use]
    pub fn only_reads(&self) -> bool {
        matches!(self.change, RecordChange::Keep) && self.unset.is_empty() && self.merge.is_none()
    }
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
