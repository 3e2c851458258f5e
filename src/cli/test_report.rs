//! What came of scenarios, for people, as JSON and in the format of JUnit.

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Value as Json, json};

use super::screen::{BAD, BOLD, DIM, put, styled};
use super::test::place_of;
use crate::model::Span;
use crate::scenario::{Coverage, Ended, Failure, Unit, Way};

/// What came of all scenarios.
pub(super) struct Report<'r> {
    pub(super) units: &'r [Unit],
    pub(super) ended: &'r [Ended],
    pub(super) coverage: &'r [Coverage],
    /// What could not be read or compiled.
    pub(super) broken: &'r [String],
    pub(super) took: Span,
}

/// One line on a scenario that has ended.
pub(super) fn line(unit: &Unit, ended: &Ended) -> String {
    let (tried, took) = ended;
    let name = &unit.scenario.name;
    let (line, _) = place_of(unit, unit.scenario.place.start);
    let place = styled(DIM, format_args!("{}:{line}", unit.file.name));
    match tried {
        Ok(tried) if tried.failures.is_empty() => {
            let millis = took.as_micros() / 1_000;
            let effects = if tried.effects == 1 { "effect" } else { "effects" };
            let counts =
                format!("{} {effects}, {} crashes, {millis} ms", tried.effects, tried.crashes);
            format!("ok    {name}  {place}  {}\n", styled(DIM, counts))
        }
        _ => format!("{}  {name}  {place}\n", styled(BAD, "FAIL")),
    }
}

impl Report<'_> {
    /// How many went wrong.
    pub(super) fn failed(&self) -> usize {
        self.ended
            .iter()
            .filter(|(tried, _)| !tried.as_ref().is_ok_and(|one| one.failures.is_empty()))
            .count()
    }

    /// Scenarios with what is wrong with them.
    fn wrong(&self) -> impl Iterator<Item = (&Unit, Vec<(Way, Failure)>)> {
        self.units.iter().zip(self.ended).filter_map(|(unit, (tried, _))| {
            let failures = match tried {
                Ok(tried) => tried.failures.clone(),
                Err(broken) => {
                    let place = unit.scenario.place.clone();
                    let title = format!("Adjutant itself could not go on: {broken}");
                    vec![(Way::Plain, Failure { place, title, lines: Vec::new() })]
                }
            };
            (!failures.is_empty()).then_some((unit, failures))
        })
    }

    /// Everything that is wrong, for people.
    pub(super) fn failures(&self) -> String {
        let mut text = String::new();
        for (unit, failures) in self.wrong() {
            put(&mut text, format_args!("\n{}\n", styled(BOLD, &unit.scenario.name)));
            for (_, failure) in failures {
                let (line, column) = place_of(unit, failure.place.start);
                let place = styled(BOLD, format_args!("{}:{line}:{column}", unit.file.name));
                put(&mut text, format_args!("  {place}: {}\n", failure.title));
                for line in &failure.lines {
                    put(&mut text, format_args!("    {line}\n"));
                }
            }
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }

    /// What no scenario reached, for people.
    pub(super) fn coverage(&self, everything: bool) -> String {
        let mut text = String::new();
        let (mut all, mut reached) = (0, 0);
        for one in self.coverage {
            all += one.all;
            reached += one.reached();
            if one.missing.is_empty() {
                continue;
            }
            let counts = format!("{} of {}", one.reached(), one.all);
            put(
                &mut text,
                format_args!(
                    "  {}  {counts}  {}\n",
                    styled(BOLD, &one.workflow),
                    styled(DIM, &one.file)
                ),
            );
            for missing in one.missing.iter().filter(|_| everything) {
                let place = format!("{}:{}", one.file, missing.line);
                put(
                    &mut text,
                    format_args!(
                        "    {place}  {} {}: {}\n",
                        missing.path, missing.action, missing.what
                    ),
                );
            }
        }
        if all == 0 {
            return text;
        }
        let more =
            if everything || text.is_empty() { "" } else { "; `--coverage` lists the others" };
        let head = styled(BOLD, "coverage: ");
        format!("{head}{reached} of {all} steps and branches were reached{more}\n{text}")
    }

    /// The same for machines.
    pub(super) fn json(&self) -> Json {
        let failures = |unit: &Unit, failures: &[(Way, Failure)]| -> Vec<Json> {
            failures
                .iter()
                .map(|(way, failure)| {
                    let (line, col) = place_of(unit, failure.place.start);
                    json!({
                        "way": way.as_str(), "line": line, "col": col,
                        "title": failure.title, "lines": failure.lines,
                    })
                })
                .collect()
        };
        let wrong: Vec<(&Unit, Vec<(Way, Failure)>)> = self.wrong().collect();
        let scenarios: Vec<Json> = self
            .units
            .iter()
            .zip(self.ended)
            .map(|(unit, (tried, took))| {
                let own = wrong.iter().find(|(other, _)| std::ptr::eq(*other, unit));
                let (line, _) = place_of(unit, unit.scenario.place.start);
                let tried = tried.as_ref().ok();
                json!({
                    "name": &*unit.scenario.name,
                    "file": &*unit.file.name,
                    "line": line,
                    "proves": unit.scenario.proves,
                    "ok": own.is_none(),
                    "effects": tried.map(|tried| tried.effects),
                    "commits": tried.map(|tried| tried.commits),
                    "crashes": tried.map(|tried| tried.crashes),
                    "millis": took.as_micros() / 1_000,
                    "failures": own.map_or_else(Vec::new, |(unit, all)| failures(unit, all)),
                })
            })
            .collect();
        let coverage: Vec<Json> = self
            .coverage
            .iter()
            .map(|one| {
                let missing: Vec<Json> = one
                    .missing
                    .iter()
                    .map(|one| json!({ "path": &*one.path, "action": one.action, "line": one.line, "what": one.what }))
                    .collect();
                json!({
                    "workflow": &*one.workflow, "file": &*one.file, "all": one.all,
                    "reached": one.reached(), "missing": missing,
                })
            })
            .collect();
        json!({ "scenarios": scenarios, "coverage": coverage, "failed": self.failed() })
    }

    /// The same in the format of JUnit, a suite a file.
    pub(super) fn junit(&self) -> String {
        let mut report = Junit::new("adjutant");
        let wrong: Vec<(&Unit, Vec<(Way, Failure)>)> = self.wrong().collect();
        let mut suite: Option<TestSuite> = None;
        for (unit, (_, took)) in self.units.iter().zip(self.ended) {
            if suite.as_ref().is_none_or(|suite| suite.name.as_str() != &*unit.file.name) {
                report.add_test_suites(suite.take());
                suite = Some(TestSuite::new(&*unit.file.name));
            }
            let own = wrong.iter().find(|(other, _)| std::ptr::eq(*other, unit));
            let mut status = TestCaseStatus::success();
            if let Some((unit, failures)) = own {
                status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                let mut text = String::new();
                for (_, failure) in failures {
                    let (line, column) = place_of(unit, failure.place.start);
                    put(
                        &mut text,
                        format_args!("{}:{line}:{column}: {}\n", unit.file.name, failure.title),
                    );
                    for line in &failure.lines {
                        put(&mut text, format_args!("  {line}\n"));
                    }
                }
                if let Some((_, first)) = failures.first() {
                    status.set_message(first.title.clone());
                }
                status.set_description(text);
            }
            let mut case = TestCase::new(&*unit.scenario.name, status);
            case.set_classname(&*unit.file.name).set_time(took.to_std());
            if let Some(suite) = &mut suite {
                suite.add_test_case(case);
            }
        }
        report.add_test_suites(suite.take());
        if !self.broken.is_empty() {
            let mut suite = TestSuite::new("files");
            for why in self.broken {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_message(why.as_str());
                suite.add_test_case(TestCase::new(why.as_str(), status));
            }
            report.add_test_suite(suite);
        }
        report.set_time(self.took.to_std());
        // Writing to memory does not fail.
        report.to_string().unwrap_or_default()
    }
}
