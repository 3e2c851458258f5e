//! Walks over documents as they are written.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::script;

use super::super::diagnostic::SourceFile;
use super::super::yaml::{Kind, Node};

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
pub(in crate::rules) fn each_step<'s>(node: &'s Node, visit: &mut dyn FnMut(&'s Node)) {
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

/// The workflow that a step calls, or the policy that it raises.
pub(super) fn callee(step: &Node) -> Option<&str> {
    let callee = step.get("call").or_else(|| step.get("escalate"))?;
    callee.scalar().map(|scalar| scalar.text.as_str())
}

/// The workflows and policies that others call or raise.
pub(super) fn called<'s>(written: &[super::Written<'s>]) -> BTreeSet<&'s str> {
    let mut called = BTreeSet::new();
    for one in written {
        each_step(one.root, &mut |step| {
            called.extend(callee(step));
        });
    }
    called
}

/// An expression as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written<'s> {
    /// The key under which it stands.
    pub key: &'s str,
    /// The scalar it stands in.
    node: &'s Node,
    /// Where in its text it begins.
    from: usize,
    /// Its text.
    pub source: &'s str,
}

impl Written<'_> {
    /// Bytes of the file.
    pub(super) fn place(&self, file: &SourceFile, span: &Range<usize>) -> Range<usize> {
        self.node.place(&file.text, self.from + span.start..self.from + span.end)
    }

    /// Whether what ends at this byte of it may be missing: `a?.b`, `a ?? b`.
    pub(super) fn may_miss(&self, span: &Range<usize>) -> bool {
        may_miss(self.source, span)
    }
}

/// Whether what stands here in an expression may be missing.
pub(in crate::rules) fn may_miss(source: &str, span: &Range<usize>) -> bool {
    let before = source[..span.start].trim_end();
    let quoted = format!("\"{}\"", &source[span.clone()]);
    before.ends_with("?.") || source[span.end..].contains("??") || source.contains(&quoted)
}

/// Visits every expression of a document: conditions, and what stands in `${…}`.
pub(super) fn expressions<'s>(node: &'s Node, key: &'s str, visit: &mut dyn FnMut(Written<'s>)) {
    match &node.kind {
        Kind::Scalar(scalar) if ["where", "if", "becomes", "rhai"].contains(&key) => {
            visit(Written { key, node, from: 0, source: &scalar.text });
        }
        Kind::Scalar(scalar) => {
            for hole in script::holes(&scalar.text) {
                let source = &scalar.text[hole.clone()];
                visit(Written { key, node, from: hole.start, source });
            }
        }
        Kind::List(items) => items.iter().for_each(|item| expressions(item, key, visit)),
        Kind::Map(entries) => {
            for entry in entries {
                // What is named freely stands for where it is named.
                let known = [
                    "vars", "set", "create", "args", "data", "json", "form", "headers", "query",
                    "labels",
                ];
                // Words for people.
                if entry.key == "description" && !known.contains(&key) {
                    continue;
                }
                let key = if known.contains(&key) { key } else { &entry.key };
                expressions(&entry.value, key, visit);
            }
        }
        Kind::Broken => {}
    }
}
