//! `/v1/approvals`: what people are asked to decide.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

use super::access::Caller;
use super::engine::Engine;
use super::extract::{Params, Wish, page};
use super::problem::Problem;
use super::runs::operate;
use super::wire;
use crate::model::{APPROVAL, Address, Operator, Text};
use crate::pump::{Answer, Query};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    #[serde(default)]
    all: bool,
    limit: Option<usize>,
}

/// `GET /v1/approvals`: the open ones; with `?all=true` those that are decided as well.
pub(super) async fn list(
    State(engine): State<Engine>,
    Params(params): Params<ListParams>,
) -> Result<Json<wire::Approvals>, Problem> {
    let query = Query::Approvals { all: params.all, limit: page(params.limit)? };
    let Answer::Records(records) = engine.ask(query).await? else {
        return Err(Problem::mismatch());
    };
    let mut approvals: Vec<_> = records.iter().map(|record| wire::Approval::new(record)).collect();
    approvals.sort_by(|a, b| (&a.due, &a.opened, &a.id).cmp(&(&b.due, &b.opened, &b.id)));
    Ok(Json(wire::Approvals { approvals }))
}

/// `GET /v1/approvals/{id}`.
pub(super) async fn show(
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::Approval>, Problem> {
    let address = Address { kind: APPROVAL.into(), id: id.as_str().into() };
    let Answer::Record(record) = engine.ask(Query::Record(address)).await? else {
        return Err(Problem::mismatch());
    };
    match record {
        Some(record) => Ok(Json(wire::Approval::new(&record))),
        None => Err(Problem::not_found(format_args!("approval {id}"))),
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DecideRequest {
    outcome: String,
    comment: Option<String>,
    /// One of those who are asked, on whose behalf it is; the caller otherwise.
    by: Option<String>,
}

/// `POST /v1/approvals/{id}/decide`: as one of those who are asked, or as an operator, alone.
pub(super) async fn decide(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    caller: Caller,
    Wish(request): Wish<DecideRequest>,
) -> Result<Json<wire::Done>, Problem> {
    let asked_only = request.by.is_some();
    let wish = Operator::Decide {
        approval: id.as_str().into(),
        outcome: request.outcome.into(),
        comment: request.comment.map(Text::from),
        asked_only,
        by: request.by.map_or(caller.name, Text::from),
    };
    operate(&engine, id, wish).await
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DelegateRequest {
    to: String,
    /// One of those who are asked; the caller otherwise.
    by: Option<String>,
}

/// `POST /v1/approvals/{id}/delegate`.
pub(super) async fn delegate(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    caller: Caller,
    Wish(request): Wish<DelegateRequest>,
) -> Result<Json<wire::Done>, Problem> {
    let wish = Operator::Delegate {
        approval: id.as_str().into(),
        to: request.to.into(),
        by: request.by.map_or(caller.name, Text::from),
    };
    operate(&engine, id, wish).await
}
