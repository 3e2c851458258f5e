//! Every file of `tests/corpus/` is checked, and what `adjutant check` would print is compared with
//! the file of the same name in `.txt`. `UPDATE_CORPUS=1` writes those anew: read them aloud.
//!
//! A file may hold several files, parted by lines `#### NAME`: rule files, `templates/NAME` and
//! `plugins/…`. Without such a line it is one rule file.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use adjutant::rules::{
    Bundle, Context, Diagnostic, Files, Look, RuleSet, SourceFile, Sources, TemplateFile, render,
};
use proptest::prelude::*;

fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

/// Takes a corpus file apart.
fn sources(path: &Path) -> Sources {
    let text = fs::read_to_string(path).unwrap();
    let own = path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut parts: Vec<(String, String)> = vec![(own, String::new())];
    for line in text.split_inclusive('\n') {
        match line.strip_prefix("#### ") {
            Some(name) => parts.push((name.trim().to_owned(), String::new())),
            None => parts.last_mut().unwrap().1.push_str(line),
        }
    }
    if parts.len() > 1 && parts[0].1.trim().is_empty() {
        parts.remove(0);
    }
    let mut sources = Sources::default();
    for (name, text) in parts {
        let file = SourceFile::new(format!("rules/{name}"), text);
        if let Some((above, _)) = name.split_once("templates/") {
            let dir = format!("rules/{above}");
            let dir = dir.trim_end_matches('/').into();
            sources.templates.push(TemplateFile { file, dir });
        } else if name.contains("plugins/") || Path::new(&name).extension() == Some("rhai".as_ref())
        {
            sources.plugins.push(file);
        } else {
            sources.rules.push(file);
        }
    }
    sources
}

fn context() -> Context {
    Context { endpoints: vec!["crm".into()], timezone: "UTC".into(), ..Context::default() }
}

fn check(sources: &Sources) -> Vec<Diagnostic> {
    match RuleSet::compile(sources, &context()) {
        Ok((_, warnings)) => warnings,
        Err(found) => found,
    }
}

#[test]
fn every_mistake_is_shown_as_expected() {
    let update = std::env::var_os("UPDATE_CORPUS").is_some();
    let mut wrong = Vec::new();
    let files = corpus();
    assert!(files.len() >= 40, "the corpus has shrunk to {} files", files.len());
    for path in files {
        let sources = sources(&path);
        let found = check(&sources);
        let shown = render(&found, &Files::of(sources.files()), Look::Plain);
        let expected = path.with_extension("txt");
        if update {
            fs::write(&expected, &shown).unwrap();
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        if shown != wanted {
            wrong.push(format!("{}:\n{shown}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "differs from the .txt file:\n{}", wrong.join("\n"));
}

/// A diagnostic without a place, a file or words is of no use to anybody.
#[test]
fn every_diagnostic_can_be_shown() {
    let mut codes = BTreeSet::new();
    for path in corpus() {
        let sources = sources(&path);
        let found = check(&sources);
        assert!(!found.is_empty(), "{} is not broken", path.display());
        for diagnostic in &found {
            codes.insert(diagnostic.code);
            let file = sources.files().find(|file| file.name == diagnostic.primary.file);
            let file = file.unwrap_or_else(|| panic!("{diagnostic:?}"));
            assert!(file.text.get(diagnostic.primary.span.clone()).is_some(), "{diagnostic:?}");
            let message = &diagnostic.message;
            assert!(!message.ends_with('.'), "{message}");
            assert!(!message.starts_with(char::is_uppercase), "{message}");
        }
    }
    assert!(codes.len() >= 40, "only {} codes: {codes:?}", codes.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Files that were half edited: never a panic, never a place outside of the file, and what is
    /// accepted compiles again from its stored sources.
    #[test]
    fn half_edited_files_are_checked_without_panic(
        which in 0_usize..1_000,
        cuts in proptest::collection::vec((0_usize..4_000, 0_usize..12, edit()), 1..4),
    ) {
        let files = corpus();
        // Half of the time a rule set that is right.
        let mut sources =
            if which % 2 == 0 { language() } else { sources(&files[which % files.len()]) };
        let at = which % sources.rules.len();
        let mut text: Vec<char> = sources.rules[at].text.chars().collect();
        for (from, len, put) in cuts {
            let from = from % (text.len() + 1);
            let to = (from + len).min(text.len());
            text.splice(from..to, put.chars());
        }
        let text: String = text.into_iter().collect();
        sources.rules[at] = SourceFile::new(sources.rules[at].name.clone(), text);
        let found = match RuleSet::compile(&sources, &context()) {
            Err(found) => found,
            Ok((rules, warnings)) => {
                for bundle in rules.workflows.values().chain(rules.policies.values()) {
                    let again = Bundle::decode(&bundle.source.encode());
                    prop_assert_eq!(again.map(|again| again.id), Ok(bundle.id));
                }
                warnings
            }
        };
        prop_assert!(!found.iter().any(|diagnostic| diagnostic.code == "internal"), "{:?}", found);
        for diagnostic in &found {
            let file = sources.files().find(|file| file.name == diagnostic.primary.file);
            prop_assert!(
                file.is_some_and(|file| file.text.get(diagnostic.primary.span.clone()).is_some()),
                "{diagnostic:?}"
            );
        }
        let shown = render(&found, &Files::of(sources.files()), Look::Plain);
        prop_assert_eq!(shown.is_empty(), found.is_empty());
    }
}

/// The packs of `tests/language/`, which have no mistakes.
fn language() -> Sources {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/language");
    Sources::read(std::slice::from_ref(&folder), &[folder.join("plugins")]).unwrap()
}

/// What fingers put into a file by mistake.
fn edit() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "",
        "\n",
        "  ",
        "- ",
        ": ",
        "${",
        "}",
        "\"",
        "'",
        "#",
        "!",
        "é",
        "[",
        "{",
        "event",
        "steps.",
        "vars.x",
        "---\n",
        "&a ",
        "*a",
        "|\n",
        "\t",
        "secret(\"x\")",
        "records(\"a\", \"b\", 1)",
    ])
}
