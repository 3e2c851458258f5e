//! What the simulation stays away from: where the engine is known not to keep an invariant. Each function
//! is one such place and is to go when that is mended; nothing else in the simulation knows of them.

use adjutant::model::{Operator, Run, Status};
use serde_json::Value;

/// Workflows whose documents hold nothing that [`may_be_asked`] has to keep apart.
pub(crate) const PLAIN: [&str; 4] = ["gamma", "delta", "callee", "helper"];

/// A reload may not take `max` away, nor a workflow that has it: runs of other keys than the one that ends
/// next would stay in the queue until their lifetime is over.
pub(crate) fn may_lose(document: Option<&Value>) -> bool {
    document.is_none_or(|document| document.get("max").is_none())
}

/// A failed run whose last attempt may have been performed is tried again under the same keys. Its
/// `on_failure`, done a second time, would repeat the keys of effects, children and events of the first; and
/// the step that failed is evaluated anew, so what was read from a record may say something else under the
/// same key. Only plain workflows are tried again then.
pub(crate) fn may_be_asked(operator: &Operator, run: Option<&Run>) -> bool {
    let Operator::Retry { assume_done: false, .. } = operator else { return true };
    run.is_none_or(|run| {
        run.status != Status::Failed || !run.uncertain || PLAIN.contains(&&*run.workflow)
    })
}

/// A run that waits in the queue when its lifetime is over becomes active for its `on_failure`, whoever has
/// its place. So what handles a failure counts for no `mode` and no `max`.
pub(crate) fn counts(run: &Run) -> bool {
    run.slot && run.failing.is_none()
}
