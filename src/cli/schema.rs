//! `adjutant schema`: what editors must know of the files.

use clap::{Args, ValueEnum};

use super::{Exit, screen};
use crate::{rules, scenario};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  adjutant schema > rules.schema.json            for rule files
  adjutant schema scenario > scenario.schema.json

Editors with a YAML language server then complete and check while you type, when the first line says
  # yaml-language-server: $schema=rules.schema.json")]
pub(super) struct Schema {
    /// Of which files
    #[arg(value_name = "FILES", default_value = "rules")]
    of: Of,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Of {
    /// Rule files: each document one of workflow, record, calendar, escalation, purpose
    Rules,
    /// Scenarios of `adjutant test`
    Scenario,
    /// `plugin.yaml`, the manifest of a plugin
    Plugin,
    /// What `adjutant check --format json` prints
    Diagnostics,
}

pub(super) fn run(schema: &Schema) -> Exit {
    let json = match schema.of {
        Of::Rules => rules::schema::rules(),
        Of::Scenario => scenario::schema(),
        Of::Plugin => rules::schema::plugin(),
        Of::Diagnostics => rules::schema::diagnostics(),
    };
    screen::say(&format!("{json:#}\n"));
    Exit::Fine
}
