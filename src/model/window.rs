//! [`Window`]: what is remembered of a workflow and a key while no run is there to remember it: how often
//! something came lately, when it was seen last, when a schedule is due next.

use serde::{Deserialize, Serialize};

use super::id::Name;
use super::time::Instant;
use super::value::{Text, Value};

/// What a [`Window`] is found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowKey {
    /// The workflow.
    pub workflow: Name,
    /// What for: a word, and for a trigger a hash of what it says, so that a changed one begins anew.
    pub what: Text,
    /// What is kept apart; empty where nothing is.
    pub key: Text,
}

/// See the file's description. Which fields are used depends on what it is for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// When it has to be looked at.
    pub due: Option<Instant>,
    /// Instants that still count, oldest first.
    pub times: Vec<Instant>,
    /// How many there were in all.
    pub count: u64,
    /// The last of what came.
    pub last: Value,
}
