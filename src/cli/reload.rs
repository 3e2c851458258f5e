//! `adjutant reload`: other rules in force, without a restart.

use clap::Args;
use serde_json::json;

use super::client::Client;
use super::screen::{BAD, BOLD, DIM, Screen, put, styled};
use super::test::{self, Tally};
use super::{Exit, Failure, Globals};
use crate::api::wire;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  adjutant reload --plan               what would change, for how many runs, and whether scenarios pass
  adjutant reload --test               only if every scenario passes
  systemctl reload adjutant            the same by SIGHUP, without scenarios

The daemon reads the rule files, templates and plugins of its configuration. With a mistake in any of
them nothing changes, and every mistake is shown. Runs in flight end with the rules they began with.")]
pub(super) struct Reload {
    /// Say what would change, and change nothing
    #[arg(long)]
    plan: bool,
    /// Play the scenarios of the configured rules first, and reload only if they pass
    #[arg(long)]
    test: bool,
}

pub(super) async fn run(
    reload: Reload,
    globals: &Globals,
    client: &Client,
    screen: &Screen,
) -> Result<Exit, Failure> {
    let passed = !reload.test || test::passes(globals)?;
    if reload.plan {
        let answer = client.post::<wire::Plan>("/-/reload?plan=true", &json!({})).await?;
        let tally = if reload.test { None } else { Some(test::tally(globals)?) };
        let mut json = answer.json.clone();
        if let Some(Tally { passed, failed, broken }) = tally {
            json["scenarios"] = json!({ "passed": passed, "failed": failed, "unread": broken });
        }
        let said = tally.map_or_else(String::new, scenarios);
        screen.show(&json, |_| format!("{}{said}", plan(&answer.value)));
    }
    if !passed {
        let failure = Failure::new(Exit::Failed, "scenarios fail: nothing was changed");
        return Err(failure.help("`adjutant test` says which"));
    }
    if reload.plan {
        return Ok(Exit::Fine);
    }
    let answer = client.post::<wire::Reloaded>("/-/reload", &json!({})).await?;
    screen.show(&answer.json, |_| {
        let wire::Reloaded { workflows, policies, .. } = &answer.value;
        format!("in force: {workflows} workflows, {policies} escalation policies\n")
    });
    Ok(Exit::Fine)
}

/// Whether the scenarios pass, in a line.
fn scenarios(tally: Tally) -> String {
    let Tally { passed, failed, broken } = tally;
    let text = match (passed, failed, broken) {
        (0, 0, false) => return "there are no scenarios\n".to_owned(),
        (_, 0, false) => return format!("scenarios: {passed} pass\n"),
        (_, 0, true) => format!("scenarios: {passed} pass, and not all could be read"),
        (_, _, false) => format!("scenarios: {failed} of {} fail", passed + failed),
        (_, _, true) => {
            format!("scenarios: {failed} of {} fail, and not all could be read", passed + failed)
        }
    };
    format!("{}: `adjutant test` says which\n", styled(BAD, text))
}

fn plan(plan: &wire::Plan) -> String {
    let mut text = String::new();
    let mut same = 0;
    for change in &plan.changes {
        let word = match change.what.as_str() {
            "same" => {
                same += 1;
                continue;
            }
            "removed" => styled(BAD, format_args!("{:8}", change.what)),
            other => styled(BOLD, format_args!("{other:8}")),
        };
        let kind = if change.policy { "  (escalation policy)" } else { "" };
        put(&mut text, format_args!("{word}  {}{kind}\n", change.name));
        for version in &change.versions {
            let runs = if version.runs == 1 { "run keeps" } else { "runs keep" };
            let short = version.bundle.get(..12).unwrap_or(&version.bundle);
            let line =
                format_args!("          {} {runs} version {}\n", version.runs, styled(DIM, short));
            put(&mut text, line);
        }
        if change.timers > 0 {
            let timers = if change.timers == 1 { "timer or count" } else { "timers and counts" };
            put(
                &mut text,
                format_args!("          {} {timers} of its triggers begin anew\n", change.timers),
            );
        }
    }
    if text.is_empty() {
        text.push_str("nothing would change\n");
    }
    if same > 0 {
        put(&mut text, format_args!("{}\n", styled(DIM, format_args!("{same} stay as they are"))));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_names_what_changes_and_whom_it_leaves_alone() {
        let change = |name: &str, what: &str, runs: usize, timers| wire::Change {
            name: name.to_owned(),
            policy: false,
            what: what.to_owned(),
            versions: vec![wire::Version { bundle: "0123456789abcdef".to_owned(), runs }],
            timers,
        };
        let told = wire::Plan {
            changes: vec![
                change("a", "changed", 3, 2),
                change("b", "same", 1, 0),
                change("c", "removed", 1, 0),
            ],
        };
        let text = anstream::adapter::strip_str(&plan(&told)).to_string();
        assert_eq!(
            text,
            "changed   a\n          3 runs keep version 0123456789ab\n          \
             2 timers and counts of its triggers begin anew\nremoved   c\n          \
             1 run keeps version 0123456789ab\n1 stay as they are\n"
        );
    }
}
