//! [`Watchdog`]: ends the process when a commit takes too long.
//!
//! After an error of the disk sled's `flush` can wait for ever; nobody above could tell that from
//! a slow disk, and no promise can be kept any more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Exit code for a storage failure that a restart does not mend (`RestartPreventExitStatus=74`).
const EXIT: i32 = 74;
/// How long the last words may take: standard error may lead to the very disk that hangs.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Looks at the work while its patience lasts. That nobody wakes the thread when work begins makes
/// a commit cheaper, and a bite late by one look at most.
const LOOKS: u32 = 4;
/// The least time between two looks: for tests, which have little patience.
const BETWEEN_LOOKS: Duration = Duration::from_micros(20);

/// A thread that looks whether a piece of work ends.
#[derive(Debug)]
pub(super) struct Watchdog {
    shared: Arc<Shared>,
    last: AtomicU64,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The work under way has this number; 0: none is.
    armed: AtomicU64,
    stop: Mutex<bool>,
    stopping: Condvar,
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
        Ok(Self { shared, last: AtomicU64::new(0), thread: Some(thread) })
    }

    /// Watches until what is returned is dropped. One piece of work at a time.
    pub(super) fn arm(&self) -> Armed<'_> {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.shared.armed.store(number, Ordering::Relaxed);
        Armed { shared: &self.shared }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        *self.shared.stop.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.stopping.notify_one();
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
        self.shared.armed.store(0, Ordering::Relaxed);
    }
}

fn watch(shared: &Shared, patience: Duration, bite: impl FnOnce(Duration)) {
    let pause = (patience / LOOKS).max(BETWEEN_LOOKS);
    let (mut watched, mut looks) = (0, 0);
    let mut stop = shared.stop.lock().unwrap_or_else(PoisonError::into_inner);
    while !*stop {
        let armed = shared.armed.load(Ordering::Relaxed);
        looks = if armed == watched && armed != 0 { looks + 1 } else { 0 };
        watched = armed;
        if looks > LOOKS {
            drop(stop);
            bite(patience);
            return;
        }
        (stop, _) = shared
            .stopping
            .wait_timeout_while(stop, pause, |stop| !*stop)
            .unwrap_or_else(PoisonError::into_inner);
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
