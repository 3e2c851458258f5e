//! `/-/healthy` and `/-/ready`: open to everybody, and they say nothing else.

use axum::Json;
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::routes::App;
use super::wire;
use crate::daemon::Health;

/// Seconds after which to ask again.
const RETRY: u32 = 1;

/// Healthy: the process answers. Ready: it also takes events.
pub(super) fn answer<B>(app: &App, request: &Request<B>) -> Result<Response, Problem> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let detail = "only GET is taken here";
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail));
    }
    let state = |word: &str| Json(wire::State { status: word.to_owned() }).into_response();
    if request.uri().path() == "/-/healthy" {
        return Ok(state("healthy"));
    }
    let not_yet = |detail: &str| {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", detail);
        Err(Problem { retry_after: Some(RETRY), ..problem })
    };
    let degraded = || app.settings.reloader.as_ref().is_some_and(|it| it.degraded().is_some());
    match app.engine.health() {
        Health::Ready if degraded() => Ok(state("degraded")),
        Health::Ready => Ok(state("ready")),
        Health::Starting => not_yet("the daemon is starting"),
        Health::Draining => not_yet("the daemon is stopping"),
    }
}
