//! The fields of mails and webhooks, evaluated once when the step is reached: the frozen part of
//! the request. Retries send the same.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::model::{Cause, Class, Map, Text, Value, limits};
use crate::rules::{EmailBody, EmailStep, UrlPart, WebhookBody, WebhookStep, WebhookTarget};
use crate::script::Shape;

use super::advance::Cursor;
use super::pick;
use super::reads::Reads;
use super::stage::Stage;
use super::start::Fault;
use super::steps::eval;

/// What may stand in a URL as it is: the unreserved characters of RFC 3986 §2.3.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The fields of a mail: `to cc bcc from reply_to template subject text args locale headers purpose`.
pub(super) fn email(stage: &Stage<'_>, cursor: &Cursor, email: &EmailStep) -> Result<Value, Fault> {
    let mut map = Map::new();
    let mut count = 0;
    for (field, shape) in
        [("to", Some(&email.to)), ("cc", email.cc.as_ref()), ("bcc", email.bcc.as_ref())]
    {
        if let Some(shape) = shape {
            let list = recipients(stage, &eval(stage, cursor, shape)?, field)?;
            count += list.len();
            map.insert(field.into(), Value::List(list));
        }
    }
    if matches!(map.get("to"), Some(Value::List(to)) if to.is_empty()) {
        return Err(Cause::new("recipient", "the mail has no recipient").into());
    }
    if count > limits::RECIPIENTS {
        let message =
            format!("the mail has {count} recipients; at most {} are allowed", limits::RECIPIENTS);
        return Err(Cause::new("recipient", message).into());
    }
    for (field, shape) in [("from", &email.from), ("reply_to", &email.reply_to)] {
        if let Some(shape) = shape {
            let mut list = recipients(stage, &eval(stage, cursor, shape)?, field)?;
            if list.len() != 1 {
                return Err(
                    Cause::new("recipient", format!("`{field}` must be one address")).into()
                );
            }
            map.insert(field.into(), list.remove(0));
        }
    }
    match &email.body {
        EmailBody::Template(name) => {
            map.insert("template".into(), Value::Text(name.clone()));
        }
        EmailBody::Inline { subject, text } => {
            map.insert("subject".into(), text_of(&eval(stage, cursor, subject)?, "subject")?);
            map.insert("text".into(), text_of(&eval(stage, cursor, text)?, "text")?);
        }
    }
    if let Some(args) = &email.args {
        map.insert("args".into(), eval(stage, cursor, args)?);
    }
    if let Some(locale) = &email.locale {
        match eval(stage, cursor, locale)? {
            Value::Null => {}
            other => {
                map.insert("locale".into(), text_of(&other, "locale")?);
            }
        }
    }
    if !email.headers.is_empty() {
        map.insert("headers".into(), texts(stage, cursor, &email.headers)?);
    }
    map.insert("purpose".into(), Value::Text(email.purpose.clone()));
    weighed(map, "mail")
}

/// What is frozen in a run has a bound.
fn weighed(map: Map, what: &str) -> Result<Value, Fault> {
    let fields = Value::Map(map);
    let weight = fields.weight();
    if weight > limits::RUN_BYTES {
        let message = format!("the {what} has {weight} bytes; at most {}", limits::RUN_BYTES);
        return Err(Cause::new("too_large", message).into());
    }
    Ok(fields)
}

/// The class of a mail: a ladder's own, or its purpose's.
pub(super) fn mail_class(stage: &Stage<'_>, email: &EmailStep) -> Class {
    match email.class {
        Class::Urgent => Class::Urgent,
        _ => stage.rules.purposes.get(&email.purpose).map_or(email.class, |purpose| purpose.class),
    }
}

/// Addresses out of a value: one, or a list; `person:ID` and `team:NAME` are looked up.
fn recipients(stage: &Stage<'_>, value: &Value, field: &str) -> Result<Vec<Value>, Fault> {
    match value {
        Value::List(items) => {
            let mut all = Vec::with_capacity(items.len());
            for item in items {
                all.extend(recipients(stage, item, field)?);
            }
            Ok(all)
        }
        Value::Text(text) => {
            if let Some(id) = text.strip_prefix("person:") {
                return Ok(vec![address_of(&pick::person(stage, id)?, id)?]);
            }
            if let Some(name) = text.strip_prefix("team:") {
                let team = pick::team(stage, name)?;
                let people = pick::reachable(stage, team)?;
                return people.iter().map(|(id, person)| address_of(person, id)).collect();
            }
            if text.trim().is_empty() {
                return Err(Cause::new("recipient", format!("`{field}` is empty")).into());
            }
            Ok(vec![Value::Text(text.clone())])
        }
        other => {
            let message = format!(
                "`{field}` is {}; it must be an address, `person:ID`, `team:NAME`, or a list of them",
                other.type_name()
            );
            Err(Cause::new("recipient", message).into())
        }
    }
}

/// The address of a person's record.
fn address_of(person: &Value, id: &str) -> Result<Value, Fault> {
    match person.get("email") {
        Some(Value::Text(address)) if !address.is_empty() => Ok(Value::Text(address.clone())),
        _ => {
            let message = format!("there is no record `person/{id}` with an `email`");
            Err(Cause::new("recipient", message).into())
        }
    }
}

/// The fields of a webhook and its lane: `url` or `endpoint`, `method headers query expect sign` and
/// one of `json form body`.
pub(super) fn webhook(
    stage: &Stage<'_>,
    cursor: &Cursor,
    webhook: &WebhookStep,
) -> Result<(Text, Value), Fault> {
    let mut map = Map::new();
    let lane = match &webhook.target {
        WebhookTarget::Endpoint(name) => {
            map.insert("endpoint".into(), Value::Text(name.clone()));
            format!("endpoint:{name}").into()
        }
        WebhookTarget::Url { origin, rest } => {
            let mut url = origin.to_string();
            for part in rest {
                match part {
                    UrlPart::Literal(text) => url.push_str(text),
                    UrlPart::Value(expr) => {
                        let value = expr.eval(&cursor.scope, &Reads(stage))?;
                        let text = text_of(&value, "a part of the URL")?;
                        let text = text.as_text().unwrap_or_default();
                        url.extend(utf8_percent_encode(text, UNRESERVED));
                    }
                }
            }
            map.insert("url".into(), Value::from(url));
            origin.clone()
        }
    };
    map.insert("method".into(), Value::Text(webhook.method.clone()));
    if !webhook.headers.is_empty() {
        map.insert("headers".into(), texts(stage, cursor, &webhook.headers)?);
    }
    if !webhook.query.is_empty() {
        map.insert("query".into(), texts(stage, cursor, &webhook.query)?);
    }
    match &webhook.body {
        WebhookBody::Empty => {}
        WebhookBody::Json(shape) => {
            map.insert("json".into(), eval(stage, cursor, shape)?);
        }
        WebhookBody::Form(shape) => match eval(stage, cursor, shape)? {
            form @ Value::Map(_) => {
                map.insert("form".into(), form);
            }
            other => {
                let message = format!("`form` is {}; it must be an object", other.type_name());
                return Err(Cause::new("webhook", message).into());
            }
        },
        WebhookBody::Raw(shape) => {
            map.insert("body".into(), text_of(&eval(stage, cursor, shape)?, "body")?);
        }
    }
    if !webhook.expect.is_empty() {
        let statuses = webhook.expect.iter().map(|status| Value::Int(i64::from(*status)));
        map.insert("expect".into(), Value::List(statuses.collect()));
    }
    map.insert("sign".into(), Value::Bool(webhook.sign));
    map.insert("secrets".into(), secrets(webhook));
    Ok((lane, weighed(map, "request")?))
}

/// The secrets that the rule itself names: no other is revealed in the request, whatever its data
/// may hold.
fn secrets(webhook: &WebhookStep) -> Value {
    let fields = webhook.headers.iter().chain(&webhook.query);
    named_secrets(fields.map(|(_, shape)| shape))
}

/// The secrets that these shapes name literally.
pub(super) fn named_secrets<'s>(shapes: impl Iterator<Item = &'s Shape>) -> Value {
    let names = shapes.flat_map(Shape::exprs).flat_map(|expr| {
        expr.literal_calls("secret").filter_map(|args| args.first().cloned().flatten())
    });
    Value::List(names.collect())
}

fn texts(stage: &Stage<'_>, cursor: &Cursor, fields: &[(Text, Shape)]) -> Result<Value, Fault> {
    let mut map = Map::new();
    for (name, shape) in fields {
        map.insert(name.clone(), text_of(&eval(stage, cursor, shape)?, name)?);
    }
    Ok(Value::Map(map))
}

/// A scalar as text.
fn text_of(value: &Value, field: &str) -> Result<Value, Cause> {
    match value {
        Value::Null | Value::List(_) | Value::Map(_) => Err(Cause::new(
            "expression",
            format!("`{field}` is {}; it must be text", value.type_name()),
        )),
        other => Ok(Value::text(other.to_string())),
    }
}
