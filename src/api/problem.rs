//! [`Problem`]: every error the API answers, as `application/problem+json` (RFC 9457).

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::wire;
use crate::daemon::Unavailable;
use crate::model::Refusal;
use crate::triggers::EventError;

/// Seconds after which to ask again while the disk is full: somebody has to make room first.
const RETRY_DISK: u32 = 60;
/// Seconds after which to ask again while the daemon stops: a restart takes about as long.
const RETRY_STOPPING: u32 = 5;

/// Why a request was not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// The status.
    pub(super) status: StatusCode,
    /// A stable word for machines, such as `conflict`.
    pub(super) code: &'static str,
    /// What is wrong and what to do about it.
    pub(super) detail: String,
    /// Seconds after which asking again makes sense.
    pub(super) retry_after: Option<u32>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after: None }
    }

    /// 400.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", detail)
    }

    /// 404; `what` as in "there is no run 17".
    pub(super) fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", format!("there is no {what}"))
    }

    /// 413.
    pub(super) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    }

    /// 415.
    pub(super) fn media(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", detail)
    }

    /// 500: the engine answered something that does not fit the question.
    pub(super) fn mismatch() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the engine's answer does not fit the question",
        )
    }

    /// As it stands in a body.
    pub(super) fn to_wire(&self) -> wire::Problem {
        wire::Problem {
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            code: self.code.to_owned(),
            detail: self.detail.clone(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.to_wire()).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED && self.code == "unauthorized" {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Unavailable> for Problem {
    fn from(why: Unavailable) -> Self {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        let (status, code, retry_after) = match &why {
            Unavailable::Busy(seconds) => (unavailable, "busy", Some((*seconds).max(1))),
            Unavailable::DiskFull => (unavailable, "disk-full", Some(RETRY_DISK)),
            Unavailable::Stopping => (unavailable, "stopping", Some(RETRY_STOPPING)),
            Unavailable::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", None),
        };
        Self { status, code, detail: why.to_string(), retry_after }
    }
}

impl From<Refusal> for Problem {
    fn from(why: Refusal) -> Self {
        let (status, code) = match &why {
            Refusal::Conflict { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "conflict"),
            Refusal::NotFound(_) => (StatusCode::NOT_FOUND, "not-found"),
            Refusal::State(_) => (StatusCode::CONFLICT, "state"),
            Refusal::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid"),
            Refusal::Broken(_) => (StatusCode::INTERNAL_SERVER_ERROR, "broken"),
        };
        Self::new(status, code, why.to_string())
    }
}

impl From<EventError> for Problem {
    fn from(why: EventError) -> Self {
        match why {
            EventError::Invalid(detail) => Self::invalid(detail),
            EventError::TooLarge(detail) => Self::too_large(detail),
            EventError::Media(detail) => Self::media(detail),
        }
    }
}
