//! Schedules compared with an independent implementation, `cronsim` from `PyPI`, over a year in five zones:
//! every instant of every expression, through every change of the clocks.

#![allow(clippy::unwrap_used, reason = "a test: what fails here fails the test")]

mod support;

use adjutant::model::Instant;
use adjutant::rules::{CatchUp, Schedule};
use support::python;

/// A year in which all of them change their clocks but the last.
const YEAR: &str = "2026";
/// North and south of the equator, at midnight, and never. Not Lord Howe, whose clocks go back by half an
/// hour: on that day the oracle leaves out 02:15, which is there.
const ZONES: [&str; 5] =
    ["Europe/Berlin", "America/New_York", "Australia/Sydney", "America/Santiago", "Asia/Kolkata"];

const EXPRESSIONS: &str = "\
0 9 * * 1-5
30 2 * * *
0 0 1 * *
*/5 * * * *
15 */2 * * *
0 1,2,3 * * *
45 23 * * 0
0 12 29 2 *
0 0 * * mon#1
59 1 * 3,10 *
0 4 15 * 5
7-59/13 1-4 * * *
";

#[test]
fn schedules_agree_with_the_oracle() {
    let mut args = vec![YEAR];
    args.extend(ZONES);
    let said = python::run_with("cron_times.py", &args, EXPRESSIONS);
    assert_eq!(said.code, 0, "{said:?}");
    let seconds = |text: &str| text.parse::<Instant>().unwrap().as_micros() / 1_000_000;
    let (start, end) = (seconds("2026-01-01T00:00:00Z"), seconds("2027-01-01T00:00:00Z"));
    let (mut cases, mut wrong) = (0, Vec::new());
    for line in said.out.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let (zone, cron) = (line["zone"].as_str().unwrap(), line["cron"].as_str().unwrap());
        let wanted: Vec<i64> =
            line["at"].as_array().unwrap().iter().map(|at| at.as_i64().unwrap()).collect();
        let schedule = Schedule::parse(cron, zone, None, CatchUp::Last).unwrap();
        let mut found = Vec::new();
        let mut at = Instant::from_micros(start * 1_000_000);
        while let Some(next) = schedule.after(at) {
            assert!(next > at, "{cron} in {zone} stands still at {at}");
            at = next;
            if next.as_micros() / 1_000_000 >= end {
                break;
            }
            found.push(next.as_micros() / 1_000_000);
            assert_eq!(schedule.latest(next), Some(next), "{cron} in {zone}");
        }
        cases += 1;
        let first = wanted.iter().zip(&found).find(|(wanted, found)| wanted != found);
        if found != wanted {
            let at = |pair: (&i64, &i64)| {
                let instant = |seconds: &i64| Instant::from_micros(seconds * 1_000_000).to_string();
                format!("{} instead of {}", instant(pair.1), instant(pair.0))
            };
            let first = first.map_or_else(|| "the end".to_owned(), at);
            wrong.push(format!("{cron} in {zone}: {} and {}; {first}", found.len(), wanted.len()));
        }
    }
    assert_eq!(cases, ZONES.len() * EXPRESSIONS.lines().count());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
