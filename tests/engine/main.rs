//! The engine on virtual time, through the real pump: rules and a timeline in, lines out.

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod crash;
mod effects;
mod ladder;
mod language;
mod matching;
mod modes;
mod play;
mod records;
mod shipped;
mod steps;
mod triggers;
mod versions;
mod waits;
