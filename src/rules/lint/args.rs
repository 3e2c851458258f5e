//! What is passed to workflows and policies, and what they read of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Text;
use crate::script;

use super::super::diagnostic::Diagnostic;
use super::super::suggest;
use super::super::yaml::Node;
use super::walk::{callee, each_step, expressions};
use super::{At, Written};

/// What the callers of one workflow or policy pass.
#[derive(Default)]
struct Passed<'s> {
    names: BTreeSet<&'s str>,
    /// The first place where something is passed.
    first: Option<At<'s>>,
    /// Somebody computes it.
    open: bool,
    /// Somebody calls it.
    called: bool,
}

/// Reads of `args.NAME` that no caller passes, in files without another mistake.
pub(super) fn unknown(written: &[Written<'_>], broken: &BTreeSet<Text>, out: &mut Vec<Diagnostic>) {
    let mut passed: BTreeMap<&str, Passed<'_>> = BTreeMap::new();
    for one in written {
        each_step(one.root, &mut |step| {
            let Some(callee) = callee(step) else { return };
            let passed = passed.entry(callee).or_default();
            passed.called = true;
            let Some(args) = step.get("args") else { return };
            match args.entries() {
                Some(entries) => passed.names.extend(entries.iter().map(|entry| &*entry.key)),
                None => passed.open = true,
            }
            passed.first.get_or_insert((one.file, args.head()));
        });
    }
    let nobody = Passed::default();
    for one in written {
        let passed = passed.get(one.name).unwrap_or(&nobody);
        // A workflow that nobody calls is told so; what begins otherwise has no `args`.
        let started =
            one.root.get("triggers").and_then(Node::items).is_some_and(|items| !items.is_empty());
        let silent = passed.open || !passed.called && !started;
        // Where `args` cannot stand at all, that is said.
        if silent || broken.contains(&one.file.name) {
            continue;
        }
        let asked = Asked::of(one.root);
        if asked.for_any {
            continue;
        }
        expressions(one.root, "", &mut |found| {
            for path in script::paths(found.source) {
                let [("args", _), (name, span), ..] = &path[..] else { continue };
                let known = passed.names.contains(name) || asked.names.contains(*name);
                if known || found.may_miss(span) {
                    continue;
                }
                let place = found.place(one.file, span);
                let message = format!("nobody passes `args.{name}`");
                let mut error =
                    Diagnostic::error("unknown-argument", &one.file.name, place, message);
                if let Some((file, at)) = &passed.first {
                    error.also(&file.name, at.clone(), "this is passed");
                }
                let near = suggest::hint(name, passed.names.iter().copied());
                error.help(near.unwrap_or_else(|| {
                    if passed.called {
                        format!("pass it where `{}` is called: `args: {{ {name}: … }}`", one.name)
                    } else {
                        format!(
                            "nobody calls `{}`, and what triggers start has no `args`",
                            one.name
                        )
                    }
                }));
                out.push(error);
            }
        });
    }
}

/// What a document asks about its arguments before it reads them.
#[derive(Default)]
struct Asked {
    names: BTreeSet<String>,
    /// Whether there are any at all.
    for_any: bool,
}

impl Asked {
    fn of(root: &Node) -> Self {
        let mut asked = Self::default();
        expressions(root, "", &mut |found| {
            let source = found.source;
            if !source.contains("args") {
                return;
            }
            let ways = ["args.is_empty", "args.len", "args.keys"];
            asked.for_any |= ways.iter().any(|way| source.contains(way));
            // `args?.name`, `"name" in args`, `args.contains("name")`
            let optional =
                source.match_indices("args?.").map(|(at, way)| &source[at + way.len()..]);
            let name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
            asked.names.extend(optional.map(|rest| rest.chars().take_while(name).collect()));
            asked.names.extend(source.split('"').skip(1).step_by(2).map(str::to_owned));
        });
        asked
    }
}
