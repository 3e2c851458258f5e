//! Every code of a diagnostic is explained, and every explanation's examples do what they say.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use adjutant::daemon::Config;
use adjutant::rules::codes::{self, Example};
use adjutant::rules::{Context, Diagnostic, RuleSet, SourceFile, Sources, TemplateFile};

/// Codes of what no text brings about alone: faults of the machine, mistakes of our own, and what only plays of
/// scenarios show (`tests/e2e_mutate.rs`).
const WITHOUT_EXAMPLE: [&str; 10] = [
    "internal",
    "io",
    "scenario-rules",
    "stored-bundle",
    "too-large",
    "too-many",
    "unknown-record",
    "unnoticed",
    "unnoticed-excuse",
    "unreadable",
];

/// The code in the text of the program that makes diagnostics: words in quotes after `error(` and the like.
fn made() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let room = path.components().any(|part| {
                ["rules", "scenario", "config"].iter().any(|room| part.as_os_str() == *room)
            });
            if path.is_dir() {
                open.push(path);
            } else if room && path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
                for call in [".error(", ".warning(", "::error(", "::warning(", ".error_in("] {
                    for (at, _) in text.match_indices(call) {
                        found.extend(first_code(&text[at + call.len()..]));
                    }
                }
            }
        }
    }
    found
}

/// The first text in quotes of a call, if it is written like a code and stands before the message.
fn first_code(call: &str) -> Option<String> {
    let (before, rest) = call.split_once('"')?;
    let (word, _) = rest.split_once('"')?;
    let near = before.len() < 60 && !before.contains(';') && !before.contains("format!");
    let code = !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    (near && code).then(|| word.to_owned())
}

/// What `check` says of an example.
fn found(example: &Example) -> Vec<Diagnostic> {
    let text = format!("{}\n", example.text);
    if example.configuration {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("adjutant.yaml");
        fs::write(&file, &text).unwrap();
        let none = |_: &str| None;
        return Config::load(Some(&file), none, Path::new(""))
            .err()
            .map(|bad| bad.diagnostics)
            .unwrap_or_default();
    }
    let mut parts: Vec<(String, String)> = vec![("rules/example.yaml".to_owned(), String::new())];
    for line in text.split_inclusive('\n') {
        match line.strip_prefix("#### ") {
            Some(name) => parts.push((name.trim().to_owned(), String::new())),
            None => parts.last_mut().unwrap().1.push_str(line),
        }
    }
    let mut sources = Sources::default();
    let mut found = Vec::new();
    for (name, text) in parts.into_iter().filter(|(_, text)| !text.trim().is_empty()) {
        let file = SourceFile::new(name.as_str(), text);
        if name.contains("tests/") {
            found.extend(adjutant::scenario::parse(&file).1);
        } else if name.starts_with("plugins/") {
            sources.plugins.push(file);
        } else if let Some((dir, _)) = name.split_once("/templates/") {
            sources.templates.push(TemplateFile { file, dir: dir.into() });
        } else {
            sources.rules.push(file);
        }
    }
    let context =
        Context { endpoints: vec!["crm".into()], timezone: "UTC".into(), ..Context::default() };
    match RuleSet::compile(&sources, &context) {
        Ok((_, warnings)) => found.extend(warnings),
        Err(mistakes) => found.extend(mistakes),
    }
    found
}

#[test]
fn every_code_is_explained() {
    let explained: BTreeSet<String> =
        codes::all().iter().map(|code| code.name.to_owned()).collect();
    let made = made();
    assert!(made.len() > 50, "only {made:?}");
    let missing: Vec<_> = made.difference(&explained).collect();
    assert!(missing.is_empty(), "no section in src/rules/codes.md: {missing:?}");
    for code in codes::all() {
        assert!(code.summary().ends_with('.') && code.summary().len() < 100, "{}", code.name);
        assert!(code.text.lines().count() > 3, "{} is not explained", code.name);
    }
}

#[test]
fn every_example_is_what_it_says() {
    let mut wrong = Vec::new();
    for code in codes::all() {
        let examples = code.examples();
        let (bad, good): (Vec<_>, Vec<_>) = examples.iter().partition(|example| example.wrong);
        if !WITHOUT_EXAMPLE.contains(&code.name) && (bad.is_empty() || good.is_empty()) {
            wrong.push(format!("{}: it has no pair of examples", code.name));
        }
        for example in bad {
            let codes: Vec<_> = found(example).iter().map(|one| one.code).collect();
            if !codes.contains(&code.name) {
                wrong.push(format!("{}: the wrong example gives {codes:?}", code.name));
            }
        }
        for example in good {
            let rest = found(example);
            if !rest.is_empty() {
                let said: Vec<_> = rest.iter().map(|one| (one.code, &one.message)).collect();
                wrong.push(format!("{}: the mended example gives {said:?}", code.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
