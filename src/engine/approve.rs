//! `approve:` asks people, reminds them, and waits for what they decide.

use crate::model::{APPROVAL, Cause, Map, PERSON, ReadError, Run, Task, Text, Trace, Value, Wait};
use crate::rules::{ApproveStep, Step};
use crate::script::Shape;

use super::advance::{Cursor, Flow, keep, trace};
use super::approval::{
    TIMED_OUT, What, address, count, find, id_of, instant, is_by, list, open, put, raise, store,
    texts, votes,
};
use super::fan;
use super::finish;
use super::pick;
use super::records::Changer;
use super::stage::Stage;
use super::start::Fault;
use super::steps::{eval, parent_of};
use super::time;

/// `approve:` asks, and waits.
pub(super) fn step(
    stage: &mut Stage<'_>,
    cursor: &mut Cursor,
    step: &Step,
    approve: &ApproveStep,
) -> Result<Flow, Fault> {
    let people = people(stage, cursor, &approve.people)?;
    if approve.need as usize > people.len() {
        let message =
            format!("{} must agree, and only {} can be asked", approve.need, people.len());
        return Err(Cause::new("approve", message).into());
    }
    let summary = match &approve.summary {
        Some(shape) => eval(stage, cursor, shape)?.to_string(),
        None => {
            let about = cursor.run.subject.as_deref().unwrap_or_default();
            format!("{} {about}", cursor.run.workflow).trim().to_owned()
        }
    };
    let due = time::end_of(stage, &eval(stage, cursor, &approve.timeout)?, step.hours.as_deref())?;
    parent_of(cursor)?;
    if cursor.run.shadow {
        let outcome = approve.outcomes.first().cloned();
        let chosen = Map::from([("outcome".into(), outcome.map_or(Value::Null, Value::Text))]);
        return Ok(Flow::Would(result(&chosen, false), "nobody is asked".into()));
    }
    let fields = Map::from([
        ("summary".into(), Value::text(summary)),
        ("people".into(), Value::List(people.into_iter().map(Value::Text).collect())),
        ("need".into(), Value::Int(i64::from(approve.need))),
        ("outcomes".into(), list(&approve.outcomes)),
        ("due".into(), Value::Instant(due)),
    ]);
    let id = id_of(&cursor.run);
    open(stage, &cursor.run, &id, What::Step, fields)?;
    tell(stage, &mut cursor.run, &id, approve.ask, Told { reminder: false, only: None })?;
    wait(stage, &mut cursor.run, step, approve)
}

/// Waits for the next reminder, or the end of the time.
fn wait(
    stage: &mut Stage<'_>,
    run: &mut Run,
    step: &Step,
    approve: &ApproveStep,
) -> Result<Flow, Fault> {
    let Some(record) = find(stage, &id_of(run))? else {
        return Err(Cause::new("approve", "its approval is gone").into());
    };
    let due = instant(&record.fields, "due").unwrap_or(stage.now);
    let mut until = due;
    for percent in approve.warn.iter().rev() {
        let mark = time::mark(stage, (record.created, due), *percent, step.hours.as_deref())?;
        if mark > stage.now {
            until = until.min(mark);
        }
    }
    trace(stage, run, Trace::Waiting("a decision".into(), Some(until)));
    run.wait = Wait::Until(until);
    Ok(Flow::Wait)
}

/// A reminder is due of a run taken from the stage, or its time is up.
pub(super) fn due(
    stage: &mut Stage<'_>,
    mut run: Run,
    step: &Step,
    approve: &ApproveStep,
) -> Result<(), ReadError> {
    let id = id_of(&run);
    let Some(record) = find(stage, &id)? else {
        let cause = Cause::new("approve", "its approval is gone");
        return finish::fail_step_and_go_on(stage, run, step, cause);
    };
    if instant(&record.fields, "due").is_some_and(|due| due > stage.now) {
        let told = Told { reminder: true, only: None };
        let reminded = tell(stage, &mut run, &id, approve.ask, told)
            .and_then(|()| wait(stage, &mut run, step, approve));
        return match reminded {
            Ok(_) => {
                raise(stage, &run, "approval.warning", &record, &id);
                stage.put(run);
                Ok(())
            }
            Err(Fault::Read(error)) => Err(error),
            Err(Fault::Cause(cause)) => finish::fail_step_and_go_on(stage, run, step, cause),
        };
    }
    let mut fields = record.fields.clone();
    fields.insert("status".into(), TIMED_OUT.into());
    fields.insert("ended".into(), Value::Instant(stage.now));
    store(stage, &Changer::Run(&run), &id, fields);
    trace(stage, &mut run, Trace::TimedOut);
    raise(stage, &run, "approval.timed_out", &record, &id);
    settle(stage, run, step, (result(&record.fields, true), approve.on_timeout))
}

/// The step has its result; the run goes on.
pub(super) fn settle(
    stage: &mut Stage<'_>,
    mut run: Run,
    step: &Step,
    (result, target): (Value, Option<u32>),
) -> Result<(), ReadError> {
    if let Err(cause) = keep(&mut run, step, result) {
        return finish::fail_step_and_go_on(stage, run, step, cause);
    }
    run.pc = target.unwrap_or(step.next);
    run.wait = Wait::Ready;
    stage.push(Task::Advance { run: run.no });
    stage.put(run);
    Ok(())
}

/// `{ outcome, by, comment, at, timed_out }`
pub(super) fn result(fields: &Map, timed_out: bool) -> Value {
    let of = |name: &str| fields.get(name).cloned().unwrap_or_default();
    Value::from([
        ("outcome", of("outcome")),
        ("by", of("by")),
        ("comment", of("comment")),
        ("at", of("at")),
        ("timed_out", Value::Bool(timed_out)),
    ])
}

/// The mail to one of those who are asked, in a run of its own.
pub(super) fn ask(cursor: &Cursor, template: &Text) -> Result<Value, Fault> {
    let names = cursor.run.branch.as_ref().map(|branch| &branch.names);
    let asked = names.and_then(|names| names.get(APPROVAL));
    let to = asked.and_then(|asked| asked.get("to")).and_then(Value::as_text);
    let Some(to) = to else {
        return Err(Cause::new("approve", "nobody is asked here").into());
    };
    Ok(Value::from([
        ("to", Value::List(vec![to.into()])),
        ("purpose", "internal".into()),
        ("template", Value::Text(template.clone())),
    ]))
}

/// Who is told of an approval.
pub(super) struct Told<'t> {
    pub(super) reminder: bool,
    /// Only this one, and on whose behalf.
    pub(super) only: Option<(&'t str, &'t str)>,
}

/// Begins a run for the mail to each of those who have not chosen yet.
pub(super) fn tell(
    stage: &mut Stage<'_>,
    run: &mut Run,
    id: &Text,
    ask: u32,
    told: Told<'_>,
) -> Result<(), Fault> {
    let Some(record) = find(stage, id)? else { return Ok(()) };
    let chose = |person: &str| votes(&record.fields).iter().any(|vote| is_by(vote, person));
    let everybody = texts(&record.fields, "people");
    let people = match told.only {
        Some((person, _)) => vec![Text::from(person)],
        None => everybody.into_iter().filter(|person| !chose(person)).collect(),
    };
    let mut index = count(&record.fields);
    for person in people {
        let Some(to) = address(stage, &person)? else { continue };
        let mut about = record.fields.clone();
        let by = told.only.map_or(Value::Null, |(_, by)| by.into());
        about.extend([
            ("id".into(), Value::Text(id.clone())),
            ("to".into(), Value::Text(to)),
            ("person".into(), Value::Text(person)),
            ("reminder".into(), Value::Bool(told.reminder)),
            ("delegated_by".into(), by),
        ]);
        fan::apart(stage, run, (index, ask), vec![(APPROVAL.into(), Value::Map(about))]);
        index += 1;
    }
    let mut fields = record.fields.clone();
    fields.insert("told".into(), Value::Int(i64::from(index)));
    put(stage, id, fields);
    Ok(())
}

/// Who is asked, each once.
fn people(stage: &Stage<'_>, cursor: &Cursor, shapes: &[Shape]) -> Result<Vec<Text>, Fault> {
    let mut found: Vec<Text> = Vec::new();
    for shape in shapes {
        let value = eval(stage, cursor, shape)?;
        let items = match value {
            Value::List(items) => items,
            one => vec![one],
        };
        for item in items {
            let Value::Text(text) = &item else {
                let message = format!("`approve` asks {}; it must be people", item.type_name());
                return Err(Cause::new("recipient", message).into());
            };
            let mut all = Vec::new();
            if let Some(team) = text.strip_prefix("team:") {
                let team = pick::team(stage, team)?;
                all.extend(pick::reachable(stage, team)?.into_iter().map(|(id, _)| id));
            } else {
                all.push(Text::from(text.strip_prefix("person:").unwrap_or(text)));
            }
            for person in all {
                if address(stage, &person)?.is_none() {
                    let message = format!("there is no record `{PERSON}/{person}` with an `email`");
                    return Err(Cause::new("recipient", message).into());
                }
                if !found.contains(&person) {
                    found.push(person);
                }
            }
        }
    }
    Ok(found)
}
