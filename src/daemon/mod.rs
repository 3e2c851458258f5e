//! The running daemon: executor, timers, drain, systemd, wiring around the pump.

mod config;
mod handle;

pub use config::{
    BadConfig, CONFIG_FILE, CONFIG_VARIABLE, Config, Endpoint, HttpConfig, Limits, LogConfig,
    LogFormat, LogLevel, Retention, Scope, SmtpConfig, SmtpTls, TokenConfig, WebhookConfig,
};
pub use handle::{Handle, Health, Unavailable};
