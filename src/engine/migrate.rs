//! A waiting run moves to the version of its workflow that is in force.
//!
//! It goes on where it stands: the step it waits at must be in the new version, found by its id or else by its
//! place in the file. What it waits for and until when stays as it is, but for the filters of events, which are
//! those of the new version. Its next effects and children have new keys: a step's number is part of a key, and
//! the same number may stand for another step now.

use crate::model::{
    ActionKind, Arm, ArmRole, Cause, EffectState, ReadError, Refusal, Reply, Run, RunNo, Status,
    Text, Trace, Value, Wait,
};
use crate::rules::{Action, Bundle, Pc, Step, Workflow};

use super::advance::{locate, trace};
use super::scope;
use super::stage::Stage;
use super::start::{Fault, arm_exits, arm_subject, pin};

/// Moves a run, or with `dry_run` says whether it would.
pub(super) fn migrate(
    stage: &mut Stage<'_>,
    run: Run,
    dry_run: bool,
    by: &Text,
) -> Result<Reply, ReadError> {
    let id = run.id();
    let stays = |why: &str| {
        Ok(Reply::Refused(Refusal::State(format!("run {id} stays with its version: {why}"))))
    };
    let (target, step) = match target(stage, &run) {
        Ok(found) => found,
        Err(why) => {
            stage.put_unchanged(run);
            return stays(&why);
        }
    };
    let path = target.main.steps.get(step as usize).map(|step| step.path.clone());
    let path = path.unwrap_or_default();
    let mut moved = run.clone();
    let children = match go(stage, &mut moved, &target, step) {
        Ok(children) => children,
        Err(Fault::Read(error)) => return Err(error),
        Err(Fault::Cause(cause)) => {
            stage.put_unchanged(run);
            return stays(&cause.message);
        }
    };
    let reply = Value::from([
        ("run", Value::Int(run.no.0 as i64)),
        ("status", Value::from(if dry_run { "would move" } else { "moved" })),
        ("from", Value::from(run.bundle.to_string())),
        ("to", Value::from(target.id.to_string())),
        ("step", Value::Text(path.clone())),
    ]);
    if dry_run {
        stage.put_unchanged(run);
        return Ok(Reply::Done(reply));
    }
    trace(stage, &mut moved, Trace::Moved(run.bundle));
    let said = format!("{by} moved it to another version, to {path}");
    trace(stage, &mut moved, Trace::Operator(said.into()));
    for (child, step) in children {
        if let Some(mut child) = stage.take(child)? {
            if let Some(parent) = &mut child.parent {
                parent.pc = step;
            }
            stage.put(child);
        }
    }
    pin(stage, &target)?;
    stage.put(moved);
    Ok(Reply::Done(reply))
}

/// The version in force and the step of it at which a run would go on, or why it cannot.
fn target(stage: &Stage<'_>, run: &Run) -> Result<(std::sync::Arc<Bundle>, Pc), String> {
    if !run.status.is_alive() {
        return Err(format!("it is over, {}", run.status.as_str()));
    }
    if run.branch.is_some() {
        return Err("it is one of many beside each other".to_owned());
    }
    if run.failing.is_some() {
        return Err("it has failed, and does what its workflow says for that".to_owned());
    }
    if let (Some(parent), None) = (&run.parent, &run.ladder) {
        return Err(format!(
            "run {} called it: it ends with the version it began with",
            parent.run
        ));
    }
    match &run.wait {
        Wait::Join(_) => return Err("those it began beside each other are under way".to_owned()),
        Wait::Effect(effect) if matches!(effect.state, EffectState::Started { .. }) => {
            return Err(
                "an attempt of an effect is under way: try again when it has ended".to_owned()
            );
        }
        // Its template would be another one under a key that may be known already.
        Wait::Effect(effect)
            if effect.attempts > 0
                && effect.action == ActionKind::Email
                && effect.params.get("template").is_some_and(|name| !name.is_null()) =>
        {
            return Err(
                "a mail of it was tried, and is to stay as it is: wait for its end".to_owned()
            );
        }
        Wait::Ready | Wait::Over => return Err("it is about to go on: try again".to_owned()),
        _ => {}
    }
    let rules = stage.rules;
    let of = if run.ladder.is_some() { &rules.policies } else { &rules.workflows };
    let Some(target) = of.get(&run.workflow) else {
        return Err(format!("`{}` is not among the rules in force", run.workflow));
    };
    if target.id == run.bundle {
        return Err("it has the version in force already".to_owned());
    }
    let new = &target.main;
    let missing = new.vars.iter().find(|(name, _)| !run.vars.contains_key(name));
    if let Some((name, _)) = missing {
        return Err(format!(
            "the new version has the variable `{name}`, which was never computed for it"
        ));
    }
    if run.status == Status::Queued && run.pc == 0 {
        return Ok((target.clone(), 0));
    }
    let Some((_, old)) = locate(stage, run) else {
        return Err("its version can no longer be read".to_owned());
    };
    let Some(step) = old.steps.get(run.pc as usize) else {
        return Err("it has come to its end".to_owned());
    };
    match counterpart(new, step) {
        Some(pc) => Ok((target.clone(), pc)),
        None => {
            let named = step
                .id
                .as_deref()
                .map_or_else(|| step.path.to_string(), |id| format!("{} ({id})", step.path));
            Err(format!(
                "the step it waits at, {named} {}, is not in the new version",
                step.action.key()
            ))
        }
    }
}

/// The step of another version that is this one: by its id, else by its place; and it does the same. The
/// levels of a ladder that repeats have the same ids each round, and then the place decides.
fn counterpart(new: &Workflow, step: &Step) -> Option<Pc> {
    let same = |other: &Step| other.id == step.id && other.action.key() == step.action.key();
    let find = |wanted: &dyn Fn(&Step) -> bool| new.steps.iter().position(wanted);
    let found = find(&|other| same(other) && other.path == step.path);
    let found = found.or_else(|| step.id.as_ref().and_then(|_| find(&|other| same(other))));
    Pc::try_from(found?).ok()
}

/// Puts a run at a step of another version. Gives the ladders it has raised, with the steps that raised them.
fn go(
    stage: &mut Stage<'_>,
    run: &mut Run,
    target: &Bundle,
    step: Pc,
) -> Result<Vec<(RunNo, Pc)>, Fault> {
    let children = children(stage, run, &target.main)?;
    run.bundle = target.id;
    run.pc = step;
    run.generation = run.generation.saturating_add(1);
    run.redo = None;
    let event = stage.event(run.event)?.event.clone();
    arm_exits(stage, &target.main, run, &event)?;
    if let Some(Action::WaitFor { filter, .. }) =
        target.main.steps.get(step as usize).map(|step| &step.action)
        && matches!(run.wait, Wait::Event(_))
    {
        let value = stage.event_value(&event);
        let seen = scope::of_run(run, &value, stage.now);
        let subject = arm_subject(stage, filter, run, &seen)?;
        run.arms.retain(|arm| arm.role != ArmRole::Wait);
        run.arms.push(Arm { role: ArmRole::Wait, patterns: filter.patterns.clone(), subject });
    }
    Ok(children)
}

/// Living children of a run with the steps of the new version that began them. What resolves a ladder is asked
/// of that step, so it must be there, and listen for the same.
fn children(stage: &Stage<'_>, run: &Run, new: &Workflow) -> Result<Vec<(RunNo, Pc)>, Fault> {
    let refuse = |why: String| Fault::Cause(Cause::new("migrate", why));
    let old = locate(stage, run).map(|(_, workflow)| workflow);
    let mut found = Vec::new();
    for no in stage.view().children(run.no) {
        let Some(child) = stage.run(no)? else { continue };
        let Some(parent) = &child.parent else { continue };
        let step = old.as_ref().and_then(|old| old.steps.get(parent.pc as usize));
        let pc = step.and_then(|step| counterpart(new, step)).ok_or_else(|| {
            refuse(format!("the step that began run {no} is not in the new version"))
        })?;
        let resolve = |step: Option<&Step>| match step.map(|step| &step.action) {
            Some(Action::Escalate(escalate)) => {
                escalate.resolve.as_ref().map(|filter| filter.patterns.clone())
            }
            _ => None,
        };
        if resolve(step) != resolve(new.steps.get(pc as usize)) {
            return Err(refuse(format!(
                "what resolves run {no} is another event in the new version"
            )));
        }
        found.push((no, pc));
    }
    Ok(found)
}
