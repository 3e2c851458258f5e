//! What starts workflows besides an event by itself: schedules, counts and absences; and what keeps them
//! from starting too often: `throttle` and the storm breaker. All of it is kept in [`Window`]s.

use std::sync::Arc;

use crate::model::{
    Code, Draft, Duration, Event, Instant, Lineage, Map, OBLIGATION, ReadError, RunNo, Span,
    StoredEvent, Task, Text, Value, Verdict, Window, WindowKey, limits,
};
use crate::rules::{Bundle, CatchUp, Schedule, Throttle, TriggerKind, Workflow};
use crate::script::{EvalError, Scope};

use super::admit;
use super::poll;
use super::reads::Reads;
use super::scope::event_value;
use super::stage::Stage;
use super::start::{Considered, Matched, clipped, key_text, launch, takes};
use super::time;

/// The window of `throttle`.
const THROTTLE: &str = "throttle";
/// That of a key whose events come to rest.
pub(super) const REST: &str = "rest";
/// That of the storm breaker.
const STORM: &str = "storm";
/// That of a metric, which counts its series.
pub(super) const SERIES: &str = "series";
/// That of a recipient of a purpose, which counts its mails.
pub(super) const SENT: &str = "sent";
/// That of a purpose with a guard.
pub(super) const GUARD: &str = "guard";
/// That of a team, whose turns it counts, and those of its members.
pub(super) const PICK: &str = "pick";
/// In how long [`limits::STORM`] runs are too many.
const STORM_TIME: Span = Span::from_secs(60);
/// Windows looked at in one task.
const WINDOWS_PER_TASK: usize = 256;
/// Instants of a schedule looked through for the last one that its calendar lets pass: a year of minutes.
const INSTANTS: usize = 600_000;

/// The window of a workflow for `what` it watches, and for a key if it has one.
pub(super) fn window_key(workflow: &str, what: &str, key: Option<&str>) -> WindowKey {
    WindowKey { workflow: workflow.into(), what: what.into(), key: key.unwrap_or_default().into() }
}

/// Notes an event for the counts and absences of a workflow: what came of it, if anything watches it.
pub(super) fn note(
    stage: &mut Stage<'_>,
    bundle: &Arc<Bundle>,
    event: &Event,
    scope: &Scope,
) -> Result<Option<Considered>, EvalError> {
    let workflow = bundle.main.clone();
    let mut found = None;
    for trigger in &workflow.triggers {
        let Some(kept) = trigger.kind.kept() else { continue };
        if !matches!(takes(&Reads(stage), trigger, &workflow.name, event, scope)?, Matched::Yes) {
            continue;
        }
        let by = key_text(&kept.by.eval(scope, &Reads(stage))?, "by")?;
        let key = window_key(&workflow.name, &kept.id, Some(&by));
        match &trigger.kind {
            TriggerKind::Count { at_least, within, .. } => {
                let wanted = (*at_least as usize, *within);
                found = Some(counted(stage, bundle, event, key, wanted)?);
            }
            TriggerKind::Absent { after, hours, .. } => {
                found = Some(seen(stage, (*after, hours.as_deref()), event, key)?);
            }
            #[cfg(test)]
            TriggerKind::Nth { n, .. } => {
                found = Some(super::watch_nth::nth(stage, bundle, event, key, *n)?);
            }
            TriggerKind::Event
            | TriggerKind::Schedule(_)
            | TriggerKind::Poll(_)
            | TriggerKind::Files(_) => {}
        }
    }
    Ok(found)
}

/// One more of a key. The workflow starts when there are as many as it wants, and again only after there
/// were fewer.
fn counted(
    stage: &mut Stage<'_>,
    bundle: &Arc<Bundle>,
    event: &Event,
    key: WindowKey,
    (at_least, within): (usize, Span),
) -> Result<Considered, EvalError> {
    let now = stage.now;
    let mut window = stage.window(&key)?.unwrap_or_default();
    window.times.retain(|at| *at > now - within);
    let before = window.times.len();
    window.times.push(now);
    if window.times.len() > at_least {
        window.times.remove(0);
    }
    window.count += 1;
    window.due = Some(now + within);
    let count = window.times.len();
    stage.put_window(key.clone(), Some(window))?;
    if before + 1 != at_least {
        let text = format!("{count} of {at_least} within {}", Duration::Elapsed(within));
        return Ok((Code::Noted, Some(text.into()), None));
    }
    let data = Value::from([
        ("key", Value::Text(key.key.clone())),
        ("count", Value::Int(count as i64)),
        ("last", event_value(event)),
    ]);
    let made = Made {
        kind: "trigger.count",
        id: format!("{}/{}/{}", key.what, event.source, event.id),
        at: now,
        lineage: event.lineage.clone(),
    };
    Ok(fire(stage, bundle, &key, made, data)?)
}

/// One of a key came: from now on it may be missed.
fn seen(
    stage: &mut Stage<'_>,
    (after, hours): (Duration, Option<&str>),
    event: &Event,
    key: WindowKey,
) -> Result<Considered, EvalError> {
    let failed = |cause: crate::model::Cause| EvalError::Failed(cause.message);
    let due = time::end(stage, after, hours).map_err(failed)?;
    let mut window = stage.window(&key)?.unwrap_or_default();
    let mut last = event_value(event);
    if let (true, Value::Map(map)) = (last.weight() > limits::WINDOW_EVENT_BYTES, &mut last) {
        map.insert("data".into(), Value::Null);
    }
    (window.due, window.last) = (Some(due), last);
    window.count += 1;
    stage.put_window(key, Some(window))?;
    let text = format!("it is missed if no other comes until {due}");
    Ok((Code::Noted, Some(clipped(&text)), None))
}

/// Something fell due in a window.
pub(super) fn due(stage: &mut Stage<'_>, key: WindowKey) -> Result<(), ReadError> {
    let Some(window) = stage.window(&key)? else { return Ok(()) };
    if window.due.is_none_or(|due| due > stage.now) {
        return Ok(());
    }
    let bundle = stage.rules.workflows.get(&key.workflow);
    let bundle = bundle.filter(|bundle| bundle.main.enabled).cloned();
    let workflow = bundle.as_ref().map(|bundle| bundle.main.clone());
    let trigger = workflow.as_ref().and_then(|workflow| {
        workflow.triggers.iter().find(|trigger| trigger.kind.window() == Some(&key.what))
    });
    match (trigger.map(|trigger| &trigger.kind), &bundle) {
        (Some(TriggerKind::Schedule(schedule)), Some(bundle)) => {
            scheduled(stage, bundle, schedule, &key, window)
        }
        (Some(TriggerKind::Poll(poll)), Some(bundle)) => {
            poll::due(stage, bundle, poll, key, window)
        }
        (Some(TriggerKind::Absent { .. }), Some(bundle)) => missed(stage, bundle, &key, window),
        (Some(TriggerKind::Count { within, .. }), _) => {
            let oldest = stage.now - *within;
            keep_times(stage, key, window, oldest, *within)
        }
        _ => other(stage, &key, window, workflow.as_deref()),
    }
}

/// Forgets what no longer counts; and the window with the last of it.
fn keep_times(
    stage: &mut Stage<'_>,
    key: WindowKey,
    mut window: Window,
    oldest: Instant,
    span: Span,
) -> Result<(), ReadError> {
    window.times.retain(|at| *at > oldest);
    window.due = window.times.last().map(|last| *last + span);
    let left = window.due.is_some();
    stage.put_window(key, left.then_some(window))
}

fn other(
    stage: &mut Stage<'_>,
    key: &WindowKey,
    window: Window,
    workflow: Option<&Workflow>,
) -> Result<(), ReadError> {
    let span = workflow.and_then(|workflow| workflow.throttle).and_then(|throttle| throttle.per);
    match (&*key.what, span) {
        // Nobody asks while its workflow is disabled or away; how far it is stays known.
        (what, _) if poll::is_poll(what) => {
            let window = Window { due: None, times: Vec::new(), ..window };
            stage.put_window(key.clone(), Some(window))
        }
        (THROTTLE, Some(span)) => {
            let oldest = stage.now - span;
            keep_times(stage, key.clone(), window, oldest, span)
        }
        // A tripped breaker has no due instant; what else is here nobody asks for any more.
        _ => stage.put_window(key.clone(), None),
    }
}

/// None of a key came in time.
fn missed(
    stage: &mut Stage<'_>,
    bundle: &Arc<Bundle>,
    key: &WindowKey,
    window: Window,
) -> Result<(), ReadError> {
    // It is armed again by the next event.
    stage.put_window(key.clone(), None)?;
    // Each event is the last one before an absence at most once.
    let of_last = |name: &str| window.last.get(name).map(Value::to_string).unwrap_or_default();
    let id = format!("{}/{}/{}", key.what, of_last("source"), of_last("id"));
    let at = window.due.unwrap_or(stage.now);
    let data = Value::from([
        ("key", Value::Text(key.key.clone())),
        ("count", Value::Int(window.count as i64)),
        ("last", window.last),
    ]);
    let made = Made { kind: "trigger.absent", id, at, lineage: Lineage::default() };
    fire(stage, bundle, key, made, data).map(|_| ())
}

/// An instant of a schedule has come.
fn scheduled(
    stage: &mut Stage<'_>,
    bundle: &Arc<Bundle>,
    schedule: &Schedule,
    key: &WindowKey,
    mut window: Window,
) -> Result<(), ReadError> {
    let now = stage.now;
    let first = window.times.first().copied().unwrap_or(now);
    let late = now.since(first) > limits::ON_TIME;
    window.count = if late { window.count + 1 } else { 0 };
    let one_by_one = schedule.catchup == CatchUp::All && window.count <= limits::CATCH_UP;
    let at = if one_by_one { first } else { newest(stage, schedule, first) };
    let fires = schedule.catchup != CatchUp::None
        || now.since(opening(stage, schedule, at)) <= limits::ON_TIME;
    match schedule.after(at) {
        Some(next) => {
            window.due = Some(opening(stage, schedule, next));
            window.times = vec![next];
            stage.put_window(key.clone(), Some(window))?;
        }
        None => stage.put_window(key.clone(), None)?,
    }
    if !fires {
        return Ok(());
    }
    let data = Value::from([
        ("at", Value::Instant(at)),
        ("late", Value::Bool(late)),
        ("workflow", Value::Text(key.workflow.clone())),
    ]);
    let made = Made {
        kind: "trigger.schedule",
        id: format!("{}/{at}", key.what),
        at,
        lineage: Lineage::default(),
    };
    fire(stage, bundle, key, made, data).map(|_| ())
}

/// The last instant from `first` on that has come.
fn newest(stage: &Stage<'_>, schedule: &Schedule, first: Instant) -> Instant {
    let mut at = schedule.latest(stage.now).unwrap_or(first);
    for _ in 0..INSTANTS {
        if at <= first {
            return first;
        }
        if opening(stage, schedule, at) <= stage.now {
            return at;
        }
        // Its calendar is closed: what fell due since it closed comes with the next opening.
        at = schedule.latest(at - Span::from_micros(1)).unwrap_or(first);
    }
    first
}

/// When an instant of a schedule comes: when its calendar is open.
fn opening(stage: &Stage<'_>, schedule: &Schedule, at: Instant) -> Instant {
    let calendar = schedule.hours.as_ref().and_then(|hours| stage.rules.calendars.get(hours));
    calendar.map_or(at, |calendar| calendar.next_open(at))
}

/// An event that the engine makes for one workflow.
pub(super) struct Made {
    pub(super) kind: &'static str,
    pub(super) id: String,
    pub(super) at: Instant,
    pub(super) lineage: Lineage,
}

/// Starts a workflow with an event that is made for it and offered to nobody else.
pub(super) fn fire(
    stage: &mut Stage<'_>,
    bundle: &Arc<Bundle>,
    key: &WindowKey,
    made: Made,
    data: Value,
) -> Result<Considered, ReadError> {
    let no = stage.new_event();
    let event = Arc::new(Event {
        no,
        id: made.id.into(),
        source: format!("adjutant/{}", key.workflow).into(),
        kind: made.kind.into(),
        subject: (!key.key.is_empty()).then(|| key.key.clone()),
        time: made.at,
        accepted: stage.now,
        data,
        extensions: Map::new(),
        lineage: made.lineage,
    });
    let stored = StoredEvent { event: event.clone(), runs: Vec::new(), verdicts: Vec::new() };
    stage.put_event(stored);
    let mut scope = Scope::new(stage.now);
    let value = stage.event_value(&event);
    scope.share("event", &value);
    let considered = match launch(stage, bundle, &event, &mut scope) {
        Ok(considered) => considered,
        Err(EvalError::Read(error)) => return Err(error),
        Err(error) => (Code::Error, Some(clipped(&error.to_string())), None),
    };
    let (code, detail, run) = considered.clone();
    stage.note(no, Verdict { workflow: bundle.name.clone(), code, detail }, run)?;
    Ok(considered)
}

/// Why `throttle` keeps a run from starting; `None` if it does not.
pub(super) fn throttled(
    stage: &Stage<'_>,
    workflow: &Workflow,
    key: Option<&str>,
) -> Result<Option<Text>, ReadError> {
    let Some(Throttle { max, per }) = workflow.throttle else { return Ok(None) };
    let Some(window) = stage.window(&window_key(&workflow.name, THROTTLE, key))? else {
        return Ok(None);
    };
    Ok(match per {
        Some(per) => {
            let since = stage.now - per;
            let count = window.times.iter().filter(|at| **at > since).count();
            let per = Duration::Elapsed(per);
            let text = || format!("{count} started within {per} already").into();
            (count >= max as usize).then(text)
        }
        None => {
            let text = || format!("{} started already", window.count).into();
            (window.count >= u64::from(max)).then(text)
        }
    })
}

/// A run was made: it counts for `throttle`.
pub(super) fn made(
    stage: &mut Stage<'_>,
    workflow: &Workflow,
    key: Option<&str>,
) -> Result<(), ReadError> {
    let Some(Throttle { max, per }) = workflow.throttle else { return Ok(()) };
    let key = window_key(&workflow.name, THROTTLE, key);
    let mut window = stage.window(&key)?.unwrap_or_default();
    window.count += 1;
    if let Some(per) = per {
        window.times.push(stage.now);
        let many = window.times.len().saturating_sub(max as usize);
        window.times.drain(..many);
        window.due = Some(stage.now + per);
    }
    stage.put_window(key, Some(window))
}

/// Whether the storm breaker lets a run start that another run caused.
pub(super) fn is_storm(
    stage: &mut Stage<'_>,
    workflow: &Workflow,
    event: &Event,
) -> Result<bool, ReadError> {
    if event.lineage.depth == 0 {
        return Ok(false);
    }
    let key = window_key(&workflow.name, STORM, None);
    let mut window = stage.window(&key)?.unwrap_or_default();
    if window.last == Value::Bool(true) {
        return Ok(true);
    }
    let began = window.times.first().copied().unwrap_or(stage.now);
    if window.times.is_empty() || stage.now.since(began) > STORM_TIME {
        (window.times, window.count) = (vec![stage.now], 0);
    }
    window.count += 1;
    let trips = window.count > limits::STORM;
    window.last = Value::Bool(trips);
    window.due = (!trips).then(|| stage.now + STORM_TIME);
    let count = window.count;
    stage.put_window(key, Some(window))?;
    if trips {
        let data = Value::from([
            ("workflow", Value::Text(workflow.name.clone())),
            ("started", Value::Int(count as i64)),
        ]);
        let draft = Draft {
            id: format!("storm/{}/{}", workflow.name, stage.now).into(),
            source: "adjutant".into(),
            kind: "run.storm".into(),
            subject: None,
            time: None,
            data,
            extensions: Map::new(),
        };
        // What tells people of it must not be taken for a part of it.
        admit::accept(stage, draft, Lineage::default());
    }
    Ok(trips)
}

/// A person lets a workflow start again. Whether its breaker had tripped.
pub(super) fn reset(stage: &mut Stage<'_>, workflow: &str) -> Result<bool, ReadError> {
    let key = window_key(workflow, STORM, None);
    let tripped = stage.window(&key)?.is_some_and(|window| window.last == Value::Bool(true));
    if tripped {
        stage.put_window(key, None)?;
    }
    Ok(tripped)
}

/// The rules in force changed: new schedules begin now, and those that are gone, or say something else,
/// are forgotten with what was counted for them.
pub(super) fn rules_changed(stage: &mut Stage<'_>) -> Result<(), ReadError> {
    for bundle in stage.rules.workflows.values().filter(|bundle| bundle.main.enabled) {
        for trigger in &bundle.main.triggers {
            let (id, window) = match &trigger.kind {
                TriggerKind::Poll(poll) => (&poll.id, poll::begin(stage.now)),
                TriggerKind::Schedule(schedule) => {
                    let Some(first) = schedule.after(stage.now) else { continue };
                    let due = Some(opening(stage, schedule, first));
                    (&schedule.id, Window { due, times: vec![first], ..Window::default() })
                }
                _ => continue,
            };
            let key = window_key(&bundle.main.name, id, None);
            match stage.window(&key)? {
                None => stage.put_window(key, Some(window))?,
                Some(old) if old.due.is_none() && poll::is_poll(&key.what) => {
                    stage.put_window(key, Some(Window { due: window.due, ..old }))?;
                }
                Some(_) => {}
            }
        }
    }
    stage.push_later(Task::Windows { after: None });
    if !stage.view().records_where(OBLIGATION, "status", &"open".into(), 1)?.is_empty() {
        stage.push_later(Task::Orphaned { owner: None, after: None });
    }
    if !stage.view().queued(RunNo(0), 1).is_empty() {
        stage.push_later(Task::Queues { after: RunNo(0) });
    }
    Ok(())
}

/// Removes windows of triggers that are not in force, a page at a time.
pub(super) fn collect(
    stage: &mut Stage<'_>,
    after: Option<(Text, Text, Text)>,
) -> Result<(), ReadError> {
    let after = after.map(|(workflow, what, key)| WindowKey { workflow, what, key });
    let page = stage.view().windows(after.as_ref(), WINDOWS_PER_TASK)?;
    if let (true, Some(last)) = (page.len() == WINDOWS_PER_TASK, page.last()) {
        let WindowKey { workflow, what, key } = last.clone();
        stage.push_later(Task::Windows { after: Some((workflow, what, key)) });
    }
    for key in page {
        // What a workflow did stays counted however long its file is broken or away; and what belongs to
        // none is the daemon's own.
        let counts = matches!(&*key.what, THROTTLE | REST | STORM) || poll::is_poll(&key.what);
        if counts || key.workflow.is_empty() {
            continue;
        }
        let bundle = stage.rules.workflows.get(&key.workflow);
        let triggers =
            bundle.filter(|bundle| bundle.main.enabled).map(|bundle| &bundle.main.triggers);
        let is_asked_for =
            triggers.is_some_and(|all| all.iter().any(|one| one.kind.window() == Some(&key.what)));
        if !is_asked_for {
            stage.put_window(key, None)?;
        }
    }
    Ok(())
}
