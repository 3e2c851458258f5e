//! The thread that owns all writes to the store. It commits one batch at a time and reports.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::model::Span;
use crate::store::{Batch, Store, StoreError};

use super::clock::Clock;
use super::handle::Handle;

/// A commit that takes longer is felt by everybody who waits for an answer, and is told.
const SLOW: Span = Span::from_millis(500);

/// Takes batches; dropped, the thread ends.
pub(super) struct Writer {
    batches: SyncSender<Batch>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Starts the thread. Each commit's end goes to the handle's mailbox.
    pub(super) fn start(
        store: Arc<dyn Store>,
        handle: Handle,
        clock: Clock,
    ) -> std::io::Result<Self> {
        // One batch syncs at a time.
        let (batches, todo) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("adjutant-writer".to_owned())
            .spawn(move || write(&*store, &todo, &handle, clock))?;
        Ok(Self { batches, thread })
    }

    /// Hands over a batch. False when the thread is gone.
    pub(super) fn commit(&self, batch: Batch) -> bool {
        self.batches.send(batch).is_ok()
    }

    /// Waits for the end of the thread.
    pub(super) fn stop(self) {
        drop(self.batches);
        if self.thread.join().is_err() {
            tracing::error!("the writer ended with a panic");
        }
    }
}

fn write(store: &dyn Store, todo: &Receiver<Batch>, handle: &Handle, clock: Clock) {
    while let Ok(batch) = todo.recv() {
        let begun = clock.mono();
        // Nobody would ever hear of a commit that panicked: the engine would wait for it for ever.
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| store.commit(&batch)))
            .unwrap_or_else(|_| Err(StoreError::Unknown("the store panicked".to_owned())));
        let took = clock.mono() - begun;
        if took >= SLOW {
            tracing::warn!(
                took_ms = took.as_micros() / 1_000,
                changes = batch.ops.len(),
                "a commit took long: the disk, or the whole machine, was busy with something else"
            );
        }
        let failed = result.is_err();
        handle.shared().mailbox.committed(result);
        if failed {
            return;
        }
    }
}
