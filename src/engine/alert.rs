//! Events that the engine itself makes: `message.suppressed`, `run.failed`, `escalation.*`.
//!
//! They carry the run that caused them, so a rule that reacts to its own failures does not loop.

use crate::model::{Digest, Draft, Map, Run, Trace, TraceEntry, Value, limits};

use super::admit;
use super::stage::Stage;
use super::start::lineage_of;

/// Emits an event about a run. At the limit of depth it is left out: the run's story has it anyway.
pub(super) fn raise(stage: &mut Stage<'_>, run: &Run, kind: &str, data: Value) {
    if run.depth >= limits::CAUSE_DEPTH {
        return;
    }
    let Value::Map(mut data) = data else { return };
    data.insert("run".into(), Value::text(run.id().to_string()));
    data.insert("workflow".into(), Value::Text(run.workflow.clone()));
    // Tells several of a kind at one step apart: a person acknowledges twice, or has a run tried again
    // that fails again. Attempts do not count, since a crash may add one.
    let counts = |entry: &&TraceEntry| {
        matches!(entry.what, Trace::Ended(..) | Trace::Acknowledged(_) | Trace::Level(_))
    };
    let until = match data.get("until") {
        Some(Value::Instant(until)) => until.as_micros(),
        _ => 0,
    };
    let before = run.spilled + run.trace.iter().filter(counts).count() as u32;
    let id = Digest::of(&[
        kind.as_bytes(),
        &run.hash.0,
        &run.pc.to_be_bytes(),
        &run.generation.to_be_bytes(),
        &before.to_be_bytes(),
        // And a mail may be held more than once.
        &until.to_be_bytes(),
    ]);
    let draft = Draft {
        id: id.to_string().into(),
        source: "adjutant".into(),
        kind: kind.into(),
        subject: run.subject.clone(),
        time: None,
        data: Value::Map(data),
        extensions: Map::new(),
    };
    let lineage = lineage_of(run);
    admit::accept(stage, draft, lineage);
}
