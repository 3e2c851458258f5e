//! `GET /v1/events`: what came in, and what each workflow said to it; `GET /v1/verdicts`: why.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

use super::engine::Engine;
use super::extract::{Params, page};
use super::problem::Problem;
use super::wire;
use crate::model::{Pattern, Text};
use crate::pump::{Answer, Query};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    r#type: Option<String>,
    subject: Option<String>,
    before: Option<u64>,
    limit: Option<usize>,
}

/// `GET /v1/events`: newest first.
pub(super) async fn list(
    State(engine): State<Engine>,
    Params(params): Params<ListParams>,
) -> Result<Json<wire::Events>, Problem> {
    let kind = params.r#type.as_deref().map(|text| {
        Pattern::parse(text).ok_or_else(|| {
            Problem::invalid(format!(
                "`{text}` is not a type of events: write `lead.created` or `lead.*`"
            ))
        })
    });
    let limit = page(params.limit)?;
    let query = Query::Events {
        kind: kind.transpose()?,
        subject: params.subject.map(Text::from),
        before: params.before,
        limit,
    };
    let Answer::Events(events) = engine.ask(query).await? else { return Err(Problem::mismatch()) };
    let last = events.last().map(|stored| stored.event.no.0);
    let next = last.filter(|_| events.len() >= limit);
    let events = events.iter().map(|stored| wire::Event::new(stored)).collect();
    Ok(Json(wire::Events { events, next }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowParams {
    workflow: Option<String>,
}

/// `GET /v1/events/{no}`: by number or by id. With `workflow`, of those that were not asked only that.
pub(super) async fn show(
    State(engine): State<Engine>,
    Path(no): Path<String>,
    Params(params): Params<ShowParams>,
) -> Result<Json<wire::Event>, Problem> {
    let query = Query::Event { id: no.as_str().into(), workflow: params.workflow.map(Text::from) };
    let Answer::Event(event) = engine.ask(query).await? else { return Err(Problem::mismatch()) };
    match event {
        Some(told) => Ok(Json(wire::Event::told(&told.stored, &told.ruled_out, told.others))),
        None => Err(Problem::not_found(format_args!("event {no}"))),
    }
}

/// `GET /v1/verdicts/{event}`: by number or by id, why each workflow did or did not react to it.
pub(super) async fn verdicts(
    State(engine): State<Engine>,
    Path(no): Path<String>,
    Params(params): Params<ShowParams>,
) -> Result<Json<wire::Verdicts>, Problem> {
    let workflow = params.workflow.map(Text::from);
    let query = Query::Explain { id: no.as_str().into(), workflow };
    let Answer::Explained(told) = engine.ask(query).await? else { return Err(Problem::mismatch()) };
    match told {
        Some((stored, explained)) => Ok(Json(wire::Verdicts::new(&stored, &explained))),
        None => Err(Problem::not_found(format_args!("event {no}"))),
    }
}
