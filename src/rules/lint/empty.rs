//! Keys, addresses and recipients that an expression may leave empty.

use super::super::diagnostic::Diagnostic;
use super::super::yaml::{Kind, Node};
use super::Written;
use super::walk::each_step;

/// Keys, addresses and recipients that an expression may leave empty: the run would fail there.
pub(super) fn may_be_empty(one: &Written<'_>, out: &mut Vec<Diagnostic>) {
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
