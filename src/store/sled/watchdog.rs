//! [`Watchdog`]: ends the process when a commit takes too long.
//!
//! After an error of the disk sled's `flush` can wait for ever; nobody above could tell that from
//! a slow disk, and no promise can be kept any more.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Exit code for a storage failure that a restart does not mend (`RestartPreventExitStatus=74`).
const EXIT: i32 = 74;
/// How long the last words may take: standard error may lead to the very disk that hangs.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A thread that waits for a commit to end.
#[derive(Debug)]
pub(super) struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The work under way has this number; 0: none is.
    armed: u64,
    last: u64,
    stop: bool,
}

impl Watchdog {
    /// Starts the thread. `bite` is called once when a piece of work takes longer than `patience`.
    pub(super) fn start(
        patience: Duration,
        bite: impl FnOnce(Duration) + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("store-watchdog".to_owned())
            .spawn(move || watch(&seen, patience, bite))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Watches until what is returned is dropped. One piece of work at a time.
    pub(super) fn arm(&self) -> Armed<'_> {
        let mut state = self.shared.lock();
        state.last += 1;
        state.armed = state.last;
        drop(state);
        self.shared.changed.notify_one();
        Armed { shared: &self.shared }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Work under way.
pub(super) struct Armed<'a> {
    shared: &'a Shared,
}

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        // Nobody is woken: the thread sees it when its time is up.
        self.shared.lock().armed = 0;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn watch(shared: &Shared, patience: Duration, bite: impl FnOnce(Duration)) {
    let mut state = shared.lock();
    loop {
        let idle = |state: &mut State| !state.stop && state.armed == 0;
        state = shared.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
        if state.stop {
            return;
        }
        let watched = state.armed;
        let busy = |state: &mut State| !state.stop && state.armed == watched;
        let (after, timeout) = shared
            .changed
            .wait_timeout_while(state, patience, busy)
            .unwrap_or_else(PoisonError::into_inner);
        state = after;
        if timeout.timed_out() && !state.stop && state.armed == watched {
            drop(state);
            bite(patience);
            return;
        }
    }
}

/// Says why and ends the process with exit code 74.
pub(super) fn abort(patience: Duration) {
    let (said, heard) = std::sync::mpsc::channel::<()>();
    let speak = move || {
        tracing::error!(
            "the disk has not answered for {} s: stopping, because whether the last commit \
             happened cannot be known; look at the kernel's log and the disk before a restart",
            patience.as_secs()
        );
        let _ = said.send(());
    };
    let _ = std::thread::Builder::new().spawn(speak);
    let _ = heard.recv_timeout(LAST_WORDS);
    std::process::exit(EXIT);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn watchdog(patience: Duration) -> (Watchdog, mpsc::Receiver<()>) {
        let (bitten, bites) = mpsc::channel();
        let bite = move |_| bitten.send(()).unwrap();
        (Watchdog::start(patience, bite).unwrap(), bites)
    }

    #[test]
    fn it_bites_when_work_never_ends() {
        let (watchdog, bites) = watchdog(Duration::from_millis(1));
        drop(watchdog.arm());
        let _armed = watchdog.arm();
        bites.recv_timeout(Duration::from_mins(1)).unwrap();
    }

    #[test]
    fn it_lets_finished_work_be_and_stops_when_dropped() {
        let (watchdog, bites) = watchdog(Duration::from_hours(1));
        for _ in 0..1_000 {
            drop(watchdog.arm());
        }
        std::mem::forget(watchdog.arm());
        drop(watchdog);
        assert!(bites.recv().is_err(), "the thread has ended without biting");
    }
}
