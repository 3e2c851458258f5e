//! [`Reads`]: how expressions read records while a decision is being made.

use std::collections::BTreeMap;

use crate::model::{Address, Map, ReadError, Record, Text, Value, limits};
use crate::script::Host;

use super::stage::Stage;

/// Answers `record()` and `records()` from rows shipped with the rules, from what this decision has
/// written, and from the view, in this order.
pub(super) struct Reads<'s, 'a>(pub(super) &'s Stage<'a>);

impl Reads<'_, '_> {
    fn rows(&self, kind: &str) -> Option<&BTreeMap<Text, Map>> {
        self.0.rules.records.get(kind).map(|kind| &kind.rows)
    }
}

impl Host for Reads<'_, '_> {
    fn record(&self, kind: &str, id: &str) -> Result<Value, ReadError> {
        let Ok(address) = Address::new(kind, id) else { return Ok(Value::Null) };
        if let Some(fields) = self.rows(kind).and_then(|rows| rows.get(id)) {
            return Ok(Record::read(&address, fields));
        }
        Ok(self.0.record(&address)?.map_or(Value::Null, |record| record.as_read()))
    }

    fn records(
        &self,
        kind: &str,
        filter: Option<(&str, &Value)>,
    ) -> Result<Option<Vec<Value>>, ReadError> {
        let limit = limits::RECORDS_PER_READ + 1;
        let stored = match filter {
            Some((index, value)) => self.0.view().records_where(kind, index, value, limit)?,
            None => self.0.view().records(kind, None, limit)?,
        };
        let wanted = |fields: &Map| {
            filter.is_none_or(|(index, value)| fields.get(index).is_some_and(|v| same(v, value)))
        };
        let mut found: BTreeMap<Text, Value> = stored
            .into_iter()
            .filter(|record| wanted(&record.fields))
            .map(|record| (record.address.id.clone(), record.as_read()))
            .collect();
        for (address, record) in self.0.staged_records() {
            if *address.kind != *kind {
                continue;
            }
            found.remove(&address.id);
            if let Some(record) = record.filter(|record| wanted(&record.fields)) {
                found.insert(address.id.clone(), record.as_read());
            }
        }
        for (id, fields) in self.rows(kind).into_iter().flatten() {
            if let (true, Ok(address)) = (wanted(fields), Address::new(kind, id)) {
                found.insert(id.clone(), Record::read(&address, fields));
            }
        }
        Ok((found.len() < limit).then(|| found.into_values().collect()))
    }
}

/// Equality as expressions have it: numbers compare as numbers.
#[allow(clippy::float_cmp, reason = "equal means equal")]
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => *a as f64 == *b,
        _ => a == b,
    }
}
