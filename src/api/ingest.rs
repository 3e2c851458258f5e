//! Events in: the hot path. No router and no middleware stands before it.

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::access::Caller;
use super::problem::Problem;
use super::routes::App;
use super::wire;
use crate::daemon::in_order;
use crate::model::{Draft, Input, Refusal, Reply, Text, limits};
use crate::triggers::{EventError, Media, Parsed, Plain, media_of, parse, parse_plain};

/// What a request of this path brings, its body read.
pub(super) struct Incoming<'a> {
    pub(super) caller: &'a Caller,
    pub(super) headers: &'a HeaderMap,
    /// What follows `/v1/events/`; `None`: a CloudEvent.
    pub(super) kind: Option<&'a str>,
    pub(super) query: Option<&'a str>,
    pub(super) body: Bytes,
}

/// Bytes that the body of a request may have: one event, or what one commit takes of a batch.
pub(super) fn most_bytes(headers: &HeaderMap, event_bytes: usize) -> usize {
    let batch = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|content_type| media_of(content_type) == Media::Batch);
    if batch { limits::BATCH_BYTES.max(event_bytes) } else { event_bytes }
}

/// Takes events in and answers when they are durable.
pub(super) async fn take(app: &App, incoming: Incoming<'_>) -> Result<Response, Problem> {
    let most = app.settings.event_bytes;
    let Some(kind) = incoming.kind else {
        return match parse(incoming.headers, &incoming.body, most)? {
            Parsed::One(draft) => one(app, *draft).await,
            Parsed::Batch(events) => Ok(batch(app, events).await),
        };
    };
    let subject = subject_of(incoming.query)?;
    let given = idempotency_key(incoming.headers)?;
    let fresh;
    let id = if let Some(id) = given {
        id
    } else {
        fresh = (app.settings.new_id)();
        &*fresh
    };
    let source = incoming.caller.source.clone();
    let plain = Plain { kind, subject: subject.as_deref(), id, source };
    one(app, parse_plain(plain, &incoming.body, most)?).await
}

async fn one(app: &App, draft: Draft) -> Result<Response, Problem> {
    let accepted = submit(app, draft).await?;
    Ok(json(StatusCode::ACCEPTED, &accepted))
}

/// Takes the events of one delivery in: all of them, or the problem of the first that was not taken,
/// and then the whole delivery may come again.
pub(super) async fn all(app: &App, drafts: Vec<Draft>) -> Result<Response, Problem> {
    let mut events = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let (id, source) = (draft.id.clone(), draft.source.clone());
        match app.engine.submit(Input::Event(Box::new(draft))).await? {
            Reply::Accepted { event, duplicate } => {
                events.push(wire::Accepted { id, source, event: event.0, duplicate });
            }
            // The same delivery, of which its transform made something else than before: known is known.
            Reply::Refused(Refusal::Conflict { .. }) => {
                tracing::warn!(%id, %source, "a delivery came again and became another event");
                events.push(wire::Accepted { id, source, event: 0, duplicate: true });
            }
            Reply::Refused(refusal) => return Err(refusal.into()),
            Reply::Done(_) => return Err(Problem::mismatch()),
        }
    }
    Ok(json(StatusCode::ACCEPTED, &wire::HookAnswer { events }))
}

/// Hands one event to the engine and waits until it is durable.
async fn submit(app: &App, draft: Draft) -> Result<wire::Accepted, Problem> {
    let (id, source): (Text, Text) = (draft.id.clone(), draft.source.clone());
    match app.engine.submit(Input::Event(Box::new(draft))).await? {
        Reply::Accepted { event, duplicate } => {
            Ok(wire::Accepted { id, source, event: event.0, duplicate })
        }
        Reply::Refused(refusal) => Err(refusal.into()),
        Reply::Done(_) => Err(Problem::mismatch()),
    }
}

/// Takes a batch in: all events are queued in order before the first answer is waited for, so that
/// one commit can take them all.
async fn batch(app: &App, events: Vec<Result<Draft, EventError>>) -> Response {
    let taken = in_order(events.into_iter().map(async |event| submit(app, event?).await)).await;
    let mut retry_after = None;
    let results: Vec<_> = taken
        .into_iter()
        .map(|result| match result {
            Ok(accepted) => wire::BatchResult::accepted(accepted),
            Err(problem) => {
                retry_after = retry_after.max(problem.retry_after);
                wire::BatchResult::refused(&problem.to_wire())
            }
        })
        .collect();
    let accepted = results.iter().all(|result| result.status == StatusCode::ACCEPTED.as_u16());
    let status = if accepted { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS };
    let mut response = json(status, &wire::BatchAnswer { results });
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// `?subject=`; anything else in the query is a mistake that would go unnoticed.
fn subject_of(query: Option<&str>) -> Result<Option<String>, Problem> {
    let mut subject = None;
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if name != "subject" {
            return Err(Problem::invalid(format!(
                "`{name}` is not a parameter here: only `subject` is"
            )));
        }
        if subject.replace(value.into_owned()).is_some() {
            return Err(Problem::invalid("`subject` is given twice"));
        }
    }
    Ok(subject)
}

/// The `Idempotency-Key`, with or without the quotes that its draft standard asks for.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::invalid("`Idempotency-Key` is given twice"));
    }
    let key = std::str::from_utf8(value.as_bytes())
        .map_err(|_| Problem::invalid("`Idempotency-Key` is not UTF-8"))?;
    let unquoted = key.strip_prefix('"').and_then(|key| key.strip_suffix('"'));
    Ok(Some(unquoted.unwrap_or(key)))
}
