//! The engine on virtual time, through the real pump: rules and a timeline in, lines out.

#[path = "../support/mod.rs"]
mod support;

mod approvals;
mod bounds;
mod budgets;
mod clocked;
mod crash;
mod effects;
mod gate;
mod kinds;
mod ladder;
mod language;
mod many;
mod matching;
mod migrate;
mod modes;
mod obligations;
mod options;
mod patterns;
mod play;
mod plugins;
mod records;
mod shipped;
mod slas;
mod steps;
mod teams;
mod triggers;
mod versions;
mod waits;
