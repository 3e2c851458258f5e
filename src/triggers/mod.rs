//! The outside made into events: what arrives over HTTP becomes [`Draft`](crate::model::Draft)s.
//!
//! Invariants: parsing is pure (bytes in, drafts or errors out), never panics on any input, and
//! checks every bound before it builds anything large. Whether a draft is accepted is the engine's.

mod attributes;
mod cloudevents;
mod error;
mod hook;
mod json;
mod made;
mod payload;
mod plain;
mod rows;
#[cfg(test)]
mod tests;

pub use cloudevents::{Parsed, parse};
pub use error::EventError;
pub use hook::{Encoding, Unverified, Verify, content, delivery_id, seen};
pub use json::parse as parse_json;
pub use made::{Around, from_plugin, from_poll};
pub use payload::{Media, media_of};
pub use plain::{Plain, parse as parse_plain};
pub use rows::{
    FileReport, Format, Row, Rows, Unreadable, content_of, events_of, format_of, from_row,
};
