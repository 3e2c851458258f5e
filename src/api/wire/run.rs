//! Runs and escalations on the wire.

use serde::{Deserialize, Serialize};

use crate::model::{self, ArmRole, ArmSubject, EffectState, Wait};

/// A run in a listing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id, such as `17-9f86d081884c7d65`.
    pub id: String,
    /// Its workflow, or the policy of an escalation.
    pub workflow: String,
    /// `queued active done failed cancelled`.
    pub status: String,
    /// Why it stopped, failed or was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cause>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The number of the event that began it.
    pub event: u64,
    /// The run that called it, by number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// When it was made.
    pub began: String,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waiting>,
    /// It decides and performs nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
}

/// Why something failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Such as `http_503`.
    pub code: String,
    /// What happened.
    pub message: String,
}

/// What a run waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// `turn time event run effect resolution children release rest`, or `nothing`: it is about to go on.
    pub what: String,
    /// In words.
    pub text: String,
    /// Until when at most; for an effect, when it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The run it waits for, by number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The effect's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    /// `pending backoff started held`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Attempts of the effect so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u16>,
}

/// One thing a run listens for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    /// `wait`, `exit` or `resolve`.
    pub to: String,
    /// Types of events.
    pub events: Vec<String>,
    /// Whose: a subject; left out for events without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Anybody's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any: bool,
}

/// A page of runs, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Runs {
    /// The runs.
    pub runs: Vec<Run>,
    /// `before` of the next page; left out on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An escalation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Escalation {
    /// Its run.
    pub id: String,
    /// Its policy.
    pub policy: String,
    /// The status of its run.
    pub status: String,
    /// What it is about, in words.
    pub summary: String,
    /// How grave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Levels reached so far.
    pub level: u32,
    /// Who took it, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledged>,
    /// When the next level is due; nothing when only a resolution can come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// The run that escalated, by number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// When it began.
    pub began: String,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

/// Who acknowledged an escalation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Who.
    pub by: String,
    /// When.
    pub at: String,
}

/// Escalations, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Escalations {
    /// The escalations.
    pub escalations: Vec<Escalation>,
}

impl Run {
    /// From the model.
    #[must_use]
    pub fn new(run: &model::Run) -> Self {
        Self {
            id: run.id().to_string(),
            workflow: run.workflow.to_string(),
            status: run.status.as_str().to_owned(),
            reason: run.reason.as_ref().map(Cause::new),
            subject: run.subject.as_deref().map(str::to_owned),
            key: run.key.as_deref().map(str::to_owned),
            event: run.event.0,
            parent: run.parent.as_ref().map(|parent| parent.run.to_string()),
            began: run.began.to_string(),
            ended: run.ended.map(|at| at.to_string()),
            waits: if run.status.is_alive() { Waiting::new(run) } else { None },
            shadow: run.shadow,
        }
    }
}

impl Cause {
    /// From the model.
    #[must_use]
    pub fn new(cause: &model::Cause) -> Self {
        Self { code: cause.code.to_string(), message: cause.message.to_string() }
    }
}

impl Waiting {
    fn new(run: &model::Run) -> Option<Self> {
        let plain = |what: &str, text: String, until: Option<model::Instant>| Self {
            what: what.to_owned(),
            text,
            until: until.map(|at| at.to_string()),
            ..Self::default()
        };
        Some(match &run.wait {
            Wait::Over => return None,
            Wait::Ready => plain("nothing", "about to go on".to_owned(), None),
            Wait::Slot => plain("turn", "its turn among the runs of its workflow".to_owned(), None),
            Wait::Until(at) if run.ladder.is_some() => {
                let level = (*at != model::Instant::MAX).then_some(*at);
                let resolution = match words(run, ArmRole::Resolve) {
                    text if text.is_empty() => "somebody to resolve it".to_owned(),
                    text => text,
                };
                let what = if level.is_some() { "the next level, or " } else { "" };
                plain("resolution", format!("{what}{resolution}"), level)
            }
            Wait::Until(at) => plain("time", "time to pass".to_owned(), Some(*at)),
            Wait::Event(until) => plain("event", words(run, ArmRole::Wait), Some(*until)),
            Wait::Child(child, until) => Self {
                run: Some(child.to_string()),
                ..plain("run", format!("run {child}"), *until)
            },
            Wait::Rest(at) => {
                plain("rest", "events of its key to come to rest".to_owned(), Some(*at))
            }
            Wait::Join(join) if join.held => plain(
                "release",
                format!(
                    "a person to let its {} items begin: `runs release`, or `runs cancel`",
                    join.total
                ),
                join.until,
            ),
            Wait::Join(join) => plain(
                "children",
                format!(
                    "{} beside each other: {} begun, {} of them under way, {} failed",
                    join.total,
                    join.begun,
                    join.running,
                    join.failed.len()
                ),
                join.until,
            ),
            Wait::Effect(effect) => {
                let (state, until) = match effect.state {
                    EffectState::Pending => ("pending", None),
                    EffectState::Backoff { until } => ("backoff", Some(until)),
                    EffectState::Started { .. } => ("started", None),
                    EffectState::Held => ("held", None),
                };
                let action = effect.action.as_str();
                let text = match effect.state {
                    EffectState::Pending => format!("its {action} to be sent"),
                    EffectState::Backoff { .. } => {
                        format!("another attempt of its {action} after {}", effect.attempts)
                    }
                    EffectState::Started { .. } => format!("the outcome of its {action}"),
                    EffectState::Held => format!(
                        "a person to say whether its {action} was sent: `runs retry`, or `runs \
                         retry --assume-done`"
                    ),
                };
                Self {
                    effect: Some(effect.key.to_string()),
                    state: Some(state.to_owned()),
                    attempts: Some(effect.attempts),
                    ..plain("effect", text, until)
                }
            }
        })
    }
}

/// What the arms of a role listen for, in words.
fn words(run: &model::Run, role: ArmRole) -> String {
    let arms = run.arms.iter().filter(|arm| arm.role == role);
    arms.map(|arm| Listening::new(arm).words()).collect::<Vec<_>>().join(" or ")
}

impl Listening {
    /// From the model.
    #[must_use]
    pub fn new(arm: &model::Arm) -> Self {
        let to = match arm.role {
            ArmRole::Wait => "wait",
            ArmRole::Exit(_) => "exit",
            ArmRole::Resolve => "resolve",
        };
        let (subject, any) = match &arm.subject {
            ArmSubject::Is(subject) => (Some(subject.to_string()), false),
            ArmSubject::None => (None, false),
            ArmSubject::Any => (None, true),
        };
        let events = arm.patterns.iter().map(ToString::to_string).collect();
        Self { to: to.to_owned(), events, subject, any }
    }

    /// `lead.accepted of lead/42`.
    #[must_use]
    pub fn words(&self) -> String {
        let events = self.events.join(" or ");
        match (&self.subject, self.any) {
            (Some(subject), _) => format!("{events} of {subject}"),
            (None, true) => format!("{events} of anybody"),
            (None, false) => format!("{events} without a subject"),
        }
    }
}

impl Escalation {
    /// From the run of a policy; `None` for any other run.
    #[must_use]
    pub fn new(run: &model::Run) -> Option<Self> {
        let ladder = run.ladder.as_ref()?;
        Some(Self {
            id: run.id().to_string(),
            policy: run.workflow.to_string(),
            status: run.status.as_str().to_owned(),
            summary: ladder.summary.to_string(),
            severity: ladder.severity.as_deref().map(str::to_owned),
            subject: run.subject.as_deref().map(str::to_owned),
            level: ladder.level,
            acknowledged: ladder
                .acknowledged
                .as_ref()
                .map(|(by, at)| Acknowledged { by: by.to_string(), at: at.to_string() }),
            due: Waiting::new(run).and_then(|waiting| waiting.until),
            parent: run.parent.as_ref().map(|parent| parent.run.to_string()),
            began: run.began.to_string(),
            ended: run.ended.map(|at| at.to_string()),
        })
    }
}
