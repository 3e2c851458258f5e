//! Which workflows an event starts, and how a run begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{
    Arm, ArmRole, ArmSubject, Cause, Code, Event, EventNo, Instant, Lineage, Map, Name, Origin,
    Parent, ReadError, Run, RunNo, Status, Task, Text, Trace, TraceEntry, Value, Verdict, Wait,
    Write, limits,
};
use crate::rules::{Bundle, Filter, FilterSubject, Mode, Trigger, Workflow};
use crate::script::{EvalError, Host, Scope, Test};

use super::advance::check_size;
use super::reads::Reads;
use super::scope;
use super::stage::Stage;
use super::{finish, time};

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

type Considered = (Code, Option<Text>, Option<RunNo>);

/// Asks one workflow.
fn consider(
    stage: &mut Stage<'_>,
    bundle: &Arc<Bundle>,
    event: &Event,
    scope: &mut Scope,
) -> Result<Considered, EvalError> {
    let workflow = bundle.main.clone();
    if let Some((code, text)) = unmatched(&Reads(stage), &workflow, event, scope)? {
        return Ok((code, Some(text), None));
    }
    let vars = start_vars(&Reads(stage), &workflow, scope)?;
    if let Some(condition) = &workflow.condition
        && let Test::False(text) = condition.test(scope, &Reads(stage))?
    {
        return Ok((Code::If, Some(text), None));
    }
    let key = match &workflow.key {
        Some(shape) => Some(key_text(&shape.eval(scope, &Reads(stage))?)?),
        None => None,
    };
    let turn = turn(stage, &workflow, key.as_deref())?;
    if let Turn::Busy(holder) = turn {
        let text = format!("run {holder} of the same key is alive");
        return Ok((Code::Busy, Some(text.into()), None));
    }
    if let Turn::Replace(holders) = &turn {
        for no in holders {
            let cause = Cause::new("replaced", format!("event {} started it anew", event.no));
            finish::end(stage, *no, Status::Cancelled, cause)?;
        }
    }
    let seed = Seed {
        bundle,
        workflow: &workflow,
        event,
        hash: Origin::Event(&event.source, &event.id).hash(&workflow.name),
        parent: None,
        args: Value::Null,
        vars,
        key,
        depth: event.lineage.depth,
        lineage: event.lineage.workflows.clone(),
        look_back: event.no,
        taken: Vec::new(),
    };
    let queued = match turn {
        Turn::Wait => true,
        // Those it replaces may have been in the queue themselves.
        Turn::Replace(_) => is_full(stage, &workflow)?,
        Turn::Now | Turn::Busy(_) => false,
    };
    let no = begin(stage, seed, queued).map_err(|fault| match fault {
        Fault::Read(error) => EvalError::Read(error),
        Fault::Cause(cause) => EvalError::Failed(cause.message),
    })?;
    Ok((if queued { Code::Queued } else { Code::Fired }, None, Some(no)))
}

enum Matched {
    Yes,
    No,
    Because(Code, Text),
}

/// Why none of a workflow's triggers matches; `None` if one does.
pub(super) fn unmatched(
    host: &dyn Host,
    workflow: &Workflow,
    event: &Event,
    scope: &Scope,
) -> Result<Option<(Code, Text)>, EvalError> {
    let mut why = None;
    for trigger in &workflow.triggers {
        match matches(host, trigger, &workflow.name, event, scope)? {
            Matched::Yes => return Ok(None),
            Matched::No => {}
            Matched::Because(code, text) => why = Some((code, text)),
        }
    }
    Ok(Some(why.unwrap_or((Code::Where, "no trigger matched".into()))))
}

fn matches(
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
    if let FilterSubject::Is(subject) = &filter.subject {
        let wanted = subject.eval(scope, host)?;
        if wanted.as_text() != event.subject.as_deref() {
            let text = format!("subject {wanted} is not the event's");
            return Ok(Matched::Because(Code::Where, text.into()));
        }
    }
    match &filter.condition {
        None => Ok(Matched::Yes),
        Some(condition) => match condition.test(scope, host)? {
            Test::True => Ok(Matched::Yes),
            Test::False(text) => Ok(Matched::Because(Code::Where, text)),
        },
    }
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
fn key_text(value: &Value) -> Result<Text, EvalError> {
    match value {
        Value::Text(text) if !text.is_empty() && text.len() <= limits::SUBJECT_BYTES => {
            Ok(text.clone())
        }
        Value::Int(number) => Ok(number.to_string().into()),
        Value::Text(text) if text.is_empty() => {
            Err(EvalError::Failed("`key` is empty: it needs text that tells runs apart".into()))
        }
        Value::Text(_) => Err(EvalError::Failed(
            format!("`key` is longer than {} bytes", limits::SUBJECT_BYTES).into(),
        )),
        other => Err(EvalError::Failed(
            format!("`key` is {}; it must be text that is not empty", other.type_name()).into(),
        )),
    }
}

enum Turn {
    Now,
    Wait,
    Busy(crate::model::RunId),
    Replace(Vec<RunNo>),
}

/// What `mode` and `max` say about one more run.
fn turn(stage: &Stage<'_>, workflow: &Workflow, key: Option<&str>) -> Result<Turn, ReadError> {
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

/// Makes a run and, unless it is queued, lets it go.
pub(super) fn begin(stage: &mut Stage<'_>, seed: Seed<'_>, queued: bool) -> Result<RunNo, Fault> {
    let Seed { bundle, workflow, event, .. } = seed;
    let no = stage.new_run();
    let mut lineage = seed.lineage;
    if !lineage.contains(&workflow.name) {
        lineage.push(workflow.name.clone());
    }
    let mut run = Run {
        no,
        hash: seed.hash,
        workflow: workflow.name.clone(),
        bundle: bundle.id,
        status: if queued { Status::Queued } else { Status::Active },
        reason: None,
        event: event.no,
        parent: seed.parent,
        subject: event.subject.clone(),
        slot: workflow.mode != Mode::Parallel || workflow.max.is_some(),
        key: seed.key,
        args: seed.args,
        vars: seed.vars,
        steps: BTreeMap::new(),
        error: None,
        pc: 0,
        wait: if queued { Wait::Slot } else { Wait::Ready },
        arms: Vec::new(),
        look_back: seed.look_back,
        taken: seed.taken,
        began: stage.now,
        ended: None,
        expires: expiry(stage, workflow)?,
        depth: seed.depth,
        lineage,
        ladder: None,
        generation: 0,
        uncertain: false,
        trace: vec![TraceEntry { at: stage.now, pc: 0, what: Trace::Began(event.no) }],
        spilled: 0,
    };
    check_size(&run)?;
    arm_exits(stage, workflow, &mut run, event)?;
    if !stage.view().has_bundle(bundle.id)? {
        stage.write(Write::Bundle(bundle.id, bundle.source.encode().into()));
    }
    if queued {
        run.trace.push(TraceEntry { at: stage.now, pc: 0, what: Trace::Queued });
    } else {
        stage.push(Task::Advance { run: no });
    }
    stage.put(run);
    Ok(no)
}

fn expiry(stage: &Stage<'_>, workflow: &Workflow) -> Result<Instant, Cause> {
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
