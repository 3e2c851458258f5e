//! What becomes of approvals: people choose, pass on and let go; and what waits for that goes on.
//!
//! What waits is a run, at an `approve` step or at a `foreach` over its bounds. Or it is nobody in
//! particular: mails over the guard of their purpose look at it each time.

use crate::model::{
    APPROVED, Cause, Map, PERSON, REJECTED, ReadError, Refusal, Reply, Run, RunNo, Status, Text,
    Trace, Value, Wait,
};
use crate::rules::{Action, Workflow};

use super::advance::{locate, trace};
use super::approval::{
    WITHDRAWN, What, address, closed, find, guard_id, id_of, is_by, is_open, list, open, raise,
    store, texts, votes, who,
};
use super::approve::{Told, result, settle, tell};
use super::fan;
use super::finish;
use super::gate;
use super::records::Changer;
use super::stage::Stage;
use super::start::Fault;

/// A person chooses, or an operator decides.
pub(super) fn decide(stage: &mut Stage<'_>, choice: &Choice<'_>) -> Result<Reply, ReadError> {
    let Some(record) = find(stage, choice.approval)? else {
        return Ok(Reply::Refused(Refusal::NotFound(format!("approval {}", choice.approval))));
    };
    let mut fields = record.fields.clone();
    if let Some(refusal) = closed(&fields, choice.approval) {
        return Ok(Reply::Refused(refusal));
    }
    let outcomes = texts(&fields, "outcomes");
    if !outcomes.iter().any(|known| **known == *choice.outcome) {
        let message = format!(
            "approval {} cannot be `{}`: choose {}",
            choice.approval,
            choice.outcome,
            outcomes.join(", ")
        );
        return Ok(Reply::Refused(Refusal::Invalid(message)));
    }
    let asked = who(stage, &fields, choice.by)?;
    let by = match (asked, choice.asked_only) {
        (Some(person), _) => person,
        (None, true) => {
            let message = format!(
                "approval {} does not ask {}: it asks {}",
                choice.approval,
                choice.by,
                texts(&fields, "people").join(", ")
            );
            return Ok(Reply::Refused(Refusal::State(message)));
        }
        (None, false) => choice.by.into(),
    };
    let operator = !texts(&fields, "people").contains(&by);
    let mut all = votes(&fields);
    all.retain(|vote| !is_by(vote, &by));
    all.push(Value::from([
        ("by", Value::Text(by.clone())),
        ("outcome", choice.outcome.into()),
        ("comment", choice.comment.map_or(Value::Null, Value::from)),
        ("at", Value::Instant(stage.now)),
    ]));
    let agree =
        all.iter().filter(|vote| vote.get("outcome") == all.last().and_then(|v| v.get("outcome")));
    let need = match fields.get("need") {
        // Of any but the first outcome one is enough, and so is an operator.
        Some(Value::Int(need))
            if !operator && outcomes.first().is_some_and(|first| **first == *choice.outcome) =>
        {
            *need
        }
        _ => 1,
    };
    let decided = agree.count() as i64 >= need;
    fields.insert("votes".into(), Value::List(all));
    if decided {
        fields.extend([
            ("status".into(), choice.outcome.into()),
            ("outcome".into(), choice.outcome.into()),
            ("by".into(), Value::Text(by.clone())),
            ("comment".into(), choice.comment.map_or(Value::Null, Value::from)),
            ("at".into(), Value::Instant(stage.now)),
            ("ended".into(), Value::Instant(stage.now)),
        ]);
    }
    let changer = Text::from(choice.by);
    store(stage, &Changer::Person(&changer), choice.approval, fields.clone());
    if decided {
        conclude(stage, choice.approval, &fields, &by)?;
    }
    let status = fields.get("status").cloned().unwrap_or_default();
    Ok(Reply::Done(Value::from([
        ("approval", Value::Text(choice.approval.clone())),
        ("status", status),
        ("by", Value::Text(by)),
    ])))
}

/// What somebody chose.
pub(super) struct Choice<'c> {
    pub(super) approval: &'c Text,
    pub(super) outcome: &'c str,
    pub(super) comment: Option<&'c str>,
    pub(super) by: &'c str,
    /// It must be one of those who are asked.
    pub(super) asked_only: bool,
}

/// It is decided: whoever waits goes on.
fn conclude(stage: &mut Stage<'_>, id: &Text, fields: &Map, by: &Text) -> Result<(), ReadError> {
    let outcome = fields.get("outcome").and_then(Value::as_text).unwrap_or_default();
    match What::of(fields) {
        Some(What::Guard) => {
            let purpose = fields.get("purpose").and_then(Value::as_text).unwrap_or_default();
            gate::guarded(stage, purpose, outcome == APPROVED)
        }
        Some(what) => {
            let Some(mut run) = waiting(stage, id, fields)? else { return Ok(()) };
            let Some((_, workflow)) = locate(stage, &run) else {
                stage.put_unchanged(run);
                return Ok(());
            };
            let Some(step) = workflow.steps.get(run.pc as usize) else {
                stage.put_unchanged(run);
                return Ok(());
            };
            trace(stage, &mut run, Trace::Operator(format!("{by} decided: {outcome}").into()));
            if let Some(record) = find(stage, id)? {
                raise(stage, &run, "approval.decided", &record, id);
            }
            match (what, outcome) {
                (What::Items, APPROVED) => {
                    fan::release(stage, run, by);
                    Ok(())
                }
                (What::Items, _) => {
                    if let Wait::Join(join) = std::mem::replace(&mut run.wait, Wait::Ready) {
                        fan::give_up(stage, run.no, &join);
                    }
                    let cause = Cause::new("rejected", format!("{by} does not let them begin"));
                    finish::fail_step_and_go_on(stage, run, step, cause)
                }
                _ => settle(stage, run, step, (result(fields, false), None)),
            }
        }
        None => Ok(()),
    }
}

/// The run that waits for an approval, taken from the stage.
fn waiting(stage: &mut Stage<'_>, id: &Text, fields: &Map) -> Result<Option<Run>, ReadError> {
    let Some(Value::Int(no)) = fields.get("run_no") else { return Ok(None) };
    let Some(run) = stage.take(RunNo(no.unsigned_abs()))? else { return Ok(None) };
    if run.status == Status::Active && id_of(&run) == *id {
        return Ok(Some(run));
    }
    stage.put_unchanged(run);
    Ok(None)
}

/// One of those who are asked passes it on to somebody else.
pub(super) fn delegate(
    stage: &mut Stage<'_>,
    id: &Text,
    (by, to): (&str, &str),
) -> Result<Reply, ReadError> {
    let Some(record) = find(stage, id)? else {
        return Ok(Reply::Refused(Refusal::NotFound(format!("approval {id}"))));
    };
    let mut fields = record.fields.clone();
    if let Some(refusal) = closed(&fields, id) {
        return Ok(Reply::Refused(refusal));
    }
    let refuse = |message: String| Ok(Reply::Refused(Refusal::State(message)));
    let people = texts(&fields, "people");
    let Some(from) = who(stage, &fields, by)? else {
        let all = people.join(", ");
        return refuse(format!("approval {id} does not ask {by}: it asks {all}"));
    };
    let to = to.strip_prefix("person:").unwrap_or(to);
    if people.iter().any(|person| **person == *to) {
        return refuse(format!("approval {id} asks {to} already"));
    }
    if address(stage, to)?.is_none() {
        return refuse(format!("there is no record `{PERSON}/{to}` with an `email`"));
    }
    let changed: Vec<Value> = people
        .iter()
        .map(|person| if *person == from { to.into() } else { Value::Text(person.clone()) })
        .collect();
    fields.insert("people".into(), Value::List(changed));
    let changer = Text::from(by);
    store(stage, &Changer::Person(&changer), id, fields.clone());
    if let Some(mut run) = waiting(stage, id, &fields)? {
        let said = format!("{from} passed it on to {to}");
        trace(stage, &mut run, Trace::Operator(said.into()));
        let ask = locate(stage, &run).and_then(|(_, workflow)| ask_of(&workflow, run.pc));
        if let Some(ask) = ask {
            match tell(stage, &mut run, id, ask, Told { reminder: false, only: Some((to, &from)) })
            {
                Ok(()) | Err(Fault::Cause(_)) => {}
                Err(Fault::Read(error)) => return Err(error),
            }
        }
        stage.put(run);
    }
    Ok(Reply::Done(Value::from([
        ("approval", Value::Text(id.clone())),
        ("status", "delegated".into()),
        ("by", Value::Text(from)),
        ("to", to.into()),
    ])))
}

fn ask_of(workflow: &Workflow, pc: u32) -> Option<u32> {
    match &workflow.steps.get(pc as usize)?.action {
        Action::Approve(approve) => Some(approve.ask),
        _ => None,
    }
}

/// The children of a `foreach` are held until somebody lets them begin.
pub(super) fn hold_items(stage: &mut Stage<'_>, run: &Run, summary: String) -> Result<Text, Fault> {
    let id = id_of(run);
    let fields = Map::from([
        ("summary".into(), Value::text(summary)),
        ("people".into(), Value::List(Vec::new())),
        ("need".into(), Value::Int(1)),
        ("outcomes".into(), list(&[APPROVED.into(), REJECTED.into()])),
        ("due".into(), Value::Instant(run.expires)),
    ]);
    open(stage, run, &id, What::Items, fields)?;
    Ok(id)
}

/// Somebody let the children begin without looking at the approval.
pub(super) fn released(stage: &mut Stage<'_>, id: &Text, by: &Text) -> Result<(), ReadError> {
    let Some(record) = find(stage, id)? else { return Ok(()) };
    let mut fields = record.fields.clone();
    if closed(&fields, id).is_none() {
        fields.extend([
            ("status".into(), APPROVED.into()),
            ("outcome".into(), APPROVED.into()),
            ("by".into(), Value::Text(by.clone())),
            ("ended".into(), Value::Instant(stage.now)),
        ]);
        store(stage, &Changer::Person(by), id, fields);
    }
    Ok(())
}

/// Opens that approval, unless it is open.
pub(super) fn hold_mails(
    stage: &mut Stage<'_>,
    run: &Run,
    purpose: &str,
    summary: String,
) -> Result<(), Fault> {
    let id = guard_id(purpose);
    if is_open(stage, &id)? {
        return Ok(());
    }
    let fields = Map::from([
        ("summary".into(), Value::text(summary)),
        ("purpose".into(), purpose.into()),
        ("people".into(), Value::List(Vec::new())),
        ("need".into(), Value::Int(1)),
        ("outcomes".into(), list(&[APPROVED.into(), REJECTED.into()])),
    ]);
    open(stage, run, &id, What::Guard, fields)
}

/// A run ends, or goes on without a decision: what it waited for is withdrawn.
pub(super) fn withdraw(stage: &mut Stage<'_>, run: &Run) -> Result<(), ReadError> {
    let held = matches!(&run.wait, Wait::Join(join) if join.held);
    let asks = matches!(run.wait, Wait::Until(_))
        && locate(stage, run).is_some_and(|(_, workflow)| ask_of(&workflow, run.pc).is_some());
    if !held && !asks {
        return Ok(());
    }
    let id = id_of(run);
    let Some(record) = find(stage, &id)? else { return Ok(()) };
    if closed(&record.fields, &id).is_some() {
        return Ok(());
    }
    let mut fields = record.fields.clone();
    fields.insert("status".into(), WITHDRAWN.into());
    fields.insert("ended".into(), Value::Instant(stage.now));
    store(stage, &Changer::Run(run), &id, fields);
    Ok(())
}
