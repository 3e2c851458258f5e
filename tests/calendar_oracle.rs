//! Calendars compared with an independent oracle: `oracle/calendar.py` asks Python's zoneinfo for
//! the civil time of every minute of a year and counts. Seeds are fixed, so a failure repeats.

#![allow(clippy::unwrap_used, reason = "a test: what fails here fails the test")]

use std::process::Command;

use adjutant::model::{Duration, Instant, Span};
use adjutant::rules::{Calendar, CalendarSpec, OpenRule};
use serde_json::Value;

/// Cases for each of the oracle's calendars.
const CASES: usize = 250;
/// One random calendar for each seed and each of the oracle's seven zones.
const SEEDS: [&str; 3] = ["1", "2", "3"];

#[test]
fn calendars_agree_with_the_oracle() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/calendar.py");
    let output = Command::new("python3")
        .args([script, &CASES.to_string()])
        .args(SEEDS)
        .output()
        .expect("the calendar oracle needs python3 (3.9 or later) on the PATH");
    assert!(
        output.status.success(),
        "the oracle failed (without system zone files: pip install tzdata):\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut calendar = None;
    let (mut calendars, mut cases) = (0, 0);
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line.get("timezone").is_some() {
            calendar = Some((compile(&line), line));
            calendars += 1;
            continue;
        }
        let (calendar, text) = calendar.as_ref().expect("a calendar comes first");
        assert_eq!(answer(calendar, &line), line["want"], "{line} of {text}");
        cases += 1;
    }
    assert_eq!((calendars, cases), (7 * SEEDS.len(), 7 * SEEDS.len() * CASES));
}

fn compile(line: &Value) -> Calendar {
    let texts = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    let spec = CalendarSpec {
        timezone: line["timezone"].as_str().unwrap().to_owned(),
        open: line["open"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| OpenRule {
                days: rule[0].as_str().unwrap().parse().unwrap(),
                hours: texts(&rule[1]).iter().map(|span| span.parse().unwrap()).collect(),
            })
            .collect(),
        closed: texts(&line["closed"]).iter().map(|day| day.parse().unwrap()).collect(),
    };
    Calendar::compile(&spec).unwrap_or_else(|errors| panic!("{line}: {errors:?}"))
}

fn answer(calendar: &Calendar, case: &Value) -> Value {
    let instant = |key: &str| Instant::from_micros(case[key].as_i64().unwrap());
    let span = || Span::from_micros(case["span"].as_i64().unwrap());
    let at = instant("at");
    let end = |duration| Value::from(calendar.end(at, duration).as_micros());
    match case["op"].as_str().unwrap() {
        "is_open" => calendar.is_open(at).into(),
        "next_open" => calendar.next_open(at).as_micros().into(),
        "elapsed" => end(Duration::Elapsed(span())),
        "open" => end(Duration::Open(span())),
        "days" => end(Duration::OpenDays(case["days"].as_u64().unwrap() as u32)),
        "between" => calendar.open_between(at, instant("to")).as_micros().into(),
        other => panic!("the oracle asks for {other}"),
    }
}
