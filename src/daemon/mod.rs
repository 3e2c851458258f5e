//! The running daemon: executor, timers, drain, systemd, wiring around the pump.
//!
//! One thread decides, one writes, and a tokio runtime performs effects and serves HTTP. Time and
//! the outside come in here and nowhere else.

mod clock;
mod config;
#[cfg(test)]
mod example;
mod executor;
mod handle;
mod hooks;
pub mod last_good;
mod links;
mod looping;
mod mailbox;
pub mod notify;
mod poll;
mod pressure;
mod reload;
mod scripts;
mod spool;
mod start;
mod writer;

pub use clock::Clock;
pub use config::{
    BadConfig, CONFIG_FILE, CONFIG_VARIABLE, Config, Endpoint, HookConfig, HttpConfig, Limits,
    LogConfig, LogFormat, LogLevel, Scope, SmtpConfig, SmtpTls, TokenConfig, WebhookConfig,
};
pub use handle::{Handle, Health, Unavailable, in_order};
pub use hooks::{Delivery, HookError, Hooks, hook_contexts};
pub use links::Links;
pub use looping::Fatal;
pub use reload::{InForce, Load, Loaded, Refused, ReloadError, Reloader, Stamp};
pub use spool::Spool;
pub use start::{Daemon, Settings, StartError};
