//! Which workflows an event starts, and how a run begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{
    Arm, ArmRole, ArmSubject, Cause, Code, Event, EventNo, Instant, Lineage, Map, Name, Origin,
    Parent, ReadError, Run, RunNo, Status, Task, Text, Trace, TraceEntry, Value, Verdict, Wait,
    Write, limits,
};
use crate::rules::{Bundle, Filter, FilterSubject, Mode, Trigger, TriggerKind, Workflow};
use crate::script::{EvalError, Host, Scope, Test};

use super::advance::check_size;
use super::reads::Reads;
use super::scope;
use super::stage::Stage;
use super::{finish, records, rest, time, watch};

/// Workflows asked about an event in one task; the rest goes on from the next.
const WORKFLOWS_PER_TASK: usize = 64;

/// Offers an event to the workflows whose triggers could match it.
pub(super) fn start(
    stage: &mut Stage<'_>,
    no: EventNo,
    after: Option<Name>,
) -> Result<(), ReadError> {
    let Some(stored) = stage.stored_event(no)? else { return Ok(()) };
    let event = stored.event.clone();
    drop(stored);
    let rules = stage.rules;
    if !rules.listens(&event.kind) {
        return Ok(());
    }
    let value = stage.event_value(&event);
    let mut scope = Scope::new(stage.now);
    scope.share("event", &value);
    let mut last: Option<&Name> = None;
    let candidates =
        rules.candidates(&event.kind, value.value(), after.as_deref(), WORKFLOWS_PER_TASK + 1);
    for (asked, bundle) in candidates.enumerate() {
        if asked == WORKFLOWS_PER_TASK {
            stage.push(Task::Start { event: no, after: last.cloned() });
            break;
        }
        last = Some(&bundle.name);
        let (code, detail, run) = match consider(stage, bundle, &event, &mut scope) {
            Ok(started) => started,
            Err(EvalError::Read(error)) => return Err(error),
            Err(error) => (Code::Error, Some(clipped(&error.to_string())), None),
        };
        stage.note(no, Verdict { workflow: bundle.name.clone(), code, detail }, run)?;
    }
    Ok(())
}

/// What a workflow decided about an event, why, and the run it made.
pub(super) type Considered = (Code, Option<Text>, Option<RunNo>);

/// Asks one workflow.
fn consider(
    stage: &mut Stage<'_>,
    bundle: &Arc<Bundle>,
    event: &Event,
    scope: &mut Scope,
) -> Result<Considered, EvalError> {
    let workflow = bundle.main.clone();
    let noted = watch::note(stage, bundle, event, scope)?;
    if let Some((code, text)) = unmatched(&Reads(stage), &workflow, event, scope)? {
        return Ok(noted.unwrap_or((code, Some(text), None)));
    }
    launch(stage, bundle, event, scope)
}

/// Starts a workflow of which a trigger matched, unless it has a reason not to.
pub(super) fn launch(
    stage: &mut Stage<'_>,
    bundle: &Arc<Bundle>,
    event: &Event,
    scope: &mut Scope,
) -> Result<Considered, EvalError> {
    let workflow = bundle.main.clone();
    let vars = start_vars(&Reads(stage), &workflow, scope)?;
    if let Some(condition) = &workflow.condition
        && let Test::False(text) = condition.test(scope, &Reads(stage))?
    {
        return Ok((Code::If, Some(text), None));
    }
    let key = match &workflow.key {
        Some(shape) => Some(key_text(&shape.eval(scope, &Reads(stage))?, "key")?),
        None => None,
    };
    if watch::is_storm(stage, &workflow, event)? {
        let text = "its storm breaker has tripped: `adjutant workflows reset` lets it start again";
        return Ok((Code::Storm, Some(text.into()), None));
    }
    let seed = Seed {
        bundle,
        workflow: &workflow,
        event,
        hash: Origin::Event(&event.source, &event.id).hash(&workflow.name),
        parent: None,
        args: Value::Null,
        vars,
        key: key.clone(),
        depth: event.lineage.depth,
        lineage: event.lineage.workflows.clone(),
        look_back: event.no,
        taken: Vec::new(),
        shadow: false,
    };
    if workflow.debounce.is_some()
        && let Some(resting) = rest::begin_anew(stage, &seed).map_err(fault)?
    {
        return Ok(resting);
    }
    if let Some(text) = watch::throttled(stage, &workflow, key.as_deref())? {
        return Ok((Code::Throttled, Some(text), None));
    }
    if let Some(debounce) = workflow.debounce {
        let rested = rest::begin(stage, seed, debounce).map_err(fault)?;
        watch::made(stage, &workflow, key.as_deref())?;
        return Ok(rested);
    }
    let turn = turn(stage, &workflow, key.as_deref())?;
    let entry = match turn {
        Turn::Busy(holder) => {
            let text = format!("run {holder} of the same key is alive");
            return Ok((Code::Busy, Some(text.into()), None));
        }
        Turn::Wait => Entry::Queue,
        Turn::Now => Entry::Go,
        Turn::Replace(holders) => {
            let cause = Cause::new("replaced", format!("event {} started it anew", event.no));
            finish::replace(stage, holders, cause)?;
            // Those it replaces may have been in the queue themselves.
            if is_full(stage, &workflow)? { Entry::Queue } else { Entry::Go }
        }
    };
    let no = begin(stage, seed, entry).map_err(fault)?;
    watch::made(stage, &workflow, key.as_deref())?;
    let shadow = || "in shadow mode: it performs nothing".into();
    let code = if entry == Entry::Queue { Code::Queued } else { Code::Fired };
    Ok((code, workflow.shadow.then(shadow), Some(no)))
}

fn fault(fault: Fault) -> EvalError {
    match fault {
        Fault::Read(error) => EvalError::Read(error),
        Fault::Cause(cause) => EvalError::Failed(cause.message),
    }
}

/// Whether a trigger takes an event, and why not.
pub(super) enum Matched {
    Yes,
    No,
    Because(Code, Text),
}

/// Why none of a workflow's triggers starts it by this event alone; `None` if one does.
pub(super) fn unmatched(
    host: &dyn Host,
    workflow: &Workflow,
    event: &Event,
    scope: &Scope,
) -> Result<Option<(Code, Text)>, EvalError> {
    let mut why = None;
    for trigger in &workflow.triggers {
        match takes(host, trigger, &workflow.name, event, scope)? {
            Matched::Yes if trigger.kind.starts_by_itself() => return Ok(None),
            Matched::Yes => why = Some((Code::Noted, "it is counted".into())),
            Matched::No => {}
            Matched::Because(code, text) => why = Some((code, text)),
        }
    }
    Ok(Some(why.unwrap_or((Code::Where, "no trigger matched".into()))))
}

/// Whether a trigger takes an event.
pub(super) fn takes(
    host: &dyn Host,
    trigger: &Trigger,
    workflow: &Name,
    event: &Event,
    scope: &Scope,
) -> Result<Matched, EvalError> {
    let filter = &trigger.filter;
    if !filter.patterns.iter().any(|pattern| pattern.matches(&event.kind)) {
        return Ok(Matched::No);
    }
    if !trigger.own && event.lineage.workflows.contains(workflow) {
        let text = "the event was caused by this workflow itself; `own: true` takes it";
        return Ok(Matched::Because(Code::Own, text.into()));
    }
    if let TriggerKind::Files(glob) = &trigger.kind {
        let file = event.extensions.get("file").and_then(Value::as_text).unwrap_or_default();
        if !glob.matches(file) {
            let text = format!("the file `{file}` is not one of `{}`", glob.as_str());
            return Ok(Matched::Because(Code::Where, text.into()));
        }
    }
    if let FilterSubject::Is(subject) = &filter.subject {
        let wanted = subject.eval(scope, host)?;
        if wanted.as_text() != event.subject.as_deref() {
            let text = format!("subject {wanted} is not the event's");
            return Ok(Matched::Because(Code::Where, text.into()));
        }
    }
    if let Some(condition) = &filter.condition
        && let Test::False(text) = condition.test(scope, host)?
    {
        return Ok(Matched::Because(Code::Where, text));
    }
    Ok(match records::becomes(host, filter, event)? {
        Test::True => Matched::Yes,
        Test::False(text) => Matched::Because(Code::Where, text),
    })
}

/// The workflow's variables, in order, each seeing the earlier.
pub(super) fn start_vars(
    host: &dyn Host,
    workflow: &Workflow,
    scope: &mut Scope,
) -> Result<Map, EvalError> {
    let mut vars = Map::new();
    scope.set("vars", &Value::Map(Map::new()));
    for (name, shape) in &workflow.vars {
        vars.insert(name.clone(), shape.eval(scope, host)?);
        scope.set("vars", &Value::Map(vars.clone()));
    }
    Ok(vars)
}

/// A key is text that is not empty; a number serves as well.
pub(super) fn key_text(value: &Value, what: &str) -> Result<Text, EvalError> {
    match value {
        Value::Text(text) if !text.is_empty() && text.len() <= limits::SUBJECT_BYTES => {
            Ok(text.clone())
        }
        Value::Int(number) => Ok(number.to_string().into()),
        Value::Text(text) if text.is_empty() => {
            let message = format!("`{what}` is empty: it needs text that tells runs apart");
            Err(EvalError::Failed(message.into()))
        }
        Value::Text(_) => Err(EvalError::Failed(
            format!("`{what}` is longer than {} bytes", limits::SUBJECT_BYTES).into(),
        )),
        other => Err(EvalError::Failed(
            format!("`{what}` is {}; it must be text that is not empty", other.type_name()).into(),
        )),
    }
}

/// What `mode` and `max` want of one more run.
pub(super) enum Turn {
    Now,
    Wait,
    Busy(crate::model::RunId),
    Replace(Vec<RunNo>),
}

/// What `mode` and `max` say about one more run.
pub(super) fn turn(
    stage: &Stage<'_>,
    workflow: &Workflow,
    key: Option<&str>,
) -> Result<Turn, ReadError> {
    let holders = match key {
        Some(_) if workflow.mode != Mode::Parallel => {
            stage.holders(&workflow.name, key, limits::PAGE)?
        }
        _ => Vec::new(),
    };
    match (workflow.mode, holders.first()) {
        (Mode::Single, Some(holder)) => return Ok(Turn::Busy(holder.id())),
        (Mode::Restart, Some(_)) => {
            return Ok(Turn::Replace(holders.iter().map(|run| run.no).collect()));
        }
        (Mode::Queued, Some(_)) => return Ok(Turn::Wait),
        _ => {}
    }
    Ok(if is_full(stage, workflow)? { Turn::Wait } else { Turn::Now })
}

/// Whether `max` runs of the workflow are active.
pub(super) fn is_full(stage: &Stage<'_>, workflow: &Workflow) -> Result<bool, ReadError> {
    let Some(max) = workflow.max else { return Ok(false) };
    let alive = stage.holders(&workflow.name, None, usize::MAX)?;
    let active = alive.iter().filter(|run| run.status == Status::Active).count();
    Ok(active >= max as usize)
}

/// What a run begins with.
pub(super) struct Seed<'s> {
    pub(super) bundle: &'s Arc<Bundle>,
    pub(super) workflow: &'s Workflow,
    pub(super) event: &'s Event,
    pub(super) hash: crate::model::Digest,
    pub(super) parent: Option<Parent>,
    pub(super) args: Value,
    pub(super) vars: Map,
    pub(super) key: Option<Text>,
    pub(super) depth: u8,
    pub(super) lineage: Vec<Name>,
    pub(super) look_back: EventNo,
    pub(super) taken: Vec<(u64, EventNo)>,
    /// Its caller performs nothing.
    pub(super) shadow: bool,
}

/// How a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// With its first step.
    Go,
    /// In the queue of its key or workflow.
    Queue,
    /// When the events of its key have come to rest.
    Rest(Instant),
}

/// Why something could not be done: the state, or the rule.
pub(super) enum Fault {
    Read(ReadError),
    Cause(Cause),
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<Cause> for Fault {
    fn from(cause: Cause) -> Self {
        Self::Cause(cause)
    }
}

impl From<EvalError> for Fault {
    fn from(error: EvalError) -> Self {
        match error {
            EvalError::Read(error) => Self::Read(error),
            other => Self::Cause(other.to_cause()),
        }
    }
}

/// Makes a run and, unless it has to wait, lets it go.
pub(super) fn begin(stage: &mut Stage<'_>, seed: Seed<'_>, entry: Entry) -> Result<RunNo, Fault> {
    let Seed { bundle, workflow, event, .. } = seed;
    let no = stage.new_run();
    let mut run = Run {
        no,
        hash: seed.hash,
        workflow: workflow.name.clone(),
        bundle: bundle.id,
        status: if entry == Entry::Go { Status::Active } else { Status::Queued },
        reason: None,
        event: event.no,
        parent: seed.parent,
        subject: event.subject.clone(),
        slot: takes_slot(workflow) && !matches!(entry, Entry::Rest(_)),
        key: seed.key,
        args: seed.args,
        vars: seed.vars,
        steps: BTreeMap::new(),
        error: None,
        pc: 0,
        wait: match entry {
            Entry::Go => Wait::Ready,
            Entry::Queue => Wait::Slot,
            Entry::Rest(until) => Wait::Rest(until),
        },
        arms: Vec::new(),
        look_back: seed.look_back,
        taken: seed.taken,
        began: stage.now,
        ended: None,
        expires: expiry(stage, workflow)?,
        depth: seed.depth,
        lineage: with_itself(seed.lineage, &workflow.name),
        ladder: None,
        generation: 0,
        uncertain: false,
        trace: vec![TraceEntry { at: stage.now, pc: 0, what: Trace::Began(event.no) }],
        spilled: 0,
        branch: None,
        shadow: seed.shadow || workflow.shadow,
        failing: None,
        redo: None,
    };
    check_size(&run)?;
    arm_exits(stage, workflow, &mut run, event)?;
    pin(stage, bundle)?;
    match entry {
        Entry::Go => stage.push(Task::Advance { run: no }),
        Entry::Queue => {
            run.trace.push(TraceEntry { at: stage.now, pc: 0, what: Trace::Queued });
        }
        Entry::Rest(until) => {
            let what = Trace::Waiting("its events to come to rest".into(), Some(until));
            run.trace.push(TraceEntry { at: stage.now, pc: 0, what });
        }
    }
    stage.put(run);
    Ok(no)
}

/// Whether runs of a workflow count for `mode` and `max`.
pub(super) fn takes_slot(workflow: &Workflow) -> bool {
    workflow.mode != Mode::Parallel || workflow.max.is_some()
}

/// The workflows that caused a run, itself included.
pub(super) fn with_itself(mut lineage: Vec<Name>, workflow: &Name) -> Vec<Name> {
    if !lineage.contains(workflow) {
        lineage.push(workflow.clone());
    }
    lineage
}

/// Stores the version that a run is pinned to, with the first of its runs.
pub(super) fn pin(stage: &mut Stage<'_>, bundle: &Bundle) -> Result<(), ReadError> {
    if !stage.view().has_bundle(bundle.id)? {
        stage.write(Write::Bundle(bundle.id, bundle.source.encode().into()));
    }
    Ok(())
}

pub(super) fn expiry(stage: &Stage<'_>, workflow: &Workflow) -> Result<Instant, Cause> {
    time::end(stage, workflow.lifetime, workflow.hours.as_deref())
}

/// Listens for a workflow's exits.
pub(super) fn arm_exits(
    stage: &mut Stage<'_>,
    workflow: &Workflow,
    run: &mut Run,
    event: &Event,
) -> Result<(), Fault> {
    run.arms.retain(|arm| !matches!(arm.role, ArmRole::Exit(_)));
    if workflow.exit.is_empty() {
        return Ok(());
    }
    let scope = scope::of_run(run, &stage.event_value(event), stage.now);
    for (index, filter) in workflow.exit.iter().enumerate() {
        let subject = arm_subject(stage, filter, run, &scope)?;
        run.arms.push(Arm {
            role: ArmRole::Exit(index as u16),
            patterns: filter.patterns.clone(),
            subject,
        });
    }
    Ok(())
}

/// Whose events a filter of a running workflow takes.
pub(super) fn arm_subject(
    stage: &Stage<'_>,
    filter: &Filter,
    run: &Run,
    scope: &Scope,
) -> Result<ArmSubject, Fault> {
    match &filter.subject {
        FilterSubject::Own => Ok(match &run.subject {
            Some(subject) => ArmSubject::Is(subject.clone()),
            None => ArmSubject::None,
        }),
        FilterSubject::Any => Ok(ArmSubject::Any),
        FilterSubject::Is(shape) => match shape.eval(scope, &Reads(stage))? {
            Value::Text(text) if !text.is_empty() => Ok(ArmSubject::Is(text)),
            other => Err(Cause::new(
                "subject",
                format!("`subject` must be text that is not empty, not {}", other.type_name()),
            )
            .into()),
        },
    }
}

/// Cut to what a verdict may hold.
pub(super) fn clipped(text: &str) -> Text {
    if text.len() <= limits::VERDICT_BYTES {
        return text.into();
    }
    let mut end = limits::VERDICT_BYTES - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end]).into()
}

/// The lineage of an event that a run emits.
pub(super) fn lineage_of(run: &Run) -> Lineage {
    Lineage { run: Some(run.no), depth: run.depth + 1, workflows: run.lineage.clone() }
}
