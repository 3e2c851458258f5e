//! `adjutant check`: are the rules, plugins, templates and the configuration sound?

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::rule_files::{self, Checked, same};
use super::screen::{self, BAD, BOLD, styled};
use super::{Exit, Failure, Globals};
use crate::daemon::Config;
use crate::rules::yaml::FILE_BYTES;
use crate::rules::{
    Diagnostic, Files, Look, SourceFile, codes, render, source_file, suggest, to_github, to_json,
    to_sarif,
};
use crate::scenario::{self, lies_in};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  adjutant check                       the configuration and all it names
  adjutant check rules/leads.yaml      only what is wrong in this file, read with the others
  adjutant check ~/drafts/leads        a folder as the whole rule set
  adjutant check --explain unknown-key what a code means, with an example
  adjutant check --format sarif        for code scanning; `github` for annotations in a workflow")]
pub(super) struct Check {
    /// A folder is the whole rule set; a file of a configured folder is read with the others there,
    /// and only what is wrong in it is shown
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How to print what is wrong
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    /// Say what a code means, or list all of them
    #[arg(long, value_name = "CODE", num_args = 0..=1, default_missing_value = "")]
    explain: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, as rustc does it
    Human,
    /// A JSON array
    Json,
    /// SARIF 2.1.0, as code scanning reads it
    Sarif,
    /// Commands of GitHub Actions, which become annotations
    Github,
}

/// What is checked.
#[derive(Debug, PartialEq, Eq)]
struct Scope {
    rules: Vec<PathBuf>,
    plugins: Vec<PathBuf>,
    /// Only what is wrong in these files is shown; empty: everything.
    only: Vec<PathBuf>,
}

pub(super) fn run(check: &Check, globals: &Globals) -> Result<Exit, Failure> {
    if let Some(code) = &check.explain {
        return explain(code);
    }
    let format = if globals.json { Format::Json } else { check.format };
    let config = match rule_files::config(globals) {
        Ok(config) => config,
        Err(bad) => {
            show(&bad.diagnostics, bad.source.iter(), format);
            return Ok(Exit::Failed);
        }
    };
    if let Some(missing) = check.paths.iter().find(|path| !path.exists()) {
        return Err(Failure::new(Exit::Usage, format!("there is no {}", missing.display())));
    }
    let scope = scope(&check.paths, &config);
    let Checked { sources, rules, mut found } =
        rule_files::check(&scope.rules, &scope.plugins, &rule_files::context(&config));
    let scenarios = scenarios(scope.rules.iter().chain(&scope.plugins), &mut found);
    let all = found.len();
    if !scope.only.is_empty() {
        found.retain(|diagnostic| is_in(&diagnostic.primary.file, &scope.only));
    }
    show(&found, sources.files().chain(&scenarios), format);
    let failed = found.iter().any(Diagnostic::is_error);
    if format == Format::Human {
        let counted = rules.map(|rules| {
            [
                (rules.workflows.len(), "workflow", "workflows"),
                (rules.policies.len(), "escalation policy", "escalation policies"),
                (sources.templates.len(), "template file", "template files"),
                (sources.plugin_count(), "plugin", "plugins"),
                (scenarios.len(), "file of scenarios", "files of scenarios"),
            ]
        });
        let files = sources.files().count() + scenarios.len();
        let what = counted.map_or_else(|| number(files, "file", "files"), |counted| list(&counted));
        screen::say(&format!("checked {what}: {}\n", verdict(&found, all - found.len())));
    }
    Ok(if failed { Exit::Failed } else { Exit::Fine })
}

/// Reads the scenarios below some folders; what is wrong with them goes to `found`. `adjutant test` plays them.
fn scenarios<'p>(
    paths: impl Iterator<Item = &'p PathBuf>,
    found: &mut Vec<Diagnostic>,
) -> Vec<SourceFile> {
    let mut files = Vec::new();
    let folders: Vec<&PathBuf> = paths.filter(|path| path.is_dir()).collect();
    let mut listed: Vec<PathBuf> =
        folders.into_iter().flat_map(|folder| scenario::find(folder)).collect();
    listed.sort();
    // Folders may lie in one another, and be named in several ways.
    let mut known = BTreeSet::new();
    listed.retain(|path| known.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
    for path in listed {
        match source_file(&path, FILE_BYTES as u64) {
            // Folders of other tests may hold any YAML.
            Ok(file) if file.text.lines().any(|line| line.starts_with("scenario:")) => {
                found.extend(scenario::parse(&file).1);
                files.push(file);
            }
            Ok(_) => {}
            Err(mistake) => found.push(*mistake),
        }
    }
    files
}

/// What the paths of the command line select: nothing means what the configuration names.
fn scope(paths: &[PathBuf], config: &Config) -> Scope {
    let plugins = rule_files::plugins(config);
    let configured = |path: &PathBuf| config.rules.iter().any(|folder| lies_in(path, folder));
    if paths.iter().all(|path| path.is_file() && configured(path)) {
        return Scope { rules: config.rules.clone(), plugins, only: paths.to_vec() };
    }
    let own = paths.iter().map(|path| path.join("plugins")).filter(|path| path.is_dir());
    let mut plugins = plugins;
    for path in own {
        if !plugins.iter().any(|known| same(known, &path)) {
            plugins.push(path);
        }
    }
    Scope { rules: paths.to_vec(), plugins, only: Vec::new() }
}

fn show<'a>(found: &[Diagnostic], files: impl Iterator<Item = &'a SourceFile>, format: Format) {
    let files = Files::of(files);
    screen::say(&match format {
        Format::Human => render(found, &files, Look::Coloured),
        Format::Json => format!("{:#}\n", to_json(found, &files)),
        Format::Sarif => format!("{:#}\n", to_sarif(found, &files)),
        Format::Github => to_github(found, &files),
    });
}

/// What a code means; without one, all of them in a line each.
fn explain(code: &str) -> Result<Exit, Failure> {
    if code.is_empty() {
        let mut text = String::new();
        for code in codes::all() {
            screen::put(&mut text, format_args!("{:20} {}\n", code.name, code.summary()));
        }
        screen::say(&text);
        return Ok(Exit::Fine);
    }
    let Some(found) = codes::find(code) else {
        let known = codes::all().iter().map(|code| code.name);
        let near = suggest::nearest(code, known).map(|near| format!("did you mean `{near}`?"));
        let failure = Failure::new(Exit::Usage, format!("there is no code `{code}`"));
        return Err(failure.help(near.unwrap_or_else(|| "`--explain` alone lists all".to_owned())));
    };
    screen::say(&format!("{}\n\n{}\n", styled(BOLD, found.name), found.text));
    Ok(Exit::Fine)
}

/// `2 errors, 1 warning`, and how many are not shown.
fn verdict(found: &[Diagnostic], hidden: usize) -> String {
    let errors = found.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let warnings = found.len() - errors;
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(styled(BAD, number(errors, "error", "errors")));
    }
    if warnings > 0 {
        parts.push(styled(BOLD, number(warnings, "warning", "warnings")));
    }
    if parts.is_empty() {
        parts.push("no problems".to_owned());
    }
    if hidden > 0 {
        parts.push(format!("{} in other files", number(hidden, "problem", "problems")));
    }
    parts.join(", ")
}

/// `3 workflows, 1 plugin`, without what there is none of, except for the first.
fn list(counted: &[(usize, &str, &str)]) -> String {
    let mut parts = Vec::new();
    for (index, (count, one, many)) in counted.iter().enumerate() {
        if index == 0 || *count > 0 {
            parts.push(number(*count, one, many));
        }
    }
    parts.join(", ")
}

fn number(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn is_in(file: &str, only: &[PathBuf]) -> bool {
    only.iter().any(|path| same(Path::new(file), path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Label;

    #[test]
    fn folders_are_the_whole_set_and_files_are_read_with_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["rules", "drafts/plugins"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        for name in ["rules/a.yaml", "drafts/b.yaml"] {
            std::fs::write(at(name), "").unwrap();
        }
        let config = Config::defaults(folder.path());
        let whole = Scope { rules: vec![at("rules")], plugins: vec![], only: vec![] };
        assert_eq!(scope(&[], &config), whole);
        let only = vec![at("drafts/../rules/a.yaml")];
        assert_eq!(scope(&only, &config), Scope { only: only.clone(), ..whole });
        let drafts =
            Scope { rules: vec![at("drafts")], plugins: vec![at("drafts/plugins")], only: vec![] };
        assert_eq!(scope(&[at("drafts")], &config), drafts);
        let alone = Scope { rules: vec![at("drafts/b.yaml")], plugins: vec![], only: vec![] };
        assert_eq!(scope(&[at("drafts/b.yaml")], &config), alone);
    }

    #[test]
    fn the_summary_counts() {
        assert_eq!(
            list(&[(0, "workflow", "workflows"), (1, "plugin", "plugins"), (0, "x", "xs")]),
            "0 workflows, 1 plugin"
        );
        assert_eq!(verdict(&[], 0), "no problems");
        assert_eq!(verdict(&[], 2), "no problems, 2 problems in other files");
        let primary = Label { file: "a".into(), span: 0..0, text: String::new() };
        let diagnostic = Diagnostic {
            severity: crate::rules::Severity::Error,
            code: "x",
            message: String::new(),
            primary,
            secondary: vec![],
            help: None,
        };
        let text = anstream::adapter::strip_str(&verdict(&[diagnostic], 0)).to_string();
        assert_eq!(text, "1 error");
    }
}
