//! `GET /metrics`: what `metric` steps keep, in the text format of Prometheus
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::engine::Engine;
use super::problem::Problem;
use crate::model::{METRIC, Record, Text, Value, limits};
use crate::pump::{Answer, Query};

/// The type of the answer.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Pages of series in one answer: a hundred metrics with all the series they may have.
const PAGES: usize = 100;

/// `GET /metrics`
pub(super) async fn show(State(engine): State<Engine>) -> Result<Response, Problem> {
    let mut metrics: BTreeMap<Text, Metric> = BTreeMap::new();
    let mut after = None;
    for _ in 0..PAGES {
        let query = Query::Records { kind: METRIC.into(), after, limit: limits::PAGE };
        let Answer::Records(records) = engine.ask(query).await? else {
            return Err(Problem::mismatch());
        };
        for record in &records {
            add(&mut metrics, record);
        }
        after = records.last().map(|record| record.address.id.clone());
        if records.len() < limits::PAGE {
            break;
        }
    }
    let mut text = String::new();
    for (name, Metric { counts, lines }) in metrics {
        let kind = if counts { "counter" } else { "gauge" };
        // Writing to a string cannot fail.
        let _ = write!(text, "# TYPE {name} {kind}\n{lines}");
    }
    Ok(([(CONTENT_TYPE, FORMAT)], text).into_response())
}

/// One metric with its series.
#[derive(Default)]
struct Metric {
    counts: bool,
    lines: String,
}

/// The id of a series is written as Prometheus writes it.
fn add(metrics: &mut BTreeMap<Text, Metric>, record: &Record) {
    let field = |name: &str| record.fields.get(name);
    let (Some(Value::Text(name)), Some(value)) = (field("name"), field("value")) else { return };
    let metric = metrics.entry(name.clone()).or_default();
    metric.counts = field("adds") == Some(&Value::Bool(true));
    let _ = writeln!(metric.lines, "{} {value}", record.address.id);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Address, Instant, Map};

    #[test]
    fn series_stand_below_their_metric() {
        let mut metrics = BTreeMap::new();
        for (id, name, value) in [("a", "a", 1), ("ab", "ab", 2), ("a{x=\"1\"}", "a", 3)] {
            let fields: Map = [
                ("name".into(), Value::from(name)),
                ("value".into(), Value::Int(value)),
                ("adds".into(), Value::Bool(true)),
            ]
            .into();
            let address = Address::new(METRIC, id).unwrap();
            let (created, updated) = (Instant::default(), Instant::default());
            add(&mut metrics, &Record { address, fields, revision: 1, created, updated });
        }
        assert_eq!(metrics["a"].lines, "a 1\na{x=\"1\"} 3\n");
        assert_eq!(metrics["ab"].lines, "ab 2\n");
        assert!(metrics["a"].counts);
    }
}
