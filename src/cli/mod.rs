//! The command line: one file per command, what they share around them.
//!
//! Commands that need the daemon speak HTTP to it ([`client`]), over the Unix socket in the data
//! directory or to `--url`, and print what it says: tables and stories for people, the API's own JSON
//! with `--json`. What goes wrong is a [`Failure`] with one exit code.

mod action_settings;
mod approvals;
mod audit;
mod backtest;
mod check;
mod client;
mod docs;
mod emit;
mod escalations;
mod events;
mod explain;
mod failure;
mod import;
mod log;
mod migrate;
mod plugin;
mod records;
mod reload;
mod rule_files;
mod runs;
mod schema;
mod screen;
mod serve;
mod socket;
mod story;
mod test;
mod test_mutate;
mod test_record;
mod test_report;
mod workflows;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ColorChoice, Parser, Subcommand};

use client::Client;
pub use failure::{Exit, Failure};
use screen::Screen;

/// Runs workflows that react to what happens in a business.
#[derive(Debug, Parser)]
#[command(
    name = "adjutant",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 fine, 1 a check failed or the daemon refused, 2 usage, 69 the daemon \
                  cannot be reached, 74 storage failed, 75 try again, 78 bad configuration.",
    after_long_help = AFTER_HELP
)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  adjutant check                                   are the rules sound?
  adjutant test                                    do they do what they should?
  adjutant serve                                   run the daemon
  adjutant emit lead.created --subject lead/42 --data email=ana@x.example
  adjutant runs list --status failed               what went wrong?
  adjutant runs show 17                            the whole story of a run

Exit codes:
  0 fine   1 a check failed, or the daemon refused   2 usage   69 the daemon cannot be reached
  74 storage failed   75 try again   78 bad configuration";

/// What every command takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Globals {
    /// Configuration file [default: `$ADJUTANT_CONFIG`, or ./adjutant.yaml if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Ask a daemon at this address instead of the one with our data directory
    #[arg(long, global = true, value_name = "URL", env = "ADJUTANT_URL")]
    pub(crate) url: Option<String>,
    /// Token for --url
    #[arg(long, global = true, env = "ADJUTANT_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colours; `NO_COLOR` is honoured
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Serve(serve::Serve),
    /// Check rules, plugins, templates and the configuration
    Check(check::Check),
    /// Play scenarios on virtual time: do the rules do what they should?
    Test(test::Test),
    /// Replay stored events through other rules: what would they have done?
    Backtest(backtest::Backtest),
    /// Send an event
    Emit(emit::Emit),
    /// Send the rows of files as events
    Import(import::Import),
    /// What runs are doing; end them, or go on with them
    #[command(subcommand)]
    Runs(runs::Runs),
    /// What the rules remember
    #[command(subcommand)]
    Records(records::Records),
    /// Ladders, and who is on them
    #[command(subcommand)]
    Escalations(escalations::Escalations),
    /// What people are asked to decide; decide it
    #[command(subcommand)]
    Approvals(approvals::Approvals),
    /// Verify the ledgers, and print how far they are
    #[command(subcommand)]
    Audit(audit::Audit),
    /// What came in, and what each workflow said to it
    #[command(subcommand)]
    Events(events::Events),
    /// Why a workflow did or did not react to an event, or why a run is where it is
    Explain(explain::Explain),
    /// Let workflows start again
    #[command(subcommand)]
    Workflows(workflows::Workflows),
    /// Print the JSON Schema of rule files, scenarios or manifests, for editors
    Schema(schema::Schema),
    /// Move waiting runs to the version of their workflow that is in force
    Migrate(migrate::Migrate),
    /// Make a plugin to begin with
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Write a reference of the language, or of the configured workflows, as Markdown
    Docs(docs::Docs),
    /// Put the rule files in force, without a restart
    Reload(reload::Reload),
}

/// Parses the command line, does what it says, and answers how it ended.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { globals, command } = Cli::parse();
    screen::choose_colors(globals.color);
    match run(&globals, command) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            screen::complain(&failure);
            failure.exit.into()
        }
    }
}

fn run(globals: &Globals, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Serve(serve) => serve::run(&serve, globals),
        Command::Check(check) => check::run(&check, globals),
        Command::Test(test) => test::run(&test, globals),
        Command::Schema(schema) => Ok(schema::run(&schema)),
        Command::Docs(docs) => docs::run(&docs, globals),
        Command::Plugin(plugin) => plugin::run(&plugin, globals),
        Command::Backtest(backtest) => {
            here(async || backtest::run(backtest, globals, &Screen::new(globals)).await)
        }
        Command::Emit(emit) => {
            ask(globals, async |client, screen| emit::run(emit, client, screen).await)
        }
        Command::Import(import) => {
            ask(globals, async |client, screen| import::run(import, client, screen).await)
        }
        Command::Runs(runs) => {
            ask(globals, async |client, screen| runs::run(runs, client, screen).await)
        }
        Command::Records(records) => {
            ask(globals, async |client, screen| records::run(records, client, screen).await)
        }
        Command::Audit(audit) => {
            ask(globals, async |client, screen| audit::run(audit, client, screen).await)
        }
        Command::Approvals(approvals) => {
            ask(globals, async |client, screen| approvals::run(approvals, client, screen).await)
        }
        Command::Escalations(escalations) => {
            ask(globals, async |client, screen| escalations::run(escalations, client, screen).await)
        }
        Command::Events(events) => {
            ask(globals, async |client, screen| events::run(events, client, screen).await)
        }
        Command::Explain(explain) => {
            ask(globals, async |client, screen| explain::run(explain, client, screen).await)
        }
        Command::Workflows(workflows) => {
            ask(globals, async |client, screen| workflows::run(workflows, client, screen).await)
        }
        Command::Migrate(migrate) => {
            ask(globals, async |client, screen| migrate::run(migrate, client, screen).await)
        }
        Command::Reload(reload) => {
            ask(globals, async |client, screen| reload::run(reload, globals, client, screen).await)
        }
    }
}

/// Does something that needs the daemon.
fn ask(
    globals: &Globals,
    work: impl AsyncFnOnce(&Client, &Screen) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let client = Client::new(globals)?;
    let screen = Screen::new(globals);
    here(async || work(&client, &screen).await)
}

/// Does something that waits, on this thread.
fn here(work: impl AsyncFnOnce() -> Result<Exit, Failure>) -> Result<Exit, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(Exit::Again, format!("no runtime could be started: {error}"))
        })?
        .block_on(work())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in [
            &["adjutant", "--config", "a.yaml", "--json", "runs", "list"][..],
            &["adjutant", "runs", "list", "--config", "a.yaml", "--json"],
        ] {
            let cli = Cli::try_parse_from(line).unwrap();
            assert_eq!(cli.globals.config.as_deref(), Some(std::path::Path::new("a.yaml")));
            assert!(cli.globals.json);
        }
    }

    #[test]
    fn every_command_has_examples() {
        fn check(command: &mut clap::Command) {
            let subcommands: Vec<String> =
                command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
            if subcommands.is_empty() {
                let help = command.render_long_help().to_string();
                assert!(help.contains("Examples:\n  adjutant "), "{}", command.get_name());
            }
            for name in subcommands.iter().filter(|name| *name != "help") {
                check(command.find_subcommand_mut(name).unwrap());
            }
        }
        check(&mut <Cli as clap::CommandFactory>::command());
    }
}
