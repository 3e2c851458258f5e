//! What goes wrong, and when: drawn from a stream of chance of its own, so that the same story can be
//! told without it.

use adjutant::model::Span;
use adjutant::store::{Fault, Faulty, MemoryStore, StoreError, When};

use crate::driver::Stop;
use crate::support::chance::Chance;

/// When a process may die besides at a call of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Decided, and nothing of it written.
    Decided,
    /// Written, and nobody has heard of it.
    Written,
    /// Performed, and no outcome has come.
    Released,
}

/// See the file's description.
pub(crate) struct Faults {
    /// How fast everything goes; also where nothing fails.
    pub(crate) pace: Chance,
    chance: Chance,
    /// One fault in so many acts; 0: none.
    rate: u64,
    /// The process dies at the next such moment.
    planned: Option<Moment>,
    /// By how much the wall clock was set back.
    pub(crate) behind: Span,
}

impl Faults {
    pub(crate) fn new(seed: u64, rate: u64) -> Self {
        Self {
            pace: Chance::new(seed ^ 0x7061_6365),
            chance: Chance::new(seed ^ 0x6661_756c),
            rate,
            planned: None,
            behind: Span::ZERO,
        }
    }

    /// From now on nothing fails.
    pub(crate) fn end(&mut self, disk: &Faulty<MemoryStore>) {
        self.rate = 0;
        self.planned = None;
        self.behind = Span::ZERO;
        disk.forgive();
    }

    /// Plans something for the act that comes next, or not.
    pub(crate) fn plan(&mut self, disk: &Faulty<MemoryStore>) {
        if self.rate == 0 || !self.chance.one_in(self.rate) {
            return;
        }
        let error = self.chance.pick([
            || StoreError::Io("planned".to_owned()),
            || StoreError::Unknown("planned".to_owned()),
            || StoreError::Full("planned".to_owned()),
        ])();
        let commit = When::Commit(disk.commits() + 1 + self.chance.below(4));
        let call = When::Call(disk.calls() + 1 + self.chance.below(80));
        match self.chance.below(10) {
            0 => disk.plan(commit, Fault::Fail(error)),
            1 => disk.plan(commit, Fault::FailAfter(error)),
            2 => disk.plan(commit, Fault::Cut),
            3 => disk.plan(commit, Fault::CutAfter),
            4 => disk.plan(call, Fault::Fail(error)),
            5 => disk.plan(call, Fault::Cut),
            6 => self.behind = Span::from_secs(self.chance.below(7_200) as i64),
            7 => self.planned = Some(Moment::Decided),
            8 => self.planned = Some(Moment::Written),
            _ => self.planned = Some(Moment::Released),
        }
    }

    /// The process dies here if that is planned.
    pub(crate) fn strike(&mut self, moment: Moment) -> Result<(), Stop> {
        if self.planned == Some(moment) {
            self.planned = None;
            return Err(Stop::Died);
        }
        Ok(())
    }

    /// The clock is right again.
    pub(crate) fn set_clock(&mut self) {
        self.behind = Span::ZERO;
    }
}
