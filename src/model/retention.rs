//! [`Retention`]: how long what is over is kept.

use super::time::Span;

/// How long things are kept. What a living run needs stays regardless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Events, and with them the memory of what is a duplicate.
    pub events: Span,
    /// Runs that are over.
    pub runs: Span,
    /// Runs that failed.
    pub failed_runs: Span,
}

impl Default for Retention {
    /// 30 days of events, 90 of runs, 365 of runs that failed.
    fn default() -> Self {
        Self {
            events: Span::from_days(30),
            runs: Span::from_days(90),
            failed_runs: Span::from_days(365),
        }
    }
}
