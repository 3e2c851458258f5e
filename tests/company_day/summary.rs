//! The summary of a day, for people.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use adjutant::model::{APPROVAL, ActionKind, OBLIGATION, Trace, Value, View as _};

use crate::checks::{blame, events_of, refused};
use crate::day::{Day, alive, waits_for};
use crate::world::{is_failed, records, runs, text};

/// Columns of a table of counts.
const WIDTH: usize = 118;

type Counts = BTreeMap<String, usize>;

/// Counts things by their name.
fn count<K: Display>(names: impl IntoIterator<Item = K>) -> Counts {
    let mut counts = Counts::new();
    for name in names {
        *counts.entry(name.to_string()).or_default() += 1;
    }
    counts
}

/// The day as a text.
pub(crate) fn of(day: &Day, title: &str) -> String {
    let state = day.daemon.state();
    let outside = &day.daemon.outside;
    let counted = &day.counted;
    let all = runs(state);
    let mut out = String::new();
    let _ = writeln!(out, "\n{title}: {}", day.daemon.now);
    let _ = writeln!(
        out,
        "  {} events accepted, {} of them nonsense, {} came again, {} with another payload under their id; {} in \
         all with what rules and the daemon emit; {} runs, {} commits, {} crash",
        counted.accepted.len(),
        counted.absurd.len(),
        counted.duplicates,
        counted.conflicts,
        state.next_event().0 - 1,
        all.len(),
        day.daemon.commits,
        day.daemon.deaths,
    );
    let mut part = |head: &str, counts: &Counts| table(&mut out, head, counts);
    part("events from outside", &count(counted.accepted.values().map(|(_, kind)| *kind)));
    part(
        "runs by workflow and outcome",
        &count(all.iter().map(|run| format!("{} {}", run.workflow, run.status.as_str()))),
    );
    let refused = refused(day);
    let failed = all.iter().filter(|run| is_failed(run));
    part(
        "failed, and who is to blame",
        &count(failed.map(|run| {
            let code = run.reason.as_ref().map_or("", |reason| &*reason.code);
            let whose =
                blame(day, run, &refused).map_or("ours".to_owned(), |whose| format!("{whose:?}"));
            format!("{} ({code}): {}", run.workflow, whose.to_lowercase())
        })),
    );
    let sent = |action: ActionKind| outside.sent.values().filter(move |one| one.action == action);
    let mails = || sent(ActionKind::Email);
    part("mails by purpose", &count(mails().map(|one| &one.purpose)));
    part("mails by template", &count(mails().map(|one| &one.template)));
    part(
        "mails and requests by how they fared",
        &count(outside.sent.values().map(|one| {
            let fate = match (one.accepted, one.refused) {
                (true, _) if one.attempts.len() > 1 => "taken after some attempts",
                (true, _) => "taken at once",
                (_, true) => "refused for good",
                _ => "under way",
            };
            format!("{} {fate}", one.action.as_str())
        })),
    );
    let stories = || {
        all.iter().flat_map(|run| {
            let mut trace = state.spilled(run.no).expect("readable");
            trace.extend(run.trace.iter().cloned());
            trace.into_iter().map(move |entry| (run.workflow.clone(), entry.what))
        })
    };
    part(
        "mails not sent, or not yet, by purpose and reason",
        &count(events_of(day, "message.suppressed").iter().map(|event| {
            let field = |name: &str| event.data.get(name).and_then(Value::as_text).unwrap_or("?");
            format!("{} {}", field("purpose"), field("reason"))
        })),
    );
    part(
        "escalations by level",
        &count(stories().filter_map(|(policy, what)| match what {
            Trace::Level(level) => Some(format!("{policy} {level}")),
            _ => None,
        })),
    );
    let status =
        |kind: &str| count(records(state, kind).iter().map(|one| text(one, "status").to_owned()));
    part("obligations", &status(OBLIGATION));
    part("service levels", &status("sla"));
    part("approvals", &status(APPROVAL));
    let deeds = counted.deeds.iter().map(|(deed, count)| ((*deed).to_owned(), *count));
    part("what people did", &deeds.collect());
    part("what is waiting", &count(alive(&day.daemon).iter().map(|run| waits_for(run))));
    out
}

/// Counts in columns, the most first.
fn table(out: &mut String, head: &str, counts: &Counts) {
    let total: usize = counts.values().sum();
    let _ = writeln!(out, "  {head}: {total}");
    let mut rows: Vec<(&String, &usize)> = counts.iter().collect();
    rows.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
    let cells: Vec<String> =
        rows.iter().map(|(name, count)| format!("{count:>6} {name}")).collect();
    let widest = cells.iter().map(|cell| cell.chars().count() + 2).max().unwrap_or(1);
    for line in cells.chunks((WIDTH / widest).max(1)) {
        let line: Vec<String> = line.iter().map(|cell| format!("{cell:<widest$}")).collect();
        let _ = writeln!(out, "  {}", line.concat().trim_end());
    }
}
