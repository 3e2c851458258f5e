//! Every file of `tests/corpus/` is checked, and what `adjutant check` would print is compared with
//! the file of the same name in `.txt`. `UPDATE_CORPUS=1` writes those anew: read them aloud.
//!
//! A file may hold several files, parted by lines `#### NAME`: rule files, `templates/NAME` and
//! `plugins/NAME.rhai`. Without such a line it is one rule file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use adjutant::rules::{
    Context, Diagnostic, Files, Look, RuleSet, SourceFile, Sources, TemplateFile, render,
};

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
        } else if name.ends_with(".rhai") {
            sources.plugins.push(file);
        } else {
            sources.rules.push(file);
        }
    }
    sources
}

fn check(sources: &Sources) -> Vec<Diagnostic> {
    let context = Context { endpoints: vec!["crm".into()], timezone: "UTC".into() };
    match RuleSet::compile(sources, &context) {
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
