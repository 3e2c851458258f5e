//! Fields of records that two workflows write.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Text;

use super::super::diagnostic::Diagnostic;
use super::super::yaml::Node;
use super::walk::{callee, each_step};
use super::{At, Written};

/// Fields of records of one kind that two workflows write, each without knowing of the other.
pub(super) fn same_field(written: &[Written<'_>], out: &mut Vec<Diagnostic>) {
    let mut first: BTreeMap<(Text, &str), (&str, At<'_>)> = BTreeMap::new();
    let mut told: BTreeSet<(Text, &str, &str)> = BTreeSet::new();
    let mut calls: BTreeSet<(&str, &str)> = BTreeSet::new();
    for one in written {
        each_step(one.root, &mut |step| {
            calls.extend(callee(step).map(|callee| (one.name, callee)));
        });
    }
    for one in written {
        // Those that rest write nothing.
        let rests = one.root.get("enabled").and_then(Node::scalar);
        if rests.is_some_and(|scalar| scalar.text == "false") {
            continue;
        }
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
                // Who calls the other knows when it writes.
                let knows =
                    calls.contains(&(one.name, *other)) || calls.contains(&(*other, one.name));
                if *other == one.name || knows || !told.insert((kind.clone(), &entry.key, one.name))
                {
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
