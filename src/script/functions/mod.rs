//! The functions of expressions: which there are ([`catalog`]), and how they do it.
//!
//! Every one of them is a pure function of its arguments and of what the host answers: no clock, no
//! chance, no world. What is not in the catalog cannot be called, whatever Rhai itself offers.

mod catalog;
mod instants;
mod numbers;
mod operators;
mod reads;
mod texts;

use rhai::{Engine, EvalAltResult};

pub(super) use catalog::{ALIASES, LATER, builtins, is_read_only};
pub(super) use reads::{Caller, OWNED, owned, plain, register as register_for};

/// A hidden function that gives its argument: see `rewrite`.
pub(super) const OWN: &str = "own__";

/// A hidden function around each hole of a back-tick text: see `rewrite`.
pub(super) const HOLE: &str = "hole__";

/// What a function of ours answers: a value or a sentence.
type Answer<T> = Result<T, Box<EvalAltResult>>;

/// Registers everything that Rhai's own packages lack or do differently.
pub(super) fn register(engine: &mut Engine) {
    engine.register_fn(OWN, |value: rhai::Dynamic| value);
    engine.register_fn(HOLE, |value: rhai::Dynamic| -> Answer<rhai::Dynamic> {
        if value.is_unit() { Err(texts::NOTHING.into()) } else { Ok(value) }
    });
    operators::register(engine);
    numbers::register(engine);
    texts::register(engine);
    instants::register(engine);
}
