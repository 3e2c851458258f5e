//! The Rhai sandbox: conditions, `${…}`, plugin functions.
//!
//! Everything is compiled once, when rules are loaded, without values in scope. An evaluation is a
//! pure function of its [`Scope`] and of what its [`Host`] answers; every limit of Rhai is set.

mod chains;
mod check;
mod compare;
mod condition;
mod convert;
mod direct;
mod error;
mod explain;
mod foresee;
mod functions;
mod grant;
mod host;
mod lexer;
mod limits;
mod plugins;
mod rewrite;
mod sandbox;
mod scope;
mod secret;
mod shape;
mod suggest;
#[cfg(test)]
mod tests;

pub use chains::{parameters, paths};
pub use condition::{Condition, Test};
pub use error::{EvalError, ScriptError};
pub use foresee::{Check, Constant, Foreseen, Path, Want};
pub use grant::{Grant, Permissions};
pub use host::{Host, NoRecords, suppression_id};
pub use lexer::holes;
pub use plugins::{Function, PluginSource};
pub use sandbox::{Expr, Sandbox, Stop};
pub use scope::{Names, Scope, Shared};
pub use secret::{SECRET_CLOSE, SECRET_OPEN, only_secrets, secret_marker, secrets_in};
pub use shape::{Part, Shape};
pub use suggest::closest;
