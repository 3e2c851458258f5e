//! Retention: what is over for long enough is removed, page by page, oldest first.
//!
//! An event stays while a run needs it that lives, or that failed and may be retried; a run stays
//! while it lives or a child of it does.

use std::collections::HashSet;

use crate::model::{BundleId, EventNo, ReadError, RunNo, Status, Task, Write, is_own};

use super::history;
use super::left;
use super::stage::Stage;

/// Rows looked at in one task: a millisecond or two, which those who wait for an answer hardly notice.
const ROWS_PER_TASK: usize = 32;

/// Records looked at in one task.
const RECORDS_PER_TASK: usize = 128;

/// Old versions removed in one sweep: each may be some megabytes of sources.
const BUNDLES_PER_SWEEP: usize = 64;

/// Begins a sweep over everything.
pub(super) fn begin(stage: &mut Stage<'_>) {
    stage.push(Task::SweepRuns { after: RunNo(0) });
    stage.push(Task::SweepEvents { after: EventNo(0) });
    bundles(stage);
    let rules = stage.rules;
    for (name, kind) in &rules.records {
        if kind.keep.is_some() || is_own(name) {
            stage.push(Task::SweepRecords { kind: name.clone(), after: None });
        }
    }
}

/// One page of the records of a kind. Of the daemon's own those go that are over for as long as runs are kept.
pub(super) fn records(
    stage: &mut Stage<'_>,
    name: &str,
    after: Option<&str>,
) -> Result<(), ReadError> {
    let own = is_own(name);
    let keep = stage.rules.records.get(name).and_then(|kind| kind.keep);
    let Some(keep) = keep.or_else(|| own.then_some(stage.world.retention.runs)) else {
        return Ok(());
    };
    let oldest = stage.now - keep;
    let page = stage.view().records(name, after, RECORDS_PER_TASK)?;
    if let (true, Some(last)) = (page.len() == RECORDS_PER_TASK, page.last()) {
        let after = Some(last.address.id.clone());
        stage.push_later(Task::SweepRecords { kind: name.into(), after });
    }
    for record in page {
        // What is under way stays, however long nothing was heard of it; a metric counts for ever.
        let over = !own || record.fields.contains_key("ended");
        if over && record.updated < oldest {
            stage.put_record(history::place(&record.address), None);
            stage.put_record(record.address.clone(), None);
        }
    }
    Ok(())
}

/// Old versions of the rules that no run needs.
fn bundles(stage: &mut Stage<'_>) {
    let all = stage.rules.workflows.values().chain(stage.rules.policies.values());
    let in_force: HashSet<BundleId> = all.map(|bundle| bundle.id).collect();
    let idle = stage.view().idle_bundles();
    for id in idle.into_iter().filter(|id| !in_force.contains(id)).take(BUNDLES_PER_SWEEP) {
        stage.write(Write::BundleGone(id));
    }
}

/// One page of events.
pub(super) fn events(stage: &mut Stage<'_>, after: EventNo) -> Result<(), ReadError> {
    let oldest = stage.now - stage.world.retention.events;
    let page = stage.view().events_after(after, ROWS_PER_TASK)?;
    let last = page.last().map(|stored| (stored.event.no, stored.event.accepted));
    let mut gone = page;
    gone.retain(|stored| {
        stored.event.accepted < oldest && !stage.view().is_event_used(stored.event.no)
    });
    if !gone.is_empty() {
        stage.write(Write::EventsGone(gone));
    }
    match last {
        // Events are in order of acceptance: past the first young one there is nothing to remove.
        Some((no, accepted)) if accepted < oldest => {
            stage.push_later(Task::SweepEvents { after: no });
        }
        _ => {}
    }
    Ok(())
}

/// One page of runs.
pub(super) fn runs(stage: &mut Stage<'_>, after: RunNo) -> Result<(), ReadError> {
    let retention = stage.world.retention;
    let page = stage.view().runs_after(after, ROWS_PER_TASK)?;
    let last = page.last().map(|run| (run.no, run.began));
    for run in page {
        let kept = match run.status {
            Status::Queued | Status::Active => continue,
            Status::Failed => retention.failed_runs,
            Status::Done | Status::Cancelled => retention.runs,
        };
        let old = run.ended.is_some_and(|ended| ended < stage.now - kept);
        if old && stage.view().children(run.no).is_empty() {
            if matches!(run.status, Status::Failed | Status::Cancelled) {
                stage.write(Write::ItemsGone(run.no, left::LEFT));
            }
            stage.write(Write::RunGone(run));
        }
    }
    let youngest = stage.now - retention.runs.min(retention.failed_runs);
    match last {
        // What began later than the shortest retention ended later as well.
        Some((no, began)) if began < youngest => {
            stage.push_later(Task::SweepRuns { after: no });
        }
        _ => {}
    }
    Ok(())
}
