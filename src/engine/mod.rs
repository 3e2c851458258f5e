//! The engine: `decide` and what it calls. Pure and synchronous.
//!
//! It reads through a [`View`], and what it wants is data: writes, commands, a reply. The same
//! input on the same view at the same instant gives the same decision; nothing here knows a clock,
//! a disk, a socket or chance. Recovery loads state and goes on; decisions are never executed again.

mod admit;
mod advance;
mod alert;
mod effects;
mod explain;
mod fan;
mod fields;
mod finish;
mod gate;
mod ladder;
mod left;
mod metric;
mod migrate;
mod operator;
mod plugin;
mod poll;
mod quarantine;
mod reads;
mod records;
mod rest;
mod scope;
mod settle;
mod stage;
mod start;
mod steps;
mod sweep;
mod time;
mod timer;
mod waits;
mod wake;
mod watch;
#[cfg(test)]
mod watch_nth;

use std::sync::Arc;

use crate::model::{BundleId, Decision, Input, Instant, ReadError, Reply, Retention, Value, View};
use crate::rules::{Bundle, RuleSet};
use crate::script::Host as _;
use reads::Reads;
use stage::Stage;

pub use explain::{explained, ruled_out};
pub use quarantine::quarantine;
pub use scope::event_value;

/// What a decision may look at besides its input.
pub struct World<'a> {
    /// The rules in force.
    pub rules: &'a RuleSet,
    /// Versions that runs are pinned to.
    pub bundles: &'a dyn Bundles,
    /// The state.
    pub view: &'a dyn View,
    /// Engine time.
    pub now: Instant,
    /// How long what is over is kept.
    pub retention: Retention,
}

/// Finds the version a run is pinned to.
pub trait Bundles {
    /// The bundle, compiled. `None` when its sources are gone or no longer compile.
    fn bundle(&self, id: BundleId) -> Option<Arc<Bundle>>;
}

/// What `record(kind, id)` gives between decisions.
///
/// # Errors
/// [`ReadError`] when the state could not be read.
pub fn lookup(world: &World<'_>, kind: &str, id: &str) -> Result<Value, ReadError> {
    Reads(&Stage::new(world)).record(kind, id)
}

/// What `records(kind, index, value)` gives between decisions; `None`: there are too many.
///
/// # Errors
/// [`ReadError`] when the state could not be read.
pub fn lookup_all(
    world: &World<'_>,
    kind: &str,
    filter: Option<(&str, &Value)>,
) -> Result<Option<Vec<Value>>, ReadError> {
    Reads(&Stage::new(world)).records(kind, filter)
}

/// Decides one input.
///
/// # Errors
/// [`ReadError`] when the state could not be read; the decision then does not exist.
pub fn decide(world: &World<'_>, input: Input) -> Result<Decision, ReadError> {
    let mut stage = Stage::new(world);
    let reply = match input {
        Input::Event(draft) => Some(admit::event(&mut stage, *draft)?),
        Input::Timer(run) => {
            timer::due(&mut stage, run)?;
            None
        }
        Input::Outcome(settled) => {
            settle::outcome(&mut stage, settled)?;
            None
        }
        Input::Start(run) => {
            effects::start_pending(&mut stage, run)?;
            None
        }
        Input::Recover(run, key, attempt) => {
            settle::recover(&mut stage, run, (key, attempt))?;
            None
        }
        Input::Operator(operator) => Some(operator::act(&mut stage, operator)?),
        Input::Inbox(no, task) => {
            stage.done(no);
            stage.push(task);
            None
        }
        Input::Rules => {
            records::rules_changed(&mut stage)?;
            watch::rules_changed(&mut stage)?;
            let workflows = world.rules.workflows.len() as i64;
            Some(Reply::Done(Value::from([("workflows", Value::Int(workflows))])))
        }
        Input::Window(key) => {
            watch::due(&mut stage, key)?;
            None
        }
        Input::Polled(polled) => {
            poll::answered(&mut stage, *polled)?;
            None
        }
        Input::Sweep => {
            sweep::begin(&mut stage);
            None
        }
    };
    stage.work()?;
    Ok(stage.into_decision(reply))
}
