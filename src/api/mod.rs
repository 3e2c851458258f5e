//! The HTTP API, over TCP and over the Unix socket in the data directory.
//!
//! The way of a request: `server` (connections and their bounds) → `access` (who asks, and may they)
//! → `ingest`, the hot path, which no router or middleware stands before → or the router of `routes`,
//! whose handlers ask the engine and answer in the types of `wire`.
//!
//! Invariants: answers hold only what is durable; wire types are separate from the model; every error
//! is `application/problem+json` (RFC 9457); a web page in somebody's browser cannot reach it.

mod access;
mod approvals;
mod engine;
mod escalations;
mod events;
mod extract;
mod health;
mod hooks;
mod ingest;
mod ledgers;
mod links;
mod metrics;
mod problem;
mod records;
mod reload;
mod routes;
mod runs;
mod server;
#[cfg(test)]
mod tests;
pub mod wire;

use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use crate::daemon::{Clock, Config, Handle, Hooks, Links, Reloader, TokenConfig};
use crate::model::{Text, limits};
pub(crate) use access::USER_HEADER;

/// Name of the Unix socket within the data directory; its mode is 0600.
pub const SOCKET: &str = "adjutant.sock";

/// What the API listens on.
#[derive(Debug)]
pub struct Listeners {
    /// `http.listen`; `None` while it is off.
    pub tcp: Option<TcpListener>,
    /// [`SOCKET`] in the data directory. Whoever can connect is trusted as operator.
    pub unix: UnixListener,
}

/// What the configuration says about the API.
#[derive(Clone)]
pub struct ApiSettings {
    /// Bearer tokens; while there are none, loopback is open and every other address is refused.
    pub tokens: Vec<TokenConfig>,
    /// `http.public_url`: its host is one the API answers to.
    pub public_url: Option<url::Url>,
    /// Bytes of one event.
    pub event_bytes: usize,
    /// Reads the links of mails; `None` while nobody can reach the daemon by a public URL.
    pub links: Option<Arc<Links>>,
    /// Links expire.
    pub clock: Clock,
    /// Inbound webhooks; `None` where there are none.
    pub hooks: Option<Arc<Hooks>>,
    /// Puts other rules in force; `None` where that is not possible.
    pub reloader: Option<Arc<Reloader>>,
    /// Makes the id of a plain JSON event that brings none: a UUID v7.
    pub new_id: fn() -> Text,
}

impl ApiSettings {
    /// No tokens, no public URL, the default bounds.
    #[must_use]
    pub fn new(new_id: fn() -> Text) -> Self {
        Self {
            tokens: Vec::new(),
            public_url: None,
            event_bytes: limits::EVENT_BYTES,
            links: None,
            clock: Clock::start(),
            hooks: None,
            reloader: None,
            new_id,
        }
    }

    /// As configured.
    #[must_use]
    pub fn of(config: &Config, links: Option<Arc<Links>>, new_id: fn() -> Text) -> Self {
        Self {
            tokens: config.http.tokens.clone(),
            public_url: config.http.public_url.clone(),
            event_bytes: config.limits.event_size,
            links,
            ..Self::new(new_id)
        }
    }
}

/// Serves until `shutdown`, then lets requests under way finish (a bounded time).
pub async fn serve(
    handle: Handle,
    listeners: Listeners,
    settings: ApiSettings,
    shutdown: CancellationToken,
) {
    let app = routes::App::new(engine::Engine::Running(handle), settings);
    server::run(app, listeners, shutdown).await;
}
