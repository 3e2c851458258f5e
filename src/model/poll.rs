//! What asking the outside every so often takes: [`Ask`], and what came of it, [`Polled`].

use super::effect::Cause;
use super::event::Draft;
use super::id::Name;
use super::time::{Instant, Span};
use super::value::{Text, Value};
use super::window::WindowKey;

/// The code of a cause that is ours and no failure of a poll: there was no room or no time for it now.
pub const POLL_BUSY: &str = "busy";

/// A poll that is to be carried out. Losing one does no harm: it is due again.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The window that remembers how far it is.
    pub key: WindowKey,
    /// The workflow whose trigger asks.
    pub workflow: Name,
    /// The function of a plugin that knows what to ask.
    pub function: Text,
    /// What it gave last as its cursor; null at first.
    pub cursor: Value,
    /// When it was due: tells it from those before.
    pub begun: Instant,
}

/// The end of a poll, addressed.
#[derive(Clone, Debug)]
pub struct Polled {
    /// Of which window.
    pub key: WindowKey,
    /// See [`Ask::begun`].
    pub begun: Instant,
    /// What there was, or why nobody knows.
    pub found: Result<Found, Cause>,
    /// How long the other side wants to be left alone.
    pub after: Option<Span>,
}

/// What there was.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// From where to go on.
    pub cursor: Value,
    /// New events, oldest first, each id once; at most `limits::POLL_EVENTS`.
    pub events: Vec<Draft>,
    /// Whether there is more to be asked for at once.
    pub more: bool,
}
