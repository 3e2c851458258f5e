//! `foreach` and `parallel`: many children beside each other, and the run that waits for all of them.
//!
//! The caller keeps only how far they are; what they are for lies in rows of its own until they begin, a
//! page of them at a time from the durable inbox, so that ten thousand stall nobody. A child begins with
//! what its caller knew, and what it writes stays inside. One that fails does not stop the others: the
//! step fails when all are over.

use std::collections::BTreeMap;

use crate::model::{
    Branch, Cause, Digest, Instant, Join, Map, Name, Origin, Parent, ReadError, Redo, Run, RunNo,
    Status, Task, Text, Trace, TraceEntry, Value, Wait, Write, limits,
};
use crate::rules::{Action, ForEachStep, Pc, Step};

use super::advance::{Cursor, Flow, check_size, locate, trace};
use super::alert;
use super::decide;
use super::finish;
use super::gate;
use super::stage::Stage;
use super::start::{Fault, clipped};
use super::steps::{deadline, eval, parent_of};

/// Children begun or ended in one task; the rest goes on from the next.
const CHILDREN_PER_TASK: usize = 32;

/// `foreach:` waits for a child for each item of its list.
pub(super) fn foreach(
    stage: &mut Stage<'_>,
    cursor: &mut Cursor,
    step: &Step,
    each: &ForEachStep,
) -> Result<Flow, Fault> {
    let items = match eval(stage, cursor, &each.items)? {
        Value::List(items) => items,
        other => {
            let message = format!("`foreach` needs a list, not {}", other.type_name());
            return Err(Cause::new("foreach", message).into());
        }
    };
    if items.len() > limits::CHILDREN {
        let message =
            format!("the list has {} items; at most {} are taken", items.len(), limits::CHILDREN);
        return Err(Cause::new("too_large", message).into());
    }
    let weight: usize = items.iter().map(Value::weight).sum();
    if weight > limits::RUN_BYTES {
        let message =
            format!("the items have {weight} bytes; at most {} are taken", limits::RUN_BYTES);
        return Err(Cause::new("too_large", message).into());
    }
    let until = ready(stage, cursor, step)?;
    let total = items.len();
    let over = if total > each.limit as usize {
        Some(format!("{total} items are more than its limit of {}", each.limit))
    } else {
        over_guard(stage, cursor, step, each, total)?
    };
    for (piece, items) in (0..).zip(items.chunks(limits::ITEMS_PER_PIECE)) {
        stage.write(Write::Items(cursor.run.no, piece, items.to_vec()));
    }
    let over = over.map(|why| Over { why, limit: each.limit });
    wait(stage, cursor, until, total, over)
}

/// Why no item begins before a person has let them.
struct Over {
    why: String,
    limit: u32,
}

/// Whether so many items would send more mail than the guard of a purpose lets out: nothing begins then, not
/// even what it would let out.
fn over_guard(
    stage: &Stage<'_>,
    cursor: &Cursor,
    step: &Step,
    each: &ForEachStep,
    items: usize,
) -> Result<Option<String>, Fault> {
    let body = cursor.workflow.steps.get(each.body as usize..step.next as usize);
    let mut mails: BTreeMap<&Name, u64> = BTreeMap::new();
    for step in body.unwrap_or_default() {
        if let Action::Email(email) = &step.action {
            *mails.entry(&email.purpose).or_default() += items as u64;
        }
    }
    for (purpose, count) in mails {
        if let Some(room) = gate::room(stage, purpose)?
            && count > room
        {
            return Ok(Some(format!(
                "{items} items send {count} mails of {purpose}, and its guard lets out {room} more at present"
            )));
        }
    }
    Ok(None)
}

/// `parallel:` waits for a child for each of its lists.
pub(super) fn parallel(
    stage: &mut Stage<'_>,
    cursor: &mut Cursor,
    step: &Step,
    lists: &[Pc],
) -> Result<Flow, Fault> {
    let until = ready(stage, cursor, step)?;
    wait(stage, cursor, until, lists.len(), None)
}

/// When all must be over. What is wrong is found out before anything is written.
fn ready(stage: &Stage<'_>, cursor: &Cursor, step: &Step) -> Result<Option<Instant>, Cause> {
    parent_of(cursor)?;
    deadline(stage, step)
}

fn wait(
    stage: &mut Stage<'_>,
    cursor: &mut Cursor,
    until: Option<Instant>,
    total: usize,
    over: Option<Over>,
) -> Result<Flow, Fault> {
    if total == 0 {
        return Ok(Flow::Done(Value::List(Vec::new()), "nothing to do".into()));
    }
    let run = &mut cursor.run;
    let redo = run.redo.take().filter(|redo| redo.pc == run.pc && redo.of == total as u32);
    let only = redo.map(|redo| redo.only).unwrap_or_default();
    // Whoever has it tried again need not be asked.
    let over = over.filter(|_| only.is_empty());
    let (of, total) = (total, if only.is_empty() { total } else { only.len() });
    let what = match &over {
        None => format!("{total} beside each other"),
        Some(over) => format!("a person: {}", over.why),
    };
    trace(stage, run, Trace::Waiting(what.into(), until));
    run.wait = Wait::Join(Box::new(Join {
        until,
        of: of as u32,
        only,
        total: total as u32,
        begun: 0,
        running: 0,
        failed: Vec::new(),
        held: over.is_some(),
        fanning: over.is_none(),
    }));
    if let Some(over) = over {
        let id = decide::hold_items(stage, run, format!("{}: {}", run.workflow, over.why))?;
        let data = Value::from([
            ("items", Value::Int(total as i64)),
            ("limit", Value::Int(i64::from(over.limit))),
            ("approval", Value::Text(id)),
        ]);
        alert::raise(stage, run, "run.held", data);
    } else {
        // Later, because what it is for can be read only when it is written.
        stage.push_later(Task::Fan { run: run.no });
    }
    Ok(Flow::Wait)
}

/// Begins some more children of a run.
pub(super) fn go_on(stage: &mut Stage<'_>, no: RunNo) -> Result<(), ReadError> {
    let Some(mut run) = stage.take(no)? else { return Ok(()) };
    let mut join = match &run.wait {
        Wait::Join(join) if run.status == Status::Active && !join.held => join.clone(),
        _ => {
            stage.put_unchanged(run);
            return Ok(());
        }
    };
    let Some((_, workflow)) = locate(stage, &run) else {
        let cause = Cause::new("version", "the version of its rules can no longer be read");
        return finish::close(stage, run, finish::Ending::failed(cause));
    };
    let Some(step) = workflow.steps.get(run.pc as usize) else {
        stage.put_unchanged(run);
        return Ok(());
    };
    let most = match &step.action {
        Action::ForEach(each) => each.max_parallel,
        _ => limits::CHILDREN_RUNNING as u32,
    };
    join.fanning = false;
    let mut piece: Option<(u32, Vec<Value>)> = None;
    let mut begun = 0;
    while join.begun < join.total && join.running < most {
        if begun == CHILDREN_PER_TASK {
            join.fanning = true;
            stage.push_later(Task::Fan { run: no });
            break;
        }
        let index = join.only.get(join.begun as usize).copied().unwrap_or(join.begun);
        let (pc, names) = match &step.action {
            Action::ForEach(each) => {
                let number = index / limits::ITEMS_PER_PIECE as u32;
                if piece.as_ref().is_none_or(|(read, _)| *read != number) {
                    let items = stage.view().items(no, number)?.unwrap_or_default();
                    piece = Some((number, items));
                }
                let place = index as usize % limits::ITEMS_PER_PIECE;
                let item = piece.as_ref().and_then(|(_, items)| items.get(place)).cloned();
                let item = item.ok_or_else(|| {
                    ReadError::Corrupt(format!("item {index} of run {no} is missing").into())
                })?;
                let last = place + 1 == limits::ITEMS_PER_PIECE || index + 1 == join.of;
                if last && join.only.is_empty() {
                    stage.write(Write::ItemsGone(no, number));
                }
                (each.body, vec![("item".into(), item.clone()), (each.name.clone(), item)])
            }
            Action::Parallel(lists) => {
                (lists.get(index as usize).copied().unwrap_or(Pc::MAX), Vec::new())
            }
            _ => (Pc::MAX, Vec::new()),
        };
        branch(stage, &run, (index, pc), names);
        join.begun += 1;
        join.running += 1;
        begun += 1;
    }
    run.wait = Wait::Join(join);
    stage.put(run);
    Ok(())
}

/// Begins a child that nobody waits for. Gives its number.
pub(super) fn apart(
    stage: &mut Stage<'_>,
    caller: &mut Run,
    (index, pc): (u32, Pc),
    names: Vec<(Name, Value)>,
) {
    let child = branch(stage, caller, (index, pc), names);
    trace(stage, caller, Trace::Called(child));
}

/// Begins one child: it goes on with what its caller knows at another step.
fn branch(
    stage: &mut Stage<'_>,
    caller: &Run,
    (index, pc): (u32, Pc),
    names: Vec<(Name, Value)>,
) -> RunNo {
    let no = stage.new_run();
    let mut all: Map = caller.branch.as_ref().map(|above| above.names.clone()).unwrap_or_default();
    all.extend(names);
    all.insert("index".into(), Value::Int(i64::from(index)));
    let depth = caller.parent.as_ref().map_or(1, |parent| parent.depth + 1);
    let child = Run {
        no,
        hash: hash(caller, index),
        parent: Some(Parent { run: caller.no, pc: caller.pc, depth }),
        branch: Some(Branch { index, names: all }),
        redo: None,
        // One of those that handle a failure does not fail for it.
        failing: None,
        status: Status::Active,
        wait: Wait::Ready,
        slot: false,
        arms: Vec::new(),
        ladder: None,
        pc,
        began: stage.now,
        generation: 0,
        uncertain: false,
        trace: vec![TraceEntry { at: stage.now, pc, what: Trace::Began(caller.event) }],
        spilled: 0,
        ..caller.clone()
    };
    stage.push(Task::Advance { run: no });
    stage.put(child);
    no
}

fn hash(caller: &Run, index: u32) -> Digest {
    Origin::Branch(caller.hash, caller.pc, caller.generation, index).hash(&caller.workflow)
}

/// Whether a run waits for this child of its present step.
fn awaits(caller: &Run, index: u32, child: Digest) -> bool {
    caller.status == Status::Active
        && matches!(caller.wait, Wait::Join(_))
        && hash(caller, index) == child
}

/// A child ended: what its caller knows of it. The last one lets the caller go on.
pub(super) fn ended(
    stage: &mut Stage<'_>,
    mut caller: Run,
    (index, child): (u32, Digest),
    (status, cause): (Status, Cause),
) -> Result<(), ReadError> {
    if !awaits(&caller, index, child) {
        stage.put_unchanged(caller);
        return Ok(());
    }
    let no = caller.no;
    let Wait::Join(join) = &mut caller.wait else { return Ok(()) };
    join.running = join.running.saturating_sub(1);
    if status != Status::Done {
        join.failed.push((index, shortened(&join.failed, status, cause)));
    }
    if join.begun < join.total {
        if !std::mem::replace(&mut join.fanning, true) {
            stage.push_later(Task::Fan { run: no });
        }
    } else if join.running == 0 {
        let join = std::mem::replace(&mut caller.wait, Wait::Ready);
        let Wait::Join(join) = join else { return Ok(()) };
        return all_over(stage, caller, *join);
    }
    stage.put(caller);
    Ok(())
}

/// Of very many failures only the first are kept in words.
fn shortened(before: &[(u32, Cause)], status: Status, cause: Cause) -> Cause {
    let code = if status == Status::Failed { cause.code } else { status.as_str().into() };
    let kept: usize = before.iter().map(|(_, cause)| cause.message.len()).sum();
    let room = kept + cause.message.len() <= limits::FAILURES_BYTES;
    Cause::new(code, if room { cause.message } else { Text::default() })
}

/// All children are over: their caller goes on, or its step fails.
fn all_over(stage: &mut Stage<'_>, mut run: Run, mut join: Join) -> Result<(), ReadError> {
    join.failed.sort_by_key(|(index, _)| *index);
    if !join.only.is_empty() {
        forget_items(stage, run.no, &join);
    }
    let results = results(&join);
    let located = locate(stage, &run);
    let step = located.as_ref().and_then(|(_, workflow)| workflow.steps.get(run.pc as usize));
    let Some(step) = step else {
        // Advancing says what is wrong with its version.
        stage.push(Task::Advance { run: run.no });
        stage.put(run);
        return Ok(());
    };
    let failed = join.failed.len();
    let cause = match join.failed.first() {
        None => None,
        Some((index, first)) => {
            let message = format!("{failed} of {} failed; [{index}]: {first}", join.of);
            let only = join.failed.iter().map(|(index, _)| *index).collect();
            run.redo = Some(Redo { pc: run.pc, of: join.of, only });
            Some(Cause::new("children", clipped(&message)))
        }
    };
    let result = match cause {
        Some(cause) => finish::fail_step(stage, run, step, cause)?,
        None => {
            let said = format!("all {} are done", join.of);
            trace(stage, &mut run, Trace::Done(said.into()));
            run.pc = step.next;
            Some(run)
        }
    };
    let Some(mut run) = result else { return Ok(()) };
    // Also where some failed: whoever handles it wants to know which.
    if let Some(id) = &step.id {
        run.steps.insert(id.clone(), results);
        if let Err(cause) = check_size(&run) {
            return finish::fail_step_and_go_on(stage, run, step, cause);
        }
    }
    stage.push(Task::Advance { run: run.no });
    stage.put(run);
    Ok(())
}

/// `[{ ok, error }]`, in the order of the children.
fn results(join: &Join) -> Value {
    let ok = || Value::from([("ok", Value::Bool(true)), ("error", Value::Null)]);
    let mut results: Vec<Value> = (0..join.of).map(|_| ok()).collect();
    for (index, cause) in &join.failed {
        if let Some(result) = results.get_mut(*index as usize) {
            *result = Value::from([("ok", Value::Bool(false)), ("error", cause.to_value())]);
        }
    }
    Value::List(results)
}

/// A run does not wait for its children any more: those under way are ended, the others never begin.
pub(super) fn give_up(stage: &mut Stage<'_>, run: RunNo, join: &Join) {
    forget_items(stage, run, join);
    if join.running > 0 {
        stage.push_later(Task::Orphans { run });
    }
}

/// Removes what is left of what the children were for.
fn forget_items(stage: &mut Stage<'_>, run: RunNo, join: &Join) {
    let piece = |index: u32| index / limits::ITEMS_PER_PIECE as u32;
    let first = if join.only.is_empty() { join.begun } else { 0 };
    for number in piece(first)..=piece(join.of) {
        stage.write(Write::ItemsGone(run, number));
    }
}

/// Ends the children that nobody waits for.
pub(super) fn orphans(stage: &mut Stage<'_>, no: RunNo) -> Result<(), ReadError> {
    let caller = stage.run(no)?;
    let mut ended = 0;
    for child in stage.view().children(no) {
        let Some(run) = stage.run(child)? else { continue };
        let Some(branch) = run.branch.as_ref().filter(|_| run.status.is_alive()) else { continue };
        if caller.as_ref().is_some_and(|caller| awaits(caller, branch.index, run.hash)) {
            continue;
        }
        if ended == CHILDREN_PER_TASK {
            stage.push_later(Task::Orphans { run: no });
            break;
        }
        let cause = Cause::new("caller", "its caller does not wait for it any more");
        finish::end(stage, child, Status::Cancelled, cause)?;
        ended += 1;
    }
    Ok(())
}

/// A person lets the children of a run taken from the stage begin that were held. Whether they were.
pub(super) fn release(stage: &mut Stage<'_>, mut run: Run, by: &Text) -> bool {
    let held = match &mut run.wait {
        Wait::Join(join) if run.status == Status::Active => {
            join.fanning |= join.held;
            std::mem::take(&mut join.held)
        }
        _ => false,
    };
    if held {
        trace(stage, &mut run, Trace::Operator(format!("{by} let all of them begin").into()));
        stage.push_later(Task::Fan { run: run.no });
    }
    stage.put_unchanged(run);
    held
}
