//! W1, lead routing: its event and its rule. Every other work of the benchmark is a variation of it.

use std::sync::Arc;

use super::generator::Event;
use super::ledger::{Ledger, Matching};

/// Bytes of an event: what a form with a few fields makes.
const EVENT_BYTES: usize = 330;
/// Fills an event up to [`EVENT_BYTES`].
const NOTE: &str = "Please call me back this week about the offer for the new plant in Graz, best in \
                    the afternoon, and bring the figures of last year with you when you come.";
/// The type of W1's events.
pub(crate) const KIND: &str = "lead.created";

/// W1's event with this number, which matches as its ledger says.
pub(crate) fn event(ledger: &Ledger, seq: usize) -> Vec<u8> {
    of(ledger.run, seq, KIND, ledger.matching, "")
}

/// A structured CloudEvent as W1 has them, of any type. One that does not match misses either the
/// score or the region. `more` goes into `data`: `"name":value,`.
pub(crate) fn of(run: u64, seq: usize, kind: &str, matching: Matching, more: &str) -> Vec<u8> {
    let (score, region) = match (matching.takes(seq), seq % 4) {
        (true, _) => (80 + seq % 20, "EU"),
        (false, 1) => (40 + seq % 40, "EU"),
        (false, _) => (80 + seq % 20, "US"),
    };
    let person = seq % 977;
    let mut text = format!(
        r#"{{"specversion":"1.0","id":"r{run}-{seq:07}","source":"/bench","type":"{kind}","subject":"lead/{seq}","data":{{{more}"name":"Ann Lead {person}","email":"ann{person}@example.test","score":{score},"region":"{region}","company":"Acme {} GmbH","note":""#,
        seq % 101
    );
    let room = EVENT_BYTES.saturating_sub(text.len() + 3).min(NOTE.len());
    text.push_str(&NOTE[..room]);
    text.push_str("\"}}");
    text.into_bytes()
}

/// Events of another type, all alike in what matches.
pub(crate) fn others(kind: &'static str, matching: Matching) -> Event {
    Arc::new(move |ledger, seq| of(ledger.run, seq, kind, matching, ""))
}

/// The condition of W1.
pub(crate) const WHERE: &str = r#"event.data.score >= 80 && event.data.region == "EU""#;

/// The step of W1 as YAML, to be put below `steps:`.
pub(crate) fn step(url: &str) -> String {
    format!(
        "  - webhook: {url}\n    json: {{ id: \"${{event.id}}\", text: \"New EU lead ${{event.data.name}} \
         (${{event.data.email}}) from ${{event.data.company}} scored ${{event.data.score}}\" }}\n"
    )
}

/// The rule of W1.
pub(crate) fn rule(url: &str) -> String {
    format!(
        "workflow: route-lead\ntriggers:\n  - event: {KIND}\n    where: {WHERE}\nsteps:\n{}",
        step(url)
    )
}

/// A rule for every event of a type.
pub(crate) fn always(name: &str, kind: &str, step: &str) -> String {
    format!("workflow: {name}\ntriggers:\n  - event: {kind}\nsteps:\n{step}")
}
