//! Bugs that are planted at the boundary of the driver, to see that the invariants notice them.

use std::cell::Cell;

use adjutant::model::{EffectState, Instant, RunNo, Span, View as _};
use adjutant::store::{Batch, Fault, Faulty, MemoryStore, Op, State, When};

/// What is wrong with the daemon, its disk or its executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    /// A row in a thousand is not written.
    LosesRows,
    /// The rows of runs whose attempt begins are not written.
    LosesStarted,
    /// Work for the inbox is not written.
    LosesInbox,
    /// What was promised of an event's identity is not written.
    LosesIdentities,
    /// The numbers given next are not written.
    LosesCounters,
    /// Half of a batch is written.
    TearsBatches,
    /// A disk that says it is done and is not.
    Lies,
    /// Answers and commands leave before their batch is durable.
    ReleasesEarly,
    /// The clock that the engine is given is ahead now and then.
    RunsAhead,
    /// An outcome never comes.
    LosesOutcomes,
    /// An attempt is performed twice.
    PerformsTwice,
    /// A process that was replaced goes on writing.
    IsNotFenced,
}

impl Plant {
    pub(crate) const ALL: [Self; 12] = [
        Self::LosesRows,
        Self::LosesStarted,
        Self::LosesInbox,
        Self::LosesIdentities,
        Self::LosesCounters,
        Self::TearsBatches,
        Self::Lies,
        Self::ReleasesEarly,
        Self::RunsAhead,
        Self::LosesOutcomes,
        Self::PerformsTwice,
        Self::IsNotFenced,
    ];
}

/// A bug, or none, and how often there was an occasion for it.
pub(crate) struct Planted {
    plant: Option<Plant>,
    occasions: Cell<u64>,
}

impl Planted {
    /// In each story it shows at other occasions.
    pub(crate) fn new(plant: Option<Plant>, seed: u64) -> Self {
        Self { plant, occasions: Cell::new(seed.wrapping_mul(7_919)) }
    }

    /// Whether the bug shows: at one occasion of so many.
    fn shows(&self, plant: Plant, once_in: u64) -> bool {
        if self.plant != Some(plant) {
            return false;
        }
        self.occasions.set(self.occasions.get().wrapping_add(1));
        self.occasions.get().is_multiple_of(once_in)
    }

    /// Changes what is written.
    pub(crate) fn spoil(&self, batch: &mut Batch, live: &State) {
        batch.ops.retain(|op| {
            let Op::Put(key, _) = op else { return true };
            let lost = match key.first() {
                Some(b'r') => is_started(live, key) && self.shows(Plant::LosesStarted, 5),
                Some(b'i') => self.shows(Plant::LosesInbox, 5),
                Some(b'k') => self.shows(Plant::LosesIdentities, 3),
                Some(b'm') => self.shows(Plant::LosesCounters, 7),
                _ => false,
            };
            !lost && !self.shows(Plant::LosesRows, 1_000)
        });
        if self.shows(Plant::TearsBatches, 20) {
            batch.ops.truncate(batch.ops.len() / 2);
        }
    }

    /// Something is about to be committed.
    pub(crate) fn before(&self, disk: &Faulty<MemoryStore>) {
        if self.shows(Plant::Lies, 30) {
            disk.plan(When::Commit(disk.commits() + 1), Fault::Lose);
        }
    }

    pub(crate) fn releases_early(&self) -> bool {
        self.shows(Plant::ReleasesEarly, 10)
    }

    pub(crate) fn clock(&self, now: Instant) -> Instant {
        if self.shows(Plant::RunsAhead, 50) { now + Span::from_secs(240) } else { now }
    }

    pub(crate) fn loses_outcome(&self) -> bool {
        self.shows(Plant::LosesOutcomes, 5)
    }

    /// How often a command is performed.
    pub(crate) fn performances(&self) -> u32 {
        if self.shows(Plant::PerformsTwice, 5) { 2 } else { 1 }
    }

    pub(crate) fn forges(&self) -> bool {
        self.plant == Some(Plant::IsNotFenced)
    }

    /// Lets the batch of a process that was replaced pass for one of the next.
    pub(crate) fn forge(&self, batch: &mut Batch) {
        if self.forges() {
            batch.epoch += 1;
        }
    }
}

fn is_started(live: &State, key: &[u8]) -> bool {
    let number = key.get(1..9).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes);
    let run = number.and_then(|no| live.run(RunNo(no)).ok().flatten());
    run.as_deref()
        .and_then(|run| run.effect())
        .is_some_and(|effect| matches!(effect.state, EffectState::Started { .. }))
}
