//! How rows lie in sled's one tree, and how values that are too long for a page are cut up.
//!
//! ```text
//! 01 'f'                           format: u32
//! 01 'p'                           position, written by every batch: epoch u64, number u64,
//!                                  rows u64, chunks u64, serial u64
//! 01 'u'                           the position that settling under way leads to, while it is
//! 02 key                           00 value, or 01 serial u64, op u32, length u32
//! 03 serial u64 op u32 chunk u32   4 KiB of a long value; serial and op say which put it was
//! ```
//!
//! Numbers are big-endian. Chunks are sequential because their keys come from the serial number of
//! the batch of sled's that wrote them; rows keep their order and their count because a long value
//! is one row all the same.

use std::ops::Range;

use super::super::contract::{Lead, StoreError};

/// The format that this code writes. Another layout gets another number, and samples of the old
/// one stay in the tests.
pub(super) const FORMAT: u32 = 1;
/// Bytes of key and value that a row may have together, and of a chunk. A page of sled splits at
/// 17 rows: so it always fits its log and never becomes a blob file, which is not synced.
pub(super) const PIECE: usize = 4096;

pub(super) const FORMAT_KEY: &[u8] = &[1, b'f'];
pub(super) const POSITION_KEY: &[u8] = &[1, b'p'];
pub(super) const UNSETTLED_KEY: &[u8] = &[1, b'u'];

const ROW: u8 = 2;
const CHUNK: u8 = 3;
/// Where all chunks lie.
pub(super) const CHUNKS: Range<&[u8]> = &[CHUNK]..&[CHUNK + 1];
/// Where all rows lie.
pub(super) const ROWS: Range<&[u8]> = &[ROW]..&[CHUNK];

const INLINE: u8 = 0;
const CHUNKED: u8 = 1;

/// The key of a row.
pub(super) fn row_key(key: &[u8]) -> Vec<u8> {
    [&[ROW], key].concat()
}

/// The caller's key in the key of a row.
pub(super) fn caller_key(key: &[u8]) -> Vec<u8> {
    key.get(1..).unwrap_or_default().to_vec()
}

/// A value that was cut up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunked {
    /// Serial number of the batch that put it.
    pub(super) serial: u64,
    /// Its place in that batch.
    pub(super) op: u32,
    /// Bytes of the whole value.
    pub(super) length: u32,
}

impl Chunked {
    pub(super) fn of(serial: u64, op: u32, value: &[u8]) -> Self {
        Self { serial, op, length: value.len() as u32 }
    }

    pub(super) fn key(&self, chunk: u32) -> [u8; 17] {
        let mut key = [CHUNK; 17];
        key[1..9].copy_from_slice(&self.serial.to_be_bytes());
        key[9..13].copy_from_slice(&self.op.to_be_bytes());
        key[13..17].copy_from_slice(&chunk.to_be_bytes());
        key
    }

    /// How many chunks there are.
    pub(super) fn count(&self) -> u32 {
        self.length.div_ceil(PIECE as u32)
    }
}

/// What the value of a row says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head<'a> {
    Inline(&'a [u8]),
    Chunked(Chunked),
}

/// Whether a row must be cut up.
pub(super) fn too_long(key: &[u8], value: &[u8]) -> bool {
    key.len() + value.len() > PIECE
}

pub(super) fn inline(value: &[u8]) -> Vec<u8> {
    [&[INLINE], value].concat()
}

pub(super) fn chunked(what: Chunked) -> Vec<u8> {
    let mut head = vec![CHUNKED];
    head.extend_from_slice(&what.serial.to_be_bytes());
    head.extend_from_slice(&what.op.to_be_bytes());
    head.extend_from_slice(&what.length.to_be_bytes());
    head
}

/// Reads the value of a row.
pub(super) fn head(bytes: &[u8]) -> Result<Head<'_>, StoreError> {
    match bytes.split_first() {
        Some((&INLINE, value)) => Ok(Head::Inline(value)),
        Some((&CHUNKED, rest)) if rest.len() == 16 => Ok(Head::Chunked(Chunked {
            serial: u64::from_be_bytes(array(&rest[..8])?),
            op: u32::from_be_bytes(array(&rest[8..12])?),
            length: u32::from_be_bytes(array(&rest[12..])?),
        })),
        _ => Err(StoreError::Corrupt("a row's value has no known form".to_owned())),
    }
}

/// Where the store is, and how much it must hold: damage that costs whole segments leaves sled
/// readable, and only the counts tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) lead: Lead,
    pub(super) rows: u64,
    pub(super) chunks: u64,
    /// Batches of sled's so far.
    pub(super) serial: u64,
}

impl Position {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let Self { lead, rows, chunks, serial } = self;
        let numbers = [&lead.epoch, &lead.number, rows, chunks, serial];
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, StoreError> {
        let bytes: [u8; 40] = array(bytes)?;
        let number = |at: usize| array(&bytes[at..at + 8]).map(u64::from_be_bytes);
        let lead = Lead { epoch: number(0)?, number: number(8)? };
        Ok(Self { lead, rows: number(16)?, chunks: number(24)?, serial: number(32)? })
    }
}

pub(super) fn read_format(bytes: &[u8]) -> Result<u32, StoreError> {
    Ok(u32::from_be_bytes(array(bytes)?))
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes
        .try_into()
        .map_err(|_| StoreError::Corrupt(format!("a number of {N} bytes has {}", bytes.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(head(&inline(b"")), Ok(Head::Inline(b"")));
        assert_eq!(head(&inline(b"\x01x")), Ok(Head::Inline(b"\x01x")));
        let long = Chunked { serial: 7, op: 3, length: 8193 };
        assert_eq!(head(&chunked(long)), Ok(Head::Chunked(long)));
        assert_eq!(long.count(), 3);
        let lead = Lead { epoch: 2, number: u64::MAX };
        let at = Position { lead, rows: 3, chunks: 1 << 40, serial: 9 };
        assert_eq!(Position::read(&at.bytes()), Ok(at));
    }

    #[test]
    fn nonsense_is_an_error() {
        for bytes in [&[][..], &[2], &[1, 0, 0], &[1; 18]] {
            assert!(head(bytes).is_err(), "{bytes:?}");
        }
        for bytes in [&[][..], &[0; 16], &[0; 39], &[0; 41]] {
            assert!(Position::read(bytes).is_err(), "{bytes:?}");
        }
    }
}
