//! Effects: one performance of an action, from announced to settled.
//!
//! `Pending → Started(n) → settled`, with `Backoff` between attempts and `Held` for a person.
//! An attempt is durably started before it is performed; one whose outcome is not known is
//! performed again with the same content under the same key, or held.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::id::{BundleId, EffectKey, Name, RunNo};
use super::time::{Instant, Span};
use super::value::{Map, Text, Value};

/// Which action performs an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ActionKind {
    /// A mail.
    Email,
    /// An HTTP request.
    Webhook,
    /// A function of a plugin, which computes and reads and performs nothing.
    Script,
    /// The example of `ARCHITECTURE.md`.
    #[cfg(test)]
    Echo,
}

impl ActionKind {
    /// The step key that asks for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Webhook => "webhook",
            Self::Script => "script",
            #[cfg(test)]
            Self::Echo => "echo",
        }
    }
}

/// How urgent an effect is within its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// Escalations.
    Urgent,
    /// Everything else.
    Normal,
    /// Mail of a purpose that people can unsubscribe from.
    Bulk,
}

/// The effect a run is busy with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// The same over retries.
    pub key: EffectKey,
    /// Who performs it.
    pub action: ActionKind,
    /// What it queues for: `smtp`, or `scheme://host:port` of a webhook.
    pub lane: Text,
    /// Its place in that lane.
    pub class: Class,
    /// The step's fields, evaluated once: the frozen part of the request.
    pub params: Value,
    /// When it was announced; `now` in its templates.
    pub armed: Instant,
    /// Attempts started so far.
    pub attempts: u16,
    /// 0, and one more each time an operator retries after a definite failure.
    pub generation: u16,
    /// Whether an attempt may have been performed without our knowing.
    pub uncertain: bool,
    /// Where it stands.
    pub state: EffectState,
}

impl Effect {
    /// Whether an attempt was made whose outcome nobody knows.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        self.uncertain || matches!(self.state, EffectState::Started { .. } | EffectState::Held)
    }
}

/// Where an effect stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum EffectState {
    /// Announced; waits for credit in its lane.
    Pending,
    /// Failed in a way that may pass; tried again at `until`.
    Backoff {
        /// When it is tried again.
        until: Instant,
    },
    /// Being performed; if this is found at start, its outcome is uncertain.
    Started {
        /// Since when.
        at: Instant,
    },
    /// Uncertain, and the rule says that a person decides.
    Held,
}

/// One attempt, handed to the executor after the state that announces it is durable.
#[derive(Clone, Debug)]
pub struct Command {
    /// The run that asks.
    pub run: RunNo,
    /// The workflow's or policy's name, for messages.
    pub workflow: Name,
    /// Which attempt, from 1.
    pub attempt: u16,
    /// The effect's key.
    pub key: EffectKey,
    /// Who performs it.
    pub action: ActionKind,
    /// What it queues for.
    pub lane: Text,
    /// The step's fields, evaluated.
    pub params: Value,
    /// The bundle that holds its templates.
    pub bundle: BundleId,
    /// What began the run; `event` in templates.
    pub event: Arc<Event>,
    /// `vars`, `steps`, `args` and what else the step's scope holds, frozen.
    pub scope: Arc<Map>,
    /// `now` in templates.
    pub armed: Instant,
    /// How long the attempt may take; `None`: as the action's settings say.
    pub timeout: Option<Span>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Performed; the value is the step's result.
    Done(Value),
    /// Failed in a way that may pass.
    Retry {
        /// Not before this long, if the other side said so.
        after: Option<Span>,
        /// What happened.
        why: Cause,
    },
    /// Failed for good.
    Failed(Cause),
    /// May have been performed: the answer was lost.
    Uncertain(Cause),
}

/// Why something failed: a stable code for machines and a sentence for people, free of secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Such as `http_503`, `smtp_451`, `timeout`, `connect`, `expression`.
    pub code: Text,
    /// What happened.
    pub message: Text,
}

impl Cause {
    /// From its parts.
    pub fn new(code: impl Into<Text>, message: impl Into<Text>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// As `error` in `on_error` steps sees it: `{ code, message }`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::from([
            ("code", Value::Text(self.code.clone())),
            ("message", Value::Text(self.message.clone())),
        ])
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
