//! What the rows mean as bytes: a version, then postcard.
//!
//! Format: <https://postcard.jamesmunns.com/wire-format>. A change to the shape of a stored type
//! takes the next version and keeps a reader for the old one; samples of every version stay in
//! `tests/fixtures` and must still open.

use serde::Serialize;
use serde::de::DeserializeOwned;

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

/// The value of a row.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, ReadError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => match postcard::take_from_bytes(body) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => {
                Err(ReadError::Corrupt(format!("{what} has {} bytes too many", rest.len()).into()))
            }
            Err(error) => Err(ReadError::Corrupt(format!("{what}: {error}").into())),
        },
        Some((version, _)) => Err(ReadError::Corrupt(
            format!("{what} has format {version}; this adjutant reads up to {VERSION}").into(),
        )),
        None => Err(ReadError::Corrupt(format!("{what} is empty").into())),
    }
}
