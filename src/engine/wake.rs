//! An event wakes the runs that listen for it: exits end them, waits pass, escalations are resolved.

use std::collections::BTreeSet;

use crate::model::{
    ArmRole, ArmSubject, Cause, Code, Event, EventNo, Pattern, ReadError, Run, RunNo, Status, Task,
    Trace, Verdict,
};
use crate::rules::{Action, Filter};

use super::advance::{locate, trace};
use super::effects;
use super::finish::{self, Ending};
use super::stage::Stage;
use super::start::{Fault, clipped};
use super::{ladder, timer, waits};

/// Runs looked at in one task; the rest goes on from the next.
const RUNS_PER_TASK: usize = 32;

/// Offers an event to the runs after `after` that listen for its type and subject.
pub(super) fn wake(stage: &mut Stage<'_>, no: EventNo, after: RunNo) -> Result<(), ReadError> {
    let Some(stored) = stage.stored_event(no)? else { return Ok(()) };
    let own = match &stored.event.subject {
        Some(subject) => ArmSubject::Is(subject.clone()),
        None => ArmSubject::None,
    };
    let mut found = BTreeSet::new();
    for pattern in Pattern::all_for(&stored.event.kind) {
        for subject in [&own, &ArmSubject::Any] {
            found.extend(stage.view().waiters(&pattern, subject, after, RUNS_PER_TASK + 1));
        }
    }
    // Runs that began or moved on in this decision are not in the view's indexes yet.
    found.extend(stage.staged_listeners(&stored.event, after));
    if found.is_empty() {
        return Ok(());
    }
    let event = stored.event.clone();
    drop(stored);
    for (done, run) in found.into_iter().enumerate() {
        if done == RUNS_PER_TASK {
            // Numbers are in order, so everything below this one has been offered the event.
            stage.push(Task::Wake { event: no, after: RunNo(run.0 - 1) });
            return Ok(());
        }
        offer(stage, run, &event)?;
    }
    Ok(())
}

/// Offers an event to one run.
fn offer(stage: &mut Stage<'_>, no: RunNo, event: &Event) -> Result<(), ReadError> {
    // Before an input reaches a run, what fell due there is done.
    if stage.run(no)?.is_some_and(|run| run.due().is_some_and(|due| due <= stage.now)) {
        timer::due(stage, no)?;
    }
    let Some(run) = stage.take(no)? else { return Ok(()) };
    // What began a run, or came before that, is nothing it waits for.
    if !run.status.is_alive() || event.no <= run.look_back {
        stage.put_unchanged(run);
        return Ok(());
    }
    let workflow = run.workflow.clone();
    let (code, detail) = match respond(stage, run, event) {
        Ok(Some(code)) => (code, None),
        Ok(None) => return Ok(()),
        Err(Fault::Read(error)) => return Err(error),
        Err(Fault::Cause(cause)) => (Code::Error, Some(clipped(&cause.message))),
    };
    stage.note(event.no, Verdict { workflow, code, detail }, None)
}

/// What a run does with an event. The run is given back in any case.
fn respond(stage: &mut Stage<'_>, run: Run, event: &Event) -> Result<Option<Code>, Fault> {
    let role = match matching(stage, &run, event) {
        Ok(role) => role,
        Err(fault) => {
            stage.put_unchanged(run);
            return Err(fault);
        }
    };
    let Some(role) = role else {
        stage.put_unchanged(run);
        return Ok(None);
    };
    match role {
        ArmRole::Exit(_) => {
            let cause = Cause::new("exit", format!("{} (event {}) ended it", event.kind, event.no));
            finish::close(stage, run, Ending { status: Status::Done, cause, result: None })?;
            Ok(Some(Code::Exited))
        }
        ArmRole::Resolve => {
            ladder::resolved(stage, run, Some(event), None)?;
            Ok(Some(Code::Resolved))
        }
        ArmRole::Wait => {
            pass(stage, run, event)?;
            Ok(Some(Code::Woke))
        }
    }
}

/// The first arm of a run that takes the event; exits come before the wait.
fn matching(stage: &Stage<'_>, run: &Run, event: &Event) -> Result<Option<ArmRole>, Fault> {
    let trigger = stage.event(run.event)?;
    for arm in &run.arms {
        // Taken already, by a wait before this one.
        let used_up = !matches!(arm.role, ArmRole::Exit(_)) && waits::is_taken(run, event.no);
        if used_up
            || !arm.subject.takes(event)
            || !arm.patterns.iter().any(|pattern| pattern.matches(&event.kind))
        {
            continue;
        }
        let holds = with_filter(stage, run, arm.role, |owner, filter| {
            waits::holds(stage, owner, &trigger.event, filter, event)
        })?;
        if holds {
            return Ok(Some(arm.role));
        }
    }
    Ok(None)
}

/// Looks at the filter behind an arm, with the run in whose scope it is written: an escalation's
/// `resolve` stands at its caller's step.
fn with_filter(
    stage: &Stage<'_>,
    run: &Run,
    role: ArmRole,
    look: impl FnOnce(&Run, &Filter) -> Result<bool, Fault>,
) -> Result<bool, Fault> {
    if role == ArmRole::Resolve {
        let Some(parent) = &run.parent else { return Ok(false) };
        let Some(caller) = stage.run(parent.run)? else { return Ok(false) };
        let Some((_, workflow)) = locate(stage, &caller) else { return Ok(false) };
        return match workflow.steps.get(parent.pc as usize).map(|step| &step.action) {
            Some(Action::Escalate(escalate)) => match &escalate.resolve {
                Some(filter) => look(&caller, filter),
                None => Ok(false),
            },
            _ => Ok(false),
        };
    }
    let Some((_, workflow)) = locate(stage, run) else { return Ok(false) };
    let filter = match role {
        ArmRole::Exit(index) => workflow.exit.get(usize::from(index)),
        _ => match workflow.steps.get(run.pc as usize).map(|step| &step.action) {
            Some(Action::WaitFor { filter, .. }) => Some(filter),
            _ => None,
        },
    };
    filter.map_or(Ok(false), |filter| look(run, filter))
}

/// A `wait_for` takes the event and the run goes on.
fn pass(stage: &mut Stage<'_>, mut run: Run, event: &Event) -> Result<(), ReadError> {
    let Some((_, workflow)) = locate(stage, &run) else {
        stage.put_unchanged(run);
        return Ok(());
    };
    let Some(step) = workflow.steps.get(run.pc as usize) else {
        stage.put_unchanged(run);
        return Ok(());
    };
    let keys: Vec<u64> = match &step.action {
        Action::WaitFor { filter, .. } => run
            .arms
            .iter()
            .filter(|arm| arm.role == ArmRole::Wait)
            .map(|arm| waits::filter_key(filter, &arm.subject))
            .collect(),
        _ => Vec::new(),
    };
    for key in keys {
        waits::note_taken(&mut run, key, event.no);
    }
    run.arms.retain(|arm| arm.role != ArmRole::Wait);
    trace(stage, &mut run, Trace::Woken(event.no));
    effects::settle(stage, run, step, waits::met(event))
}
