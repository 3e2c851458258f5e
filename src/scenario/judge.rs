//! What happened beside what an entry expects.

use std::ops::Range;

use super::clock;
use super::effect::Happening;
use super::expect::{Difference, Expected, flow, pair};
use super::file::{Entry, Scenario};
use super::play::Failure;

/// Compares what happened since the entry before with what this one expects.
#[must_use]
pub fn judge(scenario: &Scenario, entry: &Entry, happened: &[Happening]) -> Vec<Failure> {
    let at = clock::say(entry.at, &scenario.zone);
    let said = |happening: &Happening| said(scenario, entry, happening);
    let mut failures = Vec::new();
    let mut fail = |place: &Range<usize>, title, lines| {
        failures.push(Failure { place: place.clone(), title, lines });
    };
    for expected in entry.expect.iter().filter(|expected| expected.never) {
        let came = |one: &&Happening| expected.differs(one).is_some_and(|all| all.is_empty());
        if let Some(happening) = happened.iter().find(came) {
            let lines = vec![format!("+ happened  {}", said(happening))];
            let title = format!("by {at}: this should never have happened");
            fail(&expected.place, title, lines);
        }
    }
    let wanted: Vec<Expected> =
        entry.expect.iter().filter(|expected| !expected.never).cloned().collect();
    let pairs = pair(&wanted, happened);
    let listed = |at: usize| pairs.iter().any(|(_, happened)| *happened == at);
    let come = |at: usize| pairs.iter().any(|(expected, _)| *expected == at);
    // Events are for the rules themselves: only those are compared that somebody expects.
    let unlisted: Vec<&Happening> = happened
        .iter()
        .enumerate()
        .filter(|(at, happening)| happening.kind != "event" && !listed(*at))
        .map(|(_, happening)| happening)
        .collect();
    let missing: Vec<&Expected> = wanted
        .iter()
        .enumerate()
        .filter(|(at, _)| !come(*at))
        .map(|(_, expected)| expected)
        .collect();
    if unlisted.is_empty() && missing.is_empty() {
        return failures;
    }
    let mut lines = Vec::new();
    let mut told = vec![false; unlisted.len()];
    for expected in &missing {
        let mut nearest: Option<(usize, Vec<Difference>)> = None;
        for (at, happening) in unlisted.iter().enumerate().filter(|(at, _)| !told[*at]) {
            let Some(differences) = expected.differs(happening) else { continue };
            let better = nearest.as_ref().is_none_or(|(_, best)| differences.len() < best.len());
            // With nothing in common it is another one.
            if better && differences.len() < expected.fields.len() {
                nearest = Some((at, differences));
            }
        }
        lines.push(format!("- expected  {}", expected.say()));
        if expected.kind == "event" {
            let same = |one: &&Happening| one.fields.get("event") == expected.fields.get("event");
            let others = happened.iter().filter(same);
            lines.extend(others.map(|one| format!("+ happened  {}", said(one))));
        }
        if let Some((at, differences)) = nearest {
            told[at] = true;
            lines.push(format!("+ happened  {}", said(unlisted[at])));
            for difference in differences {
                let (wanted, found) = (flow(&difference.wanted), flow(&difference.found));
                lines.push(format!("            {}: {found}, not {wanted}", difference.field));
            }
        }
    }
    for (_, happening) in unlisted.iter().enumerate().filter(|(at, _)| !told[*at]) {
        lines.push(format!("+ happened  {}", said(happening)));
    }
    let title = match (missing.is_empty(), unlisted.is_empty()) {
        (false, true) => "this was expected and did not happen",
        (true, false) => "this happened and is not expected",
        _ => "what happened is not what was expected",
    };
    let title = format!("by {at}: {title}");
    let place = missing.first().map_or(&entry.place, |expected| &expected.place);
    fail(place, title, lines);
    failures
}

/// Something that happened, with its workflow, and its time unless it is the entry's.
fn said(scenario: &Scenario, entry: &Entry, happening: &Happening) -> String {
    let mut text = format!("{}  # {}", happening.say(), happening.workflow);
    if happening.at != entry.at {
        text.push_str(" at ");
        text.push_str(&clock::say(happening.at, &scenario.zone));
    }
    text
}
