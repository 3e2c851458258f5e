//! `adjutant docs`: the language and the workflows as Markdown.

use clap::{Args, ValueEnum};

use super::rule_files::{self, Checked, config_or_fail};
use super::{Exit, Failure, Globals, screen};
use crate::rules::{Files, Look, RuleSet, reference, render};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  adjutant docs language > REFERENCE.md     documents, triggers, steps, functions, diagnostics
  adjutant docs workflows > WORKFLOWS.md    the configured workflows, each with a diagram (Mermaid)")]
pub(super) struct Docs {
    /// Of what
    #[arg(value_name = "WHAT", default_value = "language")]
    of: Of,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Of {
    /// The rule language
    Language,
    /// The workflows and escalation policies of the configured rules
    Workflows,
}

pub(super) fn run(docs: &Docs, globals: &Globals) -> Result<Exit, Failure> {
    let text = match docs.of {
        Of::Language => {
            let nothing = RuleSet::empty();
            let nothing = nothing
                .map_err(|_| Failure::new(Exit::Failed, "the functions could not be read"))?;
            reference::language(&nothing.sandbox)
        }
        Of::Workflows => {
            let config = config_or_fail(globals)?;
            let (folders, plugins) = (&config.rules, rule_files::plugins(&config));
            let context = rule_files::context(&config);
            let Checked { sources, rules, found } = rule_files::check(folders, &plugins, &context);
            let Some(rules) = rules else {
                let text = render(&found, &Files::of(sources.files()), Look::Coloured);
                return Err(Failure::report(Exit::Failed, text));
            };
            reference::workflows(&rules)
        }
    };
    screen::say(&text);
    Ok(Exit::Fine)
}
