//! W1, lead routing: its event and its rule. Every other work of the benchmark is a variation of it.

use super::ledger::Matching;

/// Bytes of an event: what a form with a few fields makes.
const EVENT_BYTES: usize = 330;
/// Fills an event up to [`EVENT_BYTES`].
const NOTE: &str = "Please call me back this week about the offer for the new plant in Graz, best in \
                    the afternoon, and bring the figures of last year with you when you come.";
/// The type of W1's events.
pub(crate) const KIND: &str = "lead.created";

/// A structured CloudEvent of W1. One that does not match misses either the score or the region.
pub(crate) fn event(run: u64, seq: usize, kind: &str, matching: Matching) -> Vec<u8> {
    let (score, region) = match (matching.takes(seq), seq % 4) {
        (true, _) => (80 + seq % 20, "EU"),
        (false, 1) => (40 + seq % 40, "EU"),
        (false, _) => (80 + seq % 20, "US"),
    };
    let person = seq % 977;
    let mut text = format!(
        r#"{{"specversion":"1.0","id":"r{run}-{seq:07}","source":"/bench","type":"{kind}","subject":"lead/{seq}","data":{{"name":"Ann Lead {person}","email":"ann{person}@example.test","score":{score},"region":"{region}","company":"Acme {} GmbH","note":""#,
        seq % 101
    );
    let room = EVENT_BYTES.saturating_sub(text.len() + 3).min(NOTE.len());
    text.push_str(&NOTE[..room]);
    text.push_str("\"}}");
    text.into_bytes()
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
