//! A waiting run moves to the version of its workflow that is in force.
//!
//! It goes on where it stands: the step it waits at must be in the new version, found by its id or else by its
//! place in the file. What it waits for and until when stays as it is, but for the filters of events, which are
//! those of the new version. Its next effects and children have new keys: a step's number is part of a key, and
//! the same number may stand for another step now.

use crate::model::{
    Arm, ArmRole, EffectState, ReadError, Refusal, Reply, Run, Status, Text, Trace, Value, Wait,
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
    let (target, step) = match target(stage, &run) {
        Ok(found) => found,
        Err(why) => {
            stage.put_unchanged(run);
            let message = format!("run {id} stays with its version: {why}");
            return Ok(Reply::Refused(Refusal::State(message)));
        }
    };
    let new_step = target.main.steps.get(step as usize);
    let path = new_step.map(|step| step.path.clone()).unwrap_or_default();
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
    let mut moved = run.clone();
    match go(stage, &mut moved, &target, step) {
        Ok(()) => {
            trace(stage, &mut moved, Trace::Moved(run.bundle));
            trace(
                stage,
                &mut moved,
                Trace::Operator(format!("{by} moved it to another version, to {path}").into()),
            );
            for child in stage.view().children(run.no) {
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
        Err(Fault::Read(error)) => Err(error),
        Err(Fault::Cause(cause)) => {
            stage.put_unchanged(run);
            let message = format!("run {id} stays with its version: {}", cause.message);
            Ok(Reply::Refused(Refusal::State(message)))
        }
    }
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
        return Err(format!("run {} called it, and they are of one version", parent.run));
    }
    match &run.wait {
        Wait::Join(_) => return Err("those it began beside each other are under way".to_owned()),
        Wait::Effect(effect) if matches!(effect.state, EffectState::Started { .. }) => {
            return Err(
                "an attempt of an effect is under way: try again when it has ended".to_owned()
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
    if run.status == Status::Queued && run.pc == 0 {
        return Ok((target.clone(), 0));
    }
    let Some((_, old)) = locate(stage, run) else {
        return Err("its version can no longer be read".to_owned());
    };
    let Some(step) = old.steps.get(run.pc as usize) else {
        return Err("it has come to its end".to_owned());
    };
    let missing = new.vars.iter().find(|(name, _)| !run.vars.contains_key(name));
    if let Some((name, _)) = missing {
        return Err(format!(
            "the new version has the variable `{name}`, which was never computed for it"
        ));
    }
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

/// The step of another version that is this one: by its id, else by its place; and it does the same.
fn counterpart(new: &Workflow, step: &Step) -> Option<Pc> {
    let same = |other: &&Step| other.action.key() == step.action.key();
    let found = new.steps.iter().position(|other| match &step.id {
        Some(id) => other.id.as_ref() == Some(id) && same(&other),
        None => other.path == step.path && other.id.is_none() && same(&other),
    })?;
    Pc::try_from(found).ok()
}

/// Puts a run at a step of another version.
fn go(stage: &mut Stage<'_>, run: &mut Run, target: &Bundle, step: Pc) -> Result<(), Fault> {
    run.bundle = target.id;
    run.pc = step;
    run.generation = run.generation.saturating_add(1);
    let event = stage.event(run.event)?.event.clone();
    arm_exits(stage, &target.main, run, &event)?;
    let filter = match target.main.steps.get(step as usize).map(|step| &step.action) {
        Some(Action::WaitFor { filter, .. }) if matches!(run.wait, Wait::Event(_)) => filter,
        _ => return Ok(()),
    };
    let value = stage.event_value(&event);
    let seen = scope::of_run(run, &value, stage.now);
    let subject = arm_subject(stage, filter, run, &seen)?;
    run.arms.retain(|arm| arm.role != ArmRole::Wait);
    run.arms.push(Arm { role: ArmRole::Wait, patterns: filter.patterns.clone(), subject });
    Ok(())
}
