//! How a step of the benchmark ends when it cannot go on: with words for whoever started it.

/// Ends the benchmark with a message.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
