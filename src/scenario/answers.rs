//! [`Answer`]: how the other side answers in a scenario, and what that makes of an attempt.

use crate::actions::render;
use crate::model::{ActionKind, Cause, Command, Duration, Map, Outcome, Span, Text, Value};
use crate::rules::decode::Sink;
use crate::rules::yaml::Node;

use super::effect::Content;
use super::expect::{agrees, matches};
use super::keys;

/// How one receiver answers.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    kind: ActionKind,
    /// Whose answer: what the target must match.
    whose: Text,
    /// One an attempt, the last for the rest; at least one.
    statuses: Vec<u16>,
    body: Value,
    headers: Map,
    after: Span,
}

/// What an attempt comes to, and how long that takes.
pub(super) struct Answered {
    pub(super) outcome: Outcome,
    pub(super) after: Span,
}

impl Answer {
    /// Reads an item of `answers`.
    pub(super) fn read(sink: &mut Sink<'_>, node: &Node) -> Option<Self> {
        let fields = sink.fields(node, &keys::ANSWER)?;
        let (kind, whose, least) = match (fields.get("webhook"), fields.get("email")) {
            (Some(node), None) => (ActionKind::Webhook, sink.text(node, "webhook")?, 100),
            (None, Some(node)) => (ActionKind::Email, sink.text(node, "email")?, 200),
            _ => {
                sink.error(
                    "scenario-answer",
                    node.head(),
                    "an answer is either of a `webhook` or of an `email`",
                )
                .help("write `- { webhook: \"https://crm.example.com/*\", status: [503, 200] }`");
                return None;
            }
        };
        let mut statuses = Vec::new();
        if let Some(node) = fields.get("status") {
            let items = node.items().unwrap_or(std::slice::from_ref(node));
            for item in items {
                let status = sink.whole(item, "status", least..=599)?;
                statuses.extend(u16::try_from(status));
            }
        }
        if statuses.is_empty() {
            statuses.push(if kind == ActionKind::Email { 250 } else { 200 });
        }
        let headers = match fields.get("headers").map(Node::value) {
            Some(Value::Map(headers)) => headers,
            _ => Map::new(),
        };
        let mut after = Span::ZERO;
        if let Some(node) = fields.get("after") {
            match sink.raw(node, "after")?.parse::<Duration>().map(Duration::elapsed) {
                Ok(Some(span)) => after = span,
                Ok(None) => {
                    sink.error("duration", node.head(), "an answer takes elapsed time: `5s`");
                }
                Err(error) => {
                    sink.error("duration", node.head(), error.to_string());
                }
            }
        }
        let body = fields.get("body").map(Node::value).unwrap_or_default();
        Some(Self { kind, whose: whose.into(), statuses, body, headers, after })
    }

    /// Whether it answers this command.
    pub(super) fn is_of(&self, command: &Command) -> bool {
        let whose = Value::Text(self.whose.clone());
        let target = |name: &str| command.params.get(name).is_some_and(|to| agrees(&whose, to));
        self.kind == command.action
            && match self.kind {
                ActionKind::Email => match command.params.get("to") {
                    Some(Value::List(to)) => {
                        to.iter().filter_map(Value::as_text).any(|to| matches(&self.whose, to))
                    }
                    _ => false,
                },
                _ => target("url") || target("endpoint"),
            }
    }
}

/// What an attempt comes to.
pub(super) fn answer(answers: &[Answer], command: &Command, content: &Content) -> Answered {
    let found = answers.iter().find(|answer| answer.is_of(command));
    let after = found.map_or(Span::ZERO, |answer| answer.after);
    let attempt = usize::from(command.attempt.saturating_sub(1));
    let status = found.and_then(|answer| {
        answer.statuses.get(attempt).or_else(|| answer.statuses.last()).copied()
    });
    let outcome = match content {
        Content::Mail(mail) => match status.unwrap_or(250) {
            code @ 400..500 => Outcome::Retry { after: None, why: refused(code) },
            code @ 500.. => Outcome::Failed(refused(code)),
            _ => Outcome::Done(Value::from([("message", Value::from(mail.message_id()))])),
        },
        Content::Request => {
            let none = (Value::Null, Map::new());
            let (body, headers) = found.map_or((&none.0, &none.1), |one| (&one.body, &one.headers));
            render::answer(command, status.unwrap_or(200), headers, body)
        }
    };
    // A receiver that takes longer than the step waits is not heard.
    match command.timeout {
        Some(limit) if limit < after => {
            let why = Cause::new("timeout", "no answer in time");
            Answered { outcome: Outcome::Uncertain(why), after: limit }
        }
        _ => Answered { outcome, after },
    }
}

fn refused(code: u16) -> Cause {
    Cause::new(format!("smtp_{code}"), format!("the mail server answered {code}"))
}
