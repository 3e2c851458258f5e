//! A scenario written from what has happened: its events at their times, and what the rules make of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::tz::TimeZone;

use crate::model::{Instant, Span, Text};

use super::backtest::Past;
use super::clock;
use super::effect::Happening;
use super::expect::flow;
use super::play::Pack;
use super::world::{Broken, World};

/// A scenario as text, and how it compares with what happened then.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The scenario, as YAML.
    pub text: String,
    /// Keys of effects that the rules make of the events, as the daemon shows them.
    pub keys: BTreeSet<String>,
}

/// Before the first event, so that nothing falls on the start itself.
const LEAD: Span = Span::from_secs(60);

/// Plays events, oldest first, until `until`, and writes down what comes of them.
///
/// # Errors
/// [`Broken`]: the engine or the store could not go on, which is our fault.
pub fn record(
    pack: &Pack,
    name: &str,
    events: &[Past],
    until: Instant,
    timezone: &str,
) -> Result<Recorded, Broken> {
    let Some(first) = events.first() else { return Ok(Recorded::default()) };
    let zone = crate::rules::zone(timezone).unwrap_or(TimeZone::UTC);
    let start = first.at - LEAD;
    let mut text = format!(
        "scenario: {}\ntimezone: {timezone}\nstart: {}\ntimeline:\n",
        flow(&name.into()),
        time(start, &zone)
    );
    let mut world = World::begin(&pack.rules, pack.nothing.clone(), start, &[], &[])?;
    for past in events {
        world.pass(past.at)?;
        entries(&mut text, &world.take_fresh(), &zone);
        world.event(past.draft.clone())?;
        event(&mut text, past, &zone);
        expected(&mut text, &world.take_fresh());
    }
    world.pass(until)?;
    entries(&mut text, &world.take_fresh(), &zone);
    let keys = world.ledger.keys().map(ToString::to_string).collect();
    Ok(Recorded { text, keys })
}

fn event(text: &mut String, past: &Past, zone: &TimeZone) {
    let draft = &past.draft;
    let mut line = |key: &str, value: &str| put(text, format_args!("    {key}: {value}\n"));
    let at = time(past.at, zone);
    let as_text = |text: &Text| flow(&crate::model::Value::Text(text.clone()));
    line("at", &at);
    line("event", &draft.kind);
    line("id", &as_text(&draft.id));
    line("source", &as_text(&draft.source));
    if let Some(subject) = &draft.subject {
        line("subject", &as_text(subject));
    }
    if let Some(happened) = draft.time.filter(|happened| *happened != past.at) {
        line("time", &as_text(&happened.to_string().into()));
    }
    if !draft.data.is_null() {
        line("data", &flow(&draft.data));
    }
    let begin = text.rfind("    at: ").unwrap_or(0);
    text.replace_range(begin..begin + 4, "  - ");
}

/// An entry for each instant at which something happened.
fn entries(text: &mut String, happened: &[Happening], zone: &TimeZone) {
    let sent: Vec<Happening> = happened.iter().filter(|one| one.kind != "event").cloned().collect();
    for group in sent.chunk_by(|a, b| a.at == b.at) {
        put(text, format_args!("  - at: {}\n", time(group[0].at, zone)));
        expected(text, group);
    }
}

fn expected(text: &mut String, happened: &[Happening]) {
    let mut sent = happened.iter().filter(|one| one.kind != "event").peekable();
    if sent.peek().is_some() {
        text.push_str("    expect:\n");
    }
    for one in sent {
        put(text, format_args!("      - {}\n", one.say()));
    }
}

/// A time that is read as this instant: in the hour that comes twice with its offset.
fn time(at: Instant, zone: &TimeZone) -> String {
    let said = clock::say(at, zone);
    if clock::read(&said, zone, None) == Ok(at) { said } else { at.to_string() }
}

fn put(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a `String` does not fail.
    let _ = text.write_fmt(more);
}
