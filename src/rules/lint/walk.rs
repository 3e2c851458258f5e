//! Walks over documents as they are written.

use super::super::yaml::Node;

/// Lists of steps directly within a step or document.
pub(super) fn inner(node: &Node) -> Vec<&Node> {
    let mut lists = Vec::new();
    for entry in node.entries().unwrap_or_default() {
        match entry.key.as_str() {
            "steps" | "then" | "else" | "on_timeout" | "on_error" | "on_failure" => {
                lists.push(&entry.value);
            }
            "parallel" => lists.extend(entry.value.items().unwrap_or_default()),
            "switch" | "levels" => {
                for case in entry.value.items().unwrap_or_default() {
                    lists.extend(inner(case));
                }
            }
            _ => {}
        }
    }
    lists.retain(|list| list.items().is_some());
    lists
}

/// Visits every step of a document.
pub(super) fn each_step<'s>(node: &'s Node, visit: &mut dyn FnMut(&'s Node)) {
    for list in inner(node) {
        for step in list.items().unwrap_or_default() {
            visit(step);
            each_step(step, visit);
        }
    }
}

/// Every list of steps of a document.
pub(super) fn blocks(root: &Node) -> Vec<&[Node]> {
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        for list in inner(node) {
            let steps = list.items().unwrap_or_default();
            found.push(steps);
            open.extend(steps);
        }
    }
    found
}
