//! The ways a scenario is played: as it stands, with every event twice, with the events of one instant in
//! another order, and with a crash after every commit. Each must come to the same effects.

use std::collections::BTreeMap;

use crate::model::EffectKey;

use super::coverage::Reached;
use super::effect::Happening;
use super::expect::flow;
use super::file::{Entry, Scenario, Verb};
use super::play::{Failure, How, Pack, Played, play};
use super::world::{Broken, Crash};

/// Commits that the plays of a scenario which crash make together, roughly: a second's worth.
const CRASH_COMMITS: usize = 20_000;
/// Orders of the events of one instant that are tried: all of three events.
const ORDERS: u64 = 5;
/// Commits between two crashes of one play at the least, so that it recovers in between.
const APART: usize = 16;
/// Crashes of a scenario at most: a crash reads the whole state.
const CRASHES: usize = 1_000;

/// A way to play a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// As it stands.
    #[default]
    Plain,
    /// Every event comes twice.
    Doubled,
    /// Events of one instant come in other orders.
    Reordered,
    /// The process dies after commits.
    Crashed,
}

impl Way {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Doubled => "doubled",
            Self::Reordered => "reordered",
            Self::Crashed => "crashed",
        }
    }

    const fn when(self) -> &'static str {
        match self {
            Self::Plain => "as it stands",
            Self::Doubled => "with every event delivered twice",
            Self::Reordered => "with the events of one instant in another order",
            Self::Crashed => "with a crash and restart",
        }
    }
}

/// At which commits the process dies.
#[derive(Clone, Debug)]
pub(super) struct Crashes {
    /// The first of them, counted from 1.
    pub(super) first: usize,
    /// How many commits lie between two.
    pub(super) every: usize,
    pub(super) crash: Crash,
}

impl Crashes {
    /// Whether it dies at this commit.
    pub(super) fn at(&self, commit: usize) -> Option<Crash> {
        let due = commit >= self.first && (commit - self.first).is_multiple_of(self.every);
        due.then_some(self.crash)
    }
}

/// What came of a scenario.
#[derive(Debug, Default)]
pub struct Tried {
    /// What is wrong, with the way in which it is.
    pub failures: Vec<(Way, Failure)>,
    /// Effects in the plain way.
    pub effects: usize,
    /// Commits of the plain way.
    pub commits: usize,
    /// How often the process died in all.
    pub crashes: usize,
    /// What was reached in the plain way.
    pub reached: Reached,
}

/// Plays a scenario as it stands, and unless `plain_only` or something is wrong already in every other way.
///
/// # Errors
/// [`Broken`]: the engine or the store could not go on, which is our fault.
pub fn try_out(pack: &Pack, scenario: &Scenario, plain_only: bool) -> Result<Tried, Broken> {
    let plain = play(pack, scenario, &How::default())?;
    let mut tried = Tried {
        effects: plain.ledger.len(),
        commits: plain.commits,
        reached: plain.reached.clone(),
        ..Tried::default()
    };
    tried.failures.extend(plain.failures.iter().map(|failure| (Way::Plain, failure.clone())));
    if plain_only || !tried.failures.is_empty() {
        return Ok(tried);
    }
    let doubled = How { doubled: true, ..How::default() };
    tried.other(Way::Doubled, scenario, &plain, play(pack, scenario, &doubled)?);
    for order in orders(if scenario.ordered { 1 } else { company(scenario) }) {
        let reordered = How { order: Some(order), ..How::default() };
        if !tried.other(Way::Reordered, scenario, &plain, play(pack, scenario, &reordered)?) {
            break;
        }
    }
    for crashes in crashes(plain.commits) {
        let crashed = How { crashes: Some(crashes), ..How::default() };
        let crashed = play(pack, scenario, &crashed)?;
        tried.crashes += crashed.crashed;
        if !tried.other(Way::Crashed, scenario, &plain, crashed) {
            break;
        }
    }
    Ok(tried)
}

/// How many events of one instant there are at most, one behind the other.
fn company(scenario: &Scenario) -> usize {
    let together = |a: &Entry, b: &Entry| {
        a.at == b.at && [a, b].iter().all(|entry| matches!(entry.verb, Verb::Event(_)))
    };
    scenario.timeline.chunk_by(together).map(<[Entry]>::len).max().unwrap_or(0)
}

/// The orders in which so many events are tried besides their own: all there are, or [`ORDERS`] of them spread
/// evenly, the opposite one first.
fn orders(events: usize) -> Vec<u64> {
    let all = factorial(events);
    let tried = ORDERS.min(all - 1);
    (0..tried).map(|nth| all - 1 - nth * ((all - 1) / tried)).collect()
}

/// Things in one of their orders: number 0 is as they stand, the last the opposite; of fewer things than the
/// number is meant for, the rest of it counts (Lehmer's code).
pub(super) fn permuted<T: Copy>(things: &[T], number: u64) -> Vec<T> {
    let mut number = number % factorial(things.len());
    let mut left = things.to_vec();
    let mut found = Vec::with_capacity(things.len());
    while !left.is_empty() {
        let each = factorial(left.len() - 1);
        // Above the largest factorial there is, those in front stay where they are.
        let at = usize::try_from(number / each).unwrap_or(0).min(left.len() - 1);
        number %= each;
        found.push(left.remove(at));
    }
    found
}

/// Of at most 20, above which it does not fit.
fn factorial(of: usize) -> u64 {
    (1..=of.min(20) as u64).product()
}

/// Plays that together crash at every commit, before and after what it announces is performed; of a very
/// long story at as many commits as there is time for, spread evenly.
fn crashes(commits: usize) -> Vec<Crashes> {
    let kinds = [Crash::BeforePerforming, Crash::AfterPerforming];
    if APART * commits <= CRASH_COMMITS {
        let firsts = 1..=APART.min(commits);
        let both =
            firsts.flat_map(|first| kinds.map(|crash| Crashes { first, every: APART, crash }));
        return both.collect();
    }
    let plays = (CRASH_COMMITS / commits).max(1);
    let every = APART.max(commits * plays / CRASHES);
    let play = |index: usize| {
        let first = 1 + index * every / plays;
        Crashes { first, every, crash: kinds[index % kinds.len()] }
    };
    (0..plays).map(play).collect()
}

impl Tried {
    /// Takes in what came of another way; false when something is wrong with it.
    fn other(&mut self, way: Way, scenario: &Scenario, plain: &Played, other: Played) -> bool {
        let before = self.failures.len();
        let mut failures = other.failures;
        let lines = differences(&plain.ledger, &other.ledger);
        if !lines.is_empty() {
            let title = "not the same was sent as otherwise".to_owned();
            failures.push(Failure { place: scenario.place.clone(), title, lines });
        }
        for mut failure in failures {
            failure.title = format!("{}: {}", way.when(), failure.title);
            self.failures.push((way, failure));
        }
        self.failures.len() == before
    }
}

/// What one play sent and the other did not, or otherwise.
fn differences(
    plain: &BTreeMap<EffectKey, Happening>,
    other: &BTreeMap<EffectKey, Happening>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, happening) in plain {
        match other.get(key) {
            None => {
                lines.push(format!("- not sent  {}  # {}", happening.say(), happening.workflow));
            }
            Some(same) if same.fields != happening.fields => {
                lines.push(format!("~ changed   {}  # {}", happening.say(), happening.workflow));
                for (name, value) in &happening.fields {
                    let found = same.fields.get(name);
                    if found != Some(value) {
                        let found = found.map_or_else(|| "nothing".to_owned(), flow);
                        lines.push(format!("            {name}: {found}, not {}", flow(value)));
                    }
                }
            }
            Some(_) => {}
        }
    }
    for (_, happening) in other.iter().filter(|(key, _)| !plain.contains_key(*key)) {
        lines.push(format!("+ sent too  {}  # {}", happening.say(), happening.workflow));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crashed(commits: usize) -> (usize, Vec<usize>) {
        let plans = crashes(commits);
        let count = (1..=commits)
            .filter(|commit| plans.iter().any(|plan| plan.at(*commit).is_some()))
            .count();
        let each =
            plans.iter().map(|plan| (1..=commits).filter(|at| plan.at(*at).is_some()).count());
        (count, each.collect())
    }

    #[test]
    fn events_of_one_instant_are_tried_in_other_orders() {
        assert!(orders(0).is_empty() && orders(1).is_empty());
        let of = |events: usize| {
            let things: Vec<usize> = (0..events).collect();
            let all: Vec<_> =
                orders(events).into_iter().map(|number| permuted(&things, number)).collect();
            let opposite: Vec<usize> = things.iter().rev().copied().collect();
            assert_eq!(all[0], opposite, "{events}");
            let mut different = all.clone();
            different.sort();
            different.dedup();
            assert_eq!(different.len(), all.len(), "{events}");
            assert!(!all.contains(&things), "{events}");
            for order in &all {
                let mut same = order.clone();
                same.sort_unstable();
                assert_eq!(same, things);
            }
            all.len()
        };
        assert_eq!([of(2), of(3), of(4), of(20)], [1, 5, 5, 5]);
        assert_eq!(permuted(&["a", "b"], 5), ["b", "a"], "fewer than the number is meant for");
        let many: Vec<usize> = (0..30).collect();
        assert_eq!(permuted(&many, orders(30)[0]).len(), 30);
    }

    #[test]
    fn a_story_is_crashed_at_each_commit() {
        for commits in [1, 2, 7, 16, 60, 400, 1_250] {
            let (count, each) = crashed(commits);
            assert_eq!(count, commits);
            assert_eq!(each.len(), 2 * APART.min(commits), "both before and after performing");
        }
        assert!(crashes(0).is_empty());
    }

    #[test]
    fn a_very_long_one_at_as_many_as_there_is_time_for() {
        let (count, each) = crashed(300_000);
        assert_eq!(each.len(), 1);
        assert!((900..=CRASHES + 1).contains(&count), "{count}");
        let (count, each) = crashed(5_000);
        assert_eq!(each.len(), 4);
        assert!((900..=CRASHES + 4).contains(&count), "{count}");
    }
}
