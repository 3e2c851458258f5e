//! The record of an approval, kind `approval`: what it is about, who is asked, and who chose what.
//!
//! So it is durable, changes within the decision that changes it, and can be listed, read and waited for
//! like any other record.

use crate::model::{
    APPROVAL, Address, Cause, Digest, Instant, Map, PERSON, ReadError, Record, Refusal, Run, Text,
    Value, limits,
};
use crate::script::Host as _;

use super::alert;
use super::gate;
use super::obligations::{self, Promise};
use super::reads::Reads;
use super::records::{self, Changer};
use super::stage::Stage;
use super::start::Fault;

/// What an approval is for: the field `what` of its record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// An `approve` step waits.
    Step,
    /// The items of a `foreach` do.
    Items,
    /// Mails over the guard of a purpose do.
    Guard,
}

impl What {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Step, "approve"), (Self::Items, "foreach"), (Self::Guard, "guard")];

    pub(super) fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(what, _)| *what == self).map_or("", |(_, word)| word)
    }

    pub(super) fn of(record: &Map) -> Option<Self> {
        let word = record.get("what")?.as_text()?;
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(what, _)| *what)
    }
}

/// The status of one that is not decided yet.
pub(super) const OPEN: &str = "open";

/// That of one whose time was up.
pub(super) const TIMED_OUT: &str = "timed_out";

/// That of one that nothing waits for any more.
pub(super) const WITHDRAWN: &str = "withdrawn";

pub(super) fn open(
    stage: &mut Stage<'_>,
    run: &Run,
    id: &Text,
    what: What,
    fields: Map,
) -> Result<(), Fault> {
    let mut all = fields;
    all.extend([
        ("status".into(), OPEN.into()),
        ("what".into(), what.as_str().into()),
        ("votes".into(), Value::List(Vec::new())),
        ("workflow".into(), Value::Text(run.workflow.clone())),
        ("run".into(), Value::text(run.id().to_string())),
        ("run_no".into(), Value::Int(run.no.0 as i64)),
        ("about".into(), run.subject.clone().map_or(Value::Null, Value::Text)),
    ]);
    let weight = Value::Map(all.clone()).weight();
    if weight > limits::RESULT_BYTES {
        let message =
            format!("what is to be decided has {weight} bytes; at most {}", limits::RESULT_BYTES);
        return Err(Cause::new("too_large", message).into());
    }
    // One that was decided before has its place taken, and begins anew.
    let address = place(id);
    stage.put_record(address, None);
    store(stage, &Changer::Run(run), id, all);
    if let Some(record) = find(stage, id)? {
        raise(stage, run, "approval.requested", &record, id);
    }
    Ok(())
}

pub(super) fn raise(stage: &mut Stage<'_>, run: &Run, kind: &str, record: &Record, id: &Text) {
    let mut data = Map::from([("approval".into(), Value::Text(id.clone()))]);
    for field in ["what", "summary", "people", "due", "outcome", "by", "comment", "purpose"] {
        if let Some(value) = record.fields.get(field) {
            data.insert(field.into(), value.clone());
        }
    }
    // Tells several reminders apart.
    if kind == "approval.warning" {
        data.insert("until".into(), Value::Instant(stage.now));
    }
    alert::raise(stage, run, kind, Value::Map(data));
}

/// The id of the approval that a run waits for at its present step.
pub(super) fn id_of(run: &Run) -> Text {
    let (pc, generation) = (run.pc.to_be_bytes(), run.generation.to_be_bytes());
    let digest = Digest::of(&[b"approval", &run.hash.0, &pc, &generation]);
    format!("{:016x}", digest.short()).into()
}

/// The id of the approval that asks whether mails over the guard of a purpose may go out.
pub(super) fn guard_id(purpose: &str) -> Text {
    format!("guard-{purpose}").into()
}

pub(super) fn place(id: &str) -> Address {
    Address { kind: APPROVAL.into(), id: id.into() }
}

pub(super) fn find(
    stage: &Stage<'_>,
    id: &str,
) -> Result<Option<std::sync::Arc<Record>>, ReadError> {
    stage.record(&place(id))
}

/// Whether an approval waits to be decided.
pub(super) fn is_open(stage: &Stage<'_>, id: &str) -> Result<bool, ReadError> {
    Ok(find(stage, id)?.is_some_and(|record| closed(&record.fields, id).is_none()))
}

/// Changes an approval, which those may want to know who wait for changes of records.
pub(super) fn store(stage: &mut Stage<'_>, changer: &Changer<'_>, id: &str, fields: Map) {
    let kept = promise(stage, changer, id, &fields);
    records::replace(stage, changer, place(id), fields);
    if let Err(error) = kept {
        stage.spoil(error);
    }
}

/// While somebody in particular is asked, it is what that person has to do: of several the first who has not
/// answered.
fn promise(
    stage: &mut Stage<'_>,
    changer: &Changer<'_>,
    id: &str,
    fields: &Map,
) -> Result<(), ReadError> {
    let chose = |person: &str| votes(fields).iter().any(|vote| is_by(vote, person));
    let owner = texts(fields, "people").into_iter().find(|person| !chose(person));
    let text = |name: &str| fields.get(name).and_then(Value::as_text).unwrap_or_default();
    let (title, about) = (text("summary"), place(id).to_string());
    let open = closed(fields, id).is_none();
    let promise = match (&owner, instant(fields, "due")) {
        (Some(owner), Some(due)) if open => Some(Promise { owner, due, title, about: &about }),
        _ => None,
    };
    obligations::keep(stage, changer, &format!("approval-{id}"), promise.as_ref())
}

/// Changes what is of no interest to anybody.
pub(super) fn put(stage: &mut Stage<'_>, id: &str, fields: Map) {
    let address = place(id);
    if let Ok(Some(old)) = stage.record(&address) {
        stage.put_record(address, Some(Record { fields, ..(*old).clone() }));
    }
}

/// Why nothing can be decided any more.
pub(super) fn closed(fields: &Map, id: &str) -> Option<Refusal> {
    let status = fields.get("status").and_then(Value::as_text).unwrap_or_default();
    if status == OPEN {
        return None;
    }
    let by = fields.get("by").and_then(Value::as_text).map(|by| format!(" by {by}"));
    let by = by.unwrap_or_default();
    Some(Refusal::State(format!("approval {id} is not open any more: it is {status}{by}")))
}

/// Which of those who are asked this is: by id, or by address.
pub(super) fn who(stage: &Stage<'_>, fields: &Map, by: &str) -> Result<Option<Text>, ReadError> {
    let by = by.strip_prefix("person:").unwrap_or(by);
    let address_of_by = gate::bare(by);
    for person in texts(fields, "people") {
        if *person == *by {
            return Ok(Some(person));
        }
        let email = address(stage, &person)?;
        if email.is_some_and(|email| gate::bare(&email) == address_of_by) {
            return Ok(Some(person));
        }
    }
    Ok(None)
}

/// Whose id or address this is, if it is a person's.
pub(super) fn person(stage: &Stage<'_>, by: &str) -> Result<Option<Text>, ReadError> {
    let id = by.strip_prefix("person:").unwrap_or(by);
    if !id.contains('@') {
        return Ok((!Reads(stage).record(PERSON, id)?.is_null()).then(|| id.into()));
    }
    let bare = gate::bare(id);
    let people = Reads(stage).records(PERSON, None)?.unwrap_or_default();
    let has = |one: &&Value| {
        one.get("email").and_then(Value::as_text).is_some_and(|email| gate::bare(email) == bare)
    };
    Ok(people.iter().find(has).and_then(|one| one.get("id")?.as_text()).map(Text::from))
}

/// Where a person gets mail: an id, or an address already.
pub(super) fn address(stage: &Stage<'_>, person: &str) -> Result<Option<Text>, ReadError> {
    if person.contains('@') {
        return Ok(Some(person.into()));
    }
    let record = Reads(stage).record(PERSON, person)?;
    let email = record.get("email").and_then(Value::as_text).filter(|email| !email.is_empty());
    Ok(email.map(Text::from))
}

pub(super) fn votes(fields: &Map) -> Vec<Value> {
    match fields.get("votes") {
        Some(Value::List(votes)) => votes.clone(),
        _ => Vec::new(),
    }
}

pub(super) fn is_by(vote: &Value, person: &str) -> bool {
    vote.get("by").and_then(Value::as_text) == Some(person)
}

/// How many mails were begun.
pub(super) fn count(fields: &Map) -> u32 {
    match fields.get("told") {
        Some(Value::Int(told)) => u32::try_from(*told).unwrap_or(0),
        _ => 0,
    }
}

pub(super) fn texts(fields: &Map, name: &str) -> Vec<Text> {
    match fields.get(name) {
        Some(Value::List(items)) => {
            items.iter().filter_map(|item| item.as_text().map(Text::from)).collect()
        }
        _ => Vec::new(),
    }
}

pub(super) fn list(names: &[Text]) -> Value {
    Value::List(names.iter().cloned().map(Value::Text).collect())
}

pub(super) fn instant(fields: &Map, name: &str) -> Option<Instant> {
    match fields.get(name) {
        Some(Value::Instant(at)) => Some(*at),
        _ => None,
    }
}
