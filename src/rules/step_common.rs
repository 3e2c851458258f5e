//! The modifiers of a step: `id`, `if`, `timeout`, `retry`, `on_error`, `on_uncertain`. One that
//! would do nothing on this kind of step is an error, so that nobody relies on it.

use crate::model::{Duration, Text};

use super::compile::Cx;
use super::decode::Fields;
use super::flow::{Around, Common, Flow, Label};
use super::program::Retry;
use super::yaml::{Entry, Kind, Node};
use super::{filters, keys};

impl Flow<'_, '_> {
    /// The target of a step's own `on_error`.
    pub(super) fn on_error(&mut self, node: &Node, next: Label) -> Option<Label> {
        match &node.kind {
            Kind::List(items) if items.is_empty() => Some(next),
            Kind::List(_) => Some(self.label()),
            Kind::Scalar(scalar) => {
                let choices = [("fail", false), ("continue", true)];
                let goes_on = self.cx.choice(node, "on_error", &scalar.text, &choices)?;
                goes_on.then_some(next)
            }
            _ => {
                self.cx.sink.wrong(node, "on_error", "`fail`, `continue` or a list of steps");
                None
            }
        }
    }

    /// `id`, `if`, `timeout`, `retry`, `on_uncertain` of the step at `at`.
    pub(super) fn modifiers(
        &mut self,
        at: usize,
        main: &Entry,
        common: &Common<'_>,
        around: &Around,
    ) {
        let fields = common.fields;
        let kind = main.key.as_str();
        let acts = matches!(kind, "email" | "webhook" | "action" | "echo");
        let waits = matches!(
            kind,
            "delay" | "wait_for" | "approve" | "escalate" | "call" | "foreach" | "parallel"
        );
        let blocks = matches!(kind, "then" | "switch");
        let id = fields.get("id").and_then(|node| variable(self.cx, node, "id"));
        let guard = fields
            .get("if")
            .filter(|_| kind != "then")
            .and_then(|node| self.cx.condition(node, "if", around.place, false));
        let timeout = fields.get("timeout").filter(|_| !matches!(kind, "wait_for" | "approve")).and_then(|node| {
            if acts || kind == "script" {
                self.cx.elapsed(node, "timeout").map(Duration::Elapsed)
            } else if matches!(kind, "escalate" | "call" | "foreach" | "parallel") {
                self.cx.duration(node, "timeout", common.hours.as_ref())
            } else {
                useless(
                    self.cx,
                    fields,
                    "timeout",
                    kind,
                    "`email`, `webhook`, `action`, `script`, `wait_for`, `approve`, `escalate`, `call`, `foreach` and `parallel`",
                );
                None
            }
        });
        let retry = fields.get("retry").and_then(|node| {
            if acts {
                return self.retry(node);
            }
            useless(self.cx, fields, "retry", kind, "`email`, `webhook` and `action`");
            None
        });
        let hold = fields.get("on_uncertain").and_then(|node| {
            if acts {
                return self.cx.on_uncertain(node);
            }
            useless(self.cx, fields, "on_uncertain", kind, "`email`, `webhook` and `action`");
            None
        });
        if fields.get("hours").is_some() && !waits && !blocks {
            useless(
                self.cx,
                fields,
                "hours",
                kind,
                "`delay`, `wait_for`, `approve`, `escalate` and `call`",
            );
        }
        let Some(step) = self.steps.get_mut(at) else { return };
        step.id = id;
        step.guard = guard;
        step.hours.clone_from(&common.hours);
        step.timeout = timeout;
        step.retry = retry.unwrap_or_default();
        step.hold_uncertain = hold;
    }

    fn retry(&mut self, node: &Node) -> Option<Retry> {
        /// Attempts a rule may ask for: at the longest wait this is more than ten days.
        const ATTEMPTS: i64 = 1_000;
        let fields = self.cx.sink.fields(node, &keys::RETRY)?;
        let attempts =
            fields.get("attempts").map(|node| self.cx.sink.whole(node, "attempts", 1..=ATTEMPTS));
        let initial = fields.get("initial").map(|node| self.cx.elapsed(node, "initial"));
        let max_wait = fields.get("max_wait").map(|node| self.cx.elapsed(node, "max_wait"));
        let default = Retry::default();
        let mut retry = Retry {
            attempts: match attempts {
                Some(attempts) => u16::try_from(attempts?).unwrap_or(default.attempts),
                None => default.attempts,
            },
            initial: initial.unwrap_or(Some(default.initial))?,
            max_wait: max_wait.unwrap_or(Some(default.max_wait))?,
        };
        if retry.max_wait < retry.initial {
            if fields.get("max_wait").is_some() {
                self.cx
                    .sink
                    .error("retry", node.head(), "`max_wait` is shorter than `initial`")
                    .help("the wait begins with `initial` and doubles up to `max_wait`");
                return None;
            }
            retry.max_wait = retry.initial;
        }
        Some(retry)
    }
}

/// An id or the name of a variable: `[a-z_][a-z0-9_]*`.
pub(super) fn variable(cx: &mut Cx<'_>, node: &Node, what: &str) -> Option<Text> {
    let text = cx.sink.raw(node, what)?;
    if filters::is_variable(text) {
        return Some(text.into());
    }
    bad_variable(cx, node.head(), text);
    None
}

/// Reports a text that is no id and no variable.
pub(super) fn bad_variable(cx: &mut Cx<'_>, span: std::ops::Range<usize>, text: &str) {
    let fixed = text.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let rule = "lower-case letters, digits and `_`, no digit first";
    let help = if filters::is_variable(&fixed) {
        format!("write `{fixed}`: {rule}")
    } else {
        rule.to_owned()
    };
    cx.sink
        .error("bad-name", span, format!("`{text}` cannot be the name of a result or variable"))
        .help(help);
}

fn useless(cx: &mut Cx<'_>, fields: Fields<'_>, key: &str, kind: &str, where_it_works: &str) {
    if let Some(entry) = fields.entry(key) {
        let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        let message = format!("`{key}` does nothing on {article} `{kind}` step");
        cx.sink
            .error("useless-key", entry.key_span.clone(), message)
            .help(format!("it works on {where_it_works} steps"));
    }
}
