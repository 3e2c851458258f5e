//! The registry of obligations: everything that somebody has promised to do by an instant, as records of kind
//! `obligation` with `owner`, `due`, `status` and `title`.
//!
//! Rules write them; approvals and service levels keep their own among them. Of each that is open it holds
//! that it has an owner and a due instant, and that it is looked at again: when it is due, and from then on
//! each day. It is orphaned when its owner is no person any more, or one that is not active; that is noticed
//! at the next look, when a `person` record changes, and when other rules come into force.

use std::sync::Arc;

use crate::model::{
    Address, Cause, Digest, Draft, Instant, Lineage, Map, OBLIGATION, PERSON, ReadError, Record,
    Span, Task, Text, Value, WindowKey,
};
use crate::script::Host as _;

use super::admit;
use super::reads::Reads;
use super::records::{self, Changer};
use super::stage::Stage;
use super::start::lineage_of;
use super::watch::window_key;

/// What its windows are for.
pub(super) const WINDOW: &str = "obligation";
/// How often one that is overdue is looked at.
const AGAIN: Span = Span::from_days(1);
/// Obligations looked at in one task.
const PER_TASK: usize = 64;
/// The status of what is still to be done.
const OPEN: &str = "open";

/// Whether the fields of an obligation are those of one. What is open has an owner and an instant.
pub(super) fn fits(record: &Record) -> Result<(), Cause> {
    let of = |name: &str| record.fields.get(name);
    let wrong = |what: &str| {
        let message = format!("`{}` is open and has no `{what}`", record.address);
        Err(Cause::new("obligation", message))
    };
    if !is_open(&record.fields) {
        return Ok(());
    }
    match (of("owner"), of("due")) {
        (Some(Value::Text(owner)), Some(Value::Instant(_))) if !owner.is_empty() => Ok(()),
        (Some(Value::Text(owner)), _) if !owner.is_empty() => {
            wrong("due` that is an instant: `due")
        }
        _ => wrong("owner"),
    }
}

fn is_open(fields: &Map) -> bool {
    fields.get("status").and_then(Value::as_text) == Some(OPEN)
}

/// A record changed: what that means for the registry.
pub(super) fn record_changed(
    stage: &mut Stage<'_>,
    changer: &Changer<'_>,
    address: &Address,
    (old, new): (&Value, &Value),
) {
    if *address.kind == *PERSON {
        stage.push_later(Task::Orphaned { owner: Some(address.id.clone()), after: None });
        return;
    }
    if *address.kind != *OBLIGATION {
        return;
    }
    let lineage = match changer {
        Changer::Run(run) => lineage_of(run),
        Changer::Person(_) => Lineage::default(),
    };
    let open = |value: &Value| value.as_map().is_some_and(is_open);
    let key = key_of(address);
    let looked = match (open(old), open(new)) {
        (false, false) => return,
        (true, false) => {
            say(stage, address, (new, lineage), "obligation.closed");
            stage.put_window(key, None)
        }
        (before, true) => {
            if !before {
                say(stage, address, (new, lineage.clone()), "obligation.opened");
            }
            arm(stage, address, new, lineage)
        }
    };
    if let Err(error) = looked {
        stage.spoil(error);
    }
}

/// When it has to be looked at next; and whether its owner is there.
fn arm(
    stage: &mut Stage<'_>,
    address: &Address,
    fields: &Value,
    lineage: Lineage,
) -> Result<(), ReadError> {
    let key = key_of(address);
    let mut window = stage.window(&key)?.unwrap_or_default();
    let due = match fields.get("due") {
        Some(Value::Instant(due)) => *due,
        _ => stage.now,
    };
    // Told of once for each instant that it is due at.
    let told = window.times.first() == Some(&due);
    if due <= stage.now && !told {
        window.times = vec![due];
        say(stage, address, (fields, lineage.clone()), "obligation.overdue");
    }
    window.due = Some(if due > stage.now { due } else { stage.now + AGAIN });
    let owner = fields.get("owner").cloned().unwrap_or_default();
    let live = is_live(stage, owner.as_text().unwrap_or_default())?;
    if !live && window.last != owner {
        say(stage, address, (fields, lineage), "obligation.orphaned");
    }
    window.last = if live { Value::Null } else { owner };
    stage.put_window(key, Some(window))
}

/// Whether somebody is a person who is there: no `active: false`.
fn is_live(stage: &Stage<'_>, owner: &str) -> Result<bool, ReadError> {
    let id = owner.strip_prefix("person:").unwrap_or(owner);
    let person = Reads(stage).record(PERSON, id)?;
    Ok(!person.is_null() && person.get("active") != Some(&Value::Bool(false)))
}

/// One fell due, or has to be looked at again.
pub(super) fn due(stage: &mut Stage<'_>, key: &WindowKey) -> Result<(), ReadError> {
    let address = Address { kind: OBLIGATION.into(), id: key.key.clone() };
    match stage.record(&address)? {
        Some(record) if is_open(&record.fields) => {
            arm(stage, &address, &record.as_read(), Lineage::default())
        }
        _ => stage.put_window(key.clone(), None),
    }
}

/// Looks at one page of the open obligations: of one owner, or of all.
pub(super) fn orphaned(
    stage: &mut Stage<'_>,
    owner: Option<Text>,
    after: Option<Text>,
) -> Result<(), ReadError> {
    let all: Vec<Arc<Record>> = match &owner {
        Some(owner) => {
            let value = Value::Text(owner.clone());
            stage.view().records_where(OBLIGATION, "owner", &value, usize::MAX)?
        }
        None => stage.view().records_where(OBLIGATION, "status", &OPEN.into(), usize::MAX)?,
    };
    let later = |record: &&Arc<Record>| {
        after.as_ref().is_none_or(|after| record.address.id > *after) && is_open(&record.fields)
    };
    let page: Vec<_> = all.iter().filter(later).take(PER_TASK).cloned().collect();
    if let (true, Some(last)) = (page.len() == PER_TASK, page.last()) {
        let after = Some(last.address.id.clone());
        stage.push_later(Task::Orphaned { owner, after });
    }
    for record in page {
        arm(stage, &record.address, &record.as_read(), Lineage::default())?;
    }
    Ok(())
}

/// The daemon keeps a promise of its own among them, or says what became of it. `None`: there is none to keep.
pub(super) fn keep(
    stage: &mut Stage<'_>,
    changer: &Changer<'_>,
    id: &str,
    promise: Option<&Promise<'_>>,
) -> Result<(), ReadError> {
    let Ok(address) = Address::new(OBLIGATION, id) else { return Ok(()) };
    let old = stage.record(&address)?;
    let mut fields = old.as_ref().map(|record| record.fields.clone()).unwrap_or_default();
    match promise {
        Some(promise) => fields.extend([
            ("owner".into(), Value::from(promise.owner)),
            ("due".into(), Value::Instant(promise.due)),
            ("title".into(), Value::from(promise.title)),
            ("about".into(), Value::from(promise.about)),
            ("status".into(), OPEN.into()),
        ]),
        None if old.as_ref().is_some_and(|record| is_open(&record.fields)) => {
            fields.insert("status".into(), "done".into());
            fields.insert("ended".into(), Value::Instant(stage.now));
        }
        None => return Ok(()),
    }
    if old.is_none_or(|old| old.fields != fields) {
        records::replace(stage, changer, address, fields);
    }
    Ok(())
}

/// What somebody has to do by an instant.
pub(super) struct Promise<'p> {
    pub(super) owner: &'p str,
    pub(super) due: Instant,
    pub(super) title: &'p str,
    pub(super) about: &'p str,
}

fn key_of(address: &Address) -> WindowKey {
    window_key("", WINDOW, Some(&address.id))
}

fn say(stage: &mut Stage<'_>, address: &Address, (fields, lineage): (&Value, Lineage), kind: &str) {
    let mut data = Map::new();
    for name in ["owner", "due", "title", "about", "status"] {
        if let Some(value) = fields.get(name) {
            data.insert(name.into(), value.clone());
        }
    }
    let of = |name: &str| data.get(name).map(Value::to_string).unwrap_or_default();
    let micros = stage.now.as_micros().to_be_bytes();
    let id = Digest::of(&[
        kind.as_bytes(),
        address.id.as_bytes(),
        of("owner").as_bytes(),
        of("due").as_bytes(),
        &micros,
    ]);
    let draft = Draft {
        id: id.to_string().into(),
        source: "adjutant".into(),
        kind: kind.into(),
        subject: Some(address.to_string().into()),
        time: None,
        data: Value::Map(data),
        extensions: Map::new(),
    };
    admit::accept(stage, draft, lineage);
}
