//! `links` in mails: what people follow to acknowledge, to resolve, to decide and to unsubscribe.

use std::sync::Arc;

use crate::model::{Command, Link, LinkVerb, Map, RunId, Text, Value};

/// Adds `links` to the scope of a mail that has any, each at the address that `url` gives it:
/// `links.acknowledge` and `links.resolve` of an escalation, `links.OUTCOME` of an approval, and
/// `links.unsubscribe` of a purpose that people can unsubscribe from.
pub fn add(command: &mut Command, mut url: impl FnMut(&Link) -> String) {
    let run = command.scope.get("run").and_then(Value::as_text);
    let Some(run) = run.and_then(|run| run.parse::<RunId>().ok()) else { return };
    let by: Text = match command.params.get("to") {
        Some(Value::List(to)) => to.first().and_then(Value::as_text).unwrap_or_default().into(),
        _ => Text::default(),
    };
    let mut links = Map::new();
    let mut add = |name: &str, verb: LinkVerb, about: Text| {
        let link = Link { verb, run, about, by: by.clone() };
        links.insert(name.into(), Value::from(url(&link)));
    };
    if command.scope.contains_key("level") {
        for verb in [LinkVerb::Acknowledge, LinkVerb::Resolve] {
            add(verb.as_str(), verb, Text::default());
        }
    }
    if let Some(approval) = command.scope.get("approval")
        && let Some(id) = approval.get("id").and_then(Value::as_text)
        && let Some(Value::List(outcomes)) = approval.get("outcomes")
    {
        for outcome in outcomes.iter().filter_map(Value::as_text) {
            add(outcome, LinkVerb::Decide, format!("{id} {outcome}").into());
        }
    }
    if command.params.get("unsubscribe") == Some(&Value::Bool(true))
        && let Some(purpose) = command.params.get("purpose").and_then(Value::as_text)
    {
        add(LinkVerb::Unsubscribe.as_str(), LinkVerb::Unsubscribe, purpose.into());
    }
    if !links.is_empty() {
        Arc::make_mut(&mut command.scope).insert("links".into(), Value::Map(links));
    }
}
