//! What a plugin asks for: a request as an object that its function gave, checked against what the
//! plugin may do, and made into the fields of a webhook.

use std::sync::Arc;

use url::Url;

use crate::model::{
    ActionKind, Ask, Cause, Command, Digest, EffectKey, Event, EventNo, Lineage, Map, RunNo, Text,
    Value, limits,
};
use crate::script::Grant;

use super::webhook::SECRETS_IN_BODY;

/// What a request may say.
const FIELDS: [&str; 10] =
    ["url", "endpoint", "method", "headers", "query", "json", "form", "body", "expect", "sign"];

/// The requests that an action asks for, and whether it gave a list of them.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The fields of each, with its `lane`.
    pub(crate) requests: Vec<Map>,
    /// Whether a list was given.
    pub(crate) list: bool,
}

/// Reads what the function of an action gave: a request, a list of them, or `()` for none. `given` are the
/// secrets that the rule handed to it.
///
/// # Errors
/// A cause for people: not a request (`plugin`), or one that the plugin may not make (`permission`).
pub(crate) fn requests(value: &Value, grant: &Grant, given: &[Text]) -> Result<Asked, Cause> {
    let (requests, list) = match value {
        Value::Null => (Vec::new(), false),
        Value::List(items) => {
            if items.len() > limits::ACTION_REQUESTS {
                let message = format!(
                    "it asks for {} requests; at most {} are one action",
                    items.len(),
                    limits::ACTION_REQUESTS
                );
                return Err(Cause::new("plugin", message));
            }
            let all: Result<Vec<Map>, Cause> =
                items.iter().map(|item| request(item, grant, given)).collect();
            (all?, true)
        }
        one => (vec![request(one, grant, given)?], false),
    };
    let bytes = value.weight();
    if bytes > limits::ACTION_BYTES {
        let message = format!("its requests have {bytes} bytes; at most {}", limits::ACTION_BYTES);
        return Err(Cause::new("too_large", message));
    }
    Ok(Asked { requests, list })
}

/// One request.
///
/// # Errors
/// See [`requests`].
fn request(value: &Value, grant: &Grant, given: &[Text]) -> Result<Map, Cause> {
    let wrong = |message: String| Cause::new("plugin", message);
    let Value::Map(fields) = value else {
        return Err(wrong(format!(
            "it gave {} instead of a request: `#{{ url: …, json: … }}`",
            value.type_name()
        )));
    };
    if let Some(other) = fields.keys().find(|key| !FIELDS.contains(&&***key)) {
        let known = FIELDS.join(", ");
        return Err(wrong(format!("a request has no field `{other}`: there are {known}")));
    }
    let mut fields = fields.clone();
    let lane = match (fields.get("url"), fields.get("endpoint")) {
        (Some(Value::Text(url)), None) => to_url(url, grant)?,
        (None, Some(Value::Text(endpoint))) => to_endpoint(endpoint, grant)?,
        _ => return Err(wrong("a request has either `url` or `endpoint`, as text".to_owned())),
    };
    let mut secrets = grant.permissions.secrets.clone();
    secrets.extend(given.iter().cloned());
    fields.insert("lane".into(), Value::Text(lane));
    fields.insert("secrets".into(), Value::List(secrets.into_iter().map(Value::Text).collect()));
    fields.insert(SECRETS_IN_BODY.into(), Value::Bool(true));
    Ok(fields)
}

/// The command of the request that a poll asks for.
///
/// # Errors
/// A cause for people: not a request (`plugin`), or one that the plugin may not make (`permission`).
pub fn poll(value: &Value, grant: &Grant, ask: &Ask) -> Result<Command, Cause> {
    let mut fields = request(value, grant, &[])?;
    fields.entry("method".into()).or_insert_with(|| Value::from("GET"));
    Ok(command(fields, ask))
}

/// A command that belongs to no run: nobody waits for its outcome but who asks.
fn command(fields: Map, ask: &Ask) -> Command {
    let begun = ask.begun.to_string();
    let key = Digest::of(&[b"poll", ask.key.what.as_bytes(), begun.as_bytes()]);
    let event = Event {
        no: EventNo(0),
        id: begun.into(),
        source: "adjutant".into(),
        kind: "poll".into(),
        subject: None,
        time: ask.begun,
        accepted: ask.begun,
        data: Value::Null,
        extensions: Map::new(),
        lineage: Lineage::default(),
    };
    Command {
        run: RunNo(0),
        workflow: ask.workflow.clone(),
        attempt: 1,
        key: EffectKey(key),
        action: ActionKind::Webhook,
        lane: "poll".into(),
        params: Value::Map(fields),
        bundle: Digest([0; 16]),
        event: Arc::new(event),
        scope: Arc::new(Map::new()),
        armed: ask.begun,
        timeout: None,
    }
}

fn to_url(text: &str, grant: &Grant) -> Result<Text, Cause> {
    let wrong = |why: &str| Cause::new("plugin", format!("`{text}` {why}"));
    let url = Url::parse(text).map_err(|error| wrong(&format!("is not a URL: {error}")))?;
    let host = url.host_str().ok_or_else(|| wrong("names no host"))?;
    if !grant.permissions.host(host) {
        return Err(refused("hosts", host));
    }
    Ok(url.origin().ascii_serialization().into())
}

fn to_endpoint(name: &Text, grant: &Grant) -> Result<Text, Cause> {
    if !grant.permissions.endpoint(name) {
        return Err(refused("endpoints", name));
    }
    Ok(format!("endpoint:{name}").into())
}

fn refused(permission: &str, name: &str) -> Cause {
    let message =
        format!("requests to `{name}` are not in `permissions.{permission}` of its `plugin.yaml`");
    Cause::new("permission", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Permissions;

    fn grant() -> Grant {
        let permissions = Permissions {
            hosts: vec!["api.example.com".into()],
            endpoints: vec!["chat".into()],
            secrets: vec!["key".into()],
            ..Permissions::default()
        };
        Grant { permissions, settings: None }
    }

    fn asked(json: serde_json::Value) -> Result<Asked, String> {
        let value = Value::from_json(json);
        requests(&value, &grant(), &[]).map_err(|cause| cause.to_string())
    }

    #[test]
    fn a_request_goes_only_where_its_plugin_may() {
        let ok = asked(serde_json::json!({ "url": "https://api.example.com:8443/x", "json": 1 }));
        assert_eq!(ok.unwrap().requests[0]["lane"], "https://api.example.com:8443".into());
        assert!(asked(serde_json::json!([{ "endpoint": "chat" }])).unwrap().list);
        for url in [
            "https://evil.example/",
            "https://api.example.com@evil.example/",
            "https://evil.example/?https://api.example.com",
            "https://api.example.com.evil.example/",
            "http://127.0.0.1/",
        ] {
            let why = asked(serde_json::json!({ "url": url })).unwrap_err();
            assert!(why.contains("are not in `permissions.hosts`"), "{url}: {why}");
        }
        let why = asked(serde_json::json!({ "endpoint": "crm" })).unwrap_err();
        assert!(why.contains("requests to `crm` are not in `permissions.endpoints`"), "{why}");
    }

    #[test]
    fn what_is_no_request_is_said() {
        for (json, message) in [
            (serde_json::json!("x"), "it gave text instead of a request"),
            (serde_json::json!({ "uri": "x" }), "a request has no field `uri`"),
            (serde_json::json!({ "url": "x", "endpoint": "chat" }), "either `url` or `endpoint`"),
            (serde_json::json!({ "json": 1 }), "either `url` or `endpoint`"),
            (serde_json::json!({ "url": "api.example.com" }), "is not a URL"),
            (serde_json::json!({ "url": "https://api.example.com", "lane": "smtp" }), "`lane`"),
        ] {
            let why = asked(json).unwrap_err();
            assert!(why.contains(message), "{why}");
        }
        assert!(asked(serde_json::json!(null)).unwrap().requests.is_empty());
        let many = serde_json::json!(vec![serde_json::json!({ "endpoint": "chat" }); 17]);
        assert!(asked(many).unwrap_err().contains("17 requests"));
    }
}
