//! `record:` steps, and the indexes that rules declare.

use std::sync::Arc;

use crate::model::{
    Address, ArmSubject, Cause, Digest, Draft, Event, Instant, Lineage, Map, Name, Pattern,
    ReadError, Record, Refusal, Reply, Run, RunNo, Task, Text, Value, Write, is_own, limits,
};
use crate::rules::{Filter, RecordChange, RecordStep, RuleSet};
use crate::script::{EvalError, Host, Scope, Test};

use super::admit;
use super::advance::{Cursor, Flow};
use super::history;
use super::kinds;
use super::ledger;
use super::obligations;
use super::sla;
use super::stage::Stage;
use super::start::{Fault, lineage_of};
use super::steps::eval;

/// Records given new index rows in one task.
const REINDEX_PER_TASK: usize = 256;

/// Does a `record:` step. It advances without interruption, so a check before it cannot race.
pub(super) fn step(
    stage: &mut Stage<'_>,
    cursor: &mut Cursor,
    step: &RecordStep,
) -> Result<Flow, Fault> {
    let address = kinds::resolved(stage, address_of(&eval(stage, cursor, &step.address)?)?)?;
    refuse_shipped(stage.rules, &address)?;
    if is_own(&address.kind) && !step.only_reads() {
        let message = format!("records of kind `{}` are the daemon's own", address.kind);
        return Err(Cause::new("record", message).into());
    }
    let shadow = cursor.run.shadow;
    let old = stage.record(&address)?;
    let seen = old.as_ref().map_or(Value::Null, |record| record.as_read());
    cursor.scope.set("old", &seen);
    let mut fields = old.as_ref().map(|record| record.fields.clone()).unwrap_or_default();
    let said = match &step.change {
        RecordChange::Delete => {
            refuse_ledger(stage.rules, &address)?;
            if old.is_some() && !shadow {
                stage.put_record(address.clone(), None);
                changed(stage, &Changer::Run(&cursor.run), &address, (seen.clone(), Value::Null));
            }
            return Ok(match (&old, shadow) {
                (Some(_), true) => Flow::Would(seen, format!("{address} would be deleted").into()),
                _ => Flow::Done(seen, format!("{address} deleted").into()),
            });
        }
        RecordChange::Keep if step.merge.is_none() && (step.unset.is_empty() || old.is_none()) => {
            return Ok(Flow::Done(seen, format!("{address} read").into()));
        }
        RecordChange::Keep => "changed",
        RecordChange::Create(_) if old.is_some() => {
            return Err(Cause::new("exists", format!("`{address}` is there already")).into());
        }
        RecordChange::Create(shape) => {
            merge(&mut fields, eval(stage, cursor, shape)?)?;
            "created"
        }
        RecordChange::Set(shape) => {
            merge(&mut fields, eval(stage, cursor, shape)?)?;
            if old.is_some() { "changed" } else { "created" }
        }
    };
    let other = match &step.merge {
        Some(shape) => other(stage, &address_of(&eval(stage, cursor, shape)?)?, &address)?,
        None => None,
    };
    for (field, value) in other.iter().flat_map(|other| &other.fields) {
        fields.entry(field.clone()).or_insert_with(|| value.clone());
    }
    for field in &step.unset {
        fields.remove(field);
    }
    if old.is_some() {
        refuse_ledger(stage.rules, &address)?;
    }
    ledger::refuse_chain(&fields, stage.rules, &address.kind)?;
    let mut record = next(stage, &address, old.as_deref(), fields)?;
    let besides = other.as_ref().map(|other| &other.address);
    kinds::fits(stage, &record, old.as_deref(), besides)?;
    // Writing what is there already is no change.
    if shadow {
        let value = record.as_read();
        return Ok(Flow::Would(value, format!("{address} would be {said}").into()));
    }
    let mut said = format!("{address} {said}");
    if let Some(other) = other {
        let gone = other.address.clone();
        let stone = kinds::tombstone(stage, &other, &address);
        stage.put_record(gone.clone(), Some(stone));
        changed(stage, &Changer::Run(&cursor.run), &gone, (other.as_read(), Value::Null));
        said = format!("{said}, {gone} goes on in it");
    }
    if old.is_none_or(|old| old.fields != record.fields) {
        ledger::chain(stage, &mut record)?;
        let value = record.as_read();
        stage.put_record(address.clone(), Some(record));
        changed(stage, &Changer::Run(&cursor.run), &address, (seen, value.clone()));
        return Ok(Flow::Done(value, said.into()));
    }
    Ok(Flow::Done(record.as_read(), said.into()))
}

/// The record that goes on in another; `None`: it does already.
fn other(stage: &Stage<'_>, named: &Address, into: &Address) -> Result<Option<Arc<Record>>, Fault> {
    let place = kinds::resolved(stage, named.clone())?;
    if place == *into {
        return Ok(None);
    }
    if place.kind != into.kind {
        let message = format!("`{place}` cannot go on in `{into}`: they are of different kinds");
        return Err(Cause::new("record", message).into());
    }
    refuse_shipped(stage.rules, &place)?;
    refuse_ledger(stage.rules, &place)?;
    match stage.record(&place)? {
        Some(record) => Ok(Some(record)),
        None => Err(Cause::new("record", format!("there is no `{place}` to go on in it")).into()),
    }
}

fn refuse_ledger(rules: &RuleSet, address: &Address) -> Result<(), Cause> {
    if !rules.records.get(&address.kind).is_some_and(|kind| kind.ledger) {
        return Ok(());
    }
    let message = format!("`{address}` is in a ledger: what stands there is never changed");
    Err(Cause::new("ledger", message))
}

/// A person lays fields over those of a record.
pub(super) fn write(
    stage: &mut Stage<'_>,
    address: &Address,
    fields: &Map,
    by: &Text,
) -> Result<Reply, ReadError> {
    let address = &kinds::resolved(stage, address.clone())?;
    let old = stage.record(address)?;
    let mut all = old.as_ref().map(|record| record.fields.clone()).unwrap_or_default();
    let new = refuse_shipped(stage.rules, address)
        .and_then(|()| merge(&mut all, Value::Map(fields.clone())))
        .and_then(|()| ledger::refuse_chain(&all, stage.rules, &address.kind))
        .and_then(|()| next(stage, address, old.as_deref(), all))
        .map_err(Fault::Cause)
        .and_then(|record| kinds::fits(stage, &record, old.as_deref(), None).map(|()| record));
    let mut record = match new {
        Ok(record) => record,
        Err(Fault::Read(error)) => return Err(error),
        Err(Fault::Cause(cause)) => {
            return Ok(Reply::Refused(Refusal::Invalid(cause.message.to_string())));
        }
    };
    ledger::chain(stage, &mut record)?;
    let seen = old.as_ref().map_or(Value::Null, |record| record.as_read());
    let value = record.as_read();
    if old.is_none_or(|old| old.fields != record.fields) {
        stage.put_record(address.clone(), Some(record));
        changed(stage, &Changer::Person(by), address, (seen, value.clone()));
    }
    Ok(Reply::Done(value))
}

/// A record with new fields.
fn next(
    stage: &Stage<'_>,
    address: &Address,
    old: Option<&Record>,
    fields: Map,
) -> Result<Record, Cause> {
    let record = Record {
        fields,
        revision: old.map_or(1, |record| record.revision + 1),
        created: old.map_or(stage.now, |record| record.created),
        updated: stage.now,
        address: address.clone(),
    };
    let weight = Value::Map(record.fields.clone()).weight();
    if weight > limits::RECORD_BYTES {
        let message =
            format!("`{address}` would have {weight} bytes; at most {}", limits::RECORD_BYTES);
        return Err(Cause::new("too_large", message));
    }
    Ok(record)
}

/// Gives a record of the daemon's own these fields and no others.
pub(super) fn replace(stage: &mut Stage<'_>, changer: &Changer<'_>, address: Address, fields: Map) {
    let old = stage.record(&address).ok().flatten();
    let record = Record {
        revision: old.as_ref().map_or(1, |old| old.revision + 1),
        created: old.as_ref().map_or(stage.now, |old| old.created),
        updated: stage.now,
        address: address.clone(),
        fields,
    };
    let seen = old.map_or(Value::Null, |old| old.as_read());
    let new = record.as_read();
    stage.put_record(address.clone(), Some(record));
    changed(stage, changer, &address, (seen, new));
}

/// Who changed a record.
pub(super) enum Changer<'c> {
    /// A step of this run.
    Run(&'c Run),
    /// A person.
    Person(&'c Text),
}

/// A change is an event where somebody wants to know of it.
pub(super) fn changed(
    stage: &mut Stage<'_>,
    changer: &Changer<'_>,
    address: &Address,
    (old, new): (Value, Value),
) {
    history::note(stage, changer, address, (&old, &new));
    sla::record_changed(stage, changer, address, &new);
    obligations::record_changed(stage, changer, address, (&old, &new));
    let kind = Text::from(format!("record.{}", address.kind));
    let subject = Text::from(address.to_string());
    let waits = |subject: ArmSubject| {
        let pattern = Pattern::Exact(kind.clone());
        !stage.view().waiters(&pattern, &subject, RunNo(0), 1).is_empty()
    };
    let wanted = stage.rules.watches(&address.kind)
        || waits(ArmSubject::Is(subject.clone()))
        || waits(ArmSubject::Any);
    let (who, at, name, lineage) = match changer {
        Changer::Run(run) if run.depth >= limits::CAUSE_DEPTH => return,
        Changer::Run(run) => (run.hash, run.pc, &run.workflow, lineage_of(run)),
        // Of what a person writes nothing but the moment tells it from the next.
        Changer::Person(by) => {
            let micros = stage.now.as_micros().to_be_bytes();
            (Digest::of(&[b"person", by.as_bytes(), &micros]), 0, *by, Lineage::default())
        }
    };
    if !wanted {
        return;
    }
    let revision = stage.record(address).ok().flatten().map_or(0, |record| record.revision);
    let id = Digest::of(&[
        kind.as_bytes(),
        address.id.as_bytes(),
        &who.0,
        &at.to_be_bytes(),
        &revision.to_be_bytes(),
    ]);
    let draft = Draft {
        id: id.to_string().into(),
        source: format!("adjutant/{name}").into(),
        kind,
        subject: Some(subject),
        time: None,
        data: Value::from([("record", new), ("old", old)]),
        extensions: Map::new(),
    };
    admit::accept(stage, draft, lineage);
}

/// Whether a change of a record is one that a filter waits for: false of the old one, true of the new.
pub(super) fn becomes(host: &dyn Host, filter: &Filter, event: &Event) -> Result<Test, EvalError> {
    let Some(condition) = &filter.becomes else { return Ok(Test::True) };
    let test = |which: &str| {
        let record = event.data.get(which).cloned().unwrap_or_default();
        let mut scope = Scope::new(event.accepted);
        scope.set("record", &record);
        condition.test(&scope, host)
    };
    match test("record")? {
        Test::True if test("old")? == Test::True => Ok(Test::False("it was so before".into())),
        test => Ok(test),
    }
}

pub(super) fn address_of(value: &Value) -> Result<Address, Cause> {
    let wrong = |message: String| Cause::new("record", message);
    match value {
        Value::Text(text) => text.parse().map_err(|error| wrong(format!("{error}"))),
        other => Err(wrong(format!(
            "a record's address is {}; it must be text such as `lead/42`",
            other.type_name()
        ))),
    }
}

fn refuse_shipped(rules: &RuleSet, address: &Address) -> Result<(), Cause> {
    let kind = rules.records.get(&address.kind);
    if kind.is_none_or(|kind| !kind.rows.contains_key(&address.id)) {
        return Ok(());
    }
    let message = format!("`{address}` is shipped with the rules and cannot be changed");
    Err(Cause::new("record", message))
}

/// Lays `changes` over `fields`. Text that is a full RFC 3339 date and time becomes an instant.
fn merge(fields: &mut Map, changes: Value) -> Result<(), Cause> {
    let Value::Map(changes) = changes else {
        let message =
            format!("the fields of a record are {}; they must be an object", changes.type_name());
        return Err(Cause::new("record", message));
    };
    for (field, value) in changes {
        if Record::is_reserved(&field) {
            let message = format!("`{field}` is reserved: every record has it already");
            return Err(Cause::new("record", message));
        }
        fields.insert(field, with_instants(value));
    }
    Ok(())
}

fn with_instants(value: Value) -> Value {
    match value {
        Value::Text(text) => match instant_in(&text) {
            Some(at) => Value::Instant(at),
            None => Value::Text(text),
        },
        Value::List(items) => Value::List(items.into_iter().map(with_instants).collect()),
        Value::Map(map) => {
            Value::Map(map.into_iter().map(|(key, item)| (key, with_instants(item))).collect())
        }
        other => other,
    }
}

/// The instant in a full RFC 3339 text: date, `T`, time, offset.
fn instant_in(text: &Text) -> Option<Instant> {
    let bytes = text.as_bytes();
    let dated = bytes.len() >= 20 && bytes[4] == b'-' && bytes[7] == b'-' && bytes[10] == b'T';
    if dated { text.parse().ok() } else { None }
}

/// The rules in force changed: kinds whose declared indexes differ get their index rows anew.
pub(super) fn rules_changed(stage: &mut Stage<'_>) -> Result<(), ReadError> {
    let declared: Vec<(Name, Vec<Name>)> = stage
        .rules
        .records
        .iter()
        .filter(|(_, kind)| !kind.indexes.is_empty())
        .map(|(name, kind)| (name.clone(), kind.index_rows()))
        .collect();
    let known = stage.view().indexes()?;
    if declared == known {
        return Ok(());
    }
    for kind in declared
        .iter()
        .chain(&known)
        .filter(|entry| !(declared.contains(entry) && known.contains(entry)))
    {
        stage.push(Task::Reindex { kind: kind.0.clone(), after: None });
    }
    stage.write(Write::Indexes(declared));
    Ok(())
}

/// Writes the records of a kind once more, so that their index rows are those declared now.
pub(super) fn reindex(
    stage: &mut Stage<'_>,
    kind: &str,
    after: Option<&str>,
) -> Result<(), ReadError> {
    let records = stage.view().records(kind, after, REINDEX_PER_TASK)?;
    if let (true, Some(last)) = (records.len() == REINDEX_PER_TASK, records.last()) {
        let after = Some(last.address.id.clone());
        stage.push_later(Task::Reindex { kind: kind.into(), after });
    }
    for record in records {
        let record = Arc::unwrap_or_clone(record);
        stage.put_record(record.address.clone(), Some(record));
    }
    Ok(())
}
