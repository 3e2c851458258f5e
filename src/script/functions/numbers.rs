//! Numbers, and what lists of them add up to.

use rhai::{Array, Dynamic, Engine, FLOAT, FnPtr, INT, NativeCallContext};

use crate::model::Span;

use super::super::compare;
use super::super::convert::type_name;
use super::Answer;

/// More digits than a float has are no rounding at all.
const MOST_DIGITS: INT = 15;

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("floor", |number: INT| number);
    engine.register_fn("ceiling", |number: INT| number);
    engine.register_fn("round", |number: INT| number);
    engine.register_fn("round", |number: INT, _: INT| number);
    engine.register_fn("round", |number: FLOAT, digits: INT| {
        let factor = 10_f64.powi(digits.clamp(0, MOST_DIGITS) as i32);
        let scaled = (number * factor).round() / factor;
        if scaled.is_finite() { scaled } else { number }
    });
    engine.register_fn("to_int", |number: INT| number);
    engine.register_fn("to_int", |number: FLOAT| whole(number));
    engine.register_fn("to_int", |text: &str| -> Answer<INT> {
        text.trim().parse().map_err(|_| format!("\"{text}\" is not a whole number").into())
    });
    engine.register_fn("to_float", |number: INT| number as FLOAT);
    engine.register_fn("to_float", |number: FLOAT| number);
    engine.register_fn("to_float", |text: &str| -> Answer<FLOAT> {
        match text.trim().parse::<FLOAT>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(format!("\"{text}\" is not a number").into()),
        }
    });
    engine.register_fn("sum", |list: &mut Array| sum(list));
    engine.register_fn("first", |list: &mut Array| list.first().cloned().unwrap_or(Dynamic::UNIT));
    engine.register_fn("last", |list: &mut Array| list.last().cloned().unwrap_or(Dynamic::UNIT));
    engine.register_fn("sorted", |list: &mut Array| {
        sorted(list.iter().map(|item| (item.clone(), item.clone())).collect())
    });
    engine.register_fn("sorted", |context: NativeCallContext, list: &mut Array, key: FnPtr| {
        let keyed = list
            .iter()
            .map(|item| {
                Ok((key.call_within_context::<Dynamic>(&context, (item.clone(),))?, item.clone()))
            })
            .collect::<Answer<Vec<_>>>()?;
        sorted(keyed)
    });
}

fn whole(number: FLOAT) -> Answer<INT> {
    /// 2^63: the first float too large.
    const TWO_63: FLOAT = 9_223_372_036_854_775_808.0;
    if (-TWO_63..TWO_63).contains(&number) {
        Ok(number.trunc() as INT)
    } else {
        Err(format!("{number} is too large for a whole number").into())
    }
}

fn sum(list: &Array) -> Answer<Dynamic> {
    let mut ints: INT = 0;
    let mut floats: Option<FLOAT> = None;
    let mut spans: Option<Span> = None;
    for item in list {
        if let Ok(number) = item.as_int() {
            ints = ints.checked_add(number).ok_or("the sum is too large for a whole number")?;
        } else if let Ok(number) = item.as_float() {
            floats = Some(floats.unwrap_or(0.0) + number);
        } else if let Some(span) = item.read_lock::<Span>() {
            spans = Some(spans.unwrap_or(Span::ZERO) + *span);
        } else {
            return Err(format!("`sum` adds numbers or spans, not {}", type_name(item)).into());
        }
    }
    match (floats, spans) {
        (None, None) => Ok(ints.into()),
        (Some(floats), None) => Ok((floats + ints as FLOAT).into()),
        (None, Some(spans)) if ints == 0 => Ok(Dynamic::from(spans)),
        _ => Err("`sum` cannot add numbers and spans together".into()),
    }
}

/// The second of each pair, ordered by the first.
fn sorted(mut keyed: Vec<(Dynamic, Dynamic)>) -> Answer<Array> {
    // Checked before sorting: a comparison that fails half-way has no order to fall back on.
    for pair in keyed.windows(2) {
        compare::order(&pair[0].0, &pair[1].0)?;
    }
    keyed.sort_by(|a, b| compare::order(&a.0, &b.0).unwrap_or(std::cmp::Ordering::Equal));
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}
