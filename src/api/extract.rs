//! What handlers take from a request, with our own errors: query parameters, small JSON bodies.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::header::EXPECT;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

use super::access::Caller;
use super::problem::Problem;
use crate::model::limits;

/// Rows of a page when the request does not say.
const DEFAULT_ROWS: usize = 100;
/// Bytes of an operator's request: a reason and a flag.
const REQUEST_BYTES: usize = 16 * 1024;
/// Bytes of a too large body that are received and dropped, so that its sender gets to read why.
const DISCARD_BYTES: usize = 8 * 1024 * 1024;
/// How long a body may take to arrive: a megabyte over a bad mobile line.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Query parameters; an unknown one is refused.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(error) => Err(Problem::invalid(error.body_text())),
        }
    }
}

/// A small JSON body; none at all is the default.
pub(super) struct Wish<T>(pub(super) T);

impl<T: DeserializeOwned + Default, S: Sync> FromRequest<S> for Wish<T> {
    type Rejection = Problem;
    async fn from_request(request: Request<Body>, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = read_body(body, REQUEST_BYTES, &parts.headers).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| Problem::invalid(format!("the body cannot be read: {error}")))
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::mismatch)
    }
}

/// How many rows a page has.
pub(super) fn page(limit: Option<usize>) -> Result<usize, Problem> {
    match limit.unwrap_or(DEFAULT_ROWS) {
        rows @ 1..=limits::PAGE => Ok(rows),
        rows => Err(Problem::invalid(format!(
            "`limit` is {rows}: write a number from 1 to {}",
            limits::PAGE
        ))),
    }
}

/// Reads a body of at most so many bytes. Of one that says at once that it is larger nothing is
/// kept; a client that waits for leave to send it (`Expect: 100-continue`) need not send it at all.
pub(super) async fn read_body<B>(
    body: B,
    most: usize,
    headers: &HeaderMap,
) -> Result<Bytes, Problem>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let too_large =
        || Problem::too_large(format!("the body is too large: at most {most} bytes are taken"));
    let mut body = std::pin::pin!(body);
    let announced = body.size_hint().lower() > most as u64;
    if announced && headers.contains_key(EXPECT) {
        return Err(too_large());
    }
    let whole = async {
        let (mut first, mut more) = (Bytes::new(), BytesMut::new());
        // Bytes seen, kept or not.
        let mut seen = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                Problem::invalid(format!("the body could not be received: {error}"))
            })?;
            let Ok(data) = frame.into_data() else { continue };
            seen += data.len();
            if announced || seen > most {
                // A connection closed on a client that still sends hides the answer from it.
                if seen > most + DISCARD_BYTES {
                    return Err(too_large());
                }
                continue;
            }
            // Nearly every body comes in one frame, which is then not copied.
            if first.is_empty() && more.is_empty() {
                first = data;
                continue;
            }
            if more.is_empty() {
                more.extend_from_slice(&first);
            }
            more.extend_from_slice(&data);
        }
        if seen > most {
            return Err(too_large());
        }
        Ok(if more.is_empty() { first } else { more.freeze() })
    };
    tokio::time::timeout(BODY_TIME, whole).await.unwrap_or_else(|_| {
        Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            format!("the body did not arrive within {} s", BODY_TIME.as_secs()),
        ))
    })
}
