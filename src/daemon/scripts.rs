//! [`Scripts`]: functions of plugins that may take their time, called on threads of their own.

use std::cell::Cell;
use std::sync::Arc;

use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::Reading;
use crate::model::{Duration, Instant, Name, ReadError, Span, Value, limits};
use crate::pump::{Answer, Query};
use crate::script::Host;

use super::clock::Clock;
use super::handle::{Handle, Health, Unavailable};

/// Calls functions off the loop, a few at a time. Cheap to clone.
#[derive(Clone)]
pub(super) struct Scripts {
    /// Of steps, which may wait as long as it takes.
    steps: Arc<Semaphore>,
    /// Of transforms and polls, for which somebody waits.
    others: Arc<Semaphore>,
    runtime: runtime::Handle,
    handle: Handle,
    clock: Clock,
}

impl Scripts {
    pub(super) fn new(runtime: runtime::Handle, handle: Handle, clock: Clock) -> Self {
        let turns = || Arc::new(Semaphore::new(limits::SCRIPTS));
        Self { steps: turns(), others: turns(), runtime, handle, clock }
    }

    /// For a step of a run: when it is its turn.
    pub(super) async fn step<T: Send + 'static>(
        &self,
        time: Span,
        work: impl FnOnce(&dyn Host, &dyn Fn() -> bool) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        // Never closed, so a turn comes.
        let turn = self.steps.clone().acquire_owned().await.map_err(|_| Unavailable::Stopping)?;
        self.call(turn, time, work).await
    }

    /// For somebody who waits: soon, or not at all.
    pub(super) async fn soon<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Host, &dyn Fn() -> bool) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let patience = limits::SCRIPT_TURN.to_std();
        let turn = tokio::time::timeout(patience, self.others.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| Unavailable::Busy(5))?.map_err(|_| Unavailable::Stopping)?;
        self.call(turn, limits::SCRIPT_TIME, work).await
    }

    /// Does `work` on a thread that may be kept busy: with what its functions read records by, and
    /// what tells that `time` is over, in which waiting for records does not count, or that the daemon
    /// stops.
    async fn call<T: Send + 'static>(
        &self,
        turn: OwnedSemaphorePermit,
        time: Span,
        work: impl FnOnce(&dyn Host, &dyn Fn() -> bool) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let of = self.clone();
        let done = self.runtime.spawn_blocking(move || {
            let (clock, handle) = (of.clock, of.handle.clone());
            let until = clock.mono() + time.min(limits::SCRIPT_TIME_MOST);
            let reads = Durable { of, waited: Cell::new(Span::ZERO) };
            let is_late = || {
                handle.health() == Health::Draining || clock.mono() >= until + reads.waited.get()
            };
            let result = work(&reads, &is_late);
            drop(turn);
            result
        });
        done.await.map_err(|_| Unavailable::Failed("the script broke off".to_owned()))
    }

    /// Whether what was stopped may have been stopped because the daemon stops.
    pub(super) fn is_stopping(&self) -> bool {
        self.handle.health() == Health::Draining
    }
}

/// Reads what is durable, through the engine's queue.
struct Durable {
    of: Scripts,
    /// How long it took so far.
    waited: Cell<Span>,
}

impl Durable {
    fn ask(&self, query: Query) -> Result<Answer, ReadError> {
        let Scripts { runtime, handle, clock, .. } = &self.of;
        let lost = |error: Unavailable| ReadError::Store(error.to_string().into());
        let asked = clock.mono();
        let answer = runtime.block_on(handle.ask(query)).map_err(lost);
        self.waited.set(self.waited.get() + (clock.mono() - asked));
        answer
    }
}

impl Host for Durable {
    fn record(&self, kind: &str, id: &str) -> Result<Value, ReadError> {
        match self.ask(Query::Lookup(Name::from(kind), id.into()))? {
            Answer::Value(value) => Ok(value),
            _ => Err(mismatch()),
        }
    }

    fn records(
        &self,
        kind: &str,
        filter: Option<(&str, &Value)>,
    ) -> Result<Option<Vec<Value>>, ReadError> {
        let filter = filter.map(|(index, value)| (Name::from(index), value.clone()));
        match self.ask(Query::LookupAll(Name::from(kind), filter))? {
            Answer::Values(values) => Ok(values),
            _ => Err(mismatch()),
        }
    }

    fn suppressed(&self, address: &str, purpose: &str) -> Result<bool, ReadError> {
        let reading = Reading::Suppressed(address.into(), purpose.into());
        Ok(self.read(reading)? == Value::Bool(true))
    }

    fn ledger(&self, kind: &str) -> Result<Value, ReadError> {
        let reading = Reading::Ledger(kind.into());
        self.read(reading)
    }

    fn metric(&self, name: &str, since: Instant) -> Result<Option<Value>, ReadError> {
        let reading = Reading::Metric(name.into(), since);
        Ok(Some(self.read(reading)?).filter(|value| !value.is_null()))
    }

    fn open_after(
        &self,
        from: Instant,
        duration: Duration,
        calendar: &str,
    ) -> Result<Instant, String> {
        let reading = Reading::OpenAfter(from, duration, calendar.into());
        match self.read(reading).map_err(|error| error.to_string())? {
            Value::Instant(at) => Ok(at),
            other => Err(other.to_string()),
        }
    }
}

impl Durable {
    fn read(&self, reading: Reading) -> Result<Value, ReadError> {
        match self.ask(Query::Reading(reading))? {
            Answer::Value(value) => Ok(value),
            _ => Err(mismatch()),
        }
    }
}

fn mismatch() -> ReadError {
    ReadError::Store("the engine's answer does not fit the question".into())
}
