//! Why workflows were not asked about an event: what the index of the rules ruled out, told when
//! somebody wants to know.
//!
//! What decides there is the event alone, so it is told at any time without reading the state; but by
//! the rules in force, which may have changed since.

use crate::model::{Code, Event, StoredEvent, Text, Verdict, limits};
use crate::rules::{RuleSet, Workflow};
use crate::script::{EvalError, NoRecords, Scope, Shared, Test};

use super::scope::event_value;
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
