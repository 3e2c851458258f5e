//! `wait_for`: a run listens for an event, looks back for one that came already, and takes it.

use std::sync::Arc;

use crate::model::{
    Arm, ArmRole, ArmSubject, Code, Digest, Event, EventNo, Map, Pattern, Run, Text, Trace, Value,
    Verdict, Wait, limits,
};
use crate::rules::{Filter, Step};
use crate::script::{Shape, Test};

use super::advance::{Cursor, Flow, trace};
use super::reads::Reads;
use super::records;
use super::scope;
use super::stage::Stage;
use super::start::{Fault, arm_subject, clipped};
use super::steps::eval;
use super::time;

/// Begins a wait, or passes at once when what it waits for came since the run began.
pub(super) fn arm(
    stage: &mut Stage<'_>,
    cursor: &mut Cursor,
    step: &Step,
    (filter, timeout): (&Filter, &Shape),
) -> Result<Flow, Fault> {
    let limit = eval(stage, cursor, timeout)?;
    let until = time::end_of(stage, &limit, step.hours.as_deref())?;
    let subject = arm_subject(stage, filter, &cursor.run, &cursor.scope)?;
    if subject == ArmSubject::Any {
        check_any(stage, filter)?;
    }
    let key = filter_key(filter, &subject);
    if let Some(event) = look_back(stage, &cursor.run, &cursor.event.event, filter, &subject)? {
        note_taken(&mut cursor.run, key, event.no);
        trace(stage, &mut cursor.run, Trace::Woken(event.no));
        return Ok(Flow::Done(met(&event), "it had come already".into()));
    }
    let what = description(&filter.patterns, &subject);
    trace(stage, &mut cursor.run, Trace::Waiting(what, Some(until)));
    cursor.run.arms.push(Arm { role: ArmRole::Wait, patterns: filter.patterns.clone(), subject });
    cursor.run.wait = Wait::Event(until);
    Ok(Flow::Wait)
}

/// Waits with `subject: any` cost every event of their type, so there may be only so many.
fn check_any(stage: &Stage<'_>, filter: &Filter) -> Result<(), Fault> {
    for pattern in &filter.patterns {
        let waiters = stage.view().waiters(
            pattern,
            &ArmSubject::Any,
            crate::model::RunNo(0),
            limits::ANY_WAITERS,
        );
        if waiters.len() >= limits::ANY_WAITERS {
            let message = format!(
                "{} runs wait for `{pattern}` with `subject: any` already",
                limits::ANY_WAITERS
            );
            return Err(crate::model::Cause::new("any", message).into());
        }
    }
    Ok(())
}

/// Tells equal waits: the same types, the same subject.
pub(super) fn filter_key(filter: &Filter, subject: &ArmSubject) -> u64 {
    arm_key(&filter.patterns, subject)
}

/// [`filter_key`] of what is armed already.
pub(super) fn arm_key(patterns: &[Pattern], subject: &ArmSubject) -> u64 {
    Digest::of(&[description(patterns, subject).as_bytes()]).short()
}

/// `lead.accepted of lead/42`
fn description(patterns: &[Pattern], subject: &ArmSubject) -> Text {
    let types: Vec<String> = patterns.iter().map(ToString::to_string).collect();
    let whose = match subject {
        ArmSubject::Is(subject) => format!(" of {subject}"),
        ArmSubject::None => " without a subject".to_owned(),
        ArmSubject::Any => " of anything".to_owned(),
    };
    format!("{}{whose}", types.join(" or ")).into()
}

pub(super) fn note_taken(run: &mut Run, key: u64, event: EventNo) {
    match run.taken.iter_mut().find(|(known, _)| *known == key) {
        Some((_, last)) => *last = event,
        None => run.taken.push((key, event)),
    }
}

/// Whether a wait of this run took the event.
pub(super) fn is_taken(run: &Run, event: EventNo) -> bool {
    run.taken.iter().any(|(_, taken)| *taken == event)
}

/// An event that came before the wait was armed: since the run's root trigger, or since the last
/// one that this run took at an equal wait. Waits for anybody's events do not look back.
///
/// One that the filter fails on is passed over, and its verdict says so: as when it comes while the run waits.
pub(super) fn look_back(
    stage: &mut Stage<'_>,
    run: &Run,
    trigger: &Event,
    filter: &Filter,
    subject: &ArmSubject,
) -> Result<Option<Arc<Event>>, Fault> {
    let ArmSubject::Is(about) = subject else { return Ok(None) };
    let key = filter_key(filter, subject);
    let taken = run.taken.iter().find(|(known, _)| *known == key).map(|(_, no)| *no);
    let after = taken.map_or(run.look_back, |no| no.max(run.look_back));
    for no in stage.events_about(about, after, limits::LOOK_BACK) {
        // An event that another wait of this run took is used up.
        if is_taken(run, no) {
            continue;
        }
        let Some(stored) = stage.stored_event(no)? else { continue };
        let event = stored.event.clone();
        drop(stored);
        let wanted = event.subject.as_deref() == Some(&**about)
            && filter.patterns.iter().any(|pattern| pattern.matches(&event.kind));
        if !wanted {
            continue;
        }
        match holds(stage, run, trigger, filter, &event) {
            Ok(true) => return Ok(Some(event)),
            Ok(false) => {}
            Err(Fault::Cause(cause)) => {
                let (workflow, detail) = (run.workflow.clone(), Some(clipped(&cause.message)));
                stage.note(no, Verdict { workflow, code: Code::Error, detail }, None)?;
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(None)
}

/// Whether a candidate passes a filter's `where` in the scope of a run.
pub(super) fn holds(
    stage: &Stage<'_>,
    run: &Run,
    trigger: &Event,
    filter: &Filter,
    candidate: &Event,
) -> Result<bool, Fault> {
    if let Some(condition) = &filter.condition {
        let scope = scope::of_filter(run, trigger, candidate, stage.now);
        if condition.test(&scope, &Reads(stage))? != Test::True {
            return Ok(false);
        }
    }
    Ok(records::becomes(&Reads(stage), filter, candidate)? == Test::True)
}

/// The result of a wait that an event ended.
pub(super) fn met(event: &Event) -> Value {
    Value::from([("event", scope::event_value(event)), ("timed_out", Value::Bool(false))])
}

/// The result of a wait whose time was up.
pub(super) fn timed_out() -> Value {
    let mut map = Map::new();
    map.insert("event".into(), Value::Null);
    map.insert("timed_out".into(), Value::Bool(true));
    Value::Map(map)
}
