//! `GET /v1/records`, `GET /v1/records/{kind}` and `GET /v1/records/{kind}/{id}`.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

use super::engine::Engine;
use super::extract::{Params, page};
use super::problem::Problem;
use super::wire;
use crate::model::{Address, Text, is_name};
use crate::pump::{Answer, Query};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    after: Option<String>,
    limit: Option<usize>,
}

/// `GET /v1/records`: the kinds of which there are any, in order.
pub(super) async fn kinds(State(engine): State<Engine>) -> Result<Json<wire::Kinds>, Problem> {
    let Answer::Kinds(kinds) = engine.ask(Query::Kinds).await? else {
        return Err(Problem::mismatch());
    };
    Ok(Json(wire::Kinds { kinds: kinds.iter().map(ToString::to_string).collect() }))
}

/// `GET /v1/records/{kind}`: in order of id.
pub(super) async fn list(
    State(engine): State<Engine>,
    Path(kind): Path<String>,
    Params(params): Params<ListParams>,
) -> Result<Json<wire::Records>, Problem> {
    if !is_name(&kind) {
        return Err(Problem::invalid(format!(
            "`{kind}` cannot be a record kind: lower-case letters, digits and `-`, a letter first"
        )));
    }
    let limit = page(params.limit)?;
    let (kind, after) = (Text::from(kind), params.after.map(Text::from));
    let Answer::Records(records) = engine.ask(Query::Records { kind, after, limit }).await? else {
        return Err(Problem::mismatch());
    };
    let last = records.last().map(|record| record.address.id.to_string());
    let next = last.filter(|_| records.len() >= limit);
    let records = records.iter().map(|record| wire::Record::new(record)).collect();
    Ok(Json(wire::Records { records, next }))
}

/// `GET /v1/records/{kind}/{id}`; the id may contain slashes.
pub(super) async fn show(
    State(engine): State<Engine>,
    Path((kind, id)): Path<(String, String)>,
) -> Result<Json<wire::Record>, Problem> {
    let address = Address::new(&kind, &id).map_err(|error| Problem::invalid(error.to_string()))?;
    let Answer::Record(record) = engine.ask(Query::Record(address.clone())).await? else {
        return Err(Problem::mismatch());
    };
    match record {
        Some(record) => Ok(Json(wire::Record::new(&record))),
        None => Err(Problem::not_found(format_args!("record {address}"))),
    }
}
