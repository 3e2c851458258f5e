//! Text becomes a rule set: YAML with positions, compiled and checked, every error at once.

mod calendar;
mod diagnostic;
mod program;

pub use calendar::{
    Calendar, CalendarError, CalendarSpec, ClosedDay, Hours, OpenRule, PieceError, Place, Weekdays,
    zone,
};
pub use diagnostic::{Diagnostic, Label, Severity, SourceFile};
pub use program::*;
