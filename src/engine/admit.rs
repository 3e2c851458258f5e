//! An event comes in: known, in conflict, or accepted; then it wakes and starts runs.

use std::sync::Arc;

use crate::model::{
    Code, Draft, Event, EventNo, Lineage, ReadError, Refusal, Reply, RunNo, StoredEvent, Task,
    Text, Verdict, Write, limits,
};

use super::stage::Stage;

/// Admits an event from outside.
pub(super) fn event(stage: &mut Stage<'_>, draft: Draft) -> Result<Reply, ReadError> {
    let (identity, fingerprint) = (draft.identity(), draft.fingerprint());
    #[cfg(test)]
    let (draft, identity) = planted(stage, draft, identity);
    if let Some((event, known)) = stage.view().identity(identity)? {
        return Ok(if known == fingerprint {
            note_again(stage, event)?;
            Reply::Accepted { event, duplicate: true }
        } else {
            Reply::Refused(Refusal::Conflict { id: draft.id, source_name: draft.source })
        });
    }
    let no = accept(stage, draft, Lineage::default());
    stage.write(Write::Identity(identity, no, fingerprint));
    Ok(Reply::Accepted { event: no, duplicate: false })
}

/// Notes that an event came again, so that it can be said why nothing was done.
fn note_again(stage: &mut Stage<'_>, no: EventNo) -> Result<(), ReadError> {
    // It may be gone already, or damaged: what is known of its identity counts.
    let known = match stage.stored_event(no) {
        Ok(Some(known)) => known,
        Ok(None) | Err(ReadError::Corrupt(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    let times = known.verdicts.iter().filter(|verdict| verdict.code == Code::Again).count();
    if times >= limits::AGAIN || known.verdicts.len() >= limits::VERDICTS {
        return Ok(());
    }
    let at = Text::from(stage.now.to_string());
    stage.note(no, Verdict { workflow: "".into(), code: Code::Again, detail: Some(at) }, None)
}

/// Accepts an event that is known to be new, from outside or from a run, and lets it do its work:
/// it wakes who waits for it before it starts anything.
pub(super) fn accept(stage: &mut Stage<'_>, draft: Draft, lineage: Lineage) -> EventNo {
    let no = stage.new_event();
    let event = Event {
        no,
        id: draft.id,
        source: draft.source,
        kind: draft.kind,
        subject: draft.subject,
        time: draft.time.unwrap_or(stage.now),
        accepted: stage.now,
        data: draft.data,
        extensions: draft.extensions,
        lineage,
    };
    let event = Arc::new(event);
    stage.put_event(StoredEvent { event, runs: Vec::new(), verdicts: Vec::new() });
    stage.push(Task::Wake { event: no, after: RunNo(0) });
    stage.push(Task::Start { event: no, after: None });
    no
}

/// A mistake that tests plant.
#[cfg(test)]
fn planted(
    stage: &Stage<'_>,
    mut draft: Draft,
    identity: crate::model::Digest,
) -> (Draft, crate::model::Digest) {
    use crate::model::planted::{Plant, is};
    if !is(Plant::KnowsNoDuplicates) {
        return (draft, identity);
    }
    draft.id = format!("{}-{}", draft.id, stage.view().next_event()).into();
    let identity = draft.identity();
    (draft, identity)
}
