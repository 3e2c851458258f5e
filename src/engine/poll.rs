//! `poll:` a function of a plugin is asked every so often what is new, and remembers how far it is.
//!
//! Asking is a read of the outside, so nothing need be announced before it: one that is lost, with a
//! crash or its answer, is asked again. What it brings and the cursor that says so are one decision,
//! and each of its events has a source and an id, so nothing comes twice and nothing is passed over.

use std::sync::Arc;

use crate::model::{
    Ask, Cause, Draft, Found, Instant, Lineage, Map, POLL_BUSY, Polled, ReadError, Reply, Span,
    Value, Window, WindowKey, limits,
};
use crate::rules::{Bundle, Poll, TriggerKind};

use super::admit;
use super::stage::Stage;

/// The longest rest after failures.
const REST_MOST: Span = Span::from_secs(3600);

/// How long another side may want to be left alone.
const RETRY_AFTER_MOST: Span = Span::from_days(1);

/// The window of a poll that begins: it asks at once.
pub(super) fn begin(now: Instant) -> Window {
    Window { due: Some(now), ..Window::default() }
}

/// Whether a window is that of a poll.
pub(super) fn is_poll(what: &str) -> bool {
    what.starts_with("poll:")
}

/// It is time to ask.
pub(super) fn due(
    stage: &mut Stage<'_>,
    bundle: &Arc<Bundle>,
    poll: &Poll,
    key: WindowKey,
    mut window: Window,
) -> Result<(), ReadError> {
    let now = stage.now;
    if let Some(begun) = window.times.first()
        && *begun + limits::POLL_TIME > now
    {
        // Its answer is still to come, unless a crash took it.
        window.due = Some(*begun + limits::POLL_TIME);
        return stage.put_window(key, Some(window));
    }
    window.times = vec![now];
    window.due = Some(now + poll.every);
    stage.ask(Ask {
        key: key.clone(),
        workflow: bundle.name.clone(),
        function: poll.function.clone(),
        cursor: window.last.get("cursor").cloned().unwrap_or_default(),
        begun: now,
    });
    stage.put_window(key, Some(window))
}

/// What came of asking. An answer that nobody waits for any more changes nothing.
pub(super) fn answered(stage: &mut Stage<'_>, polled: Polled) -> Result<(), ReadError> {
    let Polled { key, begun, found, after } = polled;
    let Some(mut window) = stage.window(&key)? else { return Ok(()) };
    if window.times.first() != Some(&begun) {
        return Ok(());
    }
    window.times.clear();
    let every = every(stage, &key);
    match found {
        Ok(Found { cursor, events, more }) => {
            // Who says that there is more, and goes on from the same place, goes round in a circle.
            let more = more && window.last.get("cursor") != Some(&cursor);
            window.count += events.len() as u64;
            for event in events {
                // One with another payload than before is known by its id as well.
                let _: Reply = admit::event(stage, event)?;
            }
            window.last = Value::from([("cursor", cursor)]);
            window.due = match every {
                Some(every) if more => Some(stage.now + limits::POLL_MORE.min(every)),
                Some(every) => Some(begun + every),
                None => None,
            };
        }
        // Ours, and no failure of the other side.
        Err(cause) if &*cause.code == POLL_BUSY => {
            window.due = every.map(|every| stage.now + every);
        }
        Err(cause) => {
            failed(stage, &key, &mut window, (begun, every, cause));
            let rest = after.unwrap_or(Span::ZERO).min(RETRY_AFTER_MOST);
            window.due = window.due.max(Some(stage.now + rest));
        }
    }
    stage.put_window(key, Some(window))
}

/// The cursor stays, and it is asked again after a rest that grows.
fn failed(
    stage: &mut Stage<'_>,
    key: &WindowKey,
    window: &mut Window,
    (begun, every, cause): (Instant, Option<Span>, Cause),
) {
    let before = match window.last.get("failures") {
        Some(Value::Int(failures)) => *failures,
        _ => 0,
    };
    let every = every.unwrap_or(REST_MOST);
    let rest = every.times(1 << before.clamp(0, 16)).min(REST_MOST.max(every));
    window.due = Some((begun + rest).max(stage.now + every.min(REST_MOST)));
    let cursor = window.last.get("cursor").cloned().unwrap_or_default();
    window.last = Value::from([
        ("cursor", cursor),
        ("failures", Value::Int(before + 1)),
        ("error", cause.to_value()),
    ]);
    if before > 0 {
        return;
    }
    let draft = Draft {
        id: format!("poll/{}/{}/{begun}", key.workflow, key.what).into(),
        source: "adjutant".into(),
        kind: "effect.poll_failed".into(),
        subject: None,
        time: None,
        data: Value::from([
            ("workflow", Value::Text(key.workflow.clone())),
            ("poll", Value::from(key.what.trim_start_matches("poll:"))),
            ("error", cause.to_value()),
        ]),
        extensions: Map::new(),
    };
    admit::accept(stage, draft, Lineage::default());
}

/// How often the trigger of a window asks, if it is still in force.
fn every(stage: &Stage<'_>, key: &WindowKey) -> Option<Span> {
    let bundle = stage.rules.workflows.get(&key.workflow)?;
    bundle.main.triggers.iter().find_map(|trigger| match &trigger.kind {
        TriggerKind::Poll(poll) if poll.id == key.what => Some(poll.every),
        _ => None,
    })
}
