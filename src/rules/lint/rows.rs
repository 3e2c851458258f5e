//! Records that are shipped with the rules: people who are named must be among them, and nobody writes them.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::model::PERSON;

use super::super::diagnostic::{Diagnostic, SourceFile};
use super::super::suggest;
use super::super::yaml::{Entry, Node};
use super::Written;
use super::walk::each_step;

/// A `record:` document with rows.
struct Shipped<'s> {
    kind: &'s str,
    file: &'s SourceFile,
    /// The key `rows`.
    rows: &'s Entry,
}

impl<'s> Shipped<'s> {
    fn of(one: &Written<'s>) -> Option<Self> {
        let rows = one.root.entries()?.iter().find(|entry| entry.key == "rows")?;
        rows.value.entries()?;
        Some(Self { kind: one.name, file: one.file, rows })
    }

    fn row(&self, id: &str) -> Option<&'s Entry> {
        self.rows.value.entries()?.iter().find(|entry| entry.key == id)
    }

    fn ids(&self) -> impl Iterator<Item = &'s str> {
        self.rows.value.entries().unwrap_or_default().iter().map(|entry| entry.key.as_str())
    }
}

/// People and rows, in workflows, policies and teams; `records` are the `record:` documents.
pub(super) fn check(
    written: &[Written<'_>],
    teams: &[Written<'_>],
    records: &[Written<'_>],
    out: &mut Vec<Diagnostic>,
) {
    let shipped: Vec<Shipped<'_>> = records.iter().filter_map(Shipped::of).collect();
    let mut kept: BTreeSet<&str> = BTreeSet::new();
    for one in written {
        each_step(one.root, &mut |step| {
            let Some(address) = step.get("record") else { return };
            let Some(text) = address.scalar().map(|scalar| scalar.text.as_str()) else { return };
            let writes =
                ["set", "create", "unset", "delete"].iter().any(|key| step.get(key).is_some());
            if !writes {
                return;
            }
            let Some((kind, id)) = text.split_once('/') else {
                kept.insert(text);
                return;
            };
            let rows = shipped.iter().find(|shipped| shipped.kind == kind);
            let Some((rows, row)) = rows.and_then(|rows| Some((rows, rows.row(id)?))) else {
                kept.insert(kind);
                return;
            };
            let message = format!("`{kind}/{id}` is shipped with the rules and is never written");
            let mut error =
                Diagnostic::error("shipped-row", &one.file.name, address.head(), message);
            error.also(&rows.file.name, row.key_span.clone(), "shipped here").help(
                "change it where it is shipped, or keep what changes in a record of another kind",
            );
            out.push(error);
        });
    }
    if kept.contains(PERSON) || kept.iter().any(|kind| kind.contains("${")) {
        return;
    }
    let Some(people) = shipped.iter().find(|shipped| shipped.kind == PERSON) else { return };
    for one in written {
        for (id, node) in named(one.root) {
            person(people, one.file, id, node.head(), out);
        }
    }
    for one in teams {
        let members = one.root.get("members").and_then(Node::entries).unwrap_or_default();
        for member in members {
            person(people, one.file, &member.key, member.key_span.clone(), out);
        }
        if let Some(node) = one.root.get("fallback")
            && let Some(id) = node.scalar().map(|scalar| scalar.text.trim())
        {
            let id = id.strip_prefix("person:").unwrap_or(id);
            person(people, one.file, id, node.head(), out);
        }
    }
}

/// The people whom a document names: with `person:` in front, and in `notify` also without.
fn named(root: &Node) -> Vec<(&str, &Node)> {
    let mut places: Vec<(&Node, bool)> = Vec::new();
    each_step(root, &mut |step| {
        let keys = ["email", "cc", "bcc"].into_iter();
        places.extend(keys.filter_map(|key| Some((step.get(key)?, false))));
    });
    let levels = root.get("levels").and_then(Node::items).unwrap_or_default().iter();
    places.extend(levels.filter_map(|level| Some((level.get("notify")?, true))));
    let mut found = Vec::new();
    for (place, bare) in places {
        for item in place.items().unwrap_or(std::slice::from_ref(place)) {
            let Some(text) = item.scalar().map(|scalar| scalar.text.trim()) else { continue };
            let prefixed = text.strip_prefix("person:").map(str::trim);
            let Some(id) = prefixed.or_else(|| bare.then_some(text)) else { continue };
            if !id.contains("${") && !id.contains('@') && !id.contains(':') {
                found.push((id, item));
            }
        }
    }
    found
}

fn person(
    people: &Shipped<'_>,
    file: &SourceFile,
    id: &str,
    at: Range<usize>,
    out: &mut Vec<Diagnostic>,
) {
    let Some(row) = people.row(id) else {
        let message = format!("there is no person `{id}`");
        let mut error = Diagnostic::error("unknown-person", &file.name, at, message);
        error.also(&people.file.name, people.rows.key_span.clone(), "the people there are");
        error.maybe_help(suggest::hint(id, people.ids()));
        out.push(error);
        return;
    };
    let email = row.value.get("email");
    let fine = email.and_then(Node::scalar).is_some_and(|scalar| scalar.text.contains('@'));
    if !fine {
        let message = format!("`{id}` has no address to write to");
        let mut error = Diagnostic::error("unknown-person", &file.name, at, message);
        let place = email.map_or_else(|| row.key_span.clone(), Node::head);
        error
            .also(&people.file.name, place, "the row of this person")
            .help("give the row an `email`, with one address");
        out.push(error);
    }
}
