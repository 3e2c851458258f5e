//! What can have been done before a step. A result that is read must come of a step that leads there; one
//! that never does is a mistake, whatever happens.
//!
//! Targets of a flattened list all lie further down, so one pass over the list finds what a step leads to.

use std::ops::Range;

use crate::model::Text;

use super::compile::Cx;
use super::diagnostic::Diagnostic;
use super::program::{Action, Pc, Step};

/// Something that a step reads of what other steps leave.
#[derive(Clone, Debug)]
pub(super) struct Read {
    /// Whose.
    pub of: Of,
    /// Its name.
    pub name: Text,
    /// The step that reads it.
    pub at: Pc,
    /// Where it is read: an expression of the rule, or a template.
    pub place: (Text, Range<usize>),
    /// For a template: where the rule names it.
    pub used: Option<Range<usize>>,
    /// What is read of it, where nothing is said for the case that it is missing: of `steps.a.b` it is `b`.
    pub member: Option<Text>,
}

/// Whose: `steps.<id>`, or `vars.<name>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// The result of a step.
    Step,
    /// A variable that only steps set.
    Var,
}

impl Of {
    fn is_left_by(self, step: &Step, name: &Text) -> bool {
        match (self, &step.action) {
            (Self::Step, _) => step.id.as_ref() == Some(name),
            (Self::Var, Action::Vars(vars)) => vars.iter().any(|(var, _)| var == name),
            (Self::Var, _) => false,
        }
    }

    const fn root(self) -> &'static str {
        match self {
            Self::Step => "steps",
            Self::Var => "vars",
        }
    }
}

/// Reports what is read where it can never be there. `on_failure` is where the steps begin that are done after
/// any other has failed.
pub(super) fn check(cx: &mut Cx<'_>, steps: &[Step], on_failure: Option<Pc>) {
    let reads = std::mem::take(&mut cx.local.reads);
    if cx.directory.is_none() {
        return;
    }
    let mut told: Vec<(Text, Range<usize>)> = Vec::new();
    for read in &reads {
        // The rounds of a ladder read the same again.
        let same = |other: &&Read| {
            (other.of, &other.name, &other.place) == (read.of, &read.name, &read.place)
        };
        if told.contains(&read.place) {
            continue;
        }
        let left: Vec<Pc> = (0..)
            .zip(steps)
            .filter(|(_, step)| read.of.is_left_by(step, &read.name))
            .map(|(pc, _)| pc)
            .collect();
        // Who leaves it is wrong itself, and not compiled.
        if left.is_empty() {
            continue;
        }
        let reached = led_to(steps, &left);
        let there = reads.iter().filter(same).any(|read| {
            let after = on_failure.is_some_and(|begin| read.at >= begin && left[0] < begin);
            let itself = read.of == Of::Var && left.contains(&read.at);
            after || itself || reached.get(read.at as usize).is_none_or(|reached| *reached)
        });
        told.push(read.place.clone());
        if !there {
            report(cx, steps, read, &left);
        } else if let Some((why, help)) = missable(steps, &reads, read, &left, on_failure) {
            // Templates handle what is missing themselves, so it stands in this file.
            let (_, span) = &read.place;
            let message = format!("`steps.{}` may not be there: {why}", read.name);
            let given = cx.local.ids.get(&read.name).map(|given| given.at.clone());
            let file = cx.sink.file.name.clone();
            let warning = cx.sink.warning("may-be-missing", span.clone(), message);
            if let Some(given) = given {
                warning.also(&file, given, "this step's result");
            }
            warning.help(help);
        }
    }
}

/// Why a result that is read as if it were always there may be missing, and what to do about it.
///
/// Only what is surely done although the other step may not be is looked at: who stands in a branch of its own,
/// or says `if`, may well ask for the same.
fn missable(
    steps: &[Step],
    reads: &[Read],
    read: &Read,
    left: &[Pc],
    on_failure: Option<Pc>,
) -> Option<(&'static str, String)> {
    let (member, [left]) = (read.member.as_ref()?, left) else { return None };
    let (reader, giver) = (steps.get(read.at as usize)?, steps.get(*left as usize)?);
    let apart = on_failure.is_some_and(|begin| read.at >= begin);
    if read.of == Of::Var || reader.guard.is_some() || apart || !shares_branches(reader, giver) {
        return None;
    }
    let name = &read.name;
    // Who asks for it elsewhere has thought of it.
    let asks = |other: &Read| other.of == Of::Step && other.name == *name && other.member.is_none();
    let inside = |fan: &Step| {
        fan.guard.is_some()
            && matches!(fan.action, Action::ForEach(_) | Action::Parallel(_))
            && reader.path.strip_prefix(&*fan.path).is_some_and(|rest| rest.starts_with('.'))
    };
    // And what stands between the two may have ended the run where it is not there.
    let ends = |step: &Step| matches!(step.action, Action::Stop(_) | Action::Fail(_));
    let between = steps.get(*left as usize..read.at as usize).unwrap_or_default();
    let ended = giver.guard.is_some() && between.iter().any(ends);
    if ended || reads.iter().any(asks) || steps.iter().any(inside) {
        return None;
    }
    if giver.guard.is_some() {
        let help = format!(
            "where it was left out it is nothing: `steps.{name}?.{member} ?? …`, or the same `if` here"
        );
        return Some(("its step has an `if`", help));
    }
    let asked = |other: &Read| {
        other.of == Of::Step && other.name == *name && other.member.as_deref() == Some("timed_out")
    };
    if let (Action::WaitFor { on_timeout, .. }, "event") = (&giver.action, &**member)
        && !reads.iter().any(asked)
        && goes_on(steps, on_timeout.unwrap_or(giver.next), None)[read.at as usize]
    {
        let help = format!(
            "ask before: `if: not(steps.{name}.timed_out)`, or write `steps.{name}?.event?.… ?? …`"
        );
        return Some(("there is no event when time was up", help));
    }
    if goes_on(steps, 0, Some(*left))[read.at as usize] {
        let help =
            format!("put that step before the branches, or write `steps?.{name}?.{member} ?? …`");
        return Some(("its step is not done on every way to here", help));
    }
    None
}

/// Whether all branches around a step are also around the other.
fn shares_branches(reader: &Step, giver: &Step) -> bool {
    let arms = [".then[", ".else[", ".switch[", ".on_timeout[", ".on_error[", ".parallel["];
    arms.iter().all(|arm| {
        reader.path.match_indices(arm).all(|(at, _)| {
            let end =
                reader.path[at + arm.len()..].find(']').map_or(at, |end| at + arm.len() + end);
            let around = match *arm {
                // The number is that of a case or a list; otherwise that of a step in it.
                ".switch[" | ".parallel[" => &reader.path[..=end],
                _ => &reader.path[..at + arm.len()],
            };
            giver.path.starts_with(around)
        })
    })
}

/// Which steps a run comes to from a step on, without having done another.
fn goes_on(steps: &[Step], from: Pc, without: Option<Pc>) -> Vec<bool> {
    let mut reached = vec![false; steps.len() + 1];
    if let Some(begin) = reached.get_mut(from as usize) {
        *begin = true;
    }
    for (at, step) in steps.iter().enumerate() {
        if !reached[at] {
            continue;
        }
        let ends = matches!(step.action, Action::Stop(_) | Action::Fail(_)) && step.guard.is_none();
        let done = Some(at as Pc) == without;
        each_target(step, &mut |pc, way| {
            let goes = match way {
                Way::Failed => true,
                Way::Done => !ends && !done,
            };
            if let Some(reached) = reached.get_mut(pc as usize).filter(|_| goes) {
                *reached = true;
            }
        });
    }
    reached
}

fn report(cx: &mut Cx<'_>, steps: &[Step], read: &Read, left: &[Pc]) {
    let file = cx.sink.file.name.clone();
    let (root, name) = (read.of.root(), &read.name);
    let (why, help) = why(steps, read, left);
    let message = format!("`{root}.{name}` cannot be there yet: {why}");
    let begun = match read.of {
        Of::Step => cx.local.ids.get(name).map(|given| given.at.clone()),
        Of::Var => cx.local.set_later.get(name).cloned(),
    };
    let (place, span) = &read.place;
    let diagnostic: &mut Diagnostic = cx.sink.error_in(place, "not-yet", span.clone(), message);
    if let Some(used) = &read.used {
        diagnostic.also(&file, used.clone(), "this step uses the template");
    }
    if let Some(begun) = begun {
        let text = match read.of {
            Of::Step => "this step's result",
            Of::Var => "set here",
        };
        diagnostic.also(&file, begun, text);
    }
    diagnostic.help(help);
}

/// Why what is read is never there, and what to do about it.
fn why(steps: &[Step], read: &Read, left: &[Pc]) -> (&'static str, &'static str) {
    if left.contains(&read.at) {
        return (
            "it comes of this very step",
            "a result is there for the steps that follow; `old` in the `set` of a `record` step is what was there before",
        );
    }
    // The list of steps of a fan that a step stands in: `parallel[1]`.
    let list = |pc: Pc, fan: &Step| -> Option<&str> {
        let rest = steps.get(pc as usize)?.path.strip_prefix(&*fan.path)?.strip_prefix('.')?;
        match fan.action {
            Action::Parallel(_) => rest.split(']').next(),
            _ => Some("steps"),
        }
    };
    for fan in steps {
        if !matches!(fan.action, Action::ForEach(_) | Action::Parallel(_)) {
            continue;
        }
        let inside = list(left[0], fan);
        if inside.is_some() && inside != list(read.at, fan) {
            return (
                "what is done beside the run stays inside",
                "the result of the `foreach` or `parallel` step itself says how each of them ended; to hand over more, write it to a record inside and read the record here",
            );
        }
    }
    if led_to(steps, &[read.at]).get(left[0] as usize) == Some(&true) {
        return ("its step comes later", "put that step before this one");
    }
    (
        "its step stands in another branch, and only one of them is done",
        "put that step before the branches, or read it in its own",
    )
}

/// Which steps any of these lead to; one more than there are, for the end.
fn led_to(steps: &[Step], from: &[Pc]) -> Vec<bool> {
    let mut reached = vec![false; steps.len() + 1];
    for (at, step) in steps.iter().enumerate() {
        if !reached[at] && !from.contains(&(at as Pc)) {
            continue;
        }
        each_target(step, &mut |pc, _| {
            if let Some(reached) = reached.get_mut(pc as usize) {
                *reached = true;
            }
        });
    }
    reached
}

/// How a run leaves a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Done,
    Failed,
}

/// Every step at which a run may go on behind a step.
fn each_target(step: &Step, to: &mut dyn FnMut(Pc, Way)) {
    let otherwise = matches!(&step.action, Action::Branch(arms)
        if step.guard.is_none() && arms.last().is_some_and(|arm| arm.condition.is_none()));
    if !otherwise {
        to(step.next, Way::Done);
    }
    if let Some(handler) = step.on_error {
        to(handler, Way::Failed);
    }
    match &step.action {
        Action::WaitFor { on_timeout, .. } => on_timeout.iter().for_each(|pc| to(*pc, Way::Done)),
        Action::Approve(approve) => {
            to(approve.ask, Way::Done);
            approve.on_timeout.iter().for_each(|pc| to(*pc, Way::Done));
        }
        Action::Branch(arms) => arms.iter().for_each(|arm| to(arm.target, Way::Done)),
        Action::ForEach(each) => to(each.body, Way::Done),
        Action::Parallel(lists) => lists.iter().for_each(|pc| to(*pc, Way::Done)),
        _ => {}
    }
}
