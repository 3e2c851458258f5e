//! What is known of the members of things that expressions read: of an event, of an error, of a step's result.

use std::ops::Range;

use crate::script;

use super::compile::{Cx, Place};
use super::lint::may_miss;
use super::suggest;
use super::yaml::Node;

/// Of an event, as CloudEvents 1.0 names them; what a sender adds stands beside them.
pub(super) const EVENT: [&str; 6] = ["data", "id", "source", "subject", "time", "type"];
/// Of an error.
pub(super) const ERROR: [&str; 2] = ["code", "message"];

/// The members of what a step with this main key comes to; `None`: they are not known.
fn result_of(main: &str) -> Option<&'static [&'static str]> {
    Some(match main {
        "email" => &["message", "suppressed", "held_back", "outbox"],
        "webhook" => &["status", "headers", "body", "truncated"],
        "wait_for" => &["event", "timed_out"],
        "escalate" => &["event", "level", "acknowledged_by", "run"],
        "emit" => &["id", "no"],
        "delay" | "vars" | "log" | "stop" | "fail" | "then" | "switch" => &[],
        _ => return None,
    })
}

impl Cx<'_> {
    /// Reports members that are not there, in an expression at byte `from` of a scalar's text.
    pub(super) fn check_members(&mut self, node: &Node, source: &str, from: usize, place: Place) {
        // A stored version was sound when it was stored.
        if self.directory.is_none() {
            return;
        }
        for path in script::paths(source) {
            let [(root, _), (first, at), rest @ ..] = &path[..] else { continue };
            if self.local.items.iter().any(|item| **item == **root) {
                continue;
            }
            let mut say = |span: &Range<usize>, message: String, help: String| {
                let span = node.place(&self.sink.file.text, from + span.start..from + span.end);
                self.sink.error("unknown-attribute", span, message).help(help);
            };
            match *root {
                "event" | "trigger" if place.sees(root) => {
                    let wrong = no_attribute(first).filter(|_| !may_miss(source, at));
                    if let Some((message, near)) = wrong {
                        say(at, message, meant(near, first));
                    }
                }
                "error" if place.sees_error() && !ERROR.contains(first) => {
                    let help = suggest::hint(first, ERROR).unwrap_or_default();
                    say(at, format!("an error has no `{first}`"), help);
                }
                "steps" if place.sees(root) => {
                    let main = self.local.ids.get(*first).and_then(|given| given.main);
                    let ([(member, at), rest @ ..], Some(main)) = (rest, main) else { continue };
                    let Some(known) = result_of(main) else { continue };
                    if known.is_empty() {
                        let message = format!("the `{main}` step `{first}` has no result");
                        say(at, message, "its result is nothing, `()`".to_owned());
                    } else if !known.contains(member) {
                        let message =
                            format!("the result of the `{main}` step `{first}` has no `{member}`");
                        say(
                            at,
                            message,
                            suggest::hint(member, known.iter().copied()).unwrap_or_default(),
                        );
                    } else if let (&"event", [(attribute, at), ..]) = (member, rest)
                        && let Some((message, near)) = no_attribute(attribute)
                        && !may_miss(source, at)
                    {
                        say(at, message, meant(near, attribute));
                    }
                }
                _ => {}
            }
        }
    }
}

/// Why this is no attribute of an event, and the one that was meant. One that is like none of them may be an
/// extension of its sender.
pub(super) fn no_attribute(name: &str) -> Option<(String, &'static str)> {
    if EVENT.contains(&name) {
        return None;
    }
    let near = suggest::nearest(name, EVENT)?;
    Some((format!("an event has no attribute `{name}`"), near))
}

fn meant(near: &str, written: &str) -> String {
    format!(
        "did you mean `{near}`? An attribute that its sender adds is read by `.get(\"{written}\")`"
    )
}
