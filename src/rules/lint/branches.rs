//! Steps and branches that are never reached.

use std::ops::Range;

use super::super::diagnostic::{Diagnostic, SourceFile};
use super::super::yaml::Node;

/// The constant that a condition is, if it is one.
fn constant(node: Option<&Node>) -> Option<bool> {
    match node?.scalar()?.text.trim() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Whether no run goes on behind a step.
fn ends(step: &Node) -> bool {
    let always = step.get("if").is_none() || constant(step.get("if")) == Some(true);
    let last = |list: Option<&Node>| {
        list.and_then(Node::items).is_some_and(|steps| steps.iter().any(ends))
    };
    if step.get("on_error").is_some() {
        return false;
    }
    if let Some(cases) = step.get("switch").and_then(Node::items) {
        let all = cases.iter().all(|case| last(case.get("then").or_else(|| case.get("else"))));
        return always && all && cases.iter().any(|case| case.get("else").is_some());
    }
    if step.get("then").is_some() {
        return last(step.get("then")) && last(step.get("else"));
    }
    always && ["stop", "fail"].iter().any(|key| step.get(key).is_some())
}

/// Steps behind one that ends the run, and branches that are never taken.
pub(super) fn unreachable(file: &SourceFile, steps: &[Node], out: &mut Vec<Diagnostic>) {
    let mut warn = |span: Range<usize>, message: &str, help: &str| {
        let mut warning = Diagnostic::warning("unreachable", &file.name, span, message);
        warning.help(help);
        out.push(warning);
    };
    for (at, step) in steps.iter().enumerate() {
        if let (true, Some(next)) = (ends(step), steps.get(at + 1)) {
            warn(
                next.head(),
                "this step is never reached: none goes on behind the one before it",
                "take it out, or let one before it end only sometimes, with an `if`",
            );
        }
        if let Some(test) = step.get("if") {
            match (constant(Some(test)), step.get("then"), step.get("else")) {
                (Some(false), None, _) => warn(
                    test.head(),
                    "this step is never done: its `if` is always false",
                    "take the step out, or write a condition",
                ),
                (Some(false), Some(then), _) => warn(
                    then.head(),
                    "this branch is never taken: its `if` is always false",
                    "write a condition, or keep the other branch alone",
                ),
                (Some(true), Some(_), Some(otherwise)) => warn(
                    otherwise.head(),
                    "this branch is never taken: the `if` is always true",
                    "write a condition, or keep the other branch alone",
                ),
                _ => {}
            }
        }
        for (at, case) in
            step.get("switch").and_then(Node::items).unwrap_or_default().iter().enumerate()
        {
            let rest = step.get("switch").and_then(Node::items).unwrap_or_default();
            match (constant(case.get("if")), rest.get(at + 1)) {
                (Some(true), Some(next)) => warn(
                    next.head(),
                    "no case after one that always holds is ever reached",
                    "write `else` for the rest, last",
                ),
                (Some(false), _) => warn(
                    case.head(),
                    "this case is never taken: its `if` is always false",
                    "take it out, or write a condition",
                ),
                _ => {}
            }
        }
    }
}
