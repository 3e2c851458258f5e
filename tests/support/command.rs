//! Commands as the engine would hand them to the performer, and a performer to hand them to.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::sync::Arc;

use adjutant::actions::{Performer, RenderedMail, Secrets, Settings, TemplateSource};
use adjutant::model::{
    ActionKind, Cause, Command, Digest, EffectKey, Event, EventNo, Instant, Lineage, Map, Outcome,
    RunNo, Value,
};

/// What the performer takes for now: 2026-03-02T10:00:00Z.
pub(crate) const NOW: &str = "2026-03-02T10:00:00Z";

/// An attempt of the effect numbered `effect`, announced at 2026-03-02T09:55:00Z. No timeout of its
/// own: the action's default.
pub(crate) fn command<const N: usize>(
    action: ActionKind,
    effect: u8,
    params: [(&str, Value); N],
) -> Command {
    let armed: Instant = "2026-03-02T09:55:00Z".parse().unwrap();
    let event = Event {
        no: EventNo(1),
        id: "e-1".into(),
        source: "crm".into(),
        kind: "lead.created".into(),
        subject: Some("lead/42".into()),
        time: armed,
        accepted: armed,
        data: Value::from([("email", Value::from("ana@x.example"))]),
        extensions: Map::new(),
        lineage: Lineage::default(),
    };
    Command {
        run: RunNo(1),
        workflow: "lead-response".into(),
        attempt: 1,
        key: EffectKey(Digest([effect; 16])),
        action,
        lane: "lane".into(),
        params: Value::from(params),
        bundle: Digest([0; 16]),
        event: Arc::new(event),
        scope: Arc::new(Map::from([("vars".into(), Value::from([("n", Value::Int(3))]))])),
        armed,
        timeout: None,
    }
}

/// A list of texts.
pub(crate) fn list(items: &[&str]) -> Value {
    Value::List(items.iter().map(|item| Value::from(*item)).collect())
}

/// No secrets but these, by the names of their variables.
pub(crate) fn secrets(pairs: &[(&str, &str)]) -> Secrets {
    Secrets::new(None, pairs.iter().map(|(name, value)| (name.into(), value.into())))
}

/// A performer whose clock stands at [`NOW`].
pub(crate) fn performer(settings: &Settings, secrets: Secrets) -> Performer {
    Performer::new(settings, secrets, Arc::new(|| NOW.parse().unwrap())).unwrap()
}

/// Templates that do not exist.
pub(crate) struct NoTemplates;

impl TemplateSource for NoTemplates {
    fn render(&self, name: &str, _: Option<&str>, _: &Map) -> Result<RenderedMail, Cause> {
        Err(Cause::new("template", format!("there is no template `{name}`")))
    }
}

/// The code of a cause that may pass.
pub(crate) fn retry(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Retry { why, .. } => &why.code,
        other => panic!("not a retry: {other:?}"),
    }
}

/// The code of a cause that is for good.
pub(crate) fn failed(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Failed(why) => &why.code,
        other => panic!("not a failure: {other:?}"),
    }
}

/// The code of an uncertain outcome.
pub(crate) fn uncertain(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Uncertain(why) => &why.code,
        other => panic!("not uncertain: {other:?}"),
    }
}

/// The result of a performed effect.
pub(crate) fn done(outcome: &Outcome) -> &Value {
    match outcome {
        Outcome::Done(value) => value,
        other => panic!("not done: {other:?}"),
    }
}

/// What an outcome tells people.
pub(crate) fn message(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Retry { why, .. } | Outcome::Failed(why) | Outcome::Uncertain(why) => &why.message,
        Outcome::Done(value) => panic!("done: {value}"),
    }
}
