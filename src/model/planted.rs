//! Mistakes planted in the engine and the store by tests that show they would be noticed.

use std::cell::Cell;

/// A planted mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    /// After a restart nobody remembers what is due when.
    DropsTimers,
    /// What may have been sent is sent again under another key.
    DoublesEffects,
    /// An event that comes again is a new one.
    KnowsNoDuplicates,
}

thread_local! {
    static PLANTED: Cell<Option<Plant>> = const { Cell::new(None) };
}

/// Does `work` with a mistake planted in this thread.
pub(crate) fn with<T>(plant: Plant, work: impl FnOnce() -> T) -> T {
    PLANTED.set(Some(plant));
    let result = work();
    PLANTED.set(None);
    result
}

/// Whether this mistake is planted.
#[must_use]
pub(crate) fn is(plant: Plant) -> bool {
    PLANTED.get() == Some(plant)
}
