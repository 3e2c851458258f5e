//! How runs begin, and what that means for what they hear and see.

use crate::model::Text;
use crate::script;

use super::super::diagnostic::Diagnostic;
use super::super::yaml::Node;
use super::Written;
use super::walk::{each_step, expressions};

/// Options that only what triggers start asks for.
const OF_TRIGGERS: [&str; 7] = ["if", "key", "mode", "max", "throttle", "debounce", "enabled"];

/// What one workflow says that does nothing, or that is never there.
pub(super) fn check(one: &Written<'_>, called: bool, out: &mut Vec<Diagnostic>) {
    let triggers = one.root.get("triggers").and_then(Node::items);
    match triggers {
        Some([]) => options(one, out),
        // The event may be its caller's.
        _ if called => {}
        Some(all) if all.iter().all(|trigger| trigger.get("schedule").is_some()) => {
            without(one, &Begun::Schedule, out);
            deaf(one, out);
        }
        Some(all) if all.iter().all(|one| one.get("count").or(one.get("absent")).is_some()) => {
            without(one, &Begun::Count, out);
        }
        _ => {}
    }
    other_subject(one, out);
}

/// Options of a workflow that is only called.
fn options(one: &Written<'_>, out: &mut Vec<Diagnostic>) {
    for entry in one.root.entries().unwrap_or_default() {
        if OF_TRIGGERS.contains(&entry.key.as_str()) {
            let message =
                format!("`{}` does nothing: `{}` is only ever called", entry.key, one.name);
            let mut warning =
                Diagnostic::warning("useless-key", &one.file.name, entry.key_span.clone(), message);
            warning.help("it is asked when a trigger starts a run; a called one always begins");
            out.push(warning);
        }
    }
}

/// What begins every run of a workflow.
enum Begun {
    Schedule,
    Count,
}

/// What the event that begins the runs does not have.
fn without(one: &Written<'_>, begun: &Begun, out: &mut Vec<Diagnostic>) {
    expressions(one.root, "", &mut |found| {
        // There, `event` is a candidate, or there is none.
        if ["where", "becomes", "by"].contains(&found.key) {
            return;
        }
        for path in script::paths(found.source) {
            let [("event" | "trigger", _), (attribute, span), rest @ ..] = &path[..] else {
                continue;
            };
            // What is nothing can be compared with; what is missing cannot even be read.
            let made: fn(_, &Text, _, String) -> Diagnostic =
                if *attribute == "subject" { Diagnostic::warning } else { Diagnostic::error };
            let (span, message, help) = match (begun, *attribute, rest) {
                (Begun::Schedule, "subject", _) => (
                    span,
                    "a schedule has no subject".to_owned(),
                    "it begins a run for everything at once: write what the run is about, such as `report/daily`".to_owned(),
                ),
                (Begun::Schedule, "data", [(name, span), ..]) if !["at", "late", "workflow"].contains(name) => (
                    span,
                    format!("what a schedule begins has no `data.{name}`"),
                    "its `data` is `{ at, late, workflow }`: read what else it needs of records".to_owned(),
                ),
                (Begun::Count, "data", [(name, span), ..])
                    if !["key", "count", "last"].contains(name) =>
                {
                    (
                        span,
                        format!("what begins this run has no `data.{name}`"),
                        format!("its `data` is `{{ key, count, last }}`: of the last event it is `{}.data.last.data.{name}`", path[0].0),
                    )
                }
                _ => continue,
            };
            let after = found.source[span.end..].trim_start();
            if found.may_miss(span) || after.starts_with("==") || after.starts_with("!=") {
                continue;
            }
            let place = found.place(one.file, span);
            let mut found = made("unknown-attribute", &one.file.name, place, message);
            found.help(help);
            out.push(found);
        }
    });
}

/// Waits in runs without a subject, which hear only events without one.
fn deaf(one: &Written<'_>, out: &mut Vec<Diagnostic>) {
    each_step(one.root, &mut |step| {
        let Some(wait) = step.get("wait_for") else { return };
        if step.get("subject").or_else(|| wait.get("subject")).or(wait.get("record")).is_none() {
            let message = "this run has no subject, so it hears only events without one";
            let mut warning =
                Diagnostic::warning("own-subject", &one.file.name, wait.head(), message);
            warning.help("say whose events it waits for: `subject: lead/42`, or `subject: any`");
            out.push(warning);
        }
    });
}

/// Filters that ask for a subject of their own in `where`, which only ever sees the run's.
fn other_subject(one: &Written<'_>, out: &mut Vec<Diagnostic>) {
    let mut filters: Vec<(&Node, Option<&Node>)> = Vec::new();
    let exits = one.root.get("exit").and_then(Node::items).unwrap_or_default();
    filters.extend(exits.iter().map(|filter| (filter, None)));
    each_step(one.root, &mut |step| {
        if let Some(wait) = step.get("wait_for") {
            filters.push((wait, Some(step)));
        }
        filters.extend(step.get("resolve").map(|filter| (filter, None)));
    });
    for (filter, beside) in filters {
        let field = |key: &str| filter.get(key).or_else(|| beside.and_then(|step| step.get(key)));
        let (Some(test), None, None) = (field("where"), field("subject"), field("record")) else {
            continue;
        };
        expressions(test, "where", &mut |found| {
            for path in script::paths(found.source) {
                let [("event", _), ("subject", span)] = &path[..] else { continue };
                let after = found.source[span.end..].trim_start();
                let before = found.source[..path[0].1.start].trim_end();
                // With what it is compared: something of the candidate tells candidates apart.
                let other = ["==", "!="].iter().find_map(|sign| {
                    let behind = after.strip_prefix(sign).map(str::trim_start);
                    let ahead = before.strip_suffix(sign).map(|ahead| {
                        ahead.trim_end().rsplit(char::is_whitespace).next().unwrap_or_default()
                    });
                    behind.or(ahead)
                });
                if other.is_none_or(|other| other.starts_with("event.")) {
                    continue;
                }
                let place = found.place(one.file, span);
                let message = "this is always the run's own subject here";
                let mut warning =
                    Diagnostic::warning("own-subject", &one.file.name, place, message);
                warning.help("a running workflow hears only events about its own subject: name another one beside `where`, `subject: lead/${…}`, or `subject: any`");
                out.push(warning);
            }
        });
    }
}
