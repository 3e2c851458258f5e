//! `adjutant reload`: other rules in force, without a restart.

use clap::Args;
use serde_json::json;

use super::client::Client;
use super::screen::Screen;
use super::{Exit, Failure};
use crate::api::wire;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  adjutant check && adjutant reload
  systemctl reload adjutant            the same by SIGHUP

The daemon reads the rule files, templates and plugins of its configuration. With a mistake in any of
them nothing changes, and every mistake is shown. Runs in flight end with the rules they began with.")]
pub(super) struct Reload {}

pub(super) async fn run(_: Reload, client: &Client, screen: &Screen) -> Result<Exit, Failure> {
    let answer = client.post::<wire::Reloaded>("/-/reload", &json!({})).await?;
    screen.show(&answer.json, |_| {
        let wire::Reloaded { workflows, policies, .. } = &answer.value;
        format!("in force: {workflows} workflows, {policies} escalation policies\n")
    });
    Ok(Exit::Fine)
}
