//! `/v1/escalations`: runs of a policy.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

use super::access::Caller;
use super::engine::Engine;
use super::extract::{Params, page};
use super::problem::Problem;
use super::runs::{known, operate};
use super::wire;
use crate::model::Operator;
use crate::pump::{Answer, Query};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    #[serde(default)]
    all: bool,
    limit: Option<usize>,
}

/// `GET /v1/escalations`: the open ones; with `?all=true` those that are over as well.
pub(super) async fn list(
    State(engine): State<Engine>,
    Params(params): Params<ListParams>,
) -> Result<Json<wire::Escalations>, Problem> {
    let query = Query::Escalations { all: params.all, limit: page(params.limit)? };
    let Answer::Runs(runs) = engine.ask(query).await? else { return Err(Problem::mismatch()) };
    let escalations = runs.iter().filter_map(|run| wire::Escalation::new(run)).collect();
    Ok(Json(wire::Escalations { escalations }))
}

/// `POST /v1/escalations/{id}/acknowledge`.
pub(super) async fn acknowledge(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<wire::Done>, Problem> {
    let id = known(&engine, &id).await?;
    operate(&engine, id, Operator::Acknowledge { run: id.no, by: caller.name }).await
}

/// `POST /v1/escalations/{id}/resolve`.
pub(super) async fn resolve(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<wire::Done>, Problem> {
    let id = known(&engine, &id).await?;
    operate(&engine, id, Operator::Resolve { run: id.no, by: caller.name }).await
}
