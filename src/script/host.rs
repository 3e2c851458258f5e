//! [`Host`]: what an expression may ask the state for while it runs, and how its functions reach it.

use std::cell::{Cell, RefCell};

use rhai::EvalAltResult;
use scoped_tls_hkt::scoped_thread_local;

use crate::model::{Duration, Instant, METRIC, Map, ReadError, SUPPRESSION, Value};

use super::explain::PluginText;
use super::functions::Caller;
use super::grant::Grant;
use super::limits;

/// Answers the reading functions of expressions. Implemented by the engine over its view and rules.
///
/// It must not evaluate on the [`super::Scope`] of the evaluation that asks.
pub trait Host {
    /// `record(kind, id)`: the record as read, or null.
    ///
    /// # Errors
    /// [`ReadError`] when the state cannot be read.
    fn record(&self, kind: &str, id: &str) -> Result<Value, ReadError>;
    /// `records(kind, index, value)`; without an index all of the kind. At most
    /// `limits::RECORDS_PER_READ`, else `None`.
    ///
    /// # Errors
    /// [`ReadError`] when the state cannot be read.
    fn records(
        &self,
        kind: &str,
        filter: Option<(&str, &Value)>,
    ) -> Result<Option<Vec<Value>>, ReadError>;
    /// `open_after(instant, duration, calendar)`: when a duration ends that begins then, by a calendar. `Err` says
    /// in words why there is no such instant.
    fn open_after(
        &self,
        from: Instant,
        duration: Duration,
        calendar: &str,
    ) -> Result<Instant, String> {
        let _ = (from, duration);
        Err(format!("there is no calendar `{calendar}`"))
    }
    /// `ledger(kind)`: how many entries there are, and the hash of the last.
    ///
    /// # Errors
    /// [`ReadError`] when the state cannot be read.
    fn ledger(&self, kind: &str) -> Result<Value, ReadError> {
        let _ = kind;
        Ok(Value::Null)
    }
    /// `metric(name, since)`: what was counted since, or is measured; `None`: there is no such metric.
    ///
    /// # Errors
    /// [`ReadError`] when the state cannot be read.
    fn metric(&self, name: &str, since: Instant) -> Result<Option<Value>, ReadError> {
        let _ = (name, since);
        Ok(None)
    }
    /// `suppressed(address, purpose)`: whether nobody may write there any more for this purpose.
    ///
    /// # Errors
    /// [`ReadError`] when the state cannot be read.
    fn suppressed(&self, address: &str, purpose: &str) -> Result<bool, ReadError> {
        let id = suppression_id(address, purpose);
        Ok(!self.record(SUPPRESSION, &id)?.is_null())
    }
}

/// What [`Host::suppressed`] goes by: the id of the record that says it.
#[must_use]
pub fn suppression_id(address: &str, purpose: &str) -> String {
    format!("{purpose}/{}", address.trim().to_lowercase())
}

/// Knows no records: for tests and places without state.
#[derive(Clone, Copy, Debug)]
pub struct NoRecords;

impl Host for NoRecords {
    fn record(&self, _: &str, _: &str) -> Result<Value, ReadError> {
        Ok(Value::Null)
    }

    fn records(&self, _: &str, _: Option<(&str, &Value)>) -> Result<Option<Vec<Value>>, ReadError> {
        Ok(Some(Vec::new()))
    }
}

scoped_thread_local!(static CURRENT: for<'a> &'a Evaluation<'a>);

/// One evaluation: whom its functions ask, and what they have asked so far.
pub(super) struct Evaluation<'a> {
    host: &'a dyn Host,
    /// Whose code may be calling.
    plugins: &'a [PluginText],
    /// Whether it has taken too long; not asked where the count of operations is bound instead.
    stop: Option<&'a Stop<'a>>,
    /// Kept here, because a plugin could catch the error that carries it.
    fault: RefCell<Option<ReadError>>,
    reads: Cell<usize>,
    rows: Cell<usize>,
}

impl<'a> Evaluation<'a> {
    /// One whose functions read through `host`.
    pub(super) fn new(
        host: &'a dyn Host,
        plugins: &'a [PluginText],
        stop: Option<&'a Stop<'a>>,
    ) -> Self {
        let (reads, rows) = (Cell::new(0), Cell::new(0));
        Self { host, plugins, stop, fault: RefCell::new(None), reads, rows }
    }

    /// Runs `work` within it.
    ///
    /// # Errors
    /// The first failed read, whatever `work` made of it.
    pub(super) fn run<T>(self, work: impl FnOnce() -> T) -> Result<T, ReadError> {
        let result = CURRENT.set(&self, work);
        self.fault.into_inner().map_or(Ok(result), Err)
    }

    /// What the caller may do; `None`: anything, since a rule calls.
    fn grant(&self, caller: Caller) -> Result<Option<&'a Grant>, Box<EvalAltResult>> {
        let Some(index) = caller else { return Ok(None) };
        match self.plugins.get(index) {
            Some(plugin) => Ok(Some(&plugin.grant)),
            None => Err("a plugin calls that is not there".into()),
        }
    }

    /// Whether this thread is in the middle of an evaluation.
    pub(super) fn is_running() -> bool {
        CURRENT.is_set()
    }
}

/// Tells whether an evaluation has taken too long.
pub type Stop<'s> = dyn Fn() -> bool + 's;

/// Whether the evaluation under way has taken too long.
pub(super) fn is_late() -> bool {
    CURRENT.is_set() && CURRENT.with(|evaluation| evaluation.stop.is_some_and(|is_late| is_late()))
}

/// The settings of the plugin that calls.
pub(super) fn settings(caller: Caller) -> Result<Map, Box<EvalAltResult>> {
    within(|evaluation| {
        let settings = evaluation.grant(caller)?.and_then(|grant| grant.settings.clone());
        settings.ok_or_else(|| "there are no settings here".into())
    })
}

/// Whether the caller may have this secret put into a request.
pub(super) fn may_use_secret(caller: Caller, name: &str) -> Result<(), Box<EvalAltResult>> {
    within(|evaluation| match evaluation.grant(caller)? {
        Some(grant) if !grant.permissions.secret(name) => {
            Err(format!("this plugin has no permission for the secret `{name}`").into())
        }
        _ => Ok(()),
    })
}

fn within<T>(
    work: impl FnOnce(&Evaluation<'_>) -> Result<T, Box<EvalAltResult>>,
) -> Result<T, Box<EvalAltResult>> {
    if CURRENT.is_set() { CURRENT.with(work) } else { Err("this cannot be asked here".into()) }
}

/// `record(kind, id)` for the evaluation under way.
pub(super) fn record(caller: Caller, kind: &str, id: &str) -> Result<Value, Box<EvalAltResult>> {
    ask(caller, kind, |evaluation| {
        charge(&evaluation.rows, 1, limits::ROWS, "rows")?;
        Ok(evaluation.host.record(kind, id))
    })
}

/// `records(…)` for the evaluation under way.
pub(super) fn records(
    caller: Caller,
    kind: &str,
    filter: Option<(&str, &Value)>,
) -> Result<Vec<Value>, Box<EvalAltResult>> {
    ask(caller, kind, |evaluation| {
        let found = match evaluation.host.records(kind, filter) {
            Ok(Some(found)) => found,
            Ok(None) => return Err(too_many("rows", limits::ROWS).into()),
            Err(error) => return Ok(Err(error)),
        };
        charge(&evaluation.rows, found.len(), limits::ROWS, "rows")?;
        Ok(Ok(found))
    })
}

/// `suppressed(address, purpose)` for the evaluation under way.
pub(super) fn suppressed(
    caller: Caller,
    address: &str,
    purpose: &str,
) -> Result<bool, Box<EvalAltResult>> {
    ask(caller, SUPPRESSION, |evaluation| {
        charge(&evaluation.rows, 1, limits::ROWS, "rows")?;
        Ok(evaluation.host.suppressed(address, purpose))
    })
}

/// `open_after(instant, duration, calendar)` for the evaluation under way.
pub(super) fn open_after(
    from: Instant,
    duration: Duration,
    calendar: &str,
) -> Result<Instant, Box<EvalAltResult>> {
    within(|evaluation| Ok(evaluation.host.open_after(from, duration, calendar)?))
}

/// `ledger(kind)` for the evaluation under way.
pub(super) fn ledger(caller: Caller, kind: &str) -> Result<Value, Box<EvalAltResult>> {
    ask(caller, kind, |evaluation| Ok(evaluation.host.ledger(kind)))
}

/// `metric(name, since)` for the evaluation under way.
pub(super) fn metric(
    caller: Caller,
    name: &str,
    since: Instant,
) -> Result<Option<Value>, Box<EvalAltResult>> {
    ask(caller, METRIC, |evaluation| {
        charge(&evaluation.rows, 1, limits::ROWS, "rows")?;
        Ok(evaluation.host.metric(name, since))
    })
}

fn ask<T>(
    caller: Caller,
    kind: &str,
    question: impl FnOnce(&Evaluation<'_>) -> Result<Result<T, ReadError>, Box<EvalAltResult>>,
) -> Result<T, Box<EvalAltResult>> {
    if !CURRENT.is_set() {
        return Err("records cannot be read here".into());
    }
    CURRENT.with(|evaluation| {
        if evaluation.grant(caller)?.is_some_and(|grant| !grant.permissions.record(kind)) {
            return Err(format!("this plugin has no permission for records of `{kind}`").into());
        }
        charge(&evaluation.reads, 1, limits::READS, "reads")?;
        question(evaluation)?.map_err(|error| {
            let text = error.to_string();
            evaluation.fault.borrow_mut().get_or_insert(error);
            text.into()
        })
    })
}

fn charge(
    counter: &Cell<usize>,
    by: usize,
    limit: usize,
    what: &str,
) -> Result<(), Box<EvalAltResult>> {
    counter.set(counter.get() + by);
    if counter.get() > limit { Err(too_many(what, limit).into()) } else { Ok(()) }
}

fn too_many(what: &str, limit: usize) -> String {
    format!("more than {limit} {what} of records in one expression; narrow the lookup")
}
