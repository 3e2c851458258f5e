//! The gate that every mail passes, again at each attempt: its purpose decides for each recipient.

use crate::model::{ActionKind, Cause, Effect, Instant, Map, Run, Text, Value};
use crate::rules::Purpose;
use crate::script::{EvalError, Scope, Test};

use super::alert;
use super::reads::Reads;
use super::stage::Stage;
use super::start::Fault;
use super::time;

/// What the gate says.
pub(super) enum Gate {
    /// May be performed, with these fields: recipients that may not get it are left out.
    Open(Value),
    /// May not, and why.
    Shut(Text),
}

/// Asks the gate about one attempt.
pub(super) fn pass(stage: &Stage<'_>, effect: &Effect) -> Result<Gate, Fault> {
    if effect.action != ActionKind::Email {
        return Ok(Gate::Open(effect.params.clone()));
    }
    let Some(fields) = effect.params.as_map() else {
        return Ok(Gate::Open(effect.params.clone()));
    };
    let name = fields.get("purpose").and_then(Value::as_text).unwrap_or_default();
    let purpose =
        stage.rules.purposes.get(name).ok_or_else(|| {
            Cause::new("purpose", format!("there is no purpose `{name}` any more"))
        })?;
    if is_expired(stage, purpose, effect.armed)? {
        return Ok(Gate::Shut("expired".into()));
    }
    let mut fields = fields.clone();
    for field in ["to", "cc", "bcc"] {
        if let Some(Value::List(recipients)) = fields.get_mut(field) {
            let mut allowed = Vec::with_capacity(recipients.len());
            for recipient in std::mem::take(recipients) {
                if allows(stage, purpose, &recipient)? {
                    allowed.push(recipient);
                }
            }
            *recipients = allowed;
        }
    }
    let nobody = matches!(fields.get("to"), Some(Value::List(to)) if to.is_empty());
    Ok(if nobody { Gate::Shut("not_allowed".into()) } else { Gate::Open(Value::Map(fields)) })
}

fn is_expired(stage: &Stage<'_>, purpose: &Purpose, armed: Instant) -> Result<bool, Cause> {
    match purpose.expires {
        None => Ok(false),
        Some(expires) => Ok(time::end_from(stage, armed, expires, None)? < stage.now),
    }
}

fn allows(stage: &Stage<'_>, purpose: &Purpose, recipient: &Value) -> Result<bool, EvalError> {
    let Some(condition) = &purpose.allow else { return Ok(true) };
    let mut scope = Scope::new(stage.now);
    scope.set("recipient", recipient);
    Ok(condition.test(&scope, &Reads(stage))? == Test::True)
}

/// The result of a mail that was not sent, announced as the event `message.suppressed`.
pub(super) fn suppressed(stage: &mut Stage<'_>, run: &Run, reason: &Text) -> Value {
    let mut data = Map::new();
    data.insert("reason".into(), Value::Text(reason.clone()));
    if let Some(fields) = run.effect().and_then(|effect| effect.params.as_map()) {
        for field in ["to", "purpose", "template"] {
            if let Some(value) = fields.get(field) {
                data.insert(field.into(), value.clone());
            }
        }
    }
    alert::raise(stage, run, "message.suppressed", Value::Map(data));
    Value::from([("suppressed", Value::Text(reason.clone()))])
}
