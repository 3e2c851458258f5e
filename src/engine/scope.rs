//! What expressions of a run see.

use std::sync::Arc;

use crate::model::{Cause, Event, Map, Run, Value};
use crate::script::{Scope, Shared};

/// An event as expressions see it: its attributes, extensions beside them, and `data`.
#[must_use]
pub fn event_value(event: &Event) -> Value {
    let mut map = event.extensions.clone();
    map.insert("id".into(), Value::Text(event.id.clone()));
    map.insert("source".into(), Value::Text(event.source.clone()));
    map.insert("type".into(), Value::Text(event.kind.clone()));
    map.insert("subject".into(), event.subject.clone().map_or(Value::Null, Value::Text));
    map.insert("time".into(), Value::Instant(event.time));
    map.insert("data".into(), event.data.clone());
    Value::Map(map)
}

/// The scope of a run's steps. `event` is what began the run, and so is `trigger`.
pub(super) fn of_run(run: &Run, event: &Shared, now: crate::model::Instant) -> Scope {
    let mut scope = Scope::new(now);
    scope.share("event", event);
    scope.share("trigger", event);
    scope.set("args", &run.args);
    for (name, value) in run.branch.iter().flat_map(|branch| &branch.names) {
        scope.set(name.to_string(), value);
    }
    set_vars(&mut scope, run);
    set_steps(&mut scope, run);
    set_error(&mut scope, run.error.as_ref());
    scope
}

/// The scope of a filter in a running workflow: `event` is the candidate, `trigger` the run's own.
pub(super) fn of_filter(
    run: &Run,
    trigger: &Event,
    candidate: &Event,
    now: crate::model::Instant,
) -> Scope {
    let mut scope = of_run(run, &Shared::new(event_value(trigger)), now);
    scope.set("event", &event_value(candidate));
    scope
}

pub(super) fn set_vars(scope: &mut Scope, run: &Run) {
    scope.set("vars", &Value::Map(run.vars.clone()));
}

pub(super) fn set_steps(scope: &mut Scope, run: &Run) {
    scope.set("steps", &Value::Map(run.steps.clone()));
}

pub(super) fn set_error(scope: &mut Scope, error: Option<&Cause>) {
    scope.set("error", &error.map_or(Value::Null, Cause::to_value));
}

/// The scope as data for templates, frozen while the run waits for its effect.
pub(super) fn for_templates(run: &Run, event: &Event) -> Arc<Map> {
    let mut map = Map::new();
    map.insert("trigger".into(), event_value(event));
    map.insert("vars".into(), Value::Map(run.vars.clone()));
    map.insert("steps".into(), Value::Map(run.steps.clone()));
    map.insert("args".into(), run.args.clone());
    map.insert("run".into(), Value::text(run.id().to_string()));
    if let Some(branch) = &run.branch {
        map.extend(branch.names.clone());
    }
    if let Some(error) = &run.error {
        map.insert("error".into(), error.to_value());
    }
    if let Some(ladder) = &run.ladder {
        map.insert("level".into(), Value::Int(i64::from(ladder.level)));
        map.insert("summary".into(), Value::Text(ladder.summary.clone()));
        map.insert("severity".into(), ladder.severity.clone().map_or(Value::Null, Value::Text));
    }
    Arc::new(map)
}
