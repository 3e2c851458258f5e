//! Who calls whom: cycles are refused, and a bundle holds everybody below its workflow.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::Name;

use super::assemble::Built;
use super::diagnostic::Diagnostic;

/// Reports every cycle of calls, once.
pub(super) fn check(built: &[Built], out: &mut Vec<Diagnostic>) {
    let workflows: BTreeMap<&Name, &Built> = built
        .iter()
        .filter(|built| !built.source.policy)
        .map(|built| (&built.source.name, built))
        .collect();
    let mut done = BTreeSet::new();
    for name in workflows.keys() {
        let mut path = Vec::new();
        walk(name, &workflows, &mut path, &mut done, out);
    }
}

/// Warns of workflows that nothing can start.
pub(super) fn never_started(built: &[Built], out: &mut Vec<Diagnostic>) {
    let called: BTreeSet<&Name> = built.iter().flat_map(|built| built.used.calls.keys()).collect();
    for Built { name: span, source, workflow, .. } in built {
        let name = &source.name;
        if !source.policy && workflow.triggers.is_empty() && !called.contains(name) {
            let message =
                format!("nothing starts `{name}`: it has no triggers and nobody calls it");
            out.push(Diagnostic::warning("never-started", &source.file, span.clone(), message));
        }
    }
}

/// Follows calls depth first. The path stays short: a longer one would be a cycle.
fn walk<'b>(
    name: &'b Name,
    workflows: &BTreeMap<&'b Name, &'b Built>,
    path: &mut Vec<&'b Name>,
    done: &mut BTreeSet<&'b Name>,
    out: &mut Vec<Diagnostic>,
) {
    let Some(built) = workflows.get(name) else { return };
    if done.contains(name) {
        return;
    }
    path.push(name);
    for (callee, span) in &built.used.calls {
        let Some(begin) = path.iter().position(|above| *above == callee) else {
            walk(callee, workflows, path, done, out);
            continue;
        };
        let round: Vec<&str> = path[begin..].iter().chain([&callee]).map(|name| &***name).collect();
        let message = format!("workflows call each other in a circle: {}", round.join(" → "));
        let mut error = Diagnostic::error("call-cycle", &built.source.file, span.clone(), message);
        error.help(
            "a run would never end; to begin again use an event: `emit` it and listen for it",
        );
        out.push(error);
    }
    path.pop();
    done.insert(name);
}

/// A workflow or policy, and after it all workflows below it, each once.
pub(super) fn family<'b>(main: &'b Built, workflows: &HashMap<&Name, &'b Built>) -> Vec<&'b Built> {
    let mut family = vec![main];
    let mut known: BTreeSet<&Name> = BTreeSet::new();
    let mut at = 0;
    while let Some(member) = family.get(at).copied() {
        for callee in member.used.calls.keys() {
            if known.insert(callee)
                && let Some(built) = workflows.get(callee)
            {
                family.push(built);
            }
        }
        at += 1;
    }
    family
}
