//! Plays many scenarios, several at a time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::model::Span;

use super::suite::Unit;
use super::ways::{Tried, try_out};
use super::world::Broken;

/// What came of a scenario, and how long that took.
pub type Ended = (Result<Tried, Broken>, Span);

/// Plays scenarios on so many threads and tells of each as it ends; what came of them is in their order.
/// `clock` is for how long each takes, and for nothing else.
pub fn run(
    units: &[Unit],
    threads: usize,
    plain_only: bool,
    clock: &(dyn Fn() -> Span + Sync),
    told: &(dyn Fn(usize, &Ended) + Sync),
) -> Vec<Ended> {
    let one = |at: usize| {
        let unit = &units[at];
        let began = clock();
        let tried = try_out(&unit.pack, &unit.scenario, plain_only);
        (tried, Span::from_micros(clock().as_micros() - began.as_micros()))
    };
    let lost = || (Err(Broken::Lost), Span::ZERO);
    let ended = each(units.len(), threads, &one, told);
    ended.into_iter().map(|one| one.unwrap_or_else(lost)).collect()
}

/// Does so many things on so many threads, and tells of each when it is done, one after the other. What came of
/// them is in their order; `None` where the thread panicked.
pub(super) fn each<T: Send>(
    count: usize,
    threads: usize,
    one: &(dyn Fn(usize) -> T + Sync),
    told: &(dyn Fn(usize, &T) + Sync),
) -> Vec<Option<T>> {
    let next = AtomicUsize::new(0);
    let ended: Mutex<Vec<Option<T>>> = Mutex::new((0..count).map(|_| None).collect());
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return;
            }
            let result = one(at);
            // Told under the lock, so that nobody's lines get between another's.
            let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
            told(at, &result);
            ended[at] = Some(result);
        }
    };
    std::thread::scope(|scope| {
        let threads = threads.clamp(1, count.max(1));
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        work();
        for other in others {
            // A panic in it leaves what it was at without a result.
            let _ = other.join();
        }
    });
    ended.into_inner().unwrap_or_else(PoisonError::into_inner)
}
