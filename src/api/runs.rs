//! `/v1/runs`.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

use super::access::Caller;
use super::engine::Engine;
use super::extract::{Params, Wish, page};
use super::problem::Problem;
use super::wire;
use crate::model::{Input, Operator, Reply, RunId, RunNo, Status, Text};
use crate::pump::{Answer, Query, Story};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    status: Option<String>,
    workflow: Option<String>,
    before: Option<String>,
    limit: Option<usize>,
}

/// `GET /v1/runs`: newest first.
pub(super) async fn list(
    State(engine): State<Engine>,
    Params(params): Params<ListParams>,
) -> Result<Json<wire::Runs>, Problem> {
    let status = params.status.as_deref().map(|word| {
        Status::parse(word).ok_or_else(|| {
            Problem::invalid(format!(
                "`{word}` is not a status: write queued, active, done, failed or cancelled"
            ))
        })
    });
    let before = params.before.as_deref().map(run_id).transpose()?;
    let limit = page(params.limit)?;
    let query = Query::Runs {
        status: status.transpose()?,
        workflow: params.workflow.map(Text::from),
        before: before.map(|id| id.no),
        limit,
    };
    let Answer::Runs(runs) = engine.ask(query).await? else { return Err(Problem::mismatch()) };
    let next = (runs.len() >= limit).then(|| runs.last().map(|run| run.no.to_string())).flatten();
    Ok(Json(wire::Runs { runs: runs.iter().map(|run| wire::Run::new(run)).collect(), next }))
}

/// `GET /v1/runs/{id}`: the whole story.
pub(super) async fn show(
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::Story>, Problem> {
    let story = story(&engine, run_id(&id)?).await?;
    Ok(Json(wire::Story::new(&story)))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelRequest {
    reason: Option<String>,
}

/// `POST /v1/runs/{id}/cancel`.
pub(super) async fn cancel(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    caller: Caller,
    Wish(request): Wish<CancelRequest>,
) -> Result<Json<wire::Done>, Problem> {
    let id = known(&engine, &id).await?;
    let (reason, by) = (request.reason.map(Text::from), caller.name);
    operate(&engine, id, Operator::Cancel { run: id.no, reason, by }).await
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RetryRequest {
    assume_done: bool,
}

/// `POST /v1/runs/{id}/retry`.
pub(super) async fn retry(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    caller: Caller,
    Wish(request): Wish<RetryRequest>,
) -> Result<Json<wire::Done>, Problem> {
    let id = known(&engine, &id).await?;
    let assume_done = request.assume_done;
    operate(&engine, id, Operator::Retry { run: id.no, assume_done, by: caller.name }).await
}

/// `POST /v1/runs/{id}/release`.
pub(super) async fn release(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<wire::Done>, Problem> {
    let id = known(&engine, &id).await?;
    operate(&engine, id, Operator::Release { run: id.no, by: caller.name }).await
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MigrateRequest {
    dry_run: bool,
}

/// `POST /v1/runs/{id}/migrate`: to the version in force.
pub(super) async fn migrate(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    caller: Caller,
    Wish(request): Wish<MigrateRequest>,
) -> Result<Json<wire::Done>, Problem> {
    let id = known(&engine, &id).await?;
    let dry_run = request.dry_run;
    operate(&engine, id, Operator::Migrate { run: id.no, dry_run, by: caller.name }).await
}

/// `POST /v1/workflows/{name}/reset`.
pub(super) async fn reset(
    State(engine): State<Engine>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<wire::Done>, Problem> {
    let wish = Operator::Reset { workflow: name.as_str().into(), by: caller.name };
    operate(&engine, name, wish).await
}

/// Hands an operator's wish to the engine.
pub(super) async fn operate(
    engine: &Engine,
    id: impl std::fmt::Display,
    wish: Operator,
) -> Result<Json<wire::Done>, Problem> {
    match engine.submit(Input::Operator(wish)).await? {
        Reply::Done(result) => {
            Ok(Json(wire::Done { id: id.to_string(), result: result.to_json() }))
        }
        Reply::Refused(refusal) => Err(refusal.into()),
        Reply::Accepted { .. } => Err(Problem::mismatch()),
    }
}

/// The id of a run that is there. One typed with its hash must match it: a number alone could mean
/// another run after a restore.
pub(super) async fn known(engine: &Engine, text: &str) -> Result<RunId, Problem> {
    let id = run_id(text)?;
    let story = story(engine, id).await?;
    Ok(story.run.id())
}

async fn story(engine: &Engine, id: RunId) -> Result<Box<Story>, Problem> {
    let Answer::Story(story) = engine.ask(Query::Run(id)).await? else {
        return Err(Problem::mismatch());
    };
    story
        .filter(|story| id.check.is_none_or(|check| check == story.run.hash.short()))
        .ok_or_else(|| Problem::not_found(format_args!("run {id}")))
}

fn run_id(text: &str) -> Result<RunId, Problem> {
    text.parse::<RunId>()
        .map_err(Problem::invalid)
        .and_then(|id| if id.no == RunNo(0) { Err(Problem::not_found("run 0")) } else { Ok(id) })
}
