//! [`Scripts`]: functions of plugins that may take their time, called on threads of their own.

use std::sync::Arc;

use tokio::runtime;
use tokio::sync::Semaphore;

use crate::model::{Name, ReadError, Span, Value, limits};
use crate::pump::{Answer, Query};
use crate::script::Host;

use super::clock::Clock;
use super::handle::{Handle, Unavailable};

/// Calls functions off the loop, a few at a time. Cheap to clone.
#[derive(Clone)]
pub(super) struct Scripts {
    turns: Arc<Semaphore>,
    runtime: runtime::Handle,
    handle: Handle,
    clock: Clock,
}

impl Scripts {
    pub(super) fn new(runtime: runtime::Handle, handle: Handle, clock: Clock) -> Self {
        Self { turns: Arc::new(Semaphore::new(limits::SCRIPTS)), runtime, handle, clock }
    }

    /// Does `work` on a thread that may be kept busy: with what its functions read records by, and
    /// what tells that `time` is over. `None`: it panicked, which a script cannot make it do.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        time: Span,
        work: impl FnOnce(&dyn Host, &dyn Fn() -> bool) -> T + Send + 'static,
    ) -> Option<T> {
        // Never closed, so a turn comes.
        let turn = self.turns.clone().acquire_owned().await.ok();
        let (reads, clock) = (Durable { of: self.clone() }, self.clock);
        let done = self.runtime.spawn_blocking(move || {
            let until = clock.mono() + time.min(limits::SCRIPT_TIME_MOST);
            let result = work(&reads, &move || clock.mono() >= until);
            drop(turn);
            result
        });
        done.await.ok()
    }
}

/// Reads what is durable, through the engine's queue.
struct Durable {
    of: Scripts,
}

impl Durable {
    fn ask(&self, query: Query) -> Result<Answer, ReadError> {
        let Scripts { runtime, handle, .. } = &self.of;
        let lost = |error: Unavailable| ReadError::Store(error.to_string().into());
        runtime.block_on(handle.ask(query)).map_err(lost)
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
}

fn mismatch() -> ReadError {
    ReadError::Store("the engine's answer does not fit the question".into())
}
