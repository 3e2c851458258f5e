//! [`Host`]: what an expression may ask the state for while it runs.

use crate::model::{ReadError, Value};

/// Answers the reading functions of expressions. Implemented by the engine over its view and rules.
pub trait Host {
    /// `record(kind, id)`: the record as read, or null.
    ///
    /// # Errors
    /// [`ReadError`] when the state cannot be read.
    fn record(&self, kind: &str, id: &str) -> Result<Value, ReadError>;
    /// `records(kind, index, value)`; without an index all of the kind. At most
    /// `limits::RECORDS_PER_READ`, else `None`.
    ///
    /// # Errors
    /// [`ReadError`] when the state cannot be read.
    fn records(
        &self,
        kind: &str,
        filter: Option<(&str, &Value)>,
    ) -> Result<Option<Vec<Value>>, ReadError>;
}

/// Knows no records: for tests and places without state.
#[derive(Clone, Copy, Debug)]
pub struct NoRecords;

impl Host for NoRecords {
    fn record(&self, _: &str, _: &str) -> Result<Value, ReadError> {
        Ok(Value::Null)
    }

    fn records(&self, _: &str, _: Option<(&str, &Value)>) -> Result<Option<Vec<Value>>, ReadError> {
        Ok(Some(Vec::new()))
    }
}
