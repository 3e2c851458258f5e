//! Why workflows did or did not react to an event, told when somebody wants to know: what the index of the
//! rules ruled out, and what each clause of the conditions comes to.
//!
//! By the rules in force and the records as they are then, which may have changed since; what was decided
//! when the event came is in its verdicts.

use crate::model::{Code, Event, Explained, StoredEvent, Tested, Text, Verdict, limits};
use crate::rules::{Mode, RuleSet, Workflow};
use crate::script::{EvalError, Host, NoRecords, Scope, Shared, Test};

use super::World;
use super::reads::Reads;
use super::scope::event_value;
use super::stage::Stage;
use super::start::{clipped, start_vars, unmatched};

/// Workflows that were not asked about an event: the first [`limits::VERDICTS`] in order of name with
/// what each would have said, and how many more there are. With `only`, at most that one.
#[must_use]
pub fn ruled_out(
    rules: &RuleSet,
    stored: &StoredEvent,
    only: Option<&str>,
) -> (Vec<Verdict>, usize) {
    let event = &*stored.event;
    let value = Shared::new(event_value(event));
    let mut scope = Scope::new(event.accepted);
    scope.share("event", &value);
    let mut found = rules
        .ruled_out(&event.kind, value.value())
        .filter(|bundle| only.is_none_or(|only| *bundle.name == *only))
        // The rules were others then: it was asked, and what it said is kept.
        .filter(|bundle| stored.verdicts.iter().all(|verdict| verdict.workflow != bundle.name));
    let verdicts = found.by_ref().take(limits::VERDICTS).map(|bundle| {
        let (code, text) = said(&bundle.main, event, &mut scope)
            .unwrap_or_else(|error| (Code::Error, clipped(&error.to_string())));
        Verdict { workflow: bundle.name.clone(), code, detail: Some(text) }
    });
    let verdicts = verdicts.collect();
    (verdicts, found.count())
}

/// What a workflow says to an event that does not start it.
fn said(workflow: &Workflow, event: &Event, scope: &mut Scope) -> Result<(Code, Text), EvalError> {
    if let Some(why) = unmatched(&NoRecords, workflow, event, scope)? {
        return Ok(why);
    }
    start_vars(&NoRecords, workflow, scope)?;
    let held = match &workflow.condition {
        Some(condition) => condition.test(scope, &NoRecords)?,
        None => Test::True,
    };
    match held {
        Test::False(text) => Ok((Code::If, text)),
        Test::True => Err(EvalError::Failed("it would take the event".into())),
    }
}

/// What each clause of every workflow comes to that listens to events of this type: the first
/// [`limits::VERDICTS`] in order of name. With `only`, at most that one.
#[must_use]
pub fn explained(world: &World<'_>, stored: &StoredEvent, only: Option<&str>) -> Vec<Explained> {
    let event = &*stored.event;
    let value = Shared::new(event_value(event));
    let stage = Stage::new(world);
    let host = Reads(&stage);
    let rules = world.rules;
    let asked = rules.candidates(&event.kind, value.value(), None, usize::MAX);
    let mut bundles: Vec<_> = asked.chain(rules.ruled_out(&event.kind, value.value())).collect();
    bundles.sort_by(|a, b| a.name.cmp(&b.name));
    bundles
        .into_iter()
        .filter(|bundle| only.is_none_or(|only| *bundle.name == *only))
        .take(limits::VERDICTS)
        .map(|bundle| {
            let mut scope = Scope::new(event.accepted);
            scope.share("event", &value);
            let verdict = stored.verdicts.iter().find(|one| one.workflow == bundle.name).cloned();
            let (clauses, key) = told(&host, &bundle.main, event, &mut scope);
            Explained { workflow: bundle.name.clone(), verdict, clauses, key }
        })
        .collect()
}

/// The clauses of a workflow's triggers for an event and of its `if`, and its key.
fn told(
    host: &dyn Host,
    workflow: &Workflow,
    event: &Event,
    scope: &mut Scope,
) -> (Vec<Tested>, Option<(Text, Text)>) {
    let mut clauses = Vec::new();
    for (at, trigger) in workflow.triggers.iter().enumerate() {
        let filter = &trigger.filter;
        if !filter.patterns.iter().any(|pattern| pattern.matches(&event.kind)) {
            continue;
        }
        if let Some(condition) = &filter.condition {
            clauses.extend(condition.told(&format!("triggers[{at}].where"), scope, host));
        }
    }
    let failed = |place: &str, error: &EvalError| Tested {
        place: place.into(),
        clause: "".into(),
        held: None,
        operands: Vec::new(),
        error: Some(clipped(&error.to_string())),
    };
    match start_vars(host, workflow, scope) {
        Ok(_) => {
            let decides = workflow.condition.iter();
            clauses.extend(decides.flat_map(|condition| condition.told("if", scope, host)));
        }
        Err(error) => clauses.push(failed("vars", &error)),
    }
    let key = workflow.key.as_ref().and_then(|key| match key.eval(scope, host) {
        Ok(value) => Some((clipped(&value.to_string()), mode(workflow.mode).into())),
        Err(error) => {
            clauses.push(failed("key", &error));
            None
        }
    });
    (clauses, key)
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Parallel => "parallel",
        Mode::Single => "single",
        Mode::Restart => "restart",
        Mode::Queued => "queued",
    }
}
