//! Adjutant: a rule-driven workflow automation daemon.
//!
//! Data flows one way: trigger → event → engine → commit → command → action → outcome → engine.

pub mod actions;
pub mod api;
pub mod cli;
pub mod daemon;
pub mod engine;
pub mod model;
pub mod pump;
pub mod rules;
pub mod scenario;
pub mod script;
pub mod store;
pub mod triggers;
