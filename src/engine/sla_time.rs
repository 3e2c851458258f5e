//! The time of a service level: the spans that counted, and what follows from them with the calendar in force.

use crate::model::{Cause, Duration, Instant, Span, Value};

use super::sla::{Level, status};
use super::stage::Stage;
use super::start::Fault;
use super::time;

/// Spans kept one by one; what is older is kept as their sum.
const SPANS: usize = 64;

impl Level<'_> {
    /// Which target counts. One that is another keeps what was used already.
    pub(super) fn aim(&mut self, stage: &Stage<'_>, target: usize) -> Result<(), Fault> {
        let within = match self.fields.get("targets") {
            Some(Value::List(all)) => all.get(target).and_then(Value::as_text),
            _ => None,
        };
        let within = within.unwrap_or_default().to_owned();
        if self.fields.get("within").and_then(Value::as_text) == Some(&within) {
            return Ok(());
        }
        let duration = within
            .parse::<Duration>()
            .map_err(|error| Cause::new("duration", error.to_string()))?;
        let started = self.instant("started").unwrap_or(stage.now);
        // Open days are as long as those are that follow its beginning.
        let total = match duration {
            Duration::Elapsed(span) | Duration::Open(span) => span,
            Duration::OpenDays(_) => {
                let end = time::end_from(stage, started, duration, self.sla.hours.as_deref())?;
                self.measure(stage, started, end)?
            }
        };
        let open = !matches!(duration, Duration::Elapsed(_));
        self.fields.extend([
            ("within".into(), Value::from(within)),
            ("total".into(), Value::Span(total)),
            ("open".into(), Value::Bool(open)),
        ]);
        Ok(())
    }

    pub(super) fn instant(&self, name: &str) -> Option<Instant> {
        match self.fields.get(name) {
            Some(Value::Instant(at)) => Some(*at),
            _ => None,
        }
    }

    pub(super) fn span(&self, name: &str) -> Span {
        match self.fields.get(name) {
            Some(Value::Span(span)) => *span,
            _ => Span::ZERO,
        }
    }

    /// Since when time counts; `None`: it does not.
    pub(super) fn open_since(&self) -> Option<Instant> {
        self.instant("since")
    }

    /// Time does not count from now on.
    pub(super) fn close_span(&mut self, stage: &Stage<'_>) -> Result<(), Fault> {
        let Some(since) = self.open_since() else { return Ok(()) };
        self.fields.remove("since");
        let mut spans = match self.fields.get("spans") {
            Some(Value::List(spans)) => spans.clone(),
            _ => Vec::new(),
        };
        spans.push(Value::List(vec![Value::Instant(since), Value::Instant(stage.now)]));
        while spans.len() > SPANS {
            let oldest = spans.remove(0);
            let used = self.span("used") + self.length(stage, &oldest)?;
            self.fields.insert("used".into(), Value::Span(used));
        }
        self.fields.insert("spans".into(), Value::List(spans));
        Ok(())
    }

    fn length(&self, stage: &Stage<'_>, span: &Value) -> Result<Span, Fault> {
        let Value::List(ends) = span else { return Ok(Span::ZERO) };
        match ends[..] {
            [Value::Instant(from), Value::Instant(to)] => self.measure(stage, from, to),
            _ => Ok(Span::ZERO),
        }
    }

    /// How much time counts between two instants.
    fn measure(&self, stage: &Stage<'_>, from: Instant, to: Instant) -> Result<Span, Fault> {
        let open = self.fields.get("open") != Some(&Value::Bool(false));
        match self.sla.hours.as_deref().filter(|_| open) {
            Some(hours) => Ok(time::open_between(stage, hours, from, to)?),
            None => Ok(to.since(from)),
        }
    }

    /// What was used before the span that is open.
    fn used_before(&self, stage: &Stage<'_>) -> Result<Span, Fault> {
        let mut used = self.span("used");
        if let Some(Value::List(spans)) = self.fields.get("spans") {
            for span in spans {
                used = used + self.length(stage, span)?;
            }
        }
        Ok(used)
    }

    /// When so much will be used; `None` while time does not count.
    pub(super) fn when(&self, stage: &Stage<'_>, much: Span) -> Result<Option<Instant>, Fault> {
        let Some(since) = self.open_since() else { return Ok(None) };
        let left = much.as_micros() - self.used_before(stage)?.as_micros();
        if left <= 0 {
            return Ok(Some(since));
        }
        let left = Span::from_micros(left);
        let open = self.fields.get("open") == Some(&Value::Bool(true));
        let left = if open { Duration::Open(left) } else { Duration::Elapsed(left) };
        Ok(Some(time::end_from(stage, since, left, self.sla.hours.as_deref())?))
    }

    pub(super) fn warned(&self) -> i64 {
        match self.fields.get("warned") {
            Some(Value::Int(percent)) => *percent,
            _ => 0,
        }
    }

    /// The next thing to say, and when.
    pub(super) fn next(&self, stage: &Stage<'_>) -> Result<Option<(Instant, Option<u8>)>, Fault> {
        if !self.is(&[status::RUNNING]) {
            return Ok(None);
        }
        let total = self.span("total");
        let warned = self.warned();
        if let Some(percent) = self.sla.warn.iter().find(|mark| i64::from(**mark) > warned) {
            let part = i128::from(total.as_micros()) * i128::from(*percent) / 100;
            let part = Span::from_micros(i64::try_from(part).unwrap_or(i64::MAX));
            return Ok(self.when(stage, part)?.map(|at| (at, Some(*percent))));
        }
        Ok(self.when(stage, total)?.map(|at| (at, None)))
    }
}
