//! What is left of an effect when its run fails, for a person's retry.
//!
//! An attempt that may have been performed is repeated with the same content under the same key, also by
//! a person, so the effect is kept as it was. Of an action of a plugin the requests that were not sent are
//! kept too: a retry begins with the one that failed, and repeats none before it.

use crate::model::{
    ActionKind, Class, Digest, Effect, EffectKey, EffectState, Map, ReadError, Run, Text, Value,
    Write,
};

use super::effects;
use super::plugin;
use super::stage::Stage;

/// Where it lies, among the rows of what a run's children are for.
pub(super) const LEFT: u32 = u32::MAX;

/// A run fails now: keeps what a retry goes on with. What its workflow does about the failure is no part
/// of that.
pub(super) fn keep(stage: &mut Stage<'_>, run: &Run) {
    let Some(effect) = run.effect().filter(|_| run.failing.is_none()) else { return };
    let uncertain = effect.may_have_happened();
    if !uncertain && !plugin::is_request(effect) {
        return;
    }
    let kept = Value::from([
        ("pc", Value::Int(i64::from(run.pc))),
        ("action", Value::from(effect.action.as_str())),
        ("lane", Value::Text(effect.lane.clone())),
        ("class", Value::Int(effect.class as i64)),
        ("params", effect.params.clone()),
        ("armed", Value::Instant(effect.armed)),
        // What failed for certain has a key of its own the next time.
        ("key", if uncertain { Value::text(effect.key.0.to_string()) } else { Value::Null }),
    ]);
    stage.write(Write::Items(run.no, LEFT, vec![kept]));
}

/// What was kept for the step at which a run goes on.
pub(super) fn take(stage: &mut Stage<'_>, run: &Run) -> Result<Option<Effect>, ReadError> {
    let Some(kept) = stage.view().items(run.no, LEFT)? else { return Ok(None) };
    stage.write(Write::ItemsGone(run.no, LEFT));
    let kept = kept.into_iter().next().and_then(|kept| match kept {
        Value::Map(kept) => Some(kept),
        _ => None,
    });
    Ok(kept.and_then(|kept| effect(run, kept)))
}

/// The effect as it was, about to be performed again.
fn effect(run: &Run, mut kept: Map) -> Option<Effect> {
    if kept.get("pc") != Some(&Value::Int(i64::from(run.pc))) {
        return None;
    }
    let text = |name: &str| kept.get(name).and_then(Value::as_text);
    let action = match text("action")? {
        "email" => ActionKind::Email,
        "webhook" => ActionKind::Webhook,
        "script" => ActionKind::Script,
        _ => return None,
    };
    let class = match kept.get("class") {
        Some(Value::Int(class)) if *class == Class::Urgent as i64 => Class::Urgent,
        Some(Value::Int(class)) if *class == Class::Bulk as i64 => Class::Bulk,
        _ => Class::Normal,
    };
    let lane = Text::from(text("lane")?);
    let Some(Value::Instant(armed)) = kept.get("armed") else { return None };
    let (armed, known) = (*armed, text("key").and_then(digest));
    let params = kept.remove("params")?;
    let key = known.map_or_else(|| effects::key_of(run, plugin::number(&params)), EffectKey);
    Some(Effect {
        key,
        action,
        lane,
        class,
        params,
        armed,
        attempts: 0,
        generation: run.generation,
        uncertain: known.is_some(),
        state: EffectState::Pending,
    })
}

/// From 32 hexadecimal digits.
fn digest(text: &str) -> Option<Digest> {
    u128::from_str_radix(text, 16).ok().map(|number| Digest(number.to_be_bytes()))
}
