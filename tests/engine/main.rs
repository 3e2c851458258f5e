//! The engine on virtual time, through the real pump: rules and a timeline in, lines out.

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod clocked;
mod crash;
mod effects;
mod ladder;
mod language;
mod many;
mod matching;
mod migrate;
mod modes;
mod options;
mod patterns;
mod play;
mod plugins;
mod records;
mod shipped;
mod steps;
mod triggers;
mod versions;
mod waits;
