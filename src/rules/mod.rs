//! Text becomes a rule set: YAML with positions, compiled and checked, every error at once.

mod calendar;
mod diagnostic;
mod program;
mod templates;

pub use calendar::{
    Calendar, CalendarError, CalendarSpec, ClosedDay, HORIZON_DAYS, Hours, LONGEST_CLOSED_DAYS,
    OpenRule, PieceError, Place, Weekdays, zone,
};
pub use diagnostic::{Diagnostic, Label, Severity, SourceFile};
pub use program::*;
pub use templates::{
    ESCALATION_TEMPLATE, RENDERED_BYTES, Rendered, TEMPLATE_BYTES, TEMPLATE_VARIABLES,
    TemplateError, TemplateFault, TemplateSource, Templates,
};
