//! The language and the workflows of a rule set as Markdown, from the same tables and the same compiled rules
//! that everything else goes by.

use std::fmt::Write as _;

use crate::script::{Condition, Sandbox};

use super::decode::{Holds, Key, State, Table};
use super::program::{Action, Pc, TriggerKind, Workflow};
use super::ruleset::RuleSet;
use super::{codes, keys};

/// The reference of the language: documents, triggers, steps, functions, and the codes of diagnostics.
#[must_use]
pub fn language(sandbox: &Sandbox) -> String {
    let mut text = String::from(
        "# Reference of the rule language\n\n\
         Written by `adjutant docs language` from the tables that rule files are read against; a test keeps it so.\n\
         `adjutant schema` has the same for editors.\n\n## Documents\n\n\
         A file holds one or more documents, parted by `---`. Each has exactly one of these keys, which names it.\n",
    );
    for document in keys::DOCUMENTS {
        if let Some(table) = &document.table {
            section(&mut text, document.kind, table.what, table.keys.iter());
        }
    }
    text.push_str("\n## Triggers\n\nWhat starts a workflow; the first that matches wins.\n");
    for trigger in keys::TRIGGERS {
        if let Some(table) = &trigger.table {
            section(&mut text, trigger.main, table.what, table.keys.iter());
        }
    }
    text.push_str(
        "\n## Filters\n\nWhat selects events in a running workflow: `wait_for`, `exit`, `resolve`.\n",
    );
    section(&mut text, "event", keys::FILTER.what, keys::FILTER.keys.iter());
    section(&mut text, "record", keys::RECORD_FILTER.what, keys::RECORD_FILTER.keys.iter());
    text.push_str(
        "\n## Steps\n\nA step has exactly one main key; its fields stand beside it. These may stand beside every main key:\n",
    );
    rows(&mut text, keys::COMMON.keys.iter());
    for step in keys::STEPS {
        if let Some(table) = &step.fields {
            put(
                &mut text,
                format_args!(
                    "\n### `{}`\n\n{}: {}.\n",
                    step.main,
                    sentence(step.about),
                    shape(step.holds)
                ),
            );
            rows(&mut text, table.keys.iter());
        }
    }
    functions(&mut text, sandbox);
    text.push_str("\n## Diagnostics\n\n`adjutant check --explain CODE` shows an example of each.\n\n| code | what it is about |\n|---|---|\n");
    for code in codes::all() {
        put(&mut text, format_args!("| `{}` | {} |\n", code.name, cell(code.summary())));
    }
    text
}

fn functions(text: &mut String, sandbox: &Sandbox) {
    text.push_str("\n## Functions\n\nWhat conditions and `${…}` may call, beside what Rhai has itself and what plugins define.\n\n| function | what it gives |\n|---|---|\n");
    let mut known: Vec<_> = sandbox.functions().iter().filter(|one| one.plugin.is_none()).collect();
    known.sort_by(|a, b| (&a.name, a.params.len()).cmp(&(&b.name, b.params.len())));
    for function in known {
        let call = format!("{}({})", function.name, function.params.join(", "));
        put(text, format_args!("| `{}` | {} |\n", cell(&call), cell(function.doc.trim())));
    }
}

fn section(text: &mut String, name: &str, what: &str, keys: impl Iterator<Item = &'static Key>) {
    put(text, format_args!("\n### `{name}`\n\n{}.\n", sentence(what)));
    rows(text, keys);
}

/// A table of keys; those that are not supported yet are left out.
fn rows(text: &mut String, keys: impl Iterator<Item = &'static Key>) {
    let keys: Vec<&Key> = keys.filter(|key| key.state != State::Later).collect();
    if keys.is_empty() {
        return;
    }
    text.push_str("\n| key | | holds | what for |\n|---|---|---|---|\n");
    for key in keys {
        let needed = if key.state == State::Required { "must" } else { "" };
        let (holds, about) = (shape(key.holds), cell(key.about));
        put(text, format_args!("| `{}` | {needed} | {} | {about} |\n", key.name, cell(&holds)));
    }
}

/// The shape of a value in words.
fn shape(holds: Holds) -> String {
    match holds {
        Holds::Anything => "anything".to_owned(),
        Holds::Text => "text".to_owned(),
        Holds::Scalar => "text or a number".to_owned(),
        Holds::Expression => "an expression".to_owned(),
        Holds::Name => "a name".to_owned(),
        Holds::Variable => "the name of a variable".to_owned(),
        Holds::Flag => "`true` or `false`".to_owned(),
        Holds::Whole(least) => format!("a whole number from {least}"),
        Holds::Duration => "a duration".to_owned(),
        Holds::Values => "values by name".to_owned(),
        Holds::Choice(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(", ")
        }
        Holds::ListOf(item) => format!("a list: {}", shape(*item)),
        Holds::MapOf(value) => format!("by name: {}", shape(*value)),
        Holds::Any(kinds) => {
            let kinds: Vec<String> = kinds.iter().map(|kind| shape(*kind)).collect();
            kinds.join("; or ")
        }
        Holds::Object(table) => format!("an object: {}", names(table)),
        Holds::Ref(definition) => match definition {
            super::decode::Definition::Steps => "steps".to_owned(),
            super::decode::Definition::Trigger => "a trigger".to_owned(),
            super::decode::Definition::Filter => "a filter".to_owned(),
            super::decode::Definition::Expected => "what is expected".to_owned(),
        },
    }
}

fn names(table: &'static Table) -> String {
    let names: Vec<String> = table.names().map(|name| format!("`{name}`")).collect();
    names.join(" ")
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn put(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a `String` does not fail.
    let _ = text.write_fmt(more);
}

/// Every workflow and policy of a rule set: what starts it, and a diagram of its steps.
#[must_use]
pub fn workflows(rules: &RuleSet) -> String {
    let mut text = String::from("# Workflows\n\nWritten by `adjutant docs workflows`.\n");
    for bundle in rules.workflows.values() {
        let workflow = &bundle.main;
        put(&mut text, format_args!("\n## {}\n\n", workflow.name));
        if let Some(description) = &workflow.description {
            put(&mut text, format_args!("{description}\n\n"));
        }
        put(&mut text, format_args!("File `{}`", bundle.file_of(&workflow.name)));
        if let Some(owner) = &workflow.owner {
            put(&mut text, format_args!(", owned by {owner}"));
        }
        text.push_str(".\n");
        starts(&mut text, workflow);
        diagram(&mut text, workflow);
    }
    if !rules.policies.is_empty() {
        text.push_str("\n# Escalation policies\n");
    }
    for bundle in rules.policies.values() {
        put(&mut text, format_args!("\n## {}\n", bundle.name));
        diagram(&mut text, &bundle.main);
    }
    text
}

fn starts(text: &mut String, workflow: &Workflow) {
    if workflow.triggers.is_empty() {
        text.push_str("\nStarts when another workflow calls it.\n");
        return;
    }
    text.push_str("\nStarts with\n\n");
    for trigger in &workflow.triggers {
        let kinds: Vec<String> =
            trigger.filter.patterns.iter().map(|pattern| format!("`{pattern}`")).collect();
        let kinds = kinds.join(", ");
        let what = match &trigger.kind {
            TriggerKind::Event => kinds,
            TriggerKind::Count { at_least, .. } => format!("{at_least} of {kinds}"),
            TriggerKind::Absent { .. } => format!("no {kinds} for a while"),
            TriggerKind::Schedule(schedule) => {
                let (cron, zone) = &schedule.written;
                format!("the schedule `{cron}` in {zone}")
            }
            TriggerKind::Poll(poll) => format!("what the poll `{}` finds", poll.function),
            TriggerKind::Files(glob) => format!("each row of `{}` in the spool", glob.as_str()),
            #[cfg(test)]
            TriggerKind::Nth { n, .. } => format!("each {n}th of {kinds}"),
        };
        let condition = trigger.filter.condition.iter().flat_map(Condition::exprs);
        let clauses: Vec<&str> = condition.map(crate::script::Expr::source).collect();
        if clauses.is_empty() {
            put(text, format_args!("- {what}\n"));
        } else {
            put(text, format_args!("- {what}, where `{}`\n", clauses.join(" && ")));
        }
    }
}

/// A flowchart in Mermaid: <https://mermaid.js.org/syntax/flowchart.html>.
fn diagram(text: &mut String, workflow: &Workflow) {
    text.push_str("\n```mermaid\nflowchart TD\n");
    let end = workflow.steps.len() as Pc;
    let mut ends = false;
    for (pc, step) in workflow.steps.iter().enumerate() {
        let said = said(&step.action, step.id.as_deref());
        let (open, close) = match step.action {
            Action::Branch(_) => ("{", "}"),
            Action::WaitFor { .. } | Action::Delay(_) | Action::Level { .. } | Action::Summit => {
                ("([", "])")
            }
            _ => ("[", "]"),
        };
        put(text, format_args!("  s{pc}{open}\"{}\"{close}\n", quoted(&said)));
        let mut arrow = |to: Pc, label: &str| {
            ends |= to >= end;
            let to = if to >= end { "done".to_owned() } else { format!("s{to}") };
            if label.is_empty() {
                put(text, format_args!("  s{pc} --> {to}\n"));
            } else {
                put(text, format_args!("  s{pc} -->|\"{}\"| {to}\n", quoted(label)));
            }
        };
        match &step.action {
            Action::Branch(arms) => {
                for arm in arms {
                    let clauses: Vec<&str> = arm
                        .condition
                        .iter()
                        .flat_map(Condition::exprs)
                        .map(crate::script::Expr::source)
                        .collect();
                    let label = if clauses.is_empty() {
                        arm.label.to_string()
                    } else {
                        clauses.join(" && ")
                    };
                    arrow(arm.target, &label);
                }
                if arms.iter().all(|arm| arm.condition.is_some()) {
                    arrow(step.next, "else");
                }
            }
            Action::WaitFor { on_timeout, .. } => {
                arrow(step.next, "");
                if let Some(target) = on_timeout.filter(|target| *target != step.next) {
                    arrow(target, "time is up");
                }
            }
            Action::ForEach(each) => {
                arrow(each.body, "each");
                arrow(step.next, "");
            }
            Action::Parallel(lists) => {
                for list in lists {
                    arrow(*list, "beside each other");
                }
                arrow(step.next, "");
            }
            Action::Stop(_) | Action::Fail(_) | Action::Summit => {}
            _ => arrow(step.next, ""),
        }
        if step.guard.is_some() {
            arrow(step.next, "left out");
        }
        if let Some(target) = step.on_error.filter(|target| *target != step.next) {
            arrow(target, "on error");
        }
    }
    if let Some(target) = workflow.on_failure {
        put(text, format_args!("  failed((failed)) --> s{target}\n"));
    }
    if ends {
        text.push_str("  done((end))\n");
    }
    text.push_str("```\n");
}

fn said(action: &Action, id: Option<&str>) -> String {
    let what = match action {
        Action::Branch(_) => "?".to_owned(),
        Action::Call { workflow, .. } => format!("call {workflow}"),
        Action::Escalate(escalate) => format!("escalate {}", escalate.policy),
        Action::Emit { kind, .. } => {
            let kind = kind.literal().map_or_else(|| "…".to_owned(), |kind| kind.to_string());
            format!("emit {kind}")
        }
        Action::WaitFor { filter, .. } => {
            let kinds: Vec<String> = filter.patterns.iter().map(ToString::to_string).collect();
            format!("wait for {}", kinds.join(", "))
        }
        Action::Plugin(call) => format!("action {}", call.action_name()),
        Action::Script(call) => format!("script {}", call.function),
        other => other.key().to_owned(),
    };
    match id {
        Some(id) => format!("{what} ({id})"),
        None => what,
    }
}

/// Text within quotes of a diagram.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    short.replace('"', "#quot;").replace('\n', " ")
}
