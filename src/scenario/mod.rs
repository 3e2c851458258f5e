//! Rules on virtual time: scenario files, played with the real engine and pump over a store in memory.
//! What the rules would send is rendered by `actions/` and caught instead of being sent.
//!
//! [`parse`] reads a file, [`Pack`] is the rules that it sees, and [`try_out`] plays a scenario as it
//! stands and in three more ways that must come to the same: every event twice, events of one instant
//! in another order, and a crash after every commit. [`mutate`] asks whether scenarios notice when a time in
//! the rules is another one.
//!
//! A [`Scenario`] is also a script for whoever plays it on something else: [`judge`] says whether what happened
//! there is what its [`Entry`] expects, and [`happenings`] what happens here.

mod answers;
mod backtest;
mod clock;
mod coverage;
mod effect;
mod expect;
mod file;
mod judge;
mod keys;
mod letters;
mod mutate;
mod play;
mod record;
mod runner;
mod schema;
mod spots;
mod suite;
#[cfg(test)]
mod tests;
mod watch;
mod ways;
mod world;

pub use backtest::{Difference, Past, Replayed, Sent, compare, replay};
pub use coverage::{Coverage, Reached, Unreached};
pub use effect::Happening;
pub use expect::Expected;
pub use file::{Entry, Scenario, Verb, Wanted, parse};
pub use judge::judge;
pub use mutate::{Excused, Mutated, Mutations, mutate};
pub use play::{Failure, Pack, happenings};
pub use record::{Recorded, record};
pub use runner::{Ended, run};
pub use schema::schema;
pub(crate) use suite::lies_in;
pub use suite::{Found, Suite, Unit, find};
pub use ways::{Tried, Way, try_out};
pub use world::Broken;
