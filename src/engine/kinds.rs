//! What the document of a kind of records asks of them: schema and unique fields; and aliases of
//! records that go on in another.

use std::sync::Arc;

use crate::model::{Address, Cause, Map, Name, OBLIGATION, ReadError, Record, Value};
use crate::rules::{RecordKind, RuleSet};

use super::obligations;
use super::stage::Stage;
use super::start::{Fault, clipped};

/// The field of a record that goes on in another: the address of that one.
pub(super) const MERGED_INTO: &str = "merged_into";
/// How many aliases are followed one after the other: more is a circle, which nothing makes.
const HOPS: usize = 16;

/// Where a record lives that may have gone on in another.
pub(super) fn resolved(stage: &Stage<'_>, address: Address) -> Result<Address, ReadError> {
    let mut at = address;
    for _ in 0..HOPS {
        let next = match stage.record(&at)? {
            Some(record) => alias_of(&record),
            None => None,
        };
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    Ok(at)
}

/// The record in which this one goes on.
pub(super) fn alias_of(record: &Record) -> Option<Address> {
    record.fields.get(MERGED_INTO)?.as_text()?.parse().ok()
}

/// What is left of a record that goes on in another.
pub(super) fn tombstone(stage: &Stage<'_>, old: &Record, into: &Address) -> Record {
    let fields = Map::from([
        (MERGED_INTO.into(), Value::text(into.to_string())),
        ("merged_at".into(), Value::Instant(stage.now)),
    ]);
    Record { fields, revision: old.revision + 1, updated: stage.now, ..old.clone() }
}

/// The values under which a record is found.
pub(super) fn indexed(rules: &RuleSet, record: &Record) -> Vec<(Name, Value)> {
    let Some(kind) = rules.records.get(&record.address.kind) else { return Vec::new() };
    kind.indexes
        .iter()
        .filter_map(|field| Some((field, record.fields.get(field)?)))
        .filter(|(_, value)| !value.is_null())
        .map(|(field, value)| kind.row_of(field, value))
        .collect()
}

/// Whether a record may be written so; `besides` is one that goes on in it.
pub(super) fn fits(
    stage: &Stage<'_>,
    record: &Record,
    old: Option<&Record>,
    besides: Option<&Address>,
) -> Result<(), Fault> {
    if *record.address.kind == *OBLIGATION {
        obligations::fits(record)?;
    }
    let Some(kind) = stage.rules.records.get(&record.address.kind) else { return Ok(()) };
    let address = &record.address;
    if kind.ledger && old.is_some() {
        let message = format!("`{address}` is in a ledger: what stands there is never changed");
        return Err(Cause::new("ledger", message).into());
    }
    if let Some(schema) = &kind.schema {
        let json = Value::Map(record.fields.clone()).to_json();
        let wrong: Vec<String> = schema
            .iter_errors(&json)
            .take(3)
            .map(|error| {
                let place = error.instance_path().to_string().replace('/', ".");
                if place.is_empty() { error.to_string() } else { format!("{place}: {error}") }
            })
            .collect();
        if !wrong.is_empty() {
            let message = format!("`{address}` does not fit its schema: {}", wrong.join("; "));
            return Err(Cause::new("schema", clipped(&message)).into());
        }
    }
    for field in &kind.unique {
        let Some(value) = record.fields.get(field).filter(|value| !value.is_null()) else {
            continue;
        };
        if let Some(other) = holder(stage, kind, (field, value), address, besides)? {
            let message = format!("`{field}` of `{address}` is that of `{other}` already");
            return Err(Cause::new("unique", message).into());
        }
    }
    Ok(())
}

/// Another record that has this value in a unique field.
fn holder(
    stage: &Stage<'_>,
    kind: &RecordKind,
    (field, value): (&Name, &Value),
    own: &Address,
    besides: Option<&Address>,
) -> Result<Option<Address>, ReadError> {
    let wanted = kind.row_of(field, value);
    let is_other = |address: &Address| address != own && Some(address) != besides;
    for (address, record) in stage.staged_records() {
        let same = |record: &Arc<Record>| {
            let has = record.fields.get(field).map(|value| kind.row_of(field, value));
            has.as_ref() == Some(&wanted)
        };
        if *address.kind == *own.kind && is_other(address) && record.is_some_and(same) {
            return Ok(Some(address.clone()));
        }
    }
    // Three are enough to find one that is neither of the two.
    for record in stage.view().records_where(&own.kind, &wanted.0, &wanted.1, 3)? {
        if is_other(&record.address) && !stage.is_staged_record(&record.address) {
            return Ok(Some(record.address.clone()));
        }
    }
    Ok(None)
}
