//! What systemd is told: ready, stopping, and that the engine's loop still turns.
//!
//! Source: `sd_notify(3)`. Without `NOTIFY_SOCKET` every call does nothing.

use crate::model::Span;

/// Tells systemd that the daemon takes events.
pub fn ready(status: &str) {
    send(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status(status)]);
}

/// Tells systemd that the rules are read anew; [`ready`] says that they are in force.
pub fn reloading() {
    // In one datagram with the moment it began, as `Type=notify-reload` wants it.
    match sd_notify::NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[sd_notify::NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "systemd was not told of the reload"),
    }
}

/// Tells systemd that the daemon is stopping.
pub fn stopping() {
    send(&[sd_notify::NotifyState::Stopping]);
}

fn send(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told how the daemon is");
    }
}

/// Feeds systemd's watchdog from the engine's loop.
#[derive(Debug)]
pub struct Watchdog {
    /// How often it wants to hear; `None` without a watchdog.
    every: Option<Span>,
    fed: Span,
}

impl Watchdog {
    /// As the environment asks for: half of `WATCHDOG_USEC`, as `sd_watchdog_enabled(3)` recommends.
    #[must_use]
    pub fn from_environment() -> Self {
        let every = sd_notify::watchdog_enabled()
            .and_then(|limit| i64::try_from(limit.as_micros() / 2).ok())
            .map(Span::from_micros);
        Self { every, fed: Span::ZERO }
    }

    /// The loop turns at `mono`.
    pub fn feed(&mut self, mono: Span) {
        if self.every.is_some_and(|every| mono - self.fed >= every) {
            self.fed = mono;
            send(&[sd_notify::NotifyState::Watchdog]);
        }
    }
}
