//! `echo:` the example of `ARCHITECTURE.md`, section "To add an action". It is there in tests only.

use super::params::Params;
use crate::model::{Cause, Command, Outcome, Value};

/// Says it back: the step's result is `{ said }`.
pub(crate) fn perform(command: &Command) -> Outcome {
    match said(command) {
        Ok(said) => Outcome::Done(Value::from([("said", Value::from(said))])),
        Err(cause) => Outcome::Failed(cause),
    }
}

fn said(command: &Command) -> Result<String, Cause> {
    let params = Params::of(command)?;
    let text = params.needed("text")?;
    Ok(if params.flag("loud", false)? { text.to_uppercase() } else { text.to_string() })
}
