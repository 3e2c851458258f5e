//! The files of the repository as the checks see them: paths relative to its root, with their text.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::lexer;

/// What is made, not written; in a work tree `.git` is a file.
const MADE: [&str; 7] =
    [".git", "target", "data", "outbox", "__pycache__", ".venv", "node_modules"];

/// A place that breaks a rule.
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    /// At a line, counted from 1.
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}:{}: {}", self.path, self.line, self.what)
    }
}

/// A Rust file.
pub(crate) struct Source {
    /// Relative to the repository, with `/`.
    pub(crate) path: String,
    /// As written.
    pub(crate) text: String,
    /// Comments and the insides of literals blanked; same lines and columns.
    pub(crate) code: String,
    /// `code` without what is compiled for tests only.
    pub(crate) shipped: String,
}

impl Source {
    /// From a path and its text. A file under `tests/` or `benches/`, or one of `test_files`, ships nothing.
    pub(crate) fn new(path: &str, text: &str, test_files: &HashSet<String>) -> Self {
        let code = lexer::blank_literals(text);
        let only_tests = !path.starts_with("src/")
            || test_files.iter().any(|test| path == test || inside(path, test));
        let shipped =
            if only_tests { lexer::blank(&code) } else { lexer::blank_test_items(&code).0 };
        Self { path: path.to_owned(), text: text.to_owned(), code, shipped }
    }

    /// One file by itself, for the checks' own samples.
    pub(crate) fn sample(path: &str, text: &str) -> Self {
        Self::new(path, text, &HashSet::new())
    }

    /// The room of `src/room/…`; `None` for `lib.rs`, `main.rs` and everything outside `src/`.
    pub(crate) fn room(&self) -> Option<&str> {
        self.path.strip_prefix("src/")?.split_once('/').map(|(room, _)| room)
    }
}

/// Whether `path` lies in the folder of the module file `module`.
fn inside(path: &str, module: &str) -> bool {
    let folder = module.strip_suffix("/mod.rs").or_else(|| module.strip_suffix(".rs"));
    folder.is_some_and(|folder| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
}

/// The repository.
pub(crate) struct Tree {
    root: PathBuf,
    files: Vec<(String, String)>,
    rust: Vec<Source>,
}

impl Tree {
    /// Reads every text file that was written by somebody.
    pub(crate) fn read() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        walk(&root, &root, &mut files);
        files.sort();
        let sources: Vec<_> = files.iter().filter(|(path, _)| is(path, "rs")).collect();
        let test_files: HashSet<String> = sources
            .iter()
            .flat_map(|(path, text)| test_modules(path, &lexer::blank_literals(text)))
            .collect();
        let rust =
            sources.iter().map(|(path, text)| Source::new(path, text, &test_files)).collect();
        Self { root, files, rust }
    }

    /// Every text file: relative path and text.
    pub(crate) fn files(&self) -> &[(String, String)] {
        &self.files
    }

    /// Every Rust file.
    pub(crate) fn rust(&self) -> &[Source] {
        &self.rust
    }

    /// Whether the repository holds this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }
}

/// Whether a path's extension is this one.
pub(crate) fn is(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|known| known == extension)
}

/// The files that `#[cfg(test)] mod name;` in `path` may mean.
fn test_modules(path: &str, code: &str) -> Vec<String> {
    let (_, names) = lexer::blank_test_items(code);
    let file = Path::new(path);
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let stem = stem.unwrap_or_default();
    let parent = file.parent().map(|parent| parent.to_string_lossy().into_owned());
    let parent = parent.unwrap_or_default();
    let folder = match stem.as_str() {
        "mod" | "lib" | "main" => parent,
        _ => format!("{parent}/{stem}"),
    };
    names
        .iter()
        .flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")])
        .collect()
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<(String, String)>) {
    let entries = fs::read_dir(folder).expect("the repository can be read");
    for entry in entries {
        let entry = entry.expect("the repository can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        let kind = entry.file_type().expect("a file has a type");
        if MADE.contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() {
            walk(root, &path, files);
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(&path)
        {
            let relative = path.strip_prefix(root).expect("walked from the root");
            files.push((relative.to_string_lossy().replace('\\', "/"), text));
        }
    }
}

#[test]
fn code_for_tests_does_not_ship() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { x.unwrap() }\n}\nfn c() {}\n";
    let source = Source::sample("src/model/x.rs", text);
    assert!(source.code.contains("unwrap") && !source.shipped.contains("unwrap"));
    assert!(source.shipped.contains("fn c"));
    assert_eq!(
        test_modules("src/store/mod.rs", "#[cfg(test)]\nmod conformance;\n"),
        ["src/store/conformance.rs", "src/store/conformance/mod.rs"]
    );
    assert_eq!(test_modules("src/a/b.rs", "#[cfg(test)]\nmod c;\n")[0], "src/a/b/c.rs");
    assert!(inside("src/store/conformance/x.rs", "src/store/conformance/mod.rs"));
    assert!(!inside("src/store/conformance2.rs", "src/store/conformance.rs"));
}
