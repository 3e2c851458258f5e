//! [`Reads`]: how expressions read records while a decision is being made.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{
    Address, Duration, Instant, METRIC, Map, ReadError, Record, SUPPRESSION, Text, Value, limits,
};
use crate::rules::RecordKind;
use crate::script::{Host, suppression_id};

use super::erase;
use super::gate;
use super::kinds;
use super::ledger;
use super::metric;
use super::stage::Stage;
use super::time;

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
        let address = kinds::resolved(self.0, address)?;
        Ok(self.0.record(&address)?.map_or(Value::Null, |record| record.as_read()))
    }

    fn records(
        &self,
        kind: &str,
        filter: Option<(&str, &Value)>,
    ) -> Result<Option<Vec<Value>>, ReadError> {
        let limit = limits::RECORDS_PER_READ + 1;
        let plain = RecordKind::default();
        let document = self.0.rules.records.get(kind).unwrap_or(&plain);
        let row = filter.map(|(field, value)| (field, document.row_of(field, value)));
        let stored = match &row {
            Some((_, (index, value))) => self.0.view().records_where(kind, index, value, limit)?,
            None => self.0.view().records(kind, None, limit)?,
        };
        let wanted = |fields: &Map| {
            // One that goes on in another is found as that.
            !fields.contains_key(kinds::MERGED_INTO)
                && row.as_ref().is_none_or(|(field, (_, value))| {
                    fields.get(*field).is_some_and(|v| same(&document.row_of(field, v).1, value))
                })
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

    fn suppressed(&self, address: &str, purpose: &str) -> Result<bool, ReadError> {
        let stage = self.0;
        let address = gate::bare(address);
        for id in [suppression_id(&address, purpose), erase::hashed(stage, &address)?] {
            let Ok(place) = Address::new(SUPPRESSION, &id) else { continue };
            if stage.record(&place)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn open_after(
        &self,
        from: Instant,
        duration: Duration,
        calendar: &str,
    ) -> Result<Instant, String> {
        time::end_from(self.0, from, duration, Some(calendar))
            .map_err(|cause| cause.message.to_string())
    }

    fn ledger(&self, kind: &str) -> Result<Value, ReadError> {
        let head = self.0.window(&ledger::ledger_key(kind))?.unwrap_or_default();
        let count = i64::try_from(head.count).unwrap_or(i64::MAX);
        Ok(Value::from([("count", Value::Int(count)), ("head", head.last)]))
    }

    fn metric(&self, name: &str, since: Instant) -> Result<Option<Value>, ReadError> {
        let limit = limits::METRIC_SERIES + 1;
        let (metric_name, _) = name.split_once('{').unwrap_or((name, ""));
        let stored = self.0.view().records_where(METRIC, "name", &metric_name.into(), limit)?;
        let staged = self.0.staged_records().filter(|(address, _)| *address.kind == *METRIC);
        let mut all: BTreeMap<Address, Arc<Record>> =
            stored.into_iter().map(|record| (record.address.clone(), record)).collect();
        for (address, record) in staged {
            match record {
                Some(record) => all.insert(address.clone(), record.clone()),
                None => all.remove(address),
            };
        }
        let named = |record: &&Arc<Record>| {
            let of = |field: &str| record.fields.get(field).and_then(Value::as_text);
            of("name") == Some(name) || *record.address.id == *name
        };
        metric::since(all.values().filter(named).map(|record| &record.fields), since)
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
