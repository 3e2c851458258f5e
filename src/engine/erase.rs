//! `erase:` forgets whom a record is about.
//!
//! At once: its `personal` fields, its history, records of other kinds whose id is one of those values
//! (`contact/ana@x.example`), and what counts mails to that address. Then, a page at a time: every event
//! about it loses the values wherever they stand in it, and the runs that began with those events are
//! removed with their stories; those that live are ended. So it is a workflow's last step.

use std::collections::BTreeSet;

use crate::model::{
    Address, Cause, EventNo, Map, ReadError, Record, Run, RunNo, SUPPRESSION, Status, Task, Text,
    Trace, Value, WindowKey, Write, is_own,
};
use crate::script::Shape;

use super::advance::{Cursor, Flow};
use super::finish;
use super::gate;
use super::history;
use super::key;
use super::kinds;
use super::records::{self, Changer};
use super::stage::Stage;
use super::start::Fault;
use super::steps::eval;
use super::watch::{SENT, window_key};

/// What stands where something was erased.
const ERASED: &str = "[erased]";
/// Characters of a value that is looked for: shorter ones stand everywhere.
const SHORTEST: usize = 3;
/// Values that are looked for.
const VALUES: usize = 50;
/// Events looked at in one task.
const EVENTS_PER_TASK: usize = 32;
/// Windows looked at in one task.
const WINDOWS_PER_TASK: usize = 256;

/// Does an `erase:` step.
pub(super) fn step(
    stage: &mut Stage<'_>,
    cursor: &mut Cursor,
    address: &Shape,
    suppress: bool,
) -> Result<Flow, Fault> {
    let named = records::address_of(&eval(stage, cursor, address)?)?;
    let address = kinds::resolved(stage, named)?;
    let Some(record) = stage.record(&address)? else {
        return Ok(Flow::Done(Value::Null, format!("there is no {address}").into()));
    };
    let personal: Vec<Text> = match stage.rules.records.get(&address.kind) {
        Some(kind) if kind.ledger => {
            let message = format!("`{address}` is in a ledger: what stands there stays");
            return Err(Cause::new("ledger", message).into());
        }
        Some(kind) => kind.personal.clone(),
        None => Vec::new(),
    };
    if personal.is_empty() {
        let message = format!("nothing says what is personal of `{}` records", address.kind);
        return Err(Cause::new("erase", message).into());
    }
    if cursor.run.shadow {
        return Ok(Flow::Would(Value::Null, format!("{address} would be erased").into()));
    }
    let mut values = BTreeSet::new();
    for value in personal.iter().filter_map(|field| record.fields.get(field)) {
        gather(value, &mut values);
    }
    let values: Vec<Text> = values.into_iter().take(VALUES).collect();
    for value in values.iter().filter(|value| value.contains('@')) {
        forget_address(stage, cursor, value, suppress)?;
    }
    let mut fields = record.fields.clone();
    for field in &personal {
        fields.remove(field);
    }
    fields.insert("erased".into(), Value::Instant(stage.now));
    let seen = Record { fields: scrubbed_map(&record.fields, &values), ..(*record).clone() };
    let new = Record {
        fields: scrubbed_map(&fields, &values),
        revision: record.revision + 1,
        updated: stage.now,
        ..(*record).clone()
    };
    let change = (seen.as_read(), new.as_read());
    stage.put_record(address.clone(), Some(new));
    records::changed(stage, &Changer::Run(&cursor.run), &address, change);
    stage.put_record(history::place(&address), None);
    // The run that does it keeps nothing either.
    let run = &mut cursor.run;
    run.vars = scrubbed_map(&run.vars, &values);
    run.steps = scrubbed_map(&run.steps, &values);
    run.args = scrubbed(&run.args, &values);
    stage.push_later(Task::Erase {
        address: address.clone(),
        values,
        after: EventNo(0),
        windows: None,
    });
    Ok(Flow::Done(Value::Null, format!("{address} is erased").into()))
}

/// Texts in a value, in lower case.
fn gather(value: &Value, found: &mut BTreeSet<Text>) {
    match value {
        Value::Text(text) if text.trim().chars().count() >= SHORTEST => {
            found.insert(text.trim().to_lowercase().into());
        }
        Value::List(items) => items.iter().for_each(|item| gather(item, found)),
        Value::Map(map) => map.values().for_each(|item| gather(item, found)),
        _ => {}
    }
}

/// What is known of an address, wherever it is the key.
fn forget_address(
    stage: &mut Stage<'_>,
    cursor: &Cursor,
    address: &str,
    suppress: bool,
) -> Result<(), Fault> {
    let bare = gate::bare(address);
    let kinds: Vec<Text> =
        stage.rules.records.keys().filter(|kind| !is_own(kind)).cloned().collect();
    for kind in kinds {
        let ledger = stage.rules.records.get(&kind).is_some_and(|kind| kind.ledger);
        let Ok(place) = Address::new(&kind, &bare) else { continue };
        if !ledger && stage.record(&place)?.is_some() {
            stage.put_record(history::place(&place), None);
            stage.put_record(place, None);
        }
    }
    let purposes: Vec<Text> = stage.rules.purposes.keys().cloned().collect();
    let mut suppressed = suppress;
    for purpose in purposes {
        stage.put_window(window_key("", SENT, Some(&format!("{purpose}/{bare}"))), None)?;
        let id = crate::script::suppression_id(&bare, &purpose);
        let Ok(place) = Address::new(SUPPRESSION, &id) else { continue };
        if stage.record(&place)?.is_some() {
            // An objection outlives who made it.
            suppressed = true;
            stage.put_record(place, None);
        }
    }
    if suppressed {
        let id = hashed(stage, &bare)?;
        let fields = Map::from([
            ("reason".into(), "erased".into()),
            ("at".into(), Value::Instant(stage.now)),
        ]);
        if let Ok(place) = Address::new(SUPPRESSION, &id) {
            records::replace(stage, &Changer::Run(&cursor.run), place, fields);
        }
    }
    Ok(())
}

/// The id of the suppression of an address that nobody can read. It counts for every purpose that people can
/// unsubscribe from.
pub(super) fn hashed(stage: &Stage<'_>, address: &str) -> Result<String, ReadError> {
    Ok(format!("#{}", key::mac(stage, "suppression", &gate::bare(address))?))
}

/// One page of what is left to do: events and their runs first, then windows.
pub(super) fn go_on(stage: &mut Stage<'_>, task: Task) -> Result<(), ReadError> {
    let Task::Erase { address, values, after, windows } = task else { return Ok(()) };
    if let Some(page) = windows {
        return sweep_windows(stage, address, values, page);
    }
    let all = stage.events_about(&address.to_string(), after, usize::MAX);
    for no in all.iter().take(EVENTS_PER_TASK) {
        let Some(stored) = stage.stored_event(*no)? else { continue };
        let mut changed = (*stored).clone();
        let mut event = (*changed.event).clone();
        event.data = scrubbed(&event.data, &values);
        event.extensions = scrubbed_map(&event.extensions, &values);
        event.id = scrubbed_text(&event.id, &values);
        changed.event = std::sync::Arc::new(event);
        for verdict in &mut changed.verdicts {
            verdict.detail = verdict.detail.take().map(|text| scrubbed_text(&text, &values));
        }
        let runs = changed.runs.clone();
        if changed != *stored {
            stage.put_event(changed);
        }
        for run in runs {
            remove(stage, run, &address, 0)?;
        }
    }
    match all.get(EVENTS_PER_TASK - 1) {
        Some(last) if all.len() > EVENTS_PER_TASK => {
            stage.push_later(Task::Erase { address, values, after: *last, windows: None });
        }
        _ => {
            let windows = Some((Text::default(), Text::default(), Text::default()));
            stage.push_later(Task::Erase { address, values, after, windows });
        }
    }
    Ok(())
}

/// Removes a run about the record with those it called; ends it first if it lives. The run that erases goes on.
fn remove(stage: &mut Stage<'_>, no: RunNo, about: &Address, depth: u8) -> Result<(), ReadError> {
    let Some(run) = stage.run(no)?.filter(|run| is_about(run, about)) else { return Ok(()) };
    if run.status.is_alive() {
        let cause = Cause::new("erased", format!("{about} was erased"));
        return finish::end(stage, no, Status::Cancelled, cause);
    }
    let called = run.trace.iter().filter_map(|entry| match entry.what {
        Trace::Called(child) => Some(child),
        _ => None,
    });
    for child in called.collect::<Vec<_>>() {
        if depth < crate::model::limits::CALL_DEPTH {
            remove(stage, child, about, depth + 1)?;
        }
    }
    if !stage.is_staged(no) {
        stage.write(Write::RunGone(run));
    }
    Ok(())
}

fn is_about(run: &Run, about: &Address) -> bool {
    run.subject.as_deref() == Some(&*about.to_string())
}

/// Windows whose key is one of the values, or that keep an event with one of them.
fn sweep_windows(
    stage: &mut Stage<'_>,
    address: Address,
    values: Vec<Text>,
    after: (Text, Text, Text),
) -> Result<(), ReadError> {
    let (workflow, what, key) = after.clone();
    let after_key = WindowKey { workflow, what, key };
    let first = after == (Text::default(), Text::default(), Text::default());
    let page = stage.view().windows((!first).then_some(&after_key), WINDOWS_PER_TASK)?;
    for key in &page {
        // Teams, purposes and ledgers are nobody's.
        if key.workflow.is_empty() {
            continue;
        }
        let named = scrubbed_text(&key.key, &values) != key.key;
        let keeps =
            stage.window(key)?.is_some_and(|window| scrubbed(&window.last, &values) != window.last);
        if named || keeps {
            stage.put_window(key.clone(), None)?;
        }
    }
    if let (true, Some(last)) = (page.len() == WINDOWS_PER_TASK, page.last()) {
        let WindowKey { workflow, what, key } = last.clone();
        let windows = Some((workflow, what, key));
        stage.push_later(Task::Erase { address, values, after: EventNo(0), windows });
    }
    Ok(())
}

fn scrubbed_map(map: &Map, values: &[Text]) -> Map {
    map.iter().map(|(name, value)| (name.clone(), scrubbed(value, values))).collect()
}

fn scrubbed(value: &Value, values: &[Text]) -> Value {
    match value {
        Value::Text(text) => Value::Text(scrubbed_text(text, values)),
        Value::List(items) => {
            Value::List(items.iter().map(|item| scrubbed(item, values)).collect())
        }
        Value::Map(map) => Value::Map(scrubbed_map(map, values)),
        other => other.clone(),
    }
}

/// A text without the values, where they stand as words of their own, in any case.
fn scrubbed_text(text: &Text, values: &[Text]) -> Text {
    let mut out: Option<String> = None;
    for value in values {
        let now = out.as_deref().unwrap_or(text);
        let lower = now.to_lowercase();
        // Where lower case is longer or shorter, places in it are not places in the text.
        if lower.len() != now.len() || !lower.contains(&**value) {
            continue;
        }
        let mut left = String::with_capacity(now.len());
        let mut from = 0;
        for (at, _) in lower.match_indices(&**value) {
            let end = at + value.len();
            let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            let inside = word(lower[..at].chars().next_back()) || word(lower[end..].chars().next());
            if at < from || inside || !now.is_char_boundary(at) || !now.is_char_boundary(end) {
                continue;
            }
            left.push_str(&now[from..at]);
            left.push_str(ERASED);
            from = end;
        }
        left.push_str(&now[from..]);
        out = Some(left);
    }
    out.map_or_else(|| text.clone(), Text::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_scrubbed_as_words_in_any_case() {
        let values: Vec<Text> = vec!["ana@x.example".into(), "ana".into(), "ana maria".into()];
        for (text, left) in [
            ("Ana <ANA@x.example> wrote", "[erased] <[erased]> wrote"),
            ("banana, ana-lysis, ANA", "banana, [erased]-lysis, [erased]"),
            ("nothing of it", "nothing of it"),
            ("", ""),
            ("İ ana", "İ ana"),
        ] {
            assert_eq!(&*scrubbed_text(&text.into(), &values), left, "{text}");
        }
        let value = Value::from([("who", Value::List(vec!["ana".into(), Value::Int(3)]))]);
        let left = Value::from([("who", Value::List(vec![ERASED.into(), Value::Int(3)]))]);
        assert_eq!(scrubbed(&value, &values), left);
    }
}
