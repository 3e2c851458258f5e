//! The JSON Schemas that `adjutant schema` prints, judged by a validator of another ecosystem: every
//! shipped file holds, and what is broken in shape does not. `UPDATE_SCHEMAS=1` writes those that ship.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use adjutant::rules::{
    Context, Diagnostic, Files, RuleSet, SourceFile, Sources, to_github, to_json,
};
use serde_json::Value as Json;
use support::{cli, python};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// What editors read.
const SHIPPED: &str = "rules/schema";

/// Diagnostics that are about what a document is made of, and that a schema can therefore know.
const SHAPE: [&str; 6] = [
    "unknown-key",
    "missing-key",
    "unknown-step-kind",
    "no-main-key",
    "two-main-keys",
    "unknown-document",
];

fn root() -> PathBuf {
    PathBuf::from(ROOT)
}

fn printed(of: &str) -> String {
    let said = cli::run(Path::new(ROOT), &["schema", of]);
    assert_eq!(said.code, 0, "{}", said.err);
    said.out
}

/// Files below a folder whose path has this in it, in order.
fn below(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if wanted(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml")
}

fn is_test(path: &Path) -> bool {
    path.parent().is_some_and(|folder| folder.ends_with("tests"))
}

fn is_named(path: &Path, name: &str) -> bool {
    path.file_name().is_some_and(|found| found == name)
}

/// Everything that ships, with which schema it is for.
fn shipped() -> Vec<(&'static str, PathBuf)> {
    ["rules", "examples", "plugins"]
        .iter()
        .flat_map(|folder| below(&root().join(folder), &is_yaml))
        .filter(|path| !is_named(path, "adjutant.yaml"))
        .map(|path| {
            let of = match () {
                () if is_named(&path, "plugin.yaml") => "plugin",
                () if is_test(&path) => "scenario",
                () => "rules",
            };
            (of, path)
        })
        .collect()
}

/// The documents of a file, each as a text of its own.
fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.split_inclusive('\n') {
        if line.trim_end() == "---" {
            documents.push(String::new());
        } else {
            documents.last_mut().unwrap().push_str(line);
        }
    }
    let empty =
        |text: &String| text.lines().all(|line| line.trim().is_empty() || line.starts_with('#'));
    documents.retain(|text| !empty(text));
    documents
}

/// What the validator says of documents, by their place among those given: `None` is a good one.
fn judged(schema: &str, documents: &[String]) -> Vec<Option<String>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schema.json");
    fs::write(&file, schema).unwrap();
    let names: Vec<PathBuf> =
        (0..documents.len()).map(|at| folder.path().join(format!("{at}.yaml"))).collect();
    for (name, text) in names.iter().zip(documents) {
        fs::write(name, text).unwrap();
    }
    let args: Vec<&str> =
        std::iter::once(&file).chain(&names).map(|path| path.to_str().unwrap()).collect();
    let said = python::run("check_schema.py", &args);
    assert!(said.code == 0 || said.code == 1, "{}{}", said.out, said.err);
    let report: Json = serde_json::from_str(&said.out).unwrap_or_else(|error| {
        panic!("{error}: {}{}", said.out, said.err);
    });
    let mut wrong: BTreeMap<PathBuf, String> = BTreeMap::new();
    for list in ["errors", "parse_errors"] {
        for error in report[list].as_array().into_iter().flatten() {
            let name = PathBuf::from(error["filename"].as_str().unwrap());
            wrong.insert(name, error.to_string());
        }
    }
    names.iter().map(|name| wrong.get(name).cloned()).collect()
}

#[test]
fn what_ships_is_what_the_program_prints() {
    for of in ["rules", "scenario", "plugin", "diagnostics"] {
        let file = root().join(SHIPPED).join(format!("{of}.json"));
        let printed = printed(of);
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            fs::write(&file, &printed).unwrap();
        }
        let found = fs::read_to_string(&file).unwrap_or_default();
        assert!(found == printed, "{} is old: UPDATE_SCHEMAS=1", file.display());
    }
}

#[test]
fn every_shipped_file_names_its_schema_and_holds() {
    let files = shipped();
    for of in ["rules", "scenario", "plugin"] {
        let mut all = Vec::new();
        let mut places = Vec::new();
        for (_, path) in files.iter().filter(|(one, _)| *one == of) {
            let text = fs::read_to_string(path).unwrap();
            let first = text.lines().next().unwrap_or_default();
            let named = first.strip_prefix("# yaml-language-server: $schema=");
            let named = named.unwrap_or_else(|| panic!("{} names no schema", path.display()));
            let schema = path.parent().unwrap().join(named).canonicalize();
            let wanted = root().join(SHIPPED).join(format!("{of}.json")).canonicalize();
            assert_eq!(schema.unwrap(), wanted.unwrap(), "{}", path.display());
            for document in documents(&text) {
                all.push(document);
                places.push(path.clone());
            }
        }
        assert!(!all.is_empty(), "nothing of {of}");
        for (path, verdict) in places.iter().zip(judged(&printed(of), &all)) {
            assert_eq!(verdict, None, "{}", path.display());
        }
    }
}

/// Everything that is said of the corpus, with the texts it is said of.
fn said_of_the_corpus() -> (Vec<Diagnostic>, Vec<SourceFile>) {
    let (mut said, mut files) = (Vec::new(), Vec::new());
    for path in below(&root().join("tests/corpus"), &is_yaml) {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let file = SourceFile::new(name, text);
        let sources = Sources { rules: vec![file.clone()], ..Sources::default() };
        said.extend(match RuleSet::compile(&sources, &Context::default()) {
            Ok((_, warnings)) => warnings,
            Err(found) => found,
        });
        files.push(file);
    }
    (said, files)
}

#[test]
fn what_check_prints_for_machines_holds() {
    let (said, files) = said_of_the_corpus();
    let files = Files::of(&files);
    let json = to_json(&said, &files);
    assert!(said.len() > 500, "only {}", said.len());
    let lost = Diagnostic::error("io", &"lost.yaml".into(), 0..0, "the file could not be read");
    let lost = to_json(&[lost], &files);
    let mut wrong = json.clone();
    wrong[0]["code"] = "no-such-code".into();
    wrong[1].as_object_mut().unwrap().remove("message");
    let documents = [json.to_string(), lost.to_string(), "[]".to_owned(), wrong.to_string()];
    let verdicts = judged(&printed("diagnostics"), &documents);
    assert_eq!(verdicts[..3], [None, None, None]);
    assert!(verdicts[3].is_some(), "the schema allows anything");

    // Another's writer of the same format says the same.
    let theirs = python::run_with("write_github.py", &[], &json.to_string());
    assert_eq!(theirs.code, 0, "{}", theirs.err);
    let ours = to_github(&said, &files);
    for (ours, theirs) in ours.lines().zip(theirs.out.lines()) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.lines().count(), theirs.out.lines().count());
}

#[test]
fn what_is_broken_in_shape_does_not_hold() {
    let corpus = below(&root().join("tests/corpus"), &is_yaml);
    let mut broken = Vec::new();
    let mut names = Vec::new();
    for path in corpus {
        let text = fs::read_to_string(&path).unwrap();
        // Those that hold several files have templates or plugins in them, which are other matters.
        if text.contains("#### ") {
            continue;
        }
        for document in documents(&text) {
            let file = SourceFile::new("a.yaml", document.as_str());
            let sources = Sources { rules: vec![file], ..Sources::default() };
            let Err(found) = RuleSet::compile(&sources, &Context::default()) else { continue };
            if found.iter().any(|one| SHAPE.contains(&one.code)) {
                names.push(format!("{}:\n{document}", path.display()));
                broken.push(document);
            }
        }
    }
    assert!(broken.len() >= 20, "only {} are broken in shape", broken.len());
    for (name, verdict) in names.iter().zip(judged(&printed("rules"), &broken)) {
        assert!(verdict.is_some(), "the schema allows {name}");
    }
}
