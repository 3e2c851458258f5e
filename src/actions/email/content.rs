//! [`MailContent`]: what a mail says and to whom, a pure function of the command, the templates of
//! its bundle and the configured sender. A retry sends exactly the same.

use lettre::message::Mailbox;
use lettre::message::header::HeaderName;

use super::super::marker;
use super::super::params::{Params, scalar};
use super::super::{RenderedMail, TemplateSource};
use super::address;
use crate::model::{Cause, Command, EffectKey, Instant, Map, Text, Value, limits};

/// Bytes of a mail's text and HTML together: relays commonly refuse more than 10 MiB once encoded.
const CONTENT_BYTES: usize = 5 * 1024 * 1024;
/// Bytes of a subject: RFC 5322 §2.1.1 allows 998 in a line.
const SUBJECT_BYTES: usize = 998;
/// Headers a rule may add: some relays refuse mails with very long heads.
const HEADERS: usize = 32;
/// Bytes of a header's value.
const HEADER_BYTES: usize = 4 * 1024;

/// Headers that a rule may not set: the daemon does, or they would change what is sent and to whom.
const RESERVED: &[&str] = &[
    "from",
    "sender",
    "to",
    "cc",
    "bcc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "auto-submitted",
    "return-path",
    "received",
    "dkim-signature",
    "list-unsubscribe",
    "list-unsubscribe-post",
];

/// A rendered mail.
#[derive(Clone, Debug, PartialEq)]
pub struct MailContent {
    /// The effect: the left part of the `Message-ID`.
    pub key: EffectKey,
    /// Who sends it.
    pub from: Mailbox,
    /// Where answers go, if not there.
    pub reply_to: Option<Mailbox>,
    /// Who gets it.
    pub to: Vec<Mailbox>,
    /// Who gets a copy.
    pub cc: Vec<Mailbox>,
    /// Who gets a copy unseen by the others.
    pub bcc: Vec<Mailbox>,
    /// One line.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part, if its template has one.
    pub html: Option<String>,
    /// Further headers, checked.
    pub headers: Vec<(Text, String)>,
    /// `Date`: when the effect was announced, so that a repeat has the same.
    pub date: Instant,
    /// Why it is sent.
    pub purpose: Option<Text>,
    /// The template's name, if it comes from one.
    pub template: Option<Text>,
}

impl MailContent {
    /// What it says and to whom, as data: addresses without names, one or a list of them.
    #[must_use]
    pub fn fields(&self) -> Map {
        let list = |mailboxes: &[Mailbox]| match mailboxes {
            [] => None,
            [one] => Some(Value::from(one.email.to_string())),
            more => {
                Some(Value::List(more.iter().map(|one| one.email.to_string().into()).collect()))
            }
        };
        let text = |text: &str| Some(Value::from(text));
        let headers: Map = self
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        let found = [
            ("email", list(&self.to)),
            ("cc", list(&self.cc)),
            ("bcc", list(&self.bcc)),
            ("from", Some(self.from.email.to_string().into())),
            ("reply_to", self.reply_to.as_ref().map(|one| one.email.to_string().into())),
            ("subject", text(&self.subject)),
            ("text", text(&self.text)),
            ("html", self.html.as_deref().map(Value::from)),
            ("purpose", self.purpose.as_deref().map(Value::from)),
            ("template", self.template.as_deref().map(Value::from)),
            ("headers", (!headers.is_empty()).then_some(Value::Map(headers))),
        ];
        found.into_iter().filter_map(|(name, value)| Some((name.into(), value?))).collect()
    }

    /// The `Message-ID` without its brackets: the same over every attempt.
    #[must_use]
    pub fn message_id(&self) -> String {
        format!("{}@{}", self.key, self.from.email.domain())
    }
}

/// Renders the mail of a command. `from` is the configured sender.
///
/// # Errors
/// A cause for people: a field that is missing or of the wrong type (`params`), a bad address
/// (`address`), a line break in a header (`header`), too many recipients, or the template's own.
pub fn render(
    command: &Command,
    templates: &dyn TemplateSource,
    from: &Mailbox,
) -> Result<MailContent, Cause> {
    let params = Params::of(command)?;
    let to = addresses(&params, "to")?;
    let cc = addresses(&params, "cc")?;
    let bcc = addresses(&params, "bcc")?;
    if to.is_empty() {
        return Err(Cause::new("address", "the mail has nobody in `to`"));
    }
    let recipients = to.len() + cc.len() + bcc.len();
    if recipients > limits::RECIPIENTS {
        return Err(Cause::new(
            "recipients",
            format!(
                "the mail has {recipients} recipients, at most {} are allowed",
                limits::RECIPIENTS
            ),
        ));
    }
    let one = |field: &str| -> Result<Option<Mailbox>, Cause> {
        params.text(field)?.map(|text| address::parse(text, field)).transpose()
    };
    let from = one("from")?.unwrap_or_else(|| from.clone());
    let template = params.text("template")?.cloned();
    let mail = match &template {
        Some(name) => {
            let locale = params.text("locale")?.map(|text| &**text);
            templates.render(name, locale, &scope(command, &params)?)?
        }
        None => RenderedMail {
            subject: params.needed("subject")?.to_string(),
            text: params.needed("text")?.to_string(),
            html: None,
        },
    };
    let html = mail.html.filter(|html| !html.is_empty());
    check_content(&mail.subject, &mail.text, html.as_deref())?;
    Ok(MailContent {
        key: command.key,
        from,
        reply_to: one("reply_to")?,
        to,
        cc,
        bcc,
        subject: mail.subject.trim().to_owned(),
        text: mail.text,
        html,
        headers: with_unsubscribe(headers(&params)?, command),
        date: command.armed,
        purpose: params.text("purpose")?.cloned(),
        template,
    })
}

/// Adds what mail programs show as a button: <https://www.rfc-editor.org/rfc/rfc8058>. One click needs HTTPS.
fn with_unsubscribe(mut headers: Vec<(Text, String)>, command: &Command) -> Vec<(Text, String)> {
    let links = command.scope.get("links");
    let link = links.and_then(|links| links.get("unsubscribe")).and_then(Value::as_text);
    if let Some(link) = link {
        headers.push(("List-Unsubscribe".into(), format!("<{link}>")));
        if link.starts_with("https://") {
            let one_click = "List-Unsubscribe=One-Click".to_owned();
            headers.push(("List-Unsubscribe-Post".into(), one_click));
        }
    }
    headers
}

/// What a template sees: the step's frozen scope, `event`, `now`, and the mail's own `args`.
fn scope(command: &Command, params: &Params<'_>) -> Result<Map, Cause> {
    let event = &command.event;
    let text = |text: &Text| Value::Text(text.clone());
    let mut scope = (*command.scope).clone();
    scope.insert(
        "event".into(),
        Value::from([
            ("id", text(&event.id)),
            ("source", text(&event.source)),
            ("type", text(&event.kind)),
            ("subject", event.subject.as_ref().map_or(Value::Null, text)),
            ("time", Value::Instant(event.time)),
            ("data", event.data.clone()),
        ]),
    );
    scope.insert("now".into(), Value::Instant(command.armed));
    if let Some(args) = params.map("args")? {
        scope.insert("args".into(), Value::Map(args.clone()));
    }
    Ok(scope)
}

fn addresses(params: &Params<'_>, field: &str) -> Result<Vec<Mailbox>, Cause> {
    params.texts(field)?.into_iter().map(|text| address::parse(text, field)).collect()
}

fn check_content(subject: &str, text: &str, html: Option<&str>) -> Result<(), Cause> {
    if subject.trim().chars().any(char::is_control) {
        return Err(Cause::new(
            "header",
            "the subject has a line break or another control character",
        ));
    }
    if subject.len() > SUBJECT_BYTES {
        return Err(Cause::new(
            "header",
            format!("the subject is longer than {SUBJECT_BYTES} bytes"),
        ));
    }
    let bytes = text.len() + html.map_or(0, str::len);
    if bytes > CONTENT_BYTES {
        return Err(Cause::new(
            "size",
            format!("the mail has {bytes} bytes, at most {CONTENT_BYTES} are allowed"),
        ));
    }
    for part in [subject, text, html.unwrap_or_default()] {
        marker::refuse(part, "a mail")?;
    }
    Ok(())
}

fn headers(params: &Params<'_>) -> Result<Vec<(Text, String)>, Cause> {
    let Some(map) = params.map("headers")? else { return Ok(Vec::new()) };
    if map.len() > HEADERS {
        return Err(Cause::new("header", format!("a mail may have at most {HEADERS} own headers")));
    }
    let mut headers = Vec::new();
    for (name, value) in map {
        if value.is_null() {
            continue;
        }
        let wrong = |why: &str| {
            let name: String =
                name.chars().take(40).map(|c| if c.is_control() { '␤' } else { c }).collect();
            Cause::new("header", format!("the header `{name}` of the mail {why}"))
        };
        let lower = name.to_ascii_lowercase();
        if RESERVED.contains(&&*lower)
            || lower.starts_with("content-")
            || lower.starts_with("resent-")
        {
            return Err(wrong("is set by the daemon or by a field of its own"));
        }
        let token = |c: char| c.is_ascii_graphic() && c != ':';
        if HeaderName::new_from_ascii(name.to_string()).is_err() || !name.chars().all(token) {
            return Err(wrong("has a name that no header can have"));
        }
        let value = scalar(value).ok_or_else(|| wrong("is a list or an object, not text"))?;
        if value.chars().any(char::is_control) {
            return Err(wrong("has a line break or another control character"));
        }
        if value.len() > HEADER_BYTES {
            return Err(wrong("is too long"));
        }
        marker::refuse(&value, "a mail")?;
        headers.push((name.clone(), value.into_owned()));
    }
    Ok(headers)
}
