//! `metric:` a number that is counted or measured, kept by day.
//!
//! A series, one set of labels of a metric, is a record of kind `metric` whose id is written as
//! monitoring writes it, `leads_total{country="DE"}`. So it is durable, changes with the decision
//! that changes it, and can be read and waited for like any other record.

use crate::model::{Address, Cause, Instant, METRIC, Map, ReadError, Run, Text, Value, limits};
use crate::rules::{MetricChange, MetricStep, Step};

use super::advance::{Cursor, Flow};
use super::records;
use super::stage::Stage;
use super::start::{Fault, clipped};
use super::steps::eval;
use super::watch;

/// Adds to a series, or sets it.
pub(super) fn step(
    stage: &mut Stage<'_>,
    cursor: &Cursor,
    metric: &MetricStep,
) -> Result<Flow, Fault> {
    let (amount, adds) = match &metric.change {
        MetricChange::Add(shape) => (eval(stage, cursor, shape)?, true),
        MetricChange::Set(shape) => (eval(stage, cursor, shape)?, false),
    };
    if !matches!(amount, Value::Int(_) | Value::Float(_)) {
        let word = if adds { "add" } else { "set" };
        let message = format!("`{word}` must be a number, not {}", amount.type_name());
        return Err(Cause::new("metric", message).into());
    }
    let mut labels = Map::new();
    for (name, shape) in &metric.labels {
        labels.insert(name.clone(), label(name, eval(stage, cursor, shape)?)?);
    }
    let id = series(&metric.name, &labels);
    let said = format!("{id} {} {amount}", if adds { "+" } else { "=" });
    if cursor.run.shadow {
        return Ok(Flow::Would(Value::Null, format!("{said} is left as it is").into()));
    }
    let change = Change { name: &metric.name, id: &id, labels, amount, adds };
    let value = change.make(stage, &cursor.run)?;
    Ok(Flow::Done(value, said.into()))
}

/// The metric that counts what runs in shadow mode would have done, by workflow and main key of the step.
const WOULD: &str = "adjutant_shadow_total";

/// Counts a step of a run in shadow mode that would have done something, so that monitoring shows how much a
/// workflow is about to do before it is let loose. Gives the words for the run's story.
pub(super) fn would(
    stage: &mut Stage<'_>,
    run: &Run,
    step: &Step,
    what: &str,
) -> Result<Text, ReadError> {
    let labels = Map::from([
        ("workflow".into(), Value::Text(run.workflow.clone())),
        ("would".into(), Value::from(step.action.key())),
    ]);
    let id = series(WOULD, &labels);
    let change = Change { name: &WOULD.into(), id: &id, labels, amount: Value::Int(1), adds: true };
    match change.make(stage, run) {
        // Past the bound of its series it is not counted, and the run goes on.
        Ok(_) | Err(Fault::Cause(_)) => Ok(clipped(&format!("in shadow mode: {what}"))),
        Err(Fault::Read(error)) => Err(error),
    }
}

/// A change of a series.
struct Change<'c> {
    name: &'c Text,
    /// As monitoring writes it.
    id: &'c str,
    labels: Map,
    amount: Value,
    /// It is added, and otherwise what is there is replaced.
    adds: bool,
}

impl Change<'_> {
    fn make(self, stage: &mut Stage<'_>, run: &Run) -> Result<Value, Fault> {
        let Change { name, id, labels, amount, adds } = self;
        let address =
            Address::new(METRIC, id).map_err(|error| Cause::new("metric", error.to_string()))?;
        let old = stage.record(&address)?;
        if old.is_none() {
            room_for_another(stage, name)?;
        }
        let fields = old.as_ref().map(|record| &record.fields);
        let value = if adds {
            sum(fields.and_then(|fields| fields.get("value")), &amount)?
        } else {
            amount.clone()
        };
        let today = Text::from(&stage.now.to_string()[..DAY]);
        let mut days = match fields.and_then(|fields| fields.get("days")) {
            Some(Value::Map(days)) => days.clone(),
            _ => Map::new(),
        };
        let of_today = if adds { sum(days.get(&today), &amount)? } else { amount };
        days.insert(today, of_today);
        while days.len() > limits::METRIC_DAYS {
            let Some(oldest) = days.keys().min().cloned() else { break };
            days.remove(&oldest);
        }
        let fields = Map::from([
            ("name".into(), Value::Text(name.clone())),
            ("labels".into(), Value::Map(labels)),
            ("adds".into(), Value::Bool(adds)),
            ("value".into(), value.clone()),
            ("days".into(), Value::Map(days)),
        ]);
        records::replace(stage, &records::Changer::Run(run), address, fields);
        Ok(value)
    }
}

/// What a metric has come to since an instant, over these of its series: of what is counted the sum of the days
/// (of UTC, the first of them whole), of what is measured the last value. `None`: there is none of them.
pub(super) fn since<'r>(
    series: impl Iterator<Item = &'r Map>,
    since: Instant,
) -> Result<Option<Value>, ReadError> {
    let first = Text::from(&since.to_string()[..DAY]);
    let mut found: Option<Value> = None;
    for fields in series {
        let counts = fields.get("adds") == Some(&Value::Bool(true));
        let mut add = |value: &Value| {
            // Too large a sum is as large as can be.
            let whole = sum(found.as_ref(), value).unwrap_or(Value::Float(f64::MAX));
            found = Some(whole);
        };
        match fields.get("days") {
            Some(Value::Map(days)) if counts => {
                add(&Value::Int(0));
                days.range(first.clone()..).for_each(|(_, value)| add(value));
            }
            _ => {
                if let Some(value) = fields.get("value") {
                    add(value);
                }
            }
        }
    }
    Ok(found)
}

/// Bytes of a date at the beginning of an instant as text: `2026-03-02`.
const DAY: usize = 10;

/// The text of a label.
fn label(name: &str, value: Value) -> Result<Value, Cause> {
    let text = match value {
        Value::Text(text) => text,
        Value::Null | Value::List(_) | Value::Map(_) => {
            let message = format!("the label `{name}` is {}, not text", value.type_name());
            return Err(Cause::new("metric", message));
        }
        other => other.to_string().into(),
    };
    if text.len() > limits::LABEL_BYTES {
        let message = format!(
            "the label `{name}` has {} bytes; at most {} tell series apart",
            text.len(),
            limits::LABEL_BYTES
        );
        return Err(Cause::new("metric", message));
    }
    // What cannot stand in an address would only be in the way.
    Ok(Value::from(text.replace(char::is_control, " ")))
}

/// As in the text format of Prometheus: `name{a="x",b="y"}`, labels in order.
fn series(name: &str, labels: &Map) -> String {
    if labels.is_empty() {
        return name.to_owned();
    }
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| {
            let value = value.as_text().unwrap_or_default();
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    format!("{name}{{{}}}", labels.join(","))
}

/// Each set of labels is kept for good, so there is a bound to how many a metric has.
fn room_for_another(stage: &mut Stage<'_>, name: &str) -> Result<(), Fault> {
    let key = watch::window_key("", watch::SERIES, Some(name));
    let mut window = stage.window(&key)?.unwrap_or_default();
    if window.count >= limits::METRIC_SERIES as u64 {
        let message = format!(
            "`{name}` has {} series already: is something in `labels` that is different each time?",
            limits::METRIC_SERIES
        );
        return Err(Cause::new("metric", message).into());
    }
    window.count += 1;
    Ok(stage.put_window(key, Some(window))?)
}

fn sum(a: Option<&Value>, b: &Value) -> Result<Value, Cause> {
    let float = |value: &Value| match value {
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        _ => 0.0,
    };
    let Some(a) = a else { return Ok(b.clone()) };
    if let (Value::Int(a), Value::Int(b)) = (a, b)
        && let Some(sum) = a.checked_add(*b)
    {
        return Ok(Value::Int(sum));
    }
    let sum = float(a) + float(b);
    if sum.is_finite() {
        Ok(Value::Float(sum))
    } else {
        Err(Cause::new("metric", "the sum is too large for a number"))
    }
}
