//! What an expression says about the world around it: steps, variables, secrets, indexes, times.

use std::ops::Range;

use crate::model::Text;
use crate::script;

use super::compile::{Cx, Place};
use super::expressions::{self, Mention};
use super::reach::{Of, Read};
use super::suggest;
use super::yaml::Node;

impl Cx<'_> {
    /// Checks what an expression at byte `from` of a scalar's text says about steps, variables,
    /// secrets and indexes.
    pub(super) fn check_mentions(
        &mut self,
        node: &Node,
        source: &str,
        from: usize,
        place: Place,
        lenient: bool,
    ) {
        self.check_members(node, source, from, place);
        self.used.words.extend(expressions::callable(source).map(Text::from));
        // What a closure or a `foreach` calls so is another thing.
        let (hidden, items) = (script::parameters(source), self.local.items.clone());
        let sees = |name: &str| {
            place.sees(name) && !hidden.contains(&name) && !items.iter().any(|item| **item == *name)
        };
        for (mention, span) in expressions::mentions(source) {
            let file = &self.sink.file.text;
            let within = span.clone();
            let span = || node.place(file, from + span.start..from + span.end);
            match mention {
                Mention::Step(id) if sees("steps") && !self.local.ids.contains_key(id) => {
                    let hint = hint_or(id, self.local.ids.keys(), "no step here has an `id`");
                    let message = format!("no step has the id `{id}`");
                    self.sink.error("unknown-step", span(), message).help(hint);
                }
                Mention::Step(id) if sees("steps") => {
                    let member = member_of(source, &within).filter(|_| !lenient);
                    self.reads(Of::Step, id, span(), member);
                }
                Mention::Var(name) if sees("vars") && !self.local.vars.contains(name) => {
                    let hint = hint_or(name, &self.local.vars, "there are no variables here");
                    let message = format!("there is no variable `vars.{name}` here");
                    self.sink.error("unknown-variable", span(), message).help(hint);
                }
                Mention::Var(name) if sees("steps") && self.local.set_later.contains_key(name) => {
                    self.reads(Of::Var, name, span(), None);
                }
                Mention::Secret if !place.takes_secret() => {
                    self.sink.error("secret", span(), "a secret cannot be used here")
                        .help("`secret(…)` may stand in the `headers` and the `query` of a `webhook` step and in the `args` of an `action` step only, so that it never reaches a log, a mail or the store");
                }
                Mention::Index(kind, index) => self.check_index(kind, index, span()),
                // A stored version was sound when it was stored.
                Mention::Span(text) if self.directory.is_some() => self.check_span(span(), text),
                Mention::Time(text) if self.directory.is_some() => self.check_time(span(), text),
                _ => {}
            }
        }
    }

    /// Notes that the step being compiled reads something that a step leaves.
    fn reads(&mut self, of: Of, name: &str, span: Range<usize>, member: Option<Text>) {
        let Some(at) = self.local.at else { return };
        let place = (self.sink.file.name.clone(), span);
        self.local.reads.push(Read { of, name: name.into(), at, place, used: None, member });
    }

    fn check_index(&mut self, kind: &str, index: &str, span: Range<usize>) {
        let Some(directory) = self.directory else { return };
        let known = directory.indexes(kind);
        if known.is_some_and(|known| known.iter().any(|name| **name == *index)) {
            return;
        }
        if known.is_none() && directory.incomplete {
            return;
        }
        let near = suggest::nearest(index, known.into_iter().flatten().map(|name| &**name));
        let help = match (near, known) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(_)) => format!("add it to `index` of the document `record: {kind}`"),
            (None, None) => {
                format!("declare it in a document: `record: {kind}` with `index: [{index}]`")
            }
        };
        let message = format!("records of kind `{kind}` have no index `{index}`");
        self.sink.error("unknown-index", span, message).help(help);
    }
}

/// What is read of a result whose id stands at `id`, unless something is said for the case that it is missing.
fn member_of(source: &str, id: &Range<usize>) -> Option<Text> {
    let path = script::paths(source)
        .into_iter()
        .find(|path| path.get(1).is_some_and(|(_, span)| span == id))?;
    let (member, span) = path.get(2)?;
    let asks = ["??", "if ", "&&", "||"].iter().any(|sign| source.contains(sign));
    let asked = asks || source[..span.start].contains("?.");
    (!asked).then(|| Text::from(*member))
}

fn hint_or<'n>(
    written: &str,
    known: impl IntoIterator<Item = &'n Text>,
    otherwise: &str,
) -> String {
    suggest::hint(written, known.into_iter().map(|name| &**name))
        .unwrap_or_else(|| otherwise.to_owned())
}
