//! Carrying out a poll: what to ask is the function's to say, and what the answer means.

use std::sync::Arc;

use crate::actions::Performer;
use crate::model::{Ask, Cause, Found, POLL_BUSY, Span, Value, limits};
use crate::rules::RuleSet;
use crate::script::{EvalError, Shared};
use crate::triggers;

use super::scripts::Scripts;

/// Asks what is new, and tells how long the other side wants to be left alone. Nothing of it is kept
/// here: the cursor and the events are decided together.
pub(super) async fn carry_out(
    performer: &Performer,
    scripts: &Scripts,
    rules: Arc<RuleSet>,
    ask: Ask,
) -> (Result<Found, Cause>, Option<Span>) {
    let mut after = None;
    let whole = asked(performer, scripts, rules, &ask, &mut after);
    let found = match tokio::time::timeout(limits::POLL_TIME.to_std(), whole).await {
        Ok(found) => found,
        Err(_) => Err(Cause::new("timeout", "asking and understanding the answer took too long")),
    };
    if let Err(cause) = &found {
        let Ask { workflow, function, .. } = &ask;
        tracing::warn!(%workflow, poll = &**function, %cause, "a poll failed");
    }
    (found, after)
}

async fn asked(
    performer: &Performer,
    scripts: &Scripts,
    rules: Arc<RuleSet>,
    ask: &Ask,
    after: &mut Option<Span>,
) -> Result<Found, Cause> {
    let call = async |args: Vec<Value>| {
        let (rules, function, begun) = (rules.clone(), ask.function.clone(), ask.begun);
        let called = scripts.soon(move |host, is_late| {
            let args: Vec<Shared> = args.into_iter().map(Shared::new).collect();
            rules.sandbox.call(&function, &args, begun, host, is_late)
        });
        match called.await {
            Ok(result) => result.map_err(|error: EvalError| error.to_cause()),
            Err(why) => Err(Cause::new(POLL_BUSY, why.to_string())),
        }
    };
    let request = call(vec![ask.cursor.clone()]).await?;
    if request.is_null() {
        // It has nothing to ask yet.
        return Ok(Found { cursor: ask.cursor.clone(), ..Found::default() });
    }
    let grant = rules.sandbox.grant(&ask.function, 1).cloned().unwrap_or_default();
    let answer = performer.fetch(&request, &grant, ask).await.map_err(|(cause, rest)| {
        *after = rest;
        cause
    })?;
    let meant = call(vec![ask.cursor.clone(), answer]).await?;
    triggers::from_poll(&ask.function, &meant)
}
