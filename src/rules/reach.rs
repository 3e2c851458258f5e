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
        if there {
            continue;
        }
        told.push(read.place.clone());
        report(cx, steps, read, &left);
    }
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
        let mut to = |pc: Pc| {
            if let Some(reached) = reached.get_mut(pc as usize) {
                *reached = true;
            }
        };
        to(step.next);
        step.on_error.into_iter().for_each(&mut to);
        match &step.action {
            Action::WaitFor { on_timeout, .. } => on_timeout.iter().copied().for_each(to),
            Action::Branch(arms) => arms.iter().map(|arm| arm.target).for_each(to),
            Action::ForEach(each) => to(each.body),
            Action::Parallel(lists) => lists.iter().copied().for_each(to),
            _ => {}
        }
    }
    reached
}
