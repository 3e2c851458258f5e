//! The last changes of a record: who changed what, when. Kept as a record of kind `history` with the address
//! of the other as its id, for kinds that have a document.

use crate::model::{Address, Map, Record, Text, Value, is_own};

use super::records::Changer;
use super::stage::Stage;

/// The kind of these records.
pub(super) const HISTORY: &str = "history";
/// Changes that are kept.
const CHANGES: usize = 20;
/// Bytes that are kept, so that a record with large fields does not grow without bound.
const BYTES: usize = 16 * 1024;

/// Where the history of a record lies.
pub(super) fn place(address: &Address) -> Address {
    Address { kind: HISTORY.into(), id: address.to_string().into() }
}

/// Notes a change.
pub(super) fn note(
    stage: &mut Stage<'_>,
    changer: &Changer<'_>,
    address: &Address,
    (old, new): (&Value, &Value),
) {
    let kind = stage.rules.records.get(&address.kind);
    // What a ledger holds does not change.
    if is_own(&address.kind) || kind.is_none_or(|kind| kind.ledger) {
        return;
    }
    let mut fields = Map::new();
    let names = |value: &Value| -> Vec<Text> {
        value.as_map().map(|map| map.keys().cloned().collect()).unwrap_or_default()
    };
    for name in names(old).into_iter().chain(names(new)) {
        let (before, after) = (old.get(&name), new.get(&name));
        if before != after && !Record::is_reserved(&name) {
            let or_null = |value: Option<&Value>| value.cloned().unwrap_or_default();
            let pair = Value::List(vec![or_null(before), or_null(after)]);
            fields.insert(name, pair);
        }
    }
    let by = match changer {
        Changer::Run(run) => Text::from(format!("{} {}", run.workflow, run.id())),
        Changer::Person(by) => (*by).clone(),
    };
    let change = Value::from([
        ("at", Value::Instant(stage.now)),
        ("by", Value::Text(by)),
        ("fields", Value::Map(fields)),
    ]);
    let place = place(address);
    let before = stage.record(&place).ok().flatten();
    let mut changes = match before.as_ref().and_then(|record| record.fields.get("changes")) {
        Some(Value::List(changes)) => changes.clone(),
        _ => Vec::new(),
    };
    changes.push(change);
    let many = changes.len().saturating_sub(CHANGES);
    changes.drain(..many);
    while changes.len() > 1 && changes.iter().map(Value::weight).sum::<usize>() > BYTES {
        changes.remove(0);
    }
    let record = Record {
        address: place.clone(),
        fields: Map::from([("changes".into(), Value::List(changes))]),
        revision: before.as_ref().map_or(1, |record| record.revision + 1),
        created: before.as_ref().map_or(stage.now, |record| record.created),
        updated: stage.now,
    };
    stage.put_record(place, Some(record));
}
