//! What is right by itself and probably wrong together: warnings about a whole rule set.

mod args;
mod branches;
mod circles;
mod empty;
mod fields;
mod rows;
mod starts;
mod talk;
mod walk;

pub(super) use walk::{each_step, may_miss};

use std::collections::BTreeSet;
use std::ops::Range;

use crate::model::{Name, Text};

use super::diagnostic::{Diagnostic, SourceFile};
use super::yaml::Node;

/// A workflow, a policy or a kind of records as it is written.
#[derive(Clone, Copy)]
pub(super) struct Written<'s> {
    /// Its name.
    pub name: &'s str,
    /// Its file.
    pub file: &'s SourceFile,
    /// Its document.
    pub root: &'s Node,
}

/// Where something stands.
type At<'s> = (&'s SourceFile, Range<usize>);

/// Everything that is worth a second look: in files without a mistake, and between the documents unless some
/// of them could not be read.
///
/// `written` are workflows and policies, then come the `team:` and the `record:` documents; `hooks` the inbound webhooks.
pub(super) fn check(
    (written, teams, records): (&[Written<'_>], &[Written<'_>], &[Written<'_>]),
    hooks: &BTreeSet<Name>,
    incomplete: bool,
    out: &mut Vec<Diagnostic>,
) {
    let broken: BTreeSet<Text> =
        out.iter().filter(|one| one.is_error()).map(|one| one.primary.file.clone()).collect();
    if !incomplete {
        let talk = talk::Talk::of(written);
        talk.unheard(out);
        talk.misheard(out);
        circles::check(&talk, out);
        talk.unmade(hooks, out);
        fields::same_field(written, out);
        args::unknown(written, &broken, out);
        rows::check(written, teams, records, out);
    }
    let called = walk::called(written);
    for one in written.iter().filter(|one| !broken.contains(&one.file.name)) {
        for steps in walk::blocks(one.root) {
            branches::unreachable(one.file, steps, out);
        }
        empty::may_be_empty(one, out);
        starts::check(one, called.contains(one.name), out);
    }
}
