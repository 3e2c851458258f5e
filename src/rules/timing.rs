//! Durations, instants and calendars as rules write them.

use std::ops::Range;

use crate::model::{Duration, DurationError, Instant, Name, Span, Value};
use crate::script::Shape;

use super::compile::{Cx, Place};
use super::directory::Sort;
use super::yaml::Node;

/// A duration's unit that only long settings may use.
const YEARS_IN: &str = "years are for `lifetime` and `keep` only: write days, such as `365d`";

const INSTANT_FORM: &str = "write date, time and offset: `2026-03-02T10:00:00+01:00`";

/// Where no time at all means something: the first level of a ladder, and a second attempt without a wait;
/// and `every`, which has a longest and a shortest of its own.
const MAY_BE_ZERO: [&str; 3] = ["after", "initial", "every"];

impl Cx<'_> {
    /// A literal duration. `hours` is the calendar it would count on.
    pub(super) fn duration(
        &mut self,
        node: &Node,
        what: &str,
        hours: Option<&Name>,
    ) -> Option<Duration> {
        let text = self.sink.raw(node, what)?;
        let found = self.duration_text(node, what, text, false)?;
        self.needs_hours(node, found, hours)
    }

    fn duration_text(
        &mut self,
        node: &Node,
        what: &str,
        text: &str,
        zero: bool,
    ) -> Option<Duration> {
        if text.contains("${") {
            self.sink
                .error("not-literal", node.head(), format!("`{what}` must be a literal duration"))
                .help("write it out, such as `5m`; only `delay`, and the `timeout` of `wait_for`, may be computed");
            return None;
        }
        match text.parse::<Duration>() {
            Ok(_) if !matches!(what, "lifetime" | "keep") && text.ends_with('y') => {
                self.sink
                    .error("duration", node.head(), format!("`{text}` is too coarse here"))
                    .help(YEARS_IN);
                None
            }
            Ok(duration)
                if duration.is_zero()
                    && !zero
                    && !MAY_BE_ZERO.contains(&what)
                    && self.directory.is_some() =>
            {
                let message = format!("`{what}: {text}` is no time at all");
                self.sink
                    .error("duration", node.head(), message)
                    .help("give it a length, such as `5m`");
                None
            }
            Ok(duration) => Some(duration),
            Err(error) => {
                self.duration_error(node.head(), &error);
                None
            }
        }
    }

    fn duration_error(&mut self, span: Range<usize>, error: &DurationError) {
        let text = error.to_string();
        // "what: what to do about it"; the text itself may have a colon, as `1:30`.
        match text.split_once(": ") {
            Some((message, help)) => self.sink.error("duration", span, message).help(help),
            None => self.sink.error("duration", span, text),
        };
    }

    /// The text of a `span("…")`, which would fail each time.
    pub(super) fn check_span(&mut self, span: Range<usize>, text: &str) {
        if let Err(error) = text.parse::<Duration>() {
            self.duration_error(span, &error);
        }
    }

    /// The text of a `time("…")`, which would fail each time.
    pub(super) fn check_time(&mut self, span: Range<usize>, text: &str) {
        if text.parse::<Instant>().is_err() {
            self.sink
                .error("duration", span, format!("`{text}` is not an instant"))
                .help(INSTANT_FORM);
        }
    }

    fn needs_hours(
        &mut self,
        node: &Node,
        duration: Duration,
        hours: Option<&Name>,
    ) -> Option<Duration> {
        if duration.needs_calendar() && hours.is_none() {
            let message =
                format!("`{duration}` counts open time, but no calendar says when that is");
            self.sink
                .error("needs-hours", node.head(), message)
                .help("add `hours: CALENDAR` to the step or to the whole document");
            return None;
        }
        Some(duration)
    }

    /// A literal duration that elapses through nights.
    pub(super) fn elapsed(&mut self, node: &Node, what: &str) -> Option<Span> {
        let text = self.sink.raw(node, what)?;
        let duration = self.duration_text(node, what, text, false)?;
        if duration.elapsed().is_none() {
            let message = format!("`{what}` cannot count open time");
            self.sink.error("duration", node.head(), message).help("use s, m, h or d");
        }
        duration.elapsed()
    }

    /// A duration or an instant, literal or computed.
    pub(super) fn deadline(
        &mut self,
        node: &Node,
        what: &str,
        hours: Option<&Name>,
        place: Place,
    ) -> Option<Shape> {
        let text = self.sink.raw(node, what)?;
        if text.contains("${") {
            return self.scalar_shape(node, text, place);
        }
        if let Ok(instant) = text.parse::<Instant>() {
            return Some(Shape::Literal(Value::Instant(instant)));
        }
        if text.len() >= 10 && text.as_bytes().get(4) == Some(&b'-') {
            let message = format!("`{text}` is not an instant");
            self.sink.error("duration", node.head(), message).help(INSTANT_FORM);
            return None;
        }
        // A wait of no time at all asks whether it has come already.
        let duration = self.duration_text(node, what, text, what == "timeout")?;
        self.needs_hours(node, duration, hours)?;
        Some(Shape::Literal(Value::text(text)))
    }

    /// `hours:` the name of a calendar. An unknown one, which is reported, still counts as one, so
    /// that durations are not reported for lack of it.
    pub(super) fn hours(&mut self, node: &Node) -> Option<Name> {
        let written = node.scalar().map(|scalar| Name::from(scalar.text.as_str()));
        self.reference(node, "hours", Sort::Calendar).or(written)
    }
}
