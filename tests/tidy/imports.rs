//! Which room may use which: the table of `ARCHITECTURE.md`, and the rooms that outside crates stay in.

use crate::tree::{Finding, Source};

/// Every room with the rooms it may use.
const TABLE: [(&str, &[&str]); 12] = [
    ("model", &[]),
    ("script", &["model"]),
    ("rules", &["model", "script"]),
    ("engine", &["model", "script", "rules"]),
    ("store", &["model"]),
    ("pump", &["model", "rules", "engine", "store"]),
    ("actions", &["model", "script", "rules"]),
    ("triggers", &["model", "rules", "script"]),
    ("daemon", &["model", "script", "rules", "engine", "store", "pump", "actions", "triggers"]),
    ("api", &["daemon", "triggers", "model"]),
    (
        "cli",
        &[
            "model", "script", "rules", "engine", "store", "pump", "actions", "triggers", "daemon",
            "api", "scenario",
        ],
    ),
    ("scenario", &["model", "rules", "script", "engine", "store", "pump", "actions", "triggers"]),
];

/// What the API may take from the pump: the questions people ask and their answers.
const QUESTIONS: [&str; 7] = ["Query", "Answer", "Story", "Steps", "Plan", "Change", "query"];

/// Paths that stay in the rooms named: the engine is pure, and no store's types leak.
const CRATES: [(&str, &[&str]); 7] = [
    ("sled::", &["store"]),
    ("crossbeam_epoch::", &["store"]),
    ("tokio::", &["actions", "triggers", "daemon", "api", "cli"]),
    ("reqwest::", &["actions", "triggers", "daemon", "cli"]),
    ("lettre::", &["actions", "daemon"]),
    ("std::net::", &["actions", "triggers", "daemon", "api", "cli"]),
    ("std::fs::", &["rules", "store", "actions", "triggers", "daemon", "api", "cli", "scenario"]),
];

/// Imports that the table does not allow.
pub(crate) fn table(source: &Source) -> Vec<Finding> {
    let Some(room) = source.room() else {
        return Vec::new();
    };
    let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == room) else {
        let what = format!("`{room}` is not a room: the table has no line for it");
        return vec![Finding::new(&source.path, 1, what)];
    };
    uses(source)
        .into_iter()
        .filter(|(_, path)| {
            let (other, rest) = path.split_once("::").unwrap_or((path, ""));
            let known = TABLE.iter().any(|(name, _)| *name == other);
            let question =
                (room, other) == ("api", "pump") && only_questions(&source.shipped, rest);
            known && other != room && !allowed.contains(&other) && !question
        })
        .map(|(at, path)| {
            let other = path.split("::").next().unwrap_or_default();
            let what = format!("`{room}` may not use `{other}`: it may use {allowed:?}");
            Finding::new(&source.path, line_of(&source.shipped, at), what)
        })
        .collect()
}

/// Uses of outside crates in rooms that must not know them.
pub(crate) fn crates(source: &Source) -> Vec<Finding> {
    let Some(room) = source.room() else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for (path, rooms) in CRATES.iter().filter(|(_, rooms)| !rooms.contains(&room)) {
        for at in word_starts(&source.shipped, path) {
            let what = format!("`{room}` may not use `{path}`: only {rooms:?} may");
            findings.push(Finding::new(&source.path, line_of(&source.shipped, at), what));
        }
    }
    findings
}

/// Every path from the crate's root that shipped code names, with where it begins: `crate::a::b`,
/// each branch of `crate::{a::b, c}`, and `super::super::a` that climbs out of its room.
fn uses(source: &Source) -> Vec<(usize, String)> {
    let code = &source.shipped;
    let mut found = Vec::new();
    for at in word_starts(code, "crate::") {
        branches(code, at + "crate::".len(), &mut found);
    }
    let depth = module_depth(&source.path);
    for at in word_starts(code, "super::") {
        if code[..at].ends_with("super::") {
            continue;
        }
        let climb = code[at..].split("super::").take_while(|part| part.is_empty()).count();
        // `split` gives one empty part before the first `super::` and one between each two.
        if climb >= depth {
            branches(code, at + climb * "super::".len(), &mut found);
        }
    }
    found
}

fn branches(code: &str, at: usize, found: &mut Vec<(usize, String)>) {
    let rest = &code[at..];
    if !rest.starts_with('{') {
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
            .unwrap_or(rest.len());
        let mut path = rest[..end].to_owned();
        if rest[end..].starts_with('{') {
            let close = rest[end..].find('}').map_or(rest.len(), |n| end + n);
            path.push_str(&rest[end..close]);
        }
        found.push((at, path));
        return;
    }
    let mut depth = 0usize;
    let mut fresh = false;
    for (offset, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return;
        }
        if depth == 1 && (c == '{' || c == ',') {
            fresh = true;
        } else if fresh && !c.is_whitespace() {
            fresh = false;
            branches(code, at + offset, found);
        }
    }
}

/// Whether the rest of a path into the pump names questions and answers only. The room imported
/// whole (an empty rest) is judged by what follows each `pump::` in the file.
fn only_questions(code: &str, rest: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let list = text.strip_prefix('{').map(|list| list.split('}').next().unwrap_or_default());
        let first = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).next();
        let words =
            list.map_or_else(|| vec![first.unwrap_or_default()], |l| l.split(',').collect());
        words.iter().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
    };
    let ask = |text: &str| words(text).iter().all(|word| QUESTIONS.contains(&word.as_str()));
    if rest.is_empty() {
        return word_starts(code, "pump::").all(|at| ask(&code[at + "pump::".len()..]));
    }
    ask(rest)
}

/// How many `super::` lead from a file's module to the crate's root.
fn module_depth(path: &str) -> usize {
    let parts = path.trim_start_matches("src/").split('/').count();
    if path.ends_with("/mod.rs") { parts - 1 } else { parts }
}

fn word_starts<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
            && (word == "super::" || !code[..at].ends_with("::"))
    })
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[test]
fn forbidden_imports_are_found() {
    let refused = [
        ("src/model/x.rs", "use crate::rules::Workflow;"),
        ("src/engine/x.rs", "use crate::{model::Run, store::Store};"),
        ("src/engine/a/x.rs", "fn f() { super::super::super::store::open() }"),
        ("src/store/mod.rs", "use super::engine::decide;"),
        ("src/api/x.rs", "use crate::pump::Pump;"),
        ("src/api/x.rs", "use crate::pump::{Query, Pump};"),
        ("src/api/x.rs", "use crate::pump;\nfn f(p: &pump::Story, q: pump::Pump) {}"),
        ("src/nowhere/x.rs", ""),
    ];
    for (path, text) in refused {
        let findings = table(&Source::sample(path, text));
        assert_eq!(findings.len(), 1, "{path}: {text}");
    }
}

#[test]
fn allowed_imports_pass() {
    let passed = [
        ("src/engine/x.rs", "use crate::{model::{Run, Status}, rules};\nuse super::store;"),
        ("src/api/x.rs", "use crate::pump::{Answer, Query};\nuse crate::pump::Story;"),
        ("src/api/x.rs", "use crate::pump;\nfn f(story: &pump::Story) {}"),
        ("src/model/x.rs", "#[cfg(test)]\nmod tests { use crate::rules::X; }"),
        ("src/model/x.rs", "// crate::store is elsewhere\nconst A: &str = \"crate::store\";"),
        ("src/lib.rs", "pub mod store;"),
    ];
    for (path, text) in passed {
        let findings = table(&Source::sample(path, text));
        assert!(findings.is_empty(), "{path}: {text}: {}", findings[0]);
    }
}

#[test]
fn crates_out_of_place_are_found() {
    assert_eq!(crates(&Source::sample("src/engine/x.rs", "use tokio::time;")).len(), 1);
    assert_eq!(crates(&Source::sample("src/pump/x.rs", "fn f(d: ::sled::Db) {}")).len(), 0);
    assert_eq!(crates(&Source::sample("src/pump/x.rs", "fn f(d: sled::Db) {}")).len(), 1);
    assert!(crates(&Source::sample("src/store/sled/x.rs", "use sled::Db;")).is_empty());
}
