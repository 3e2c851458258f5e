//! `/v1/ledgers`: how far the ledgers are, to be kept elsewhere and compared later.

use axum::Json;
use axum::extract::{Path, State};

use super::engine::Engine;
use super::extract::Wish;
use super::problem::Problem;
use super::wire;
use crate::pump::{Answer, Query};

/// `GET /v1/ledgers`.
pub(super) async fn list(State(engine): State<Engine>) -> Result<Json<wire::Ledgers>, Problem> {
    let Answer::Heads(heads) = engine.ask(Query::Ledgers).await? else {
        return Err(Problem::mismatch());
    };
    Ok(Json(wire::Ledgers { ledgers: heads.iter().map(wire::Head::new).collect() }))
}

/// `POST /v1/ledgers/{kind}/check`: whether a head that was kept elsewhere is one of ours. It changes nothing.
pub(super) async fn check(
    State(engine): State<Engine>,
    Path(kind): Path<String>,
    Wish(head): Wish<wire::Head>,
) -> Result<Json<wire::Checked>, Problem> {
    if head.kind != kind {
        return Err(Problem::invalid(format!("this is a head of `{}`", head.kind)));
    }
    let query = Query::Signed(head.to_model());
    let Answer::Signed(valid) = engine.ask(query).await? else { return Err(Problem::mismatch()) };
    Ok(Json(wire::Checked { valid }))
}
