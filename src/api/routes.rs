//! [`App`]: what every request goes through, and the table of routes.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use super::access::{Gate, Head, Peer};
use super::engine::Engine;
use super::extract::read_body;
use super::problem::Problem;
use super::{
    ApiSettings, approvals, escalations, events, health, hooks, ingest, ledgers, links, metrics,
    records, reload, runs,
};
use crate::daemon::{Scope, Unavailable};
use crate::model::limits;

/// What the API knows while it runs.
pub(super) struct App {
    pub(super) engine: Engine,
    pub(super) settings: ApiSettings,
    pub(super) gate: Gate,
    /// Requests with events that may still come in.
    pub(super) room: Semaphore,
    /// Deliveries of inbound webhooks that may be under way besides.
    pub(super) hook_room: Semaphore,
    router: Router,
}

impl App {
    pub(super) fn new(engine: Engine, settings: ApiSettings) -> Arc<Self> {
        let gate = Gate::new(settings.tokens.clone(), settings.public_url.clone());
        let router = router(engine.clone());
        let room = Semaphore::new(limits::INGEST_REQUESTS);
        let hook_room = Semaphore::new(limits::HOOK_REQUESTS);
        Arc::new(Self { engine, settings, gate, room, hook_room, router })
    }

    /// Answers one request, whatever it is.
    pub(super) async fn answer<B>(&self, peer: Peer, request: Request<B>) -> Response
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display + Into<axum::BoxError>,
    {
        let result = match request.uri().path() {
            "/-/healthy" | "/-/ready" => health::answer(self, &request),
            path if path.starts_with(links::PREFIX) => Ok(links::answer(self, &request).await),
            _ => self.serve(peer, request).await,
        };
        result.unwrap_or_else(IntoResponse::into_response)
    }

    async fn serve<B>(&self, peer: Peer, request: Request<B>) -> Result<Response, Problem>
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display + Into<axum::BoxError>,
    {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path();
        if path.starts_with(hooks::PREFIX) {
            return hooks::answer(self, peer, &parts, body).await;
        }
        let kind = path.strip_prefix("/v1/events").filter(|_| parts.method == Method::POST);
        let kind = match kind {
            Some("") => Some(None),
            Some(rest) => rest.strip_prefix('/').map(Some),
            None => None,
        };
        let scope = match (kind, &parts.method) {
            (Some(_), _) => Scope::Ingest,
            (None, &Method::GET | &Method::HEAD) => Scope::Read,
            (None, _) => Scope::Operate,
        };
        let head = Head {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            any_media: false,
        };
        let caller = self.gate.admit(peer, head, scope)?;
        if path == "/-/reload" && parts.method == Method::POST {
            return reload::reload(&self.settings, parts.uri.query()).await;
        }
        if let Some(kind) = kind {
            // Refused before its body takes memory.
            self.engine.admit()?;
            let _room = self.room.try_acquire().map_err(|_| Unavailable::Busy(1))?;
            let most = ingest::most_bytes(&parts.headers, self.settings.event_bytes);
            let body = read_body(body, most, &parts.headers).await?;
            let (headers, query) = (&parts.headers, parts.uri.query());
            let incoming = ingest::Incoming { caller: &caller, headers, kind, query, body };
            return ingest::take(self, incoming).await;
        }
        parts.extensions.insert(caller);
        let request = Request::from_parts(parts, Body::new(body));
        match self.router.clone().oneshot(request).await {
            Ok(response) => Ok(response),
            Err(never) => match never {},
        }
    }
}

/// Every route but those of the hot path (`POST /v1/events…`) and of `/-/`.
fn router(engine: Engine) -> Router {
    Router::new()
        .route("/metrics", get(metrics::show))
        .route("/v1/runs", get(runs::list))
        .route("/v1/runs/{id}", get(runs::show))
        .route("/v1/runs/{id}/cancel", post(runs::cancel))
        .route("/v1/runs/{id}/retry", post(runs::retry))
        .route("/v1/runs/{id}/release", post(runs::release))
        .route("/v1/runs/{id}/migrate", post(runs::migrate))
        .route("/v1/workflows/{name}/reset", post(runs::reset))
        .route("/v1/records", get(records::kinds))
        .route("/v1/records/{kind}", get(records::list))
        .route("/v1/records/{kind}/{*id}", get(records::show))
        .route("/v1/approvals", get(approvals::list))
        .route("/v1/approvals/{id}", get(approvals::show))
        .route("/v1/approvals/{id}/decide", post(approvals::decide))
        .route("/v1/approvals/{id}/delegate", post(approvals::delegate))
        .route("/v1/ledgers", get(ledgers::list))
        .route("/v1/ledgers/{kind}/check", post(ledgers::check))
        .route("/v1/escalations", get(escalations::list))
        .route("/v1/escalations/{id}/acknowledge", post(escalations::acknowledge))
        .route("/v1/escalations/{id}/resolve", post(escalations::resolve))
        .route("/v1/events", get(events::list))
        .route("/v1/events/{no}", get(events::show))
        .route("/v1/verdicts/{event}", get(events::verdicts))
        .fallback(async |request: axum::extract::Request| {
            Problem::not_found(format_args!("route {}", request.uri().path()))
        })
        .method_not_allowed_fallback(async |request: axum::extract::Request| {
            let (method, path) = (request.method(), request.uri().path());
            let detail = format!("{path} does not take {method}");
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail)
        })
        .with_state(engine)
}
