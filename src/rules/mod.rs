//! Text becomes a rule set: YAML with positions, compiled and checked, every error at once.
//!
//! [`Sources`] are read from folders, [`RuleSet::compile`] makes the engine's rules of them, and a
//! [`Bundle`] is what a run is pinned to. [`yaml`] and [`decode`] read the configuration as well, so
//! that its mistakes look the same.

mod assemble;
mod attributes;
mod bundle;
mod calendar;
mod calls;
pub mod codes;
mod compile;
pub mod decode;
mod diagnostic;
mod directory;
mod documents;
mod escalation;
mod expressions;
mod filters;
mod flow;
pub mod keys;
mod lint;
mod live;
mod load;
mod manifest;
mod matching;
mod mentions;
mod plugins;
mod program;
mod program_steps;
mod purpose;
pub mod quiet;
mod reach;
pub mod reference;
mod render;
mod reports;
mod ruleset;
mod schedule;
pub mod schema;
mod schema_examples;
mod sla;
mod step_ask;
mod step_common;
#[cfg(test)]
mod step_echo;
mod step_keys;
mod step_mail;
mod step_many;
mod step_plugin;
mod step_state;
mod step_tables;
mod step_wait;
mod step_web;
pub mod suggest;
mod team;
mod template_views;
mod templates;
mod timing;
mod trigger;
mod trigger_keys;
mod workflow;
pub mod yaml;
mod yaml_build;
mod yaml_faults;

pub use bundle::{Bundle, BundleSource, DocumentSource, PinnedPlugin};
pub use calendar::{
    Calendar, CalendarError, CalendarSpec, ClosedDay, HORIZON_DAYS, Hours, LONGEST_CLOSED_DAYS,
    OpenRule, PieceError, Place, Weekdays, zone,
};
pub use diagnostic::{Diagnostic, Label, Severity, SourceFile};
pub use load::{source_file, stamp};
pub use program::*;
pub use render::{Files, Look, render, to_json};
pub use reports::{to_github, to_sarif};
pub use ruleset::{Context, HookContext, RuleSet, Sources};
pub use schedule::{CatchUp, Schedule, ScheduleError};
pub use template_views::TemplateFile;
pub use templates::{
    APPROVAL_TEMPLATE, ESCALATION_TEMPLATE, RENDERED_BYTES, Rendered, TEMPLATE_BYTES,
    TEMPLATE_VARIABLES, TemplateError, TemplateFault, TemplateSource, Templates,
};
