//! The running daemon: executor, timers, drain, systemd, wiring around the pump.

mod handle;

pub use handle::{Handle, Health, Unavailable};
