//! `POST /-/reload`: the rule files read anew and put in force, or what is wrong with them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::problem::Problem;
use super::{ApiSettings, wire};
use crate::daemon::{InForce, Refused, ReloadError};

/// Answers when the new rules are in force, durably.
pub(super) async fn reload(settings: &ApiSettings) -> Result<Response, Problem> {
    let Some(reloader) = &settings.reloader else {
        return Err(Problem::not_found("way to reload here"));
    };
    // Whoever asked may go away: what has begun is finished all the same.
    let reloader = reloader.clone();
    let reloaded = tokio::spawn(async move { reloader.reload().await });
    match reloaded.await.map_err(|_| Problem::mismatch())? {
        Ok(InForce { workflows, policies, generation }) => {
            let status = "in force".to_owned();
            Ok(Json(wire::Reloaded { status, workflows, policies, generation }).into_response())
        }
        Err(ReloadError::Refused(Refused(text))) => {
            let detail = format!("the rules have mistakes; those in force stay in force\n{text}");
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "rules", detail))
        }
        Err(ReloadError::Unavailable(why)) => Err(why.into()),
    }
}
