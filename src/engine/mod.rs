//! The engine: `decide` and what it calls. Pure and synchronous.
//!
//! It reads through a [`View`], and what it wants is data: writes, commands, a reply. The same
//! input on the same view at the same instant gives the same decision; nothing here knows a clock,
//! a disk, a socket or chance. Recovery loads state and goes on; decisions are never executed again.

mod admit;
mod advance;
mod alert;
mod approval;
mod approve;
mod decide;
mod effects;
mod erase;
mod explain;
mod fan;
mod fields;
mod finish;
mod gate;
mod history;
mod key;
mod kinds;
mod ladder;
mod ledger;
mod left;
mod metric;
mod migrate;
mod obligations;
mod operator;
mod pick;
mod plugin;
mod poll;
mod quarantine;
mod reads;
mod records;
mod rest;
mod scope;
mod settle;
mod sla;
mod sla_time;
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

use subtle::ConstantTimeEq as _;

use crate::model::{
    BundleId, Decision, Duration, Head, Input, Instant, ReadError, Reply, Retention, Text, Value,
    View,
};
use crate::rules::{Bundle, RuleSet};
use crate::script::Host as _;
use reads::Reads;
use stage::Stage;

pub use explain::{explained, ruled_out};
pub use ledger::entry_hash;
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

/// What scripts and people ask of the state besides records, between decisions.
#[derive(Clone, Debug)]
pub enum Reading {
    /// `suppressed(address, purpose)`
    Suppressed(Text, Text),
    /// `ledger(kind)`
    Ledger(Text),
    /// `metric(name, since)`: null if there is none.
    Metric(Text, Instant),
    /// `open_after(instant, duration, calendar)`: text says why there is no such instant.
    OpenAfter(Instant, Duration, Text),
}

/// The answer to a [`Reading`].
///
/// # Errors
/// [`ReadError`] when the state could not be read.
pub fn read(world: &World<'_>, reading: &Reading) -> Result<Value, ReadError> {
    let stage = Stage::new(world);
    let reads = Reads(&stage);
    Ok(match reading {
        Reading::Suppressed(address, purpose) => Value::Bool(reads.suppressed(address, purpose)?),
        Reading::Ledger(kind) => reads.ledger(kind)?,
        Reading::Metric(name, since) => reads.metric(name, *since)?.unwrap_or_default(),
        Reading::OpenAfter(from, duration, calendar) => {
            reads.open_after(*from, *duration, calendar).map_or_else(Value::from, Value::Instant)
        }
    })
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

/// How far the ledgers are, signed under the key of the state.
///
/// # Errors
/// [`ReadError`] when the state could not be read.
pub fn ledgers(world: &World<'_>) -> Result<Vec<Head>, ReadError> {
    ledger::heads(&Stage::new(world))
}

/// Whether a head was signed under the key of this state.
///
/// # Errors
/// [`ReadError`] when the state could not be read.
pub fn signed(world: &World<'_>, head: &Head) -> Result<bool, ReadError> {
    let ours = ledger::signature(&Stage::new(world), head)?;
    Ok(bool::from(ours.as_bytes().ct_eq(head.signature.as_bytes())))
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
            match &*key.what {
                sla::WINDOW => sla::due(&mut stage, &key)?,
                obligations::WINDOW => obligations::due(&mut stage, &key)?,
                _ => watch::due(&mut stage, key)?,
            }
            None
        }
        Input::Polled(polled) => {
            poll::answered(&mut stage, *polled)?;
            None
        }
        Input::Key(key) => {
            key::give(&mut stage, key)?;
            None
        }
        Input::Sweep => {
            sweep::begin(&mut stage);
            None
        }
    };
    stage.work()?;
    stage.sound()?;
    Ok(stage.into_decision(reply))
}
