//! [`Happening`]: something that the rules did, as the outside would have seen it.

use crate::actions::{MailContent, render, sender};
use crate::model::{
    ActionKind, Cause, Command, Event, EventNo, Instant, Map, Name, Run, Text, Value,
};
use crate::rules::Bundle;

use super::expect::flow;

/// The sender where rules name none: that of the configuration is another one in each place.
const FROM: &str = "Adjutant <adjutant@ops.example>";

/// Something that happened: a mail or request that would have been sent, an event that was emitted, or a
/// run that failed.
#[derive(Clone, Debug)]
pub struct Happening {
    /// When it was first seen.
    pub at: Instant,
    /// The main key by which it is expected: `email`, `webhook`, `event` or `failed`.
    pub kind: &'static str,
    /// Which workflow did it.
    pub workflow: Name,
    /// What can be compared.
    pub fields: Map,
    /// The event from outside that led to it: source and id; `None`: time did, or it is not known.
    pub(super) cause: Option<(Text, Text)>,
    /// The event that began the run which failed, by which its cause is found.
    pub(super) began: Option<EventNo>,
}

/// What a command would send.
pub(super) enum Content {
    /// A mail.
    Mail(Box<MailContent>),
    /// A request, which is judged by its own fields.
    Request,
}

impl Happening {
    /// Something of a kind that was seen elsewhere.
    #[must_use]
    pub fn new(kind: &'static str, at: Instant, workflow: Name, fields: Map) -> Self {
        Self { at, kind, workflow, fields, cause: None, began: None }
    }

    /// Renders what a command would send; `action` is that of a plugin which asked for it.
    ///
    /// # Errors
    /// Why it cannot be rendered: then nothing is sent, and the attempt fails for good.
    pub(super) fn of(
        command: &Command,
        bundle: &Bundle,
        action: Option<Text>,
        at: Instant,
    ) -> Result<(Self, Content), Cause> {
        let (kind, fields, content) = if command.action == ActionKind::Email {
            let from = sender(FROM).map_err(|error| Cause::new("settings", error.to_string()))?;
            let mail = render::email(command, &bundle.templates, &from)?;
            ("email", mail_fields(command, &mail), Content::Mail(Box::new(mail)))
        } else {
            // Checked as it would be before it is sent.
            render::webhook(command)?;
            ("webhook", request_fields(command, action), Content::Request)
        };
        Ok((Self::new(kind, at, command.workflow.clone(), fields), content))
    }

    /// An event that rules emitted.
    pub(super) fn event(event: &Event) -> Self {
        let mut fields = Map::from([("event".into(), Value::Text(event.kind.clone()))]);
        if let Some(subject) = &event.subject {
            fields.insert("subject".into(), Value::Text(subject.clone()));
        }
        fields.insert("data".into(), event.data.clone());
        let workflow = event.source.strip_prefix("adjutant/").unwrap_or(&event.source).into();
        Self::new("event", event.accepted, workflow, fields)
    }

    /// A run that failed.
    pub(super) fn failed(run: &Run, at: Instant) -> Self {
        let mut fields = Map::from([("failed".into(), Value::Text(run.workflow.clone()))]);
        if let Some(cause) = &run.reason {
            fields.insert("reason".into(), Value::Text(cause.message.clone()));
        }
        Self {
            at,
            kind: "failed",
            workflow: run.workflow.clone(),
            fields,
            cause: None,
            began: Some(run.event),
        }
    }

    /// A workflow that failed to decide about an event.
    pub(super) fn error(event: &Event, workflow: &Name, detail: &str) -> Self {
        let reason = format!("event {} `{}`: {detail}", event.no, event.kind);
        Self {
            at: event.accepted,
            kind: "failed",
            workflow: workflow.clone(),
            fields: Map::from([
                ("failed".into(), Value::Text(workflow.clone())),
                ("reason".into(), Value::from(reason)),
            ]),
            cause: Some((event.source.clone(), event.id.clone())),
            began: None,
        }
    }

    /// What a reader of it sees.
    pub(super) fn texts(&self) -> Vec<&str> {
        ["text", "html"].into_iter().filter_map(|part| self.fields.get(part)?.as_text()).collect()
    }

    /// Whether it may be expected under this main key: a request of a plugin's action also by its name.
    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind == kind || kind == "action" && self.fields.contains_key("action")
    }

    /// As it would be expected in a file, with what tells it from others.
    #[must_use]
    pub fn say(&self) -> String {
        /// What is said of each kind besides its main key.
        const SAID: [(&str, &[&str]); 4] = [
            ("email", &["cc", "bcc", "template", "subject"]),
            ("webhook", &["webhook", "method", "json", "form", "body"]),
            ("event", &["subject", "data"]),
            ("failed", &["reason"]),
        ];
        let kind = if self.fields.contains_key("action") { "action" } else { self.kind };
        let others =
            SAID.iter().find(|(kind, _)| *kind == self.kind).map_or(&[][..], |(_, rest)| rest);
        let mut parts = Vec::new();
        for name in std::iter::once(kind).chain(others.iter().copied()) {
            // A template says what the subject would.
            let implied = name == kind && !parts.is_empty()
                || name == "subject" && self.fields.contains_key("template")
                || name == "method" && self.fields.get(name) == Some(&"POST".into());
            if let Some(value) = self.fields.get(name).filter(|_| !implied) {
                parts.push(format!("{name}: {}", flow(value)));
            }
        }
        format!("{{ {} }}", parts.join(", "))
    }
}

fn mail_fields(command: &Command, mail: &MailContent) -> Map {
    let mut fields = mail.fields();
    if let Some(locale) = command.params.get("locale").filter(|locale| !locale.is_null()) {
        fields.insert("locale".into(), locale.clone());
    }
    fields
}

fn request_fields(command: &Command, action: Option<Text>) -> Map {
    let param = |name: &str| command.params.get(name).filter(|value| !value.is_null()).cloned();
    let method = param("method").unwrap_or_else(|| "POST".into());
    let found = [
        ("webhook", param("url").or_else(|| param("endpoint"))),
        ("action", action.map(Value::Text)),
        ("method", Some(method)),
        ("json", param("json")),
        ("form", param("form")),
        ("body", param("body")),
        ("headers", param("headers")),
        ("query", param("query")),
    ];
    found.into_iter().filter_map(|(name, value)| Some((name.into(), value?))).collect()
}
