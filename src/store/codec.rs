//! What the rows mean as bytes: a version, then postcard.
//!
//! Format: <https://postcard.jamesmunns.com/wire-format>. A change to the shape of a stored type
//! takes the next version and keeps a reader for the old one; samples of every version stay in
//! `tests/fixtures` and must still open.

use std::cell::Cell;

use postcard::ser_flavors::Flavor;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::{ReadError, Run};

/// The version written today. 2: runs have four more fields at their end.
const VERSION: u8 = 2;
/// The oldest version that is read.
const OLDEST: u8 = 1;
/// What a run of version 1 lacks at its end: no branch, no shadow, not failing, nothing to do again.
const RUN_SINCE_1: [u8; 4] = [0; 4];

/// The largest buffer that is kept to encode into: a usual row has some hundred bytes.
const KEPT_BYTES: usize = 64 * 1024;

thread_local! {
    /// Where rows are encoded, so that each takes one allocation of its own size.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The bytes of a row.
pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut buffer = BUFFER.take();
    buffer.clear();
    buffer.push(VERSION);
    let buffer = append(buffer, value);
    let row = buffer.clone();
    if buffer.capacity() <= KEPT_BYTES {
        BUFFER.set(buffer);
    }
    row
}

/// A row without values, for [`push`].
pub(super) fn begin() -> Vec<u8> {
    vec![VERSION]
}

/// Appends a value without a version of its own.
pub(super) fn push<T: Serialize>(row: &mut Vec<u8>, value: &T) {
    *row = append(std::mem::take(row), value);
}

fn append<T: Serialize>(row: Vec<u8>, value: &T) -> Vec<u8> {
    // Serialising into memory fails only for a type postcard cannot express, which no row is.
    postcard::serialize_with_flavor(value, Growing(row)).unwrap_or_default()
}

/// Postcard's own vectors take what they are given byte by byte.
struct Growing(Vec<u8>);

impl Flavor for Growing {
    type Output = Vec<u8>;

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

/// The value of a row.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, ReadError> {
    decode_body(body(bytes, what)?, what)
}

/// A run, of any version.
pub(super) fn decode_run(bytes: &[u8]) -> Result<Run, ReadError> {
    const WHAT: &str = "a run";
    let found = body(bytes, WHAT)?;
    if bytes.first() == Some(&1) {
        return decode_body(&[found, &RUN_SINCE_1].concat(), WHAT);
    }
    decode_body(found, WHAT)
}

/// What follows the version of a row.
pub(super) fn body<'a>(bytes: &'a [u8], what: &str) -> Result<&'a [u8], ReadError> {
    match bytes.split_first() {
        Some((version, body)) if (OLDEST..=VERSION).contains(version) => Ok(body),
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

/// The first fields of a value, and the bytes that follow them.
pub(super) fn decode_front<'a, T: Deserialize<'a>>(
    body: &'a [u8],
    what: &str,
) -> Result<(T, &'a [u8]), ReadError> {
    let front = postcard::take_from_bytes(body);
    front.map_err(|error| ReadError::Corrupt(format!("{what}: {error}").into()))
}

/// Whether a row was written by a newer adjutant. A version far from ours is damage.
pub(super) fn is_newer(bytes: &[u8]) -> bool {
    /// Versions that may come to be before somebody goes back to this one.
    const NEXT: u8 = 16;
    bytes.first().is_some_and(|version| (VERSION + 1..=VERSION + NEXT).contains(version))
}
