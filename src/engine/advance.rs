//! A run goes on, step after step, until it waits for something or is over.

use std::sync::Arc;

use crate::model::{
    Cause, ReadError, Run, RunNo, Status, StoredEvent, Task, Text, Trace, TraceEntry, Value, Wait,
    Write, limits,
};
use crate::rules::{Action, Bundle, Pc, Step, Workflow};
use crate::script::{Expr, Scope, Test};

use super::finish::{self, Ending};
use super::metric;
use super::reads::Reads;
use super::scope;
use super::stage::Stage;
use super::start::{Fault, clipped};
use super::steps;

/// A run with everything that doing its steps needs.
pub(super) struct Cursor {
    pub(super) run: Run,
    pub(super) bundle: Arc<Bundle>,
    pub(super) workflow: Arc<Workflow>,
    pub(super) event: Arc<StoredEvent>,
    pub(super) scope: Scope,
}

/// What came of a step.
pub(super) enum Flow {
    /// Done, with a result and a word for the run's story.
    Done(Value, Text),
    /// In shadow mode: gone on as if it were done, with what it would have done.
    Would(Value, Text),
    /// Goes on elsewhere, and why.
    Go(Pc, Text),
    /// The run waits; `run.wait` says for what.
    Wait,
    /// The run is over.
    Over(Status, Cause),
}

impl Cursor {
    /// For a run that was taken from the stage. `None`, with the run failed, when its version can
    /// no longer be read.
    pub(super) fn new(stage: &mut Stage<'_>, run: Run) -> Result<Option<Self>, ReadError> {
        let Some((bundle, workflow)) = locate(stage, &run) else {
            let cause = Cause::new(
                "version",
                "the version of the rules this run began with can no longer be read",
            );
            finish::close(stage, run, Ending::failed(cause))?;
            return Ok(None);
        };
        let event = stage.event(run.event)?;
        let scope = scope::of_run(&run, &stage.event_value(&event.event), stage.now);
        Ok(Some(Self { run, bundle, workflow, event, scope }))
    }

    fn set_vars(&mut self) {
        scope::set_vars(&mut self.scope, &self.run);
    }

    /// Gives a variable a value.
    pub(super) fn set_var(&mut self, name: &Text, value: Value) {
        self.run.vars.insert(name.clone(), value);
        self.set_vars();
    }
}

/// The version a run is pinned to.
pub(super) fn locate(stage: &Stage<'_>, run: &Run) -> Option<(Arc<Bundle>, Arc<Workflow>)> {
    let bundle = stage.bundle(run.bundle)?;
    let workflow = bundle.workflow(&run.workflow)?.clone();
    Some((bundle, workflow))
}

/// Goes on with a run that is ready.
pub(super) fn advance(stage: &mut Stage<'_>, no: RunNo) -> Result<(), ReadError> {
    let Some(run) = stage.take(no)? else { return Ok(()) };
    if run.status != Status::Active || run.wait != Wait::Ready {
        stage.put_unchanged(run);
        return Ok(());
    }
    if is_at_end(stage, &run) {
        return finish::close(stage, run, Ending::done("it came to its end"));
    }
    let Some(mut cursor) = Cursor::new(stage, run)? else { return Ok(()) };
    let workflow = cursor.workflow.clone();
    loop {
        let Some(step) = workflow.steps.get(cursor.run.pc as usize) else {
            return finish::close(stage, cursor.run, Ending::done("it came to its end"));
        };
        if !stage.take_step() {
            stage.push(Task::Advance { run: no });
            stage.put(cursor.run);
            return Ok(());
        }
        let flow = one(stage, &mut cursor, step);
        let would = matches!(flow, Ok(Flow::Would(..)));
        match flow {
            Ok(Flow::Done(value, said) | Flow::Would(value, said)) => {
                let said =
                    if would { metric::would(stage, &cursor.run, step, &said)? } else { said };
                trace(stage, &mut cursor.run, Trace::Done(said));
                if let Err(cause) = keep(&mut cursor.run, step, value) {
                    match finish::fail_step(stage, cursor.run, step, cause)? {
                        Some(run) => cursor.run = run,
                        None => return Ok(()),
                    }
                    scope::set_error(&mut cursor.scope, cursor.run.error.as_ref());
                } else {
                    cursor.run.pc = step.next;
                }
                scope::set_steps(&mut cursor.scope, &cursor.run);
            }
            Ok(Flow::Go(target, said)) => {
                trace(stage, &mut cursor.run, Trace::Branch(said));
                cursor.run.pc = target;
            }
            Ok(Flow::Wait) => {
                stage.put(cursor.run);
                return Ok(());
            }
            Ok(Flow::Over(status, cause)) => {
                return finish::close(stage, cursor.run, Ending { status, cause, result: None });
            }
            Err(Fault::Read(error)) => return Err(error),
            Err(Fault::Cause(cause)) => {
                match finish::fail_step(stage, cursor.run, step, cause)? {
                    Some(run) => cursor.run = run,
                    None => return Ok(()),
                }
                scope::set_error(&mut cursor.scope, cursor.run.error.as_ref());
                scope::set_steps(&mut cursor.scope, &cursor.run);
            }
        }
    }
}

/// Whether nothing is left to do. Spares building a scope for the most common last input of a run.
fn is_at_end(stage: &Stage<'_>, run: &Run) -> bool {
    locate(stage, run).is_some_and(|(_, workflow)| run.pc as usize >= workflow.steps.len())
}

fn one(stage: &mut Stage<'_>, cursor: &mut Cursor, step: &Step) -> Result<Flow, Fault> {
    if let Some(guard) = &step.guard
        && let Test::False(why) = guard.test(&cursor.scope, &Reads(stage))?
    {
        trace(stage, &mut cursor.run, Trace::Skipped(why));
        keep(&mut cursor.run, step, Value::Null)?;
        scope::set_steps(&mut cursor.scope, &cursor.run);
        return Ok(Flow::Go(step.next, "left out".into()));
    }
    if let Action::Branch(arms) = &step.action {
        let mut why: Text = "no branch matched".into();
        for arm in arms {
            let Some(condition) = &arm.condition else {
                return Ok(Flow::Go(arm.target, format!("{}: {why}", arm.label).into()));
            };
            match condition.test(&cursor.scope, &Reads(stage))? {
                Test::True => {
                    let held: Vec<&str> = condition.exprs().map(Expr::source).collect();
                    let said = format!("{}: {}", arm.label, held.join(" && "));
                    return Ok(Flow::Go(arm.target, clipped(&said)));
                }
                Test::False(text) => why = text,
            }
        }
        return Ok(Flow::Go(step.next, why));
    }
    steps::perform(stage, cursor, step)
}

/// Keeps a step's result under its id.
pub(super) fn keep(run: &mut Run, step: &Step, value: Value) -> Result<(), Cause> {
    let Some(id) = &step.id else { return Ok(()) };
    let weight = value.weight();
    if weight > limits::RESULT_BYTES {
        return Err(Cause::new(
            "too_large",
            format!("the result has {weight} bytes; at most {} are kept", limits::RESULT_BYTES),
        ));
    }
    run.steps.insert(id.clone(), value);
    check_size(run)
}

/// What a run remembers has a bound.
pub(super) fn check_size(run: &Run) -> Result<(), Cause> {
    let kept = [&run.vars, &run.steps].into_iter().flatten();
    let weight: usize =
        kept.map(|(key, value)| key.len() + value.weight()).sum::<usize>() + run.args.weight();
    if weight > limits::RUN_BYTES {
        return Err(Cause::new(
            "too_large",
            format!(
                "the run remembers {weight} bytes in vars, args and results; at most {}",
                limits::RUN_BYTES
            ),
        ));
    }
    Ok(())
}

/// Adds to a run's story at its present step; the oldest part moves out of its row when it grows.
pub(super) fn trace(stage: &mut Stage<'_>, run: &mut Run, what: Trace) {
    run.trace.push(TraceEntry { at: stage.now, pc: run.pc, what });
    if run.trace.len() >= 2 * limits::TRACE_INLINE {
        let old: Vec<TraceEntry> = run.trace.drain(..limits::TRACE_INLINE).collect();
        let first = run.spilled;
        run.spilled += old.len() as u32;
        stage.write(Write::Spill(run.no, first, old));
    }
}
