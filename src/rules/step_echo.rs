//! `echo:` the example of `ARCHITECTURE.md`, section "To add an action". It is there in tests only.

use super::compile::{Cx, Place};
use super::decode::Fields;
use super::program::Action;
use super::yaml::Node;

/// `echo:` with `loud`.
pub(super) fn echo(
    cx: &mut Cx<'_>,
    text: &Node,
    fields: Fields<'_>,
    place: Place,
) -> Option<Action> {
    let text = cx.text_shape(text, "echo", place);
    let loud = match fields.get("loud") {
        Some(node) => cx.sink.boolean(node, "loud"),
        None => Some(false),
    };
    Some(Action::Echo(text?, loud?))
}
