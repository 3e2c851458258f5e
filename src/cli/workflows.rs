//! `adjutant workflows`: what is to be done about a workflow as a whole.

use clap::Subcommand;
use serde_json::json;

use super::client::{Client, part};
use super::screen::Screen;
use super::{Exit, Failure};
use crate::api::wire;

#[derive(Debug, Subcommand)]
pub(super) enum Workflows {
    /// Let a workflow start runs again after its storm breaker has tripped
    #[command(after_help = "\
Examples:
  adjutant workflows reset lead-response

The breaker trips when events caused by other runs start a workflow 20,000 times in a minute: then rules
cause each other. Events keep coming in meanwhile, and say `storm` in their verdicts; they are not made
up for.")]
    Reset {
        /// Its name
        workflow: String,
    },
}

pub(super) async fn run(
    workflows: Workflows,
    client: &Client,
    screen: &Screen,
) -> Result<Exit, Failure> {
    let Workflows::Reset { workflow } = workflows;
    let path = format!("/v1/workflows/{}/reset", part(&workflow));
    let answer = client.post::<wire::Done>(&path, &json!({})).await?;
    screen.show(&answer.json, |_| format!("workflow {workflow}: starts runs again\n"));
    Ok(Exit::Fine)
}
