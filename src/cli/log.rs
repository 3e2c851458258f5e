//! The daemon's log, on standard error: systemd keeps it, or whoever started it.

use std::io::IsTerminal as _;

use clap::ColorChoice;
use tracing_subscriber::EnvFilter;

use crate::daemon::{LogConfig, LogFormat, LogLevel};

/// Starts logging. `RUST_LOG` overrules the level for who looks for something special.
pub(super) fn start(config: LogConfig, color: ColorChoice) {
    let level = match config.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    // What libraries have to say is of use when it is a warning.
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("warn,adjutant={level}")));
    let colors = match color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
        }
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colors)
        .with_target(false)
        .with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "somebody logs already");
    }
}
