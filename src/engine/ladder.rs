//! Escalations: a ladder is a run of its policy, a child of the run that raised it.
//!
//! Each level's delay counts from the level before. An acknowledgement stops the ladder; where the
//! policy says `unresolved`, it goes on with the next level when nothing was resolved by then. What
//! resolves it ends it, and its caller goes on.

use crate::model::{
    Arm, ArmRole, Cause, Digest, Duration, Event, Instant, Ladder, Map, ReadError, Run, RunNo,
    Status, Task, Text, Trace, Value, Wait,
};
use crate::rules::{Action, EscalateStep, LadderPolicy, Step};

use super::advance::{Cursor, Flow, locate, trace};
use super::alert;
use super::approval;
use super::finish::{self, Ending};
use super::obligations::{self, Promise};
use super::records::Changer;
use super::scope;
use super::stage::Stage;
use super::start::{Entry, Fault, Seed, arm_subject, begin};
use super::steps::{Await, called, child_hash, deadline, eval, parent_of};
use super::time;
use super::waits;

/// `escalate:` starts the latest version of its policy as a child run.
pub(super) fn raise(
    stage: &mut Stage<'_>,
    cursor: &mut Cursor,
    step: &Step,
    escalate: &EscalateStep,
) -> Result<Flow, Fault> {
    if cursor.run.shadow {
        return Ok(Flow::Would(result(None, None), "nobody is told".into()));
    }
    let bundle = stage.rules.policies.get(&escalate.policy).cloned().ok_or_else(|| {
        Cause::new("policy", format!("there is no escalation `{}` any more", escalate.policy))
    })?;
    let args = eval(stage, cursor, &escalate.args)?;
    let summary = match &escalate.summary {
        Some(shape) => text(&eval(stage, cursor, shape)?),
        None => format!("{} of {}", escalate.policy, cursor.run.workflow).into(),
    };
    let severity = match &escalate.severity {
        Some(shape) => Some(text(&eval(stage, cursor, shape)?)),
        None => None,
    };
    let mut arm = None;
    if let Some(filter) = &escalate.resolve {
        let subject = arm_subject(stage, filter, &cursor.run, &cursor.scope)?;
        let event = &cursor.event.event;
        if let Some(event) = waits::look_back(stage, &cursor.run, event, filter, &subject)? {
            trace(stage, &mut cursor.run, Trace::Woken(event.no));
            let key = waits::filter_key(filter, &subject);
            waits::note_taken(&mut cursor.run, key, event.no);
            return Ok(Flow::Done(result(Some(&event), None), "resolved already".into()));
        }
        arm = Some(Arm { role: ArmRole::Resolve, patterns: filter.patterns.clone(), subject });
    }
    let seed = Seed {
        bundle: &bundle,
        workflow: &bundle.main,
        event: &cursor.event.event,
        hash: child_hash(cursor, &escalate.policy),
        parent: Some(parent_of(cursor)?),
        args,
        vars: Map::new(),
        key: None,
        depth: cursor.run.depth,
        lineage: cursor.run.lineage.clone(),
        look_back: cursor.run.look_back,
        taken: cursor.run.taken.clone(),
        shadow: cursor.run.shadow,
    };
    let until = deadline(stage, step)?;
    let child = begin(stage, seed, Entry::Go)?;
    if let Some(mut run) = stage.take(child)? {
        run.ladder =
            Some(Ladder { summary, severity, level: 0, reached: stage.now, acknowledged: None });
        run.arms.extend(arm);
        stage.put(run);
    }
    let wait = if escalate.wait { Await::Until(until) } else { Await::Not };
    Ok(called(stage, cursor, child, wait))
}

/// What a ladder is raised with that no step raises.
pub(super) struct Alarm<'a> {
    pub(super) policy: &'a str,
    /// What it is about; its subject is that of the ladder.
    pub(super) event: &'a Event,
    /// Tells it from any other.
    pub(super) hash: Digest,
    pub(super) args: Value,
    pub(super) summary: Text,
}

/// Raises the latest version of a policy for itself: who raised it resolves it. `None` when there is no such
/// policy any more.
pub(super) fn alone(stage: &mut Stage<'_>, alarm: Alarm<'_>) -> Result<Option<RunNo>, Fault> {
    let Some(bundle) = stage.rules.policies.get(alarm.policy).cloned() else { return Ok(None) };
    let seed = Seed {
        bundle: &bundle,
        workflow: &bundle.main,
        event: alarm.event,
        hash: alarm.hash,
        parent: None,
        args: alarm.args,
        vars: Map::new(),
        key: None,
        depth: alarm.event.lineage.depth,
        lineage: alarm.event.lineage.workflows.clone(),
        look_back: alarm.event.no,
        taken: Vec::new(),
        shadow: false,
    };
    let no = begin(stage, seed, Entry::Go)?;
    if let Some(mut run) = stage.take(no)? {
        let (summary, reached) = (alarm.summary, stage.now);
        run.ladder =
            Some(Ladder { summary, severity: None, level: 0, reached, acknowledged: None });
        stage.put(run);
    }
    Ok(Some(no))
}

/// What a ladder is about is over: it ends, if it has not ended.
pub(super) fn over(stage: &mut Stage<'_>, no: RunNo, why: &Text) -> Result<(), ReadError> {
    let Some(run) = stage.take(no)? else { return Ok(()) };
    if !run.status.is_alive() || run.ladder.is_none() {
        stage.put_unchanged(run);
        return Ok(());
    }
    resolved(stage, run, None, Some(why))
}

fn text(value: &Value) -> Text {
    value.to_string().into()
}

/// What the caller of an escalation gets.
fn result(event: Option<&Event>, ladder: Option<&Ladder>) -> Value {
    let acknowledged = ladder.and_then(|ladder| ladder.acknowledged.as_ref());
    Value::from([
        ("event", event.map_or(Value::Null, scope::event_value)),
        ("level", Value::Int(ladder.map_or(0, |ladder| i64::from(ladder.level)))),
        ("acknowledged_by", acknowledged.map_or(Value::Null, |(by, _)| Value::Text(by.clone()))),
    ])
}

/// The run reached a level: it waits until the level's time has come.
pub(super) fn level(
    stage: &mut Stage<'_>,
    cursor: &mut Cursor,
    step: &Step,
    after: Duration,
) -> Result<Flow, Fault> {
    let policy = cursor.workflow.ladder.clone();
    let at = match acknowledged_until(stage, &cursor.run, policy.as_ref())? {
        Some(at) => at,
        None => {
            // From the level before, not from when its mails were through: a relay that is down
            // must not hold the ladder up.
            let reached = cursor.run.ladder.as_ref().map_or(stage.now, |ladder| ladder.reached);
            time::end_from(stage, reached, after, step.hours.as_deref())?
        }
    };
    trace(stage, &mut cursor.run, Trace::Waiting("the next level".into(), Some(at)));
    cursor.run.wait = Wait::Until(at);
    Ok(Flow::Wait)
}

/// Until when an acknowledgement holds the ladder; `None` when there is none.
fn acknowledged_until(
    stage: &Stage<'_>,
    run: &Run,
    policy: Option<&LadderPolicy>,
) -> Result<Option<Instant>, Cause> {
    let acknowledged = run.ladder.as_ref().and_then(|ladder| ladder.acknowledged.as_ref());
    let Some((_, at)) = acknowledged else { return Ok(None) };
    match policy.and_then(|policy| policy.unresolved.map(|span| (span, policy.hours.as_deref()))) {
        Some((unresolved, hours)) => time::end_from(stage, *at, unresolved, hours).map(Some),
        None => Ok(Some(Instant::MAX)),
    }
}

/// A level's time has come: its mails go out.
pub(super) fn level_due(stage: &mut Stage<'_>, mut run: Run, step: &Step) -> Result<(), ReadError> {
    if let Some(ladder) = &mut run.ladder {
        ladder.level += 1;
        ladder.reached = stage.now;
        ladder.acknowledged = None;
        let level = ladder.level;
        trace(stage, &mut run, Trace::Level(level));
    }
    run.pc = step.next;
    run.wait = Wait::Ready;
    stage.push(Task::Advance { run: run.no });
    stage.put(run);
    Ok(())
}

/// Whoever acknowledges promises to see to it before the ladder goes on, if it does: that is in the registry until
/// the escalation is over, or somebody else acknowledges. A name that is nobody's is kept with the escalation alone.
fn promised(stage: &mut Stage<'_>, run: &Run, until: Instant) -> Result<(), ReadError> {
    let Some((ladder, (by, _))) =
        run.ladder.as_ref().and_then(|ladder| Some((ladder, ladder.acknowledged.as_ref()?)))
    else {
        return Ok(());
    };
    let Some(owner) = approval::person(stage, by)?.filter(|_| until < Instant::MAX) else {
        return Ok(());
    };
    let about = run.subject.as_deref().unwrap_or_default();
    let promise = Promise { owner: &owner, due: until, title: &ladder.summary, about };
    obligations::keep(stage, &Changer::Run(run), &promise_id(run), Some(&promise))
}

/// Nobody has to see to it any more: it is over.
pub(super) fn forgiven(stage: &mut Stage<'_>, run: &Run) -> Result<(), ReadError> {
    if run.ladder.is_none() {
        return Ok(());
    }
    obligations::keep(stage, &Changer::Run(run), &promise_id(run), None)
}

fn promise_id(run: &Run) -> String {
    // Not by its number: the same escalation has the same promise wherever it is replayed.
    format!("escalation-{:016x}", run.hash.short())
}

/// All levels are done: only a resolution, or the end of its life, ends it.
pub(super) fn summit(stage: &mut Stage<'_>, cursor: &mut Cursor) -> Flow {
    trace(stage, &mut cursor.run, Trace::Waiting("a resolution".into(), None));
    cursor.run.wait = Wait::Until(Instant::MAX);
    Flow::Wait
}

/// Somebody acknowledged an escalation taken from the stage.
pub(super) fn acknowledge(stage: &mut Stage<'_>, mut run: Run, by: &Text) -> Result<(), ReadError> {
    let Some(ladder) = &mut run.ladder else {
        stage.put_unchanged(run);
        return Ok(());
    };
    ladder.acknowledged = Some((by.clone(), stage.now));
    let level = ladder.level;
    trace(stage, &mut run, Trace::Acknowledged(by.clone()));
    // Only a ladder that waits for its next level is stopped; a level's own steps go on.
    if let (Wait::Until(_), Some((_, workflow))) = (&run.wait, locate(stage, &run)) {
        match workflow.steps.get(run.pc as usize).map(|step| &step.action) {
            Some(Action::Level { .. }) => {
                // A calendar that is gone holds the ladder: somebody is on it.
                let until = acknowledged_until(stage, &run, workflow.ladder.as_ref());
                let until = until.ok().flatten().unwrap_or(Instant::MAX);
                run.wait = Wait::Until(until);
                promised(stage, &run, until)?;
            }
            Some(Action::Summit) => run.wait = Wait::Until(Instant::MAX),
            _ => {}
        }
    }
    let data =
        Value::from([("by", Value::Text(by.clone())), ("level", Value::Int(i64::from(level)))]);
    alert::raise(stage, &run, "escalation.acknowledged", data);
    stage.put(run);
    Ok(())
}

/// An escalation taken from the stage is resolved, by an event or by a person.
pub(super) fn resolved(
    stage: &mut Stage<'_>,
    mut run: Run,
    event: Option<&Event>,
    by: Option<&Text>,
) -> Result<(), ReadError> {
    let why: Text = match (event, by) {
        (Some(event), _) => format!("{} (event {}) resolved it", event.kind, event.no).into(),
        (None, Some(by)) => format!("{by} resolved it").into(),
        (None, None) => "it was resolved".into(),
    };
    trace(stage, &mut run, Trace::Resolved(why.clone()));
    let result = result(event, run.ladder.as_ref());
    if let Some(event) = event {
        used_up(stage, &run, event)?;
    }
    let level = run.ladder.as_ref().map_or(0, |ladder| i64::from(ladder.level));
    let data = Value::from([
        ("level", Value::Int(level)),
        ("by", by.map_or(Value::Null, |by| Value::Text(by.clone()))),
    ]);
    alert::raise(stage, &run, "escalation.resolved", data);
    let cause = Cause::new("resolved", why);
    finish::close(stage, run, Ending { status: Status::Done, cause, result: Some(result) })
}

/// The event that resolved an escalation is taken by the run that raised it: a later wait, or
/// another escalation, does not look back at it.
fn used_up(stage: &mut Stage<'_>, run: &Run, event: &Event) -> Result<(), ReadError> {
    let Some(parent) = &run.parent else { return Ok(()) };
    let Some(mut caller) = stage.take(parent.run)? else { return Ok(()) };
    if caller.status.is_alive() {
        for arm in run.arms.iter().filter(|arm| arm.role == ArmRole::Resolve) {
            waits::note_taken(&mut caller, waits::arm_key(&arm.patterns, &arm.subject), event.no);
        }
    }
    stage.put_unchanged(caller);
    Ok(())
}
