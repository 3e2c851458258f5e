//! Reading the folders of a rule set from the disk.

use std::collections::BTreeSet;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Component, Path, PathBuf};

use crate::model::Text;

use super::diagnostic::{Diagnostic, SourceFile};
use super::ruleset::Sources;
use super::template_views::TemplateFile;
use super::yaml::FILE_BYTES;

/// Files of a rule set: beyond this somebody pointed at the wrong folder.
const FILES: usize = 10_000;
/// Bytes of all files of a rule set together: it is kept in memory whole.
const BYTES: u64 = 64 * 1024 * 1024;
/// A configuration that lies beside the rules it configures is not one of them.
const CONFIGURATION: &str = "adjutant.yaml";
/// Folders within folders: deeper is a circle of links.
const DEPTH: usize = 32;

impl Sources {
    /// Reads rule folders with their `templates/`, and plugin folders. A path may also be a file.
    ///
    /// Rule files are `*.yaml` and `*.yml`, read recursively in order of name; hidden folders and
    /// those named `tests` and `templates` are passed over, as are folders of plugins. Plugins are `*.rhai`, or folders with a
    /// `plugin.yaml`.
    ///
    /// # Errors
    /// Everything that could not be read, each with its path.
    pub fn read(rules: &[PathBuf], plugins: &[PathBuf]) -> Result<Self, Vec<Diagnostic>> {
        let not_rules = plugins.iter().filter_map(|path| path.canonicalize().ok()).collect();
        let mut reader = Reader { not_rules, ..Reader::default() };
        for path in rules {
            if path.is_file() {
                reader.rule(path);
                reader.templates_above(path);
            } else {
                reader.rules(path, 0);
            }
        }
        for path in plugins {
            if path.is_file() {
                reader.plugin(path);
            } else {
                reader.plugins(path);
            }
        }
        if reader.errors.is_empty() { Ok(reader.sources) } else { Err(reader.errors) }
    }
}

/// A number that changes when a file below these paths does, or comes or goes: of names, sizes and times of
/// change, not of what is in them. What cannot be read counts as not there.
#[must_use]
pub fn stamp<'p>(paths: impl Iterator<Item = &'p PathBuf>) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    let mut open: Vec<(PathBuf, usize)> = paths.map(|path| (path.clone(), 0)).collect();
    let mut seen = 0;
    while let Some((path, depth)) = open.pop() {
        let Ok(meta) = std::fs::metadata(&path) else { continue };
        if meta.is_dir() {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            let mut below: Vec<_> = entries
                .map(|entry| entry.path())
                .filter(|path| !file_name(path).starts_with('.'))
                .map(|path| (path, depth + 1))
                .filter(|(_, depth)| *depth <= DEPTH)
                .collect();
            below.sort();
            open.extend(below);
            continue;
        }
        seen += 1;
        if seen > 2 * FILES {
            break;
        }
        (path, meta.len(), meta.modified().ok()).hash(&mut hasher);
    }
    hasher.finish()
}

#[derive(Default)]
struct Reader {
    sources: Sources,
    errors: Vec<Diagnostic>,
    seen: BTreeSet<PathBuf>,
    /// Folders of plugins, which may lie among the rules.
    not_rules: BTreeSet<PathBuf>,
    files: usize,
    bytes: u64,
    full: bool,
}

impl Reader {
    fn rules(&mut self, folder: &Path, depth: usize) {
        if depth > DEPTH {
            self.fail(folder, "folders are nested too deep: is there a link in a circle?");
            return;
        }
        for path in self.list(folder) {
            let name = file_name(&path);
            if name.starts_with('.') {
                continue;
            }
            if path.is_dir() {
                match name.as_str() {
                    "tests" => {}
                    "templates" => self.templates(&path, folder),
                    _ if path.canonicalize().is_ok_and(|path| self.not_rules.contains(&path)) => {}
                    _ => self.rules(&path, depth + 1),
                }
            } else if has_extension(&path, &["yaml", "yml"]) && name != CONFIGURATION {
                self.rule(&path);
            }
        }
    }

    fn rule(&mut self, path: &Path) {
        if let Some(file) = self.read(path, FILE_BYTES as u64) {
            self.sources.rules.push(file);
        }
    }

    fn templates(&mut self, folder: &Path, owner: &Path) {
        for path in self.list(folder) {
            let name = file_name(&path);
            if name.starts_with('.') {
                continue;
            }
            if path.is_dir() {
                self.fail(&path, "a `templates` folder has no folders in it: move the files up");
            } else if !name.ends_with('~')
                && let Some(file) = self.read(&path, super::templates::TEMPLATE_BYTES as u64)
            {
                self.sources.templates.push(TemplateFile { file, dir: shown(owner).into() });
            }
        }
    }

    /// For a single rule file: the templates of its own folder and of those above, as far as the
    /// path as written goes.
    fn templates_above(&mut self, path: &Path) {
        let mut folder = path.parent();
        while let Some(dir) = folder {
            let templates = dir.join("templates");
            if templates.is_dir() {
                self.templates(&templates, dir);
            }
            folder = dir.parent();
        }
    }

    fn plugins(&mut self, folder: &Path) {
        for path in self.list(folder) {
            let name = file_name(&path);
            if name.starts_with('.') || name == "tests" {
                continue;
            }
            if path.is_dir() {
                self.plugin_folder(&path);
            } else if has_extension(&path, &["rhai"]) {
                self.plugin(&path);
            }
        }
    }

    /// A plugin that is a folder: its manifest and its scripts.
    fn plugin_folder(&mut self, folder: &Path) {
        let scripts: Vec<_> =
            self.list(folder).into_iter().filter(|path| has_extension(path, &["rhai"])).collect();
        let manifest = folder.join(super::manifest::FILE);
        if manifest.is_file() {
            self.plugin(&manifest);
            for script in &scripts {
                self.plugin(script);
            }
        } else if let Some(script) = scripts.first() {
            self.fail(script, "a plugin that is a folder needs a `plugin.yaml` beside it");
        }
    }

    fn plugin(&mut self, path: &Path) {
        if let Some(file) = self.read(path, FILE_BYTES as u64) {
            self.sources.plugins.push(file);
        }
    }

    /// What is in a folder, in order of name.
    fn list(&mut self, folder: &Path) -> Vec<PathBuf> {
        let listed = std::fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect());
        match listed {
            Ok(mut paths) => {
                let paths: &mut Vec<PathBuf> = &mut paths;
                paths.sort();
                std::mem::take(paths)
            }
            Err(error) => {
                self.fail(folder, &format!("the folder could not be read: {error}"));
                Vec::new()
            }
        }
    }

    fn read(&mut self, path: &Path, limit: u64) -> Option<SourceFile> {
        if self.full || !self.seen.insert(path.to_owned()) {
            return None;
        }
        let file = match source_file(path, limit) {
            Ok(file) => file,
            Err(mistake) => {
                self.errors.push(*mistake);
                return None;
            }
        };
        self.files += 1;
        self.bytes += file.text.len() as u64;
        if self.files > FILES || self.bytes > BYTES {
            self.full = true;
            self.fail(
                path,
                &format!("more than {FILES} files or {} MiB of rules", BYTES / 1024 / 1024),
            );
            return None;
        }
        Some(file)
    }

    fn fail(&mut self, path: &Path, message: &str) {
        self.errors.push(Diagnostic::error("io", &shown(path).into(), 0..0, message));
    }
}

/// Reads a file of at most so many bytes.
///
/// # Errors
/// It cannot be read, is larger, or is not UTF-8.
pub fn source_file(path: &Path, limit: u64) -> Result<SourceFile, Box<Diagnostic>> {
    let name = Text::from(shown(path));
    let fail = |message: String| Box::new(Diagnostic::error("io", &name, 0..0, message));
    let unreadable = |error: std::io::Error| fail(format!("the file could not be read: {error}"));
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > limit {
        return Err(fail(format!("the file is larger than {} KiB", limit / 1024)));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SourceFile::new(name, text)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..valid].split(|byte| *byte == b'\n').count();
            Err(fail(format!("line {line} is not UTF-8: save the file as UTF-8")))
        }
    }
}

/// A path as shown to people, with `/` on every system; empty for the working directory.
fn shown(path: &Path) -> String {
    let path: PathBuf =
        path.components().filter(|part| !matches!(part, Component::CurDir)).collect();
    let text = path.to_string_lossy();
    let text = if std::path::MAIN_SEPARATOR == '/' { text } else { text.replace('\\', "/").into() };
    text.into_owned()
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn has_extension(path: &Path, wanted: &[&str]) -> bool {
    path.extension().is_some_and(|found| wanted.iter().any(|wanted| found == *wanted))
}
