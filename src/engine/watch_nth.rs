//! `nth:` the example of `ARCHITECTURE.md`, section "To add a trigger". It is there in tests only.

use std::sync::Arc;

use crate::model::{Code, Event, Value, WindowKey};
use crate::rules::Bundle;
use crate::script::EvalError;

use super::scope::event_value;
use super::stage::Stage;
use super::start::Considered;
use super::watch::{Made, fire};

/// One more of a key; each `n`-th starts the workflow.
pub(super) fn nth(
    stage: &mut Stage<'_>,
    bundle: &Arc<Bundle>,
    event: &Event,
    key: WindowKey,
    n: u64,
) -> Result<Considered, EvalError> {
    let mut window = stage.window(&key)?.unwrap_or_default();
    window.count += 1;
    let count = window.count;
    stage.put_window(key.clone(), Some(window))?;
    if !count.is_multiple_of(n) {
        return Ok((Code::Noted, Some(format!("{} of {n}", count % n).into()), None));
    }
    let made = Made {
        kind: "trigger.nth",
        id: format!("{}/{}/{}", key.what, event.source, event.id),
        at: stage.now,
        lineage: event.lineage.clone(),
    };
    let data = Value::from([("count", Value::Int(count as i64)), ("last", event_value(event))]);
    Ok(fire(stage, bundle, &key, made, data)?)
}
