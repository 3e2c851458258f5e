//! `links` in the mails of escalations: what people follow to acknowledge and to resolve.

use std::sync::Arc;

use crate::model::{Command, Link, LinkVerb, Map, RunId, Value};

/// Adds `links.acknowledge` and `links.resolve` to the scope of a ladder's mail, each at the address that
/// `url` gives it. Nothing, of any other command.
pub fn add(command: &mut Command, mut url: impl FnMut(&Link) -> String) {
    let run = command.scope.get("run").and_then(Value::as_text);
    let Some(run) = run.and_then(|run| run.parse::<RunId>().ok()) else { return };
    if !command.scope.contains_key("level") {
        return;
    }
    let by = match command.params.get("to") {
        Some(Value::List(to)) => to.first().and_then(Value::as_text).unwrap_or_default(),
        _ => "",
    };
    let mut links = Map::new();
    for verb in [LinkVerb::Acknowledge, LinkVerb::Resolve] {
        let link = Link { verb, run, by: by.into() };
        links.insert(verb.as_str().into(), Value::from(url(&link)));
    }
    Arc::make_mut(&mut command.scope).insert("links".into(), Value::Map(links));
}
