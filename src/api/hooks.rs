//! `POST /hooks/NAME`: inbound webhooks.
//!
//! A delivery that is verified by its signature needs no token; one that is not is let in like any
//! other request with events. What comes in is answered when all its events are durable, and a delivery
//! that is repeated is known by the ids of its events.

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::Response;

use super::access::{Head, Peer};
use super::extract::read_body;
use super::ingest;
use super::problem::Problem;
use super::routes::App;
use crate::daemon::{Delivery, HookError, Scope, Unavailable};

/// What their paths begin with.
pub(super) const PREFIX: &str = "/hooks/";

/// Takes a delivery in.
pub(super) async fn answer<B>(
    app: &App,
    peer: Peer,
    parts: &Parts,
    body: B,
) -> Result<Response, Problem>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let name = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let hooks = app.settings.hooks.as_ref();
    let known = hooks.and_then(|hooks| Some((hooks, hooks.needs_token(name)?)));
    let Some((hooks, needs_token)) = known else {
        return Err(Problem::not_found(format_args!("inbound webhook `{name}`")));
    };
    if parts.method != Method::POST {
        let detail = format!("{} takes POST", parts.uri.path());
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail));
    }
    let (headers, query) = (&parts.headers, parts.uri.query());
    if needs_token {
        let head = Head { method: &parts.method, uri: &parts.uri, headers, any_media: true };
        app.gate.admit(peer, head, Scope::Ingest)?;
    }
    app.engine.admit()?;
    let _room = app.hook_room.try_acquire().map_err(|_| Unavailable::Busy(1))?;
    let body = read_body(body, app.settings.event_bytes, headers).await?;
    let drafts = hooks.take(Delivery { name, headers, query, body: &body }).await?;
    ingest::all(app, drafts).await
}

impl From<HookError> for Problem {
    fn from(why: HookError) -> Self {
        match why {
            HookError::Unverified(why) => {
                Self::new(StatusCode::UNAUTHORIZED, "signature", why.to_string())
            }
            HookError::Event(why) => why.into(),
            HookError::Unavailable(why) => why.into(),
            HookError::Failed(why) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "hook", why),
        }
    }
}
