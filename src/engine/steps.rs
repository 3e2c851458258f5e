//! What each kind of step does when a run reaches it.

use crate::model::{
    ActionKind, Cause, Digest, Draft, Instant, Map, Origin, Parent, Pattern, RunNo, Status, Text,
    Trace, Value, Wait, limits,
};
use crate::rules::{Action, Step};
use crate::script::Shape;

use super::advance::{Cursor, Flow, check_size, trace};
use super::reads::Reads;
use super::stage::Stage;
use super::start::{Entry, Fault, Seed, begin, lineage_of};
use super::{
    admit, approve, effects, erase, fan, fields, ladder, metric, pick, plugin, records, time, waits,
};

/// Does one step. Guards and branches are done by the caller.
pub(super) fn perform(
    stage: &mut Stage<'_>,
    cursor: &mut Cursor,
    step: &Step,
) -> Result<Flow, Fault> {
    match &step.action {
        Action::Email(email) => {
            let params = fields::email(stage, cursor, email)?;
            let class = fields::mail_class(stage, email);
            let lane = Text::from(effects::MAIL_LANE);
            effects::arm(
                stage,
                cursor,
                step,
                effects::Order { action: ActionKind::Email, lane, class, params },
            )
        }
        Action::Webhook(webhook) => {
            let (lane, params) = fields::webhook(stage, cursor, webhook)?;
            effects::arm(
                stage,
                cursor,
                step,
                effects::Order {
                    action: ActionKind::Webhook,
                    lane,
                    class: crate::model::Class::Normal,
                    params,
                },
            )
        }
        Action::Escalate(escalate) => ladder::raise(stage, cursor, step, escalate),
        Action::Call { workflow, args, wait } => {
            let args = eval(stage, cursor, args)?;
            call(stage, cursor, step, Call { workflow, args, wait: *wait })
        }
        Action::Record(record) => records::step(stage, cursor, record),
        Action::Delay(until) => {
            let value = eval(stage, cursor, until)?;
            let at = time::end_of(stage, &value, step.hours.as_deref())?;
            if at <= stage.now {
                return Ok(Flow::Done(Value::Null, format!("{at} has passed").into()));
            }
            trace(stage, &mut cursor.run, Trace::Waiting("delay".into(), Some(at)));
            cursor.run.wait = Wait::Until(at);
            Ok(Flow::Wait)
        }
        Action::WaitFor { filter, timeout, .. } => {
            waits::arm(stage, cursor, step, (filter, timeout))
        }
        Action::Script(call) => plugin::arm(stage, cursor, step, call, false),
        Action::Plugin(call) => plugin::arm(stage, cursor, step, call, true),
        #[cfg(test)]
        Action::Echo(text, loud) => {
            let text = eval(stage, cursor, text)?;
            let params = Value::from([("text", text), ("loud", Value::Bool(*loud))]);
            let (action, lane) = (ActionKind::Echo, Text::from("echo"));
            let class = crate::model::Class::Normal;
            effects::arm(stage, cursor, step, effects::Order { action, lane, class, params })
        }
        Action::Metric(metric) => metric::step(stage, cursor, metric),
        Action::Approve(approve) => approve::step(stage, cursor, step, approve),
        Action::Ask { template } => {
            let params = approve::ask(cursor, template)?;
            let (action, class) = (ActionKind::Email, crate::model::Class::Normal);
            let lane = Text::from(effects::MAIL_LANE);
            effects::arm(stage, cursor, step, effects::Order { action, lane, class, params })
        }
        Action::Erase { address, suppress } => erase::step(stage, cursor, address, *suppress),
        Action::Pick { team, except } => pick::step(stage, cursor, team, except.as_ref()),
        Action::ForEach(each) => fan::foreach(stage, cursor, step, each),
        Action::Parallel(lists) => fan::parallel(stage, cursor, step, lists),
        Action::Emit { kind, subject, data } => emit(stage, cursor, (kind, subject.as_ref(), data)),
        Action::Vars(vars) => {
            for (name, shape) in vars {
                let value = eval(stage, cursor, shape)?;
                cursor.set_var(name, value);
            }
            check_size(&cursor.run)?;
            let names: Vec<&str> = vars.iter().map(|(name, _)| &**name).collect();
            Ok(Flow::Done(Value::Null, names.join(", ").into()))
        }
        Action::Rhai(expr) => {
            let value = expr.eval(&cursor.scope, &Reads(stage))?;
            let said = super::start::clipped(&value.to_string());
            Ok(Flow::Done(value, said))
        }
        Action::Log(text) => {
            let text = said(&eval(stage, cursor, text)?);
            stage.say(&cursor.run, text.clone());
            Ok(Flow::Done(Value::Null, text))
        }
        Action::Stop(reason) => {
            let reason = said(&eval(stage, cursor, reason)?);
            Ok(Flow::Over(Status::Done, Cause::new("stop", reason)))
        }
        Action::Fail(reason) => {
            let reason = said(&eval(stage, cursor, reason)?);
            Err(Cause::new("fail", reason).into())
        }
        Action::Level { after } => ladder::level(stage, cursor, step, *after),
        Action::Summit => Ok(ladder::summit(stage, cursor)),
        Action::Branch(_) => Ok(Flow::Go(step.next, "no branch matched".into())),
    }
}

/// The value of a field in the scope of the step.
pub(super) fn eval(stage: &Stage<'_>, cursor: &Cursor, shape: &Shape) -> Result<Value, Fault> {
    Ok(shape.eval(&cursor.scope, &Reads(stage))?)
}

/// A value as text of a story.
fn said(value: &Value) -> Text {
    super::start::clipped(&value.to_string())
}

struct Call<'c> {
    workflow: &'c str,
    args: Value,
    wait: bool,
}

/// Starts a workflow of the same bundle as a child run.
fn call(
    stage: &mut Stage<'_>,
    cursor: &mut Cursor,
    step: &Step,
    call: Call<'_>,
) -> Result<Flow, Fault> {
    let Call { workflow, args, wait } = call;
    let bundle = cursor.bundle.clone();
    let callee = bundle
        .workflow(workflow)
        .cloned()
        .ok_or_else(|| Cause::new("call", format!("there is no workflow `{workflow}`")))?;
    let mut scope = cursor.scope.clone();
    scope.set("args", &args);
    let mut vars = Map::new();
    for (name, shape) in &callee.vars {
        scope.set("vars", &Value::Map(vars.clone()));
        vars.insert(name.clone(), shape.eval(&scope, &Reads(stage))?);
    }
    let seed = Seed {
        bundle: &bundle,
        workflow: &callee,
        event: &cursor.event.event,
        hash: child_hash(cursor, workflow),
        parent: Some(parent_of(cursor)?),
        args,
        vars,
        key: None,
        depth: cursor.run.depth,
        lineage: cursor.run.lineage.clone(),
        look_back: cursor.run.look_back,
        taken: cursor.run.taken.clone(),
        shadow: cursor.run.shadow,
    };
    let until = deadline(stage, step)?;
    let child = begin(stage, seed, Entry::Go)?;
    Ok(called(stage, cursor, child, if wait { Await::Until(until) } else { Await::Not }))
}

/// When the whole of a call or an escalation must be over, if its step says so.
pub(super) fn deadline(stage: &Stage<'_>, step: &Step) -> Result<Option<Instant>, Cause> {
    step.timeout.map(|timeout| time::end(stage, timeout, step.hours.as_deref())).transpose()
}

/// The hash of a child run of the present step.
pub(super) fn child_hash(cursor: &Cursor, workflow: &str) -> Digest {
    let run = &cursor.run;
    Origin::Child(run.hash, run.pc, run.generation).hash(workflow)
}

/// What a child run knows of its caller.
pub(super) fn parent_of(cursor: &Cursor) -> Result<Parent, Cause> {
    let depth = cursor.run.parent.as_ref().map_or(1, |parent| parent.depth + 1);
    if depth > limits::CALL_DEPTH {
        return Err(Cause::new(
            "too_deep",
            format!("calls are nested more than {} deep", limits::CALL_DEPTH),
        ));
    }
    Ok(Parent { run: cursor.run.no, pc: cursor.run.pc, depth })
}

/// Whether a caller waits for its child, and until when at most.
pub(super) enum Await {
    Not,
    Until(Option<Instant>),
}

/// The caller waits for its child, at most until its deadline, or goes on.
pub(super) fn called(
    stage: &mut Stage<'_>,
    cursor: &mut Cursor,
    child: RunNo,
    wait: Await,
) -> Flow {
    trace(stage, &mut cursor.run, Trace::Called(child));
    let Await::Until(until) = wait else {
        let value = Value::from([("run", Value::Int(child.0 as i64))]);
        return Flow::Done(value, "goes on without waiting".into());
    };
    cursor.run.wait = Wait::Child(child, until);
    Flow::Wait
}

/// Emits an event, which the engine then treats like any other.
fn emit(
    stage: &mut Stage<'_>,
    cursor: &mut Cursor,
    (kind, subject, data): (&Shape, Option<&Shape>, &Shape),
) -> Result<Flow, Fault> {
    let run = &cursor.run;
    if run.depth >= limits::CAUSE_DEPTH {
        let message = format!(
            "events cause each other more than {} deep: this is a loop",
            limits::CAUSE_DEPTH
        );
        return Err(Cause::new("loop", message).into());
    }
    let kind = match eval(stage, cursor, kind)? {
        Value::Text(kind) if matches!(Pattern::parse(&kind), Some(Pattern::Exact(_))) => kind,
        other => {
            let message = format!("`{other}` is not the type of an event: write `lead.created`");
            return Err(Cause::new("emit", message).into());
        }
    };
    let subject = match subject {
        None => run.subject.clone(),
        Some(shape) => match eval(stage, cursor, shape)? {
            Value::Null => None,
            Value::Text(text) if !text.is_empty() && text.len() <= limits::SUBJECT_BYTES => {
                Some(text)
            }
            other => {
                let message = format!("`subject` must be text, not {}", other.type_name());
                return Err(Cause::new("emit", message).into());
            }
        },
    };
    let data = eval(stage, cursor, data)?;
    let weight = data.weight();
    if weight > limits::EVENT_BYTES {
        let message = format!("the data has {weight} bytes; at most {}", limits::EVENT_BYTES);
        return Err(Cause::new("too_large", message).into());
    }
    let id = child_hash(cursor, &kind).to_string();
    let draft = Draft {
        id: id.as_str().into(),
        source: format!("adjutant/{}", run.workflow).into(),
        kind: kind.clone(),
        subject,
        time: None,
        data,
        extensions: Map::new(),
    };
    if run.shadow {
        let value = Value::from([("id", Value::from(id)), ("no", Value::Int(0))]);
        return Ok(Flow::Would(value, format!("{kind} is not emitted").into()));
    }
    let lineage = lineage_of(run);
    let no = admit::accept(stage, draft, lineage);
    let value = Value::from([("id", Value::from(id)), ("no", Value::Int(no.0 as i64))]);
    Ok(Flow::Done(value, format!("{kind} is event {no}").into()))
}
