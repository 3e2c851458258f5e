//! What the rows mean as bytes: a version, then postcard.
//!
//! Format: <https://postcard.jamesmunns.com/wire-format>. A change to the shape of a stored type
//! takes the next version and keeps a reader for the old one; samples of every version stay in
//! `tests/fixtures` and must still open.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::ReadError;

/// The version written today.
const VERSION: u8 = 1;

/// Room made at once for a row: what most take. Growing byte by byte from nothing costs more than
/// encoding does.
const ROW_BYTES: usize = 1_024;

/// The bytes of a row.
pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Serialising into memory fails only for a type postcard cannot express, which no row is.
    let mut row = Vec::with_capacity(ROW_BYTES);
    row.push(VERSION);
    let mut row = postcard::to_extend(value, row).unwrap_or_default();
    row.shrink_to_fit();
    row
}

/// A row without values, for [`push`].
pub(super) fn begin() -> Vec<u8> {
    let mut row = Vec::with_capacity(ROW_BYTES);
    row.push(VERSION);
    row
}

/// Appends a value without a version of its own.
pub(super) fn push<T: Serialize>(row: &mut Vec<u8>, value: &T) {
    *row = postcard::to_extend(value, std::mem::take(row)).unwrap_or_default();
}

/// The value of a row.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, ReadError> {
    decode_body(body(bytes, what)?, what)
}

/// What follows the version of a row.
pub(super) fn body<'a>(bytes: &'a [u8], what: &str) -> Result<&'a [u8], ReadError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => Ok(body),
        Some((version, _)) => Err(ReadError::Corrupt(
            format!("{what} has format {version}; this adjutant reads up to {VERSION}").into(),
        )),
        None => Err(ReadError::Corrupt(format!("{what} is empty").into())),
    }
}

/// A value without a version of its own, within a row.
pub(super) fn decode_body<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, ReadError> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => {
            Err(ReadError::Corrupt(format!("{what} has {} bytes too many", rest.len()).into()))
        }
        Err(error) => Err(ReadError::Corrupt(format!("{what}: {error}").into())),
    }
}

/// The first fields of a value; what follows them is not looked at.
pub(super) fn decode_front<'a, T: Deserialize<'a>>(
    body: &'a [u8],
    what: &str,
) -> Result<T, ReadError> {
    let front = postcard::take_from_bytes(body).map(|(front, _)| front);
    front.map_err(|error| ReadError::Corrupt(format!("{what}: {error}").into()))
}

/// Whether a row was written by a newer adjutant. A version far from ours is damage.
pub(super) fn is_newer(bytes: &[u8]) -> bool {
    /// Versions that may come to be before somebody goes back to this one.
    const NEXT: u8 = 16;
    bytes.first().is_some_and(|version| (VERSION + 1..=VERSION + NEXT).contains(version))
}
