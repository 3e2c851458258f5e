//! The whole story of a run on the wire.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Cause, Escalation, Event, Listening, Run};
use crate::model::{self, Trace, TraceEntry};
use crate::pump::Steps;
use crate::pump::Story as Told;

/// The whole story of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Story {
    /// The run.
    pub run: Run,
    /// The version it is pinned to, by content hash.
    pub bundle: String,
    /// When its lifetime is over.
    pub expires: String,
    /// What its caller passed.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub args: Value,
    /// Its variables.
    pub vars: Map<String, Value>,
    /// Results of steps with an id.
    pub steps: Map<String, Value>,
    /// The error that an `on_error` block handles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Cause>,
    /// What it listens for besides what it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listens: Vec<Listening>,
    /// The step it stands at, while it is alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<StepRef>,
    /// The ladder, for the run of a policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation: Option<Escalation>,
    /// What began it; left out when retention took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
    /// What happened, oldest first.
    pub story: Vec<Entry>,
    /// Runs it called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Run>,
}

/// A step of a run's version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRef {
    /// Its place in the flat list of steps.
    pub pc: u32,
    /// Its path in the rule file: `steps[3].then[0]`. Left out when the version cannot be compiled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Its main key: `email`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// One thing that happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// When.
    pub at: String,
    /// At which step; left out for what concerns the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<StepRef>,
    /// A stable word: `began queued done skipped branch waiting woken timed-out attempt retrying
    /// repeated held suppressed called returned level acknowledged resolved failed operator moved
    /// ended`.
    pub what: String,
    /// In words.
    pub text: String,
    /// Which attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u16>,
    /// The effect's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    /// Until when it waits, or when it tries again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The other run, by number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The event, by number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<u64>,
    /// The status of the run that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

impl Story {
    /// From the pump's answer.
    #[must_use]
    pub fn new(story: &Told) -> Self {
        let run = &*story.run;
        let object = |map: &model::Map| {
            map.iter().map(|(key, value)| (key.to_string(), value.to_json())).collect()
        };
        Self {
            run: Run::new(run),
            bundle: run.bundle.to_string(),
            expires: run.expires.to_string(),
            args: run.args.to_json(),
            vars: object(&run.vars),
            steps: object(&run.steps),
            error: run.error.as_ref().map(Cause::new),
            listens: run
                .arms
                .iter()
                .filter(|arm| arm.role != model::ArmRole::Wait)
                .map(Listening::new)
                .collect(),
            at: run.status.is_alive().then(|| StepRef::new(&story.steps, run.pc)),
            escalation: Escalation::new(run),
            event: story.event.as_deref().map(Event::new),
            story: story
                .trace
                .iter()
                .enumerate()
                .map(|(at, entry)| {
                    let before = story.earlier.iter().find(|(until, _)| at < *until);
                    Entry::new(before.map_or(&story.steps, |(_, steps)| steps), entry)
                })
                .collect(),
            children: story.children.iter().map(|child| Run::new(child)).collect(),
        }
    }
}

impl StepRef {
    fn new(steps: &Steps, pc: u32) -> Self {
        let known = steps.get(pc as usize);
        Self {
            pc,
            path: known.map(|(path, _, _)| path.to_string()),
            action: known.map(|(_, action, _)| action.to_string()),
            id: known.and_then(|(_, _, id)| id.as_deref().map(str::to_owned)),
        }
    }
}

impl Entry {
    fn new(steps: &Steps, entry: &TraceEntry) -> Self {
        let whole_run = matches!(
            entry.what,
            Trace::Began(_)
                | Trace::Queued
                | Trace::Operator(_)
                | Trace::Moved(_)
                | Trace::Ended(..)
        );
        Self {
            at: entry.at.to_string(),
            step: (!whole_run).then(|| StepRef::new(steps, entry.pc)),
            ..Self::of(&entry.what)
        }
    }

    /// What happened, without place and time.
    fn of(what: &Trace) -> Self {
        match what {
            Trace::Began(event) => Self {
                event: Some(event.0),
                ..Self::say("began", format!("began with event {event}"))
            },
            Trace::Queued => Self::say("queued", "waits for its turn"),
            Trace::Done(text) => Self::say("done", or(text, "done")),
            Trace::Skipped(text) => Self::say("skipped", format!("left out: {text}")),
            Trace::Branch(text) => Self::say("branch", &**text),
            Trace::Waiting(text, until) => Self {
                until: until.map(|at| at.to_string()),
                ..Self::say("waiting", format!("waits for {text}"))
            },
            Trace::Woken(event) => Self {
                event: Some(event.0),
                ..Self::say("woken", format!("event {event} ended the wait"))
            },
            Trace::TimedOut => Self::say("timed-out", "the time was up"),
            Trace::Attempt(attempt, key) => Self {
                attempt: Some(*attempt),
                effect: Some(key.to_string()),
                ..Self::say("attempt", format!("attempt {attempt} started"))
            },
            Trace::Retrying(attempt, cause, at) => Self {
                attempt: Some(*attempt),
                until: Some(at.to_string()),
                cause: Some(Cause::new(cause)),
                ..Self::say("retrying", format!("attempt {attempt} failed: {cause}"))
            },
            Trace::Repeated(attempt, cause) => Self {
                attempt: Some(*attempt),
                cause: Some(Cause::new(cause)),
                ..Self::say(
                    "repeated",
                    format!(
                        "the outcome of attempt {attempt} is not known, repeated under the same key: {cause}"
                    ),
                )
            },
            Trace::Held(attempt, cause) => Self {
                attempt: Some(*attempt),
                cause: Some(Cause::new(cause)),
                ..Self::say(
                    "held",
                    format!(
                        "the outcome of attempt {attempt} is not known, a person decides: {cause}"
                    ),
                )
            },
            Trace::Suppressed(why) => Self::say("suppressed", format!("not sent: {why}")),
            Trace::Called(run) => Self {
                run: Some(run.to_string()),
                ..Self::say("called", format!("called run {run}"))
            },
            Trace::Returned(run, status) => Self {
                run: Some(run.to_string()),
                status: Some(status.as_str().to_owned()),
                ..Self::say("returned", format!("run {run} ended: {}", status.as_str()))
            },
            Trace::Level(level) => Self::say("level", format!("reached level {level}")),
            Trace::Acknowledged(by) => Self::say("acknowledged", format!("acknowledged by {by}")),
            Trace::Resolved(text) => Self::say("resolved", format!("resolved: {text}")),
            Trace::Failed(cause, goes_on) => {
                let text = if goes_on.is_empty() {
                    format!("failed: {cause}")
                } else {
                    format!("failed: {cause}; {goes_on}")
                };
                Self { cause: Some(Cause::new(cause)), ..Self::say("failed", text) }
            }
            Trace::Operator(text) => Self::say("operator", &**text),
            Trace::Moved(before) => {
                Self::say("moved", format!("up to here it had the version {before}"))
            }
            Trace::Ended(status, why) => {
                let status = status.as_str();
                let text =
                    if why.is_empty() { status.to_owned() } else { format!("{status}: {why}") };
                Self { status: Some(status.to_owned()), ..Self::say("ended", text) }
            }
        }
    }

    fn say(what: &str, text: impl Into<String>) -> Self {
        Self { what: what.to_owned(), text: text.into(), ..Self::default() }
    }
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}
