//! `==`, `<` and their like. Rhai's own versions are shadowed for every pair of types.

use std::cmp::Ordering;

use rhai::{Array, Dynamic, Engine, FLOAT, INT, ImmutableString, Map};

use crate::model::Value;

use super::super::compare;
use super::super::convert::to_value;
use super::Answer;

/// Whether an order makes an operator true.
type Holds = fn(Ordering) -> bool;

/// The four orderings and what makes each true.
const ORDERINGS: [(&str, Holds); 4] = [
    ("<", Ordering::is_lt),
    ("<=", Ordering::is_le),
    (">", Ordering::is_gt),
    (">=", Ordering::is_ge),
];

/// Rhai looks for a function of exactly these types first, and only then for one of [`Dynamic`]: the
/// exact ones are here for the common pairs because they are found at once, and for lists, objects
/// and mixed numbers because Rhai has exact ones of its own.
pub(super) fn register(engine: &mut Engine) {
    for (name, holds) in ORDERINGS {
        engine.register_fn(name, move |a: INT, b: INT| holds(a.cmp(&b)));
        engine.register_fn(name, move |a: ImmutableString, b: ImmutableString| {
            holds(a.as_str().cmp(b.as_str()))
        });
        engine.register_fn(name, move |a: FLOAT, b: FLOAT| ordered(a.into(), b.into(), holds));
        engine.register_fn(name, move |a: INT, b: FLOAT| ordered(a.into(), b.into(), holds));
        engine.register_fn(name, move |a: FLOAT, b: INT| ordered(a.into(), b.into(), holds));
        engine.register_fn(name, move |a: char, b: char| ordered(a.into(), b.into(), holds));
        engine.register_fn(name, move |a: Dynamic, b: Dynamic| ordered(a, b, holds));
    }
    for (name, wanted) in [("==", true), ("!=", false)] {
        engine.register_fn(name, move |a: INT, b: INT| (a == b) == wanted);
        engine.register_fn(name, move |a: ImmutableString, b: ImmutableString| (a == b) == wanted);
        engine.register_fn(name, move |a: bool, b: bool| (a == b) == wanted);
        engine.register_fn(name, move |a: FLOAT, b: FLOAT| same(&a.into(), &b.into()) == wanted);
        engine.register_fn(name, move |a: INT, b: FLOAT| same(&a.into(), &b.into()) == wanted);
        engine.register_fn(name, move |a: FLOAT, b: INT| same(&a.into(), &b.into()) == wanted);
        engine.register_fn(name, move |a: Array, b: Array| same(&a.into(), &b.into()) == wanted);
        engine.register_fn(name, move |a: Map, b: Map| same(&a.into(), &b.into()) == wanted);
        engine.register_fn(name, move |a: Dynamic, b: Dynamic| same(&a, &b) == wanted);
    }
    engine.register_fn("not", |flag: bool| !flag);
    engine.register_fn("kind_of", |value: Dynamic| -> Answer<&'static str> {
        Ok(match to_value(&value)? {
            Value::Null => "nothing",
            Value::Bool(_) => "boolean",
            Value::Int(_) | Value::Float(_) => "number",
            Value::Text(_) => "text",
            Value::List(_) => "list",
            Value::Map(_) => "object",
            Value::Instant(_) => "instant",
            Value::Span(_) => "span",
        })
    });
    engine.register_fn("min", |a: Dynamic, b: Dynamic| -> Answer<Dynamic> {
        Ok(if compare::order(&a, &b)?.is_le() { a } else { b })
    });
    engine.register_fn("max", |a: Dynamic, b: Dynamic| -> Answer<Dynamic> {
        Ok(if compare::order(&a, &b)?.is_ge() { a } else { b })
    });
}

fn same(a: &Dynamic, b: &Dynamic) -> bool {
    compare::equal(a, b)
}

#[allow(clippy::needless_pass_by_value)] // what Rhai calls is given values
fn ordered(a: Dynamic, b: Dynamic, holds: Holds) -> Answer<bool> {
    Ok(holds(compare::order(&a, &b)?))
}
