//! The Rhai sandbox: conditions, `${…}`, plugin functions.
//!
//! Everything is compiled once, when rules are loaded, without values in scope. An evaluation is a
//! pure function of its [`Scope`] and of what its [`Host`] answers; every limit of Rhai is set.

mod condition;
mod convert;
mod error;
mod functions;
mod host;
mod lexer;
mod sandbox;
mod scope;
mod shape;

pub use condition::{Condition, Test};
pub use error::{EvalError, ScriptError};
pub use host::{Host, NoRecords};
pub use sandbox::{Expr, PluginSource, Sandbox};
pub use scope::{Names, Scope};
pub use shape::{Part, Shape};
