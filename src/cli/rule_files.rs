//! The rule set that the configuration names: its files read, compiled, and what is wrong laid out.

use std::path::{Path, PathBuf};

use super::{Exit, Failure, Globals};
use crate::daemon::{BadConfig, Config, hook_contexts};
use crate::rules::{Context, Diagnostic, Files, Look, RuleSet, Sources, render};

/// The folder of plugins that holds when nothing is said; it need not be there.
const DEFAULT_PLUGINS: &str = "plugins";

/// The configuration that the global options name.
pub(super) fn config(globals: &Globals) -> Result<Config, BadConfig> {
    Config::load(globals.config.as_deref(), |name| std::env::var_os(name), Path::new(""))
}

/// The same for commands that cannot go on without it.
pub(super) fn config_or_fail(globals: &Globals) -> Result<Config, Failure> {
    config(globals).map_err(|bad| {
        let text = render(&bad.diagnostics, &Files::of(&bad.source), Look::Coloured);
        Failure::report(Exit::Config, text)
    })
}

/// The folders of plugins that a configuration names.
pub(super) fn plugins(config: &Config) -> Vec<PathBuf> {
    let wanted = |path: &&PathBuf| path.exists() || !path.ends_with(DEFAULT_PLUGINS);
    config.plugins.iter().filter(wanted).cloned().collect()
}

/// What rules refer to of a configuration.
pub(super) fn context(config: &Config) -> Context {
    Context {
        endpoints: config.webhooks.endpoints.keys().cloned().collect(),
        timezone: config.timezone.clone(),
        plugin_settings: config.plugin_settings.clone(),
        hooks: hook_contexts(&config.http.hooks),
    }
}

/// A rule set as far as it could be read and compiled.
pub(super) struct Checked {
    /// Its files.
    pub(super) sources: Sources,
    /// The rules, unless there is a mistake.
    pub(super) rules: Option<RuleSet>,
    /// Mistakes and warnings.
    pub(super) found: Vec<Diagnostic>,
}

/// Reads and compiles these folders or files.
pub(super) fn check(rules: &[PathBuf], plugins: &[PathBuf], context: &Context) -> Checked {
    let sources = match Sources::read(rules, plugins) {
        Ok(sources) => sources,
        Err(found) => return Checked { sources: Sources::default(), rules: None, found },
    };
    match RuleSet::compile(&sources, context) {
        Ok((rules, found)) => Checked { sources, rules: Some(rules), found },
        Err(found) => Checked { sources, rules: None, found },
    }
}

/// Whether two paths are one.
pub(super) fn same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
