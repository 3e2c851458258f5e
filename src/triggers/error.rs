//! [`EventError`]: why what arrived is not an event.

/// Why what arrived is not an event. Asking again with the same bytes never helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Malformed, against the rules of CloudEvents, or of a type only the daemon makes: 400.
    #[error("{0}")]
    Invalid(String),
    /// Over a bound: 413.
    #[error("{0}")]
    TooLarge(String),
    /// A content type that is not taken here: 415.
    #[error("{0}")]
    Media(String),
}
