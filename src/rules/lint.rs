//! What is right by itself and probably wrong together: warnings about a whole rule set that has no mistakes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::model::{Pattern, Text};

use super::diagnostic::{Diagnostic, SourceFile};
use super::yaml::{Kind, Node};

/// A workflow or policy as it is written.
#[derive(Clone, Copy)]
pub(super) struct Written<'s> {
    /// Its name.
    pub name: &'s str,
    /// Its file.
    pub file: &'s SourceFile,
    /// Its document.
    pub root: &'s Node,
}

/// Where something stands.
type At<'s> = (&'s SourceFile, Range<usize>);

/// What the daemon makes itself, and what comes from inbound webhooks and polls.
const DAEMON: [&str; 9] = [
    "message.",
    "escalation.",
    "approval.",
    "sla.",
    "run.",
    "effect.",
    "record.",
    "poll.",
    "webhook.",
];

/// Everything that is worth a second look.
pub(super) fn check(written: &[Written<'_>], out: &mut Vec<Diagnostic>) {
    let talk = Talk::of(written);
    talk.unheard(out);
    talk.misheard(out);
    talk.circles(out);
    for one in written {
        for steps in blocks(one.root) {
            unreachable(one.file, steps, out);
        }
        may_be_empty(one, out);
    }
    same_field(written, out);
}

/// Who says what to whom.
struct Talk<'s> {
    /// Types that steps emit, by workflow.
    emitted: Vec<(&'s str, &'s str, At<'s>)>,
    /// Types that triggers take, by workflow.
    triggers: Vec<(&'s str, &'s str, At<'s>)>,
    /// Types that runs wait for.
    waits: Vec<(&'s str, At<'s>)>,
}

impl<'s> Talk<'s> {
    fn of(written: &[Written<'s>]) -> Self {
        let mut talk = Self { emitted: Vec::new(), triggers: Vec::new(), waits: Vec::new() };
        for one in written {
            for trigger in one.root.get("triggers").and_then(Node::items).unwrap_or_default() {
                for key in ["event", "count", "absent"] {
                    let types = trigger.get(key).map(types).unwrap_or_default();
                    let own = trigger.get("own").is_some();
                    talk.triggers.extend(
                        types
                            .into_iter()
                            .filter(|_| !own || key != "event")
                            .map(|(kind, span)| (one.name, kind, (one.file, span))),
                    );
                }
            }
            let mut filters: Vec<&Node> = Vec::new();
            filters.extend(one.root.get("exit").and_then(Node::items).unwrap_or_default());
            each_step(one.root, &mut |step| {
                filters.extend(step.get("wait_for"));
                filters.extend(step.get("resolve"));
                if let Some(node) = step.get("emit")
                    && let Some(scalar) = node.scalar()
                {
                    talk.emitted.push((one.name, &scalar.text, (one.file, node.head())));
                }
            });
            for filter in filters {
                let named = filter.get("event").unwrap_or(filter);
                talk.waits
                    .extend(types(named).into_iter().map(|(kind, at)| (kind, (one.file, at))));
            }
        }
        talk
    }

    /// Waits for types that nobody says or takes, and that look like one that somebody does.
    fn unheard(&self, out: &mut Vec<Diagnostic>) {
        let emitted: BTreeSet<&str> = self.emitted.iter().map(|(_, kind, _)| *kind).collect();
        let triggers: BTreeSet<&str> = self.triggers.iter().map(|(_, kind, _)| *kind).collect();
        let known: BTreeSet<&str> = emitted.union(&triggers).copied().collect();
        let mut waits: BTreeMap<&str, usize> = BTreeMap::new();
        for (kind, _) in &self.waits {
            *waits.entry(kind).or_default() += 1;
        }
        for (kind, (file, span)) in &self.waits {
            let said = known.contains(kind)
                || kind.contains('*')
                || DAEMON.iter().any(|prefix| kind.starts_with(prefix))
                || known.iter().any(|other| takes(other, kind));
            // Waited for more than once it is no slip of the fingers.
            if said || waits.get(kind).is_some_and(|count| *count > 1) {
                continue;
            }
            let mut others = known.iter().chain(waits.keys().filter(|other| *other != kind));
            if let Some(near) = others.find(|other| is_slip(kind, other)) {
                let message = format!("no rule emits or takes `{kind}`");
                let mut warning =
                    Diagnostic::warning("unheard-event", &file.name, span.clone(), message);
                warning.help(format!(
                    "did you mean `{near}`? If it comes from outside, there is nothing to do: a second rule that names it ends this warning"
                ));
                out.push(warning);
            }
        }
    }

    /// Triggers for a type that looks like one that a step emits, mistyped.
    fn misheard(&self, out: &mut Vec<Diagnostic>) {
        let emitted: BTreeSet<&str> = self.emitted.iter().map(|(_, kind, _)| *kind).collect();
        let mut triggers: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, kind, _) in &self.triggers {
            *triggers.entry(kind).or_default() += 1;
        }
        for (_, kind, (file, span)) in &self.triggers {
            let known =
                emitted.contains(kind) || triggers.get(kind).is_some_and(|count| *count > 1);
            let near = emitted.iter().find(|other| is_slip(kind, other));
            // What is emitted and taken by somebody else is another type.
            let Some(near) = near.filter(|near| !known && !triggers.contains_key(*near)) else {
                continue;
            };
            let message = format!("no rule emits `{kind}`, and none takes `{near}`");
            let mut warning =
                Diagnostic::warning("unheard-event", &file.name, span.clone(), message);
            warning.help(format!("did you mean `{near}`?"));
            out.push(warning);
        }
    }

    /// Workflows that start each other, or themselves, by events.
    fn circles(&self, out: &mut Vec<Diagnostic>) {
        let mut told: BTreeSet<Vec<&str>> = BTreeSet::new();
        for (from, kind, (file, span)) in &self.emitted {
            let (mut path, mut seen) = (vec![*from], BTreeSet::new());
            if let Some(round) = self.back_to(from, kind, &mut path, &mut seen) {
                let mut members = round.clone();
                members.sort_unstable();
                members.dedup();
                if !told.insert(members) {
                    continue;
                }
                let round = round.join(" → ");
                let message = format!("`{kind}` comes back to the workflow that emits it: {round}");
                let mut warning =
                    Diagnostic::warning("event-loop", &file.name, span.clone(), message);
                let ends = "an event is not offered to a workflow that caused it, so the circle ends there";
                warning.help(format!("{ends}; emit another type, or say `own: true` on the trigger if each round is meant"));
                out.push(warning);
            }
        }
    }

    /// The way by which an event of `kind` starts `goal`, along what workflows emit.
    fn back_to(
        &self,
        goal: &str,
        kind: &str,
        path: &mut Vec<&'s str>,
        seen: &mut BTreeSet<&'s str>,
    ) -> Option<Vec<&'s str>> {
        for (workflow, pattern, _) in &self.triggers {
            if !takes(pattern, kind) {
                continue;
            }
            if *workflow == goal {
                path.push(workflow);
                return Some(path.clone());
            }
            // Where no way led to the goal before, none does now.
            if !seen.insert(workflow) {
                continue;
            }
            path.push(workflow);
            for (_, next, _) in self.emitted.iter().filter(|(from, ..)| from == workflow) {
                if let Some(found) = self.back_to(goal, next, path, seen) {
                    return Some(found);
                }
            }
            path.pop();
        }
        None
    }
}

/// Whether one of two types is probably the other, mistyped: a letter or two, in a longer word.
fn is_slip(one: &str, other: &str) -> bool {
    /// Letters that may differ.
    const SLIPS: usize = 2;
    /// Letters a type must have for two of them to be a slip.
    const LONG: usize = 8;
    // `unsubscribed` and `reopened` are words of their own.
    let last = |kind: &'_ str| kind.rsplit('.').next().unwrap_or_default().to_owned();
    let (a, b) = (last(one), last(other));
    let other_word = a != b && (a.ends_with(&b) || b.ends_with(&a));
    one.len() >= LONG && !other_word && strsim::damerau_levenshtein(one, other) <= SLIPS
}

fn takes(pattern: &str, kind: &str) -> bool {
    Pattern::parse(pattern).is_some_and(|pattern| pattern.matches(kind))
}

/// The types that a filter names literally.
fn types(node: &Node) -> Vec<(&str, Range<usize>)> {
    let items = node.items().unwrap_or(std::slice::from_ref(node));
    items
        .iter()
        .filter_map(|item| Some((item.scalar()?.text.as_str(), item.head())))
        .filter(|(text, _)| !text.contains("${"))
        .collect()
}

/// Lists of steps directly within a step or document.
fn inner(node: &Node) -> Vec<&Node> {
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
fn each_step<'s>(node: &'s Node, visit: &mut dyn FnMut(&'s Node)) {
    for list in inner(node) {
        for step in list.items().unwrap_or_default() {
            visit(step);
            each_step(step, visit);
        }
    }
}

/// Every list of steps of a document.
fn blocks(root: &Node) -> Vec<&[Node]> {
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

/// The constant that a condition is, if it is one.
fn constant(node: Option<&Node>) -> Option<bool> {
    match node?.scalar()?.text.trim() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Steps behind one that ends the run, and branches that are never taken.
fn unreachable(file: &SourceFile, steps: &[Node], out: &mut Vec<Diagnostic>) {
    let mut warn = |span: Range<usize>, message: &str, help: &str| {
        let mut warning = Diagnostic::warning("unreachable", &file.name, span, message);
        warning.help(help);
        out.push(warning);
    };
    for (at, step) in steps.iter().enumerate() {
        let ends = ["stop", "fail"].iter().any(|key| step.get(key).is_some());
        let always = step.get("if").is_none() || constant(step.get("if")) == Some(true);
        let handled = step.get("on_error").is_some();
        if let (true, true, false, Some(next)) = (ends, always, handled, steps.get(at + 1)) {
            warn(
                next.head(),
                "this step is never reached: the one before it ends the run",
                "take it out, or give the one before it an `if`",
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

/// Keys, addresses and recipients that an expression may leave empty: the run would fail there.
fn may_be_empty(one: &Written<'_>, out: &mut Vec<Diagnostic>) {
    let asked = conditions(one.root);
    let mut look = |node: &Node, what: &str| {
        let Kind::Scalar(scalar) = &node.kind else { return };
        let Some(inside) = scalar.text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'))
        else {
            return;
        };
        if inside.contains("${") {
            return;
        }
        let inside = inside.trim();
        // More than a path decides for itself; and who asks for it elsewhere knows that it may be missing.
        let path = |c: char| c.is_alphanumeric() || "._?()\"' -".contains(c);
        let plain = inside.replace("?.", ".");
        let plain = plain.split("??").next().unwrap_or_default().trim();
        if !inside.chars().all(path) || asked.contains(plain) {
            return;
        }
        let given = inside.rsplit_once("??").map(|(_, last)| last.trim());
        let why = match given {
            Some("\"\"" | "()") => format!("`{what}` is empty when nothing is there"),
            None if inside.contains("?.") || inside.contains(".get(") => {
                format!("`{what}` is nothing when that is missing")
            }
            _ => return,
        };
        let mut warning = Diagnostic::warning("may-be-empty", &one.file.name, node.head(), why);
        warning.help("an empty one is an error when it is reached: give it a value (`?? \"…\"`), or ask before, in `where` or `if`");
        out.push(warning);
    };
    if let Some(node) = one.root.get("key") {
        look(node, "key");
    }
    for trigger in one.root.get("triggers").and_then(Node::items).unwrap_or_default() {
        if let Some(node) = trigger.get("by") {
            look(node, "by");
        }
    }
    each_step(one.root, &mut |step| {
        for what in ["record", "email", "delay"] {
            if let Some(node) = step.get(what) {
                look(node, what);
            }
        }
        if let Some(wait) = step.get("wait_for")
            && let Some(node) = step.get("subject").or_else(|| wait.get("subject"))
        {
            look(node, "subject");
        }
    });
}

/// Everything that `where` and `if` say in a document, one after the other.
fn conditions(root: &Node) -> String {
    let mut text = String::new();
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        for entry in node.entries().unwrap_or_default() {
            match (entry.key.as_str(), entry.value.scalar()) {
                ("where" | "if", Some(scalar)) => {
                    text.push_str(&scalar.text.replace("?.", "."));
                    text.push('\n');
                }
                _ => open.push(&entry.value),
            }
        }
        open.extend(node.items().unwrap_or_default());
    }
    text
}

/// Fields of records of one kind that two workflows write, each without knowing of the other.
fn same_field(written: &[Written<'_>], out: &mut Vec<Diagnostic>) {
    let mut first: BTreeMap<(Text, &str), (&str, At<'_>)> = BTreeMap::new();
    let mut told: BTreeSet<(Text, &str, &str)> = BTreeSet::new();
    for one in written {
        each_step(one.root, &mut |step| {
            let address = step.get("record").and_then(Node::scalar);
            let Some((kind, _)) = address.and_then(|scalar| scalar.text.split_once('/')) else {
                return;
            };
            if kind.contains("${") {
                return;
            }
            let kind = Text::from(kind);
            for entry in step.get("set").and_then(Node::entries).unwrap_or_default() {
                let key = (kind.clone(), entry.key.as_str());
                let here = (one.name, (one.file, entry.key_span.clone()));
                let (other, (file, span)) = first.entry(key).or_insert(here);
                if *other == one.name || !told.insert((kind.clone(), &entry.key, one.name)) {
                    continue;
                }
                let message = format!(
                    "`{}` and `{other}` both write `{}` of {kind} records",
                    one.name, entry.key
                );
                let mut warning = Diagnostic::warning(
                    "same-field",
                    &one.file.name,
                    entry.key_span.clone(),
                    message,
                );
                warning.also(&file.name, span.clone(), format!("`{other}` writes it here")).help(
                    "whoever comes last wins: let one workflow own the field, or give each its own",
                );
                out.push(warning);
            }
        });
    }
}
