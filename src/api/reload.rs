//! `POST /-/reload`: the rule files read anew and put in force, or what is wrong with them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::problem::Problem;
use super::{ApiSettings, wire};
use crate::daemon::{InForce, Refused, ReloadError};

/// Answers when the new rules are in force, durably. With `?plan=true`, what that would change.
pub(super) async fn reload(
    settings: &ApiSettings,
    query: Option<&str>,
) -> Result<Response, Problem> {
    let Some(reloader) = &settings.reloader else {
        return Err(Problem::not_found("way to reload here"));
    };
    let plan = match query.unwrap_or_default() {
        "" | "plan=false" => false,
        "plan=true" => true,
        other => {
            return Err(Problem::invalid(format!(
                "`{other}` is not a parameter here: there is `plan=true`"
            )));
        }
    };
    if plan {
        return match reloader.plan().await {
            Ok(plan) => Ok(Json(wire::Plan::new(&plan)).into_response()),
            Err(error) => Err(refused(error)),
        };
    }
    // Whoever asked may go away: what has begun is finished all the same.
    let reloader = reloader.clone();
    let reloaded = tokio::spawn(async move { reloader.reload().await });
    match reloaded.await.map_err(|_| Problem::mismatch())? {
        Ok(InForce { workflows, policies, generation }) => {
            let status = "in force".to_owned();
            Ok(Json(wire::Reloaded { status, workflows, policies, generation }).into_response())
        }
        Err(error) => Err(refused(error)),
    }
}

fn refused(error: ReloadError) -> Problem {
    match error {
        ReloadError::Refused(Refused(text)) => {
            let detail = format!("the rules have mistakes; those in force stay in force\n{text}");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "rules", detail)
        }
        ReloadError::Unavailable(why) => why.into(),
    }
}
