//! [`Suite`]: the scenario files below some folders, and the rules that each of them sees.
//!
//! A scenario lies in a folder `tests/` and sees the pack around that folder, the rule files directly in
//! the folders above it as far as the path that was named, and the packs that it lists. Scenarios in the
//! `tests/` of a folder of plugins see plugins only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::Text;
use crate::rules::yaml::FILE_BYTES;
use crate::rules::{Context, Diagnostic, RuleSet, SourceFile, Sources, source_file};

use super::file::{Scenario, Verb, parse};
use super::play::Pack;

/// Folders named so hold scenarios.
const TESTS: &str = "tests";
/// Folders within folders: deeper is a circle of links.
const DEPTH: usize = 32;

/// Where scenarios are looked for, and what they see besides their packs.
#[derive(Clone, Debug, Default)]
pub struct Suite {
    /// Folders of rules; a scenario sees nothing above the one it lies in.
    pub rules: Vec<PathBuf>,
    /// Folders of plugins.
    pub plugins: Vec<PathBuf>,
    /// What the configuration says that rules refer to.
    pub context: Context,
}

/// A scenario with what it needs to be played.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Its file.
    pub file: Arc<SourceFile>,
    /// The scenario.
    pub scenario: Scenario,
    /// The rules it sees.
    pub pack: Arc<Pack>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Scenarios, in order of file.
    pub units: Vec<Unit>,
    /// What is wrong with scenarios or with the rules they see.
    pub diagnostics: Vec<Diagnostic>,
    /// Every text that diagnostics point into.
    pub files: Vec<SourceFile>,
    /// The rules that were tried, each set once.
    pub packs: Vec<Arc<Pack>>,
    /// What each set of rules was compiled from, those that scenarios reload included.
    pub sets: Vec<(Arc<RuleSet>, Arc<Sources>)>,
}

/// Files of scenarios below a path, or the file that it is, in order of name.
#[must_use]
pub fn find(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if path.is_file() {
        found.push(path.to_owned());
    } else {
        let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        walk(path, whole.ends_with(TESTS), 0, &mut found);
        if found.is_empty() && whole.ancestors().any(|folder| folder.ends_with(TESTS)) {
            // A folder within one of scenarios, unless it is a pack of its own.
            walk(path, true, 0, &mut found);
        }
    }
    found
}

fn walk(folder: &Path, inside: bool, depth: usize, found: &mut Vec<PathBuf>) {
    if depth > DEPTH {
        return;
    }
    for path in list(folder) {
        let name = path.file_name().unwrap_or_default();
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            walk(&path, inside || name == TESTS, depth + 1, found);
        } else if inside && is_yaml(&path) {
            found.push(path);
        }
    }
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|found| found == "yaml" || found == "yml")
}

impl Suite {
    /// Reads scenario files and compiles what each of them sees, every set of rules once.
    #[must_use]
    pub fn load(&self, paths: &[PathBuf]) -> Found {
        let mut loader = Loader { suite: self, found: Found::default(), sets: BTreeMap::new() };
        let nothing = match RuleSet::empty() {
            Ok(rules) => Arc::new(rules),
            Err(diagnostics) => {
                loader.found.diagnostics = diagnostics;
                return loader.found;
            }
        };
        for path in paths {
            loader.file(path, &nothing);
        }
        loader.found
    }

    /// The folder of rules in which a pack lies.
    fn root(&self, pack: &Path) -> PathBuf {
        let roots = self.rules.iter().filter(|root| lies_in(pack, root));
        // The outermost that was named.
        roots
            .min_by_key(|root| root.components().count())
            .cloned()
            .unwrap_or_else(|| pack.to_owned())
    }
}

/// The files that make up a set of rules.
type Set = Vec<PathBuf>;

struct Loader<'s> {
    suite: &'s Suite,
    found: Found,
    /// Sets that were compiled; `None`: with mistakes, which are told.
    sets: BTreeMap<Set, Option<Arc<RuleSet>>>,
}

impl Loader<'_> {
    fn file(&mut self, path: &Path, nothing: &Arc<RuleSet>) {
        let file = match source_file(path, FILE_BYTES as u64) {
            Ok(file) => file,
            Err(diagnostic) => return self.found.diagnostics.push(*diagnostic),
        };
        let (scenarios, diagnostics) = parse(&file);
        self.found.diagnostics.extend(diagnostics);
        self.found.files.push(file.clone());
        let file = Arc::new(file);
        let pack = pack_of(path);
        for scenario in scenarios {
            let Some(set) = self.set(&pack, &scenario, &file) else { continue };
            let Some(rules) = self.compile(set) else { continue };
            let mut reloads = BTreeMap::new();
            let here = path.parent().unwrap_or(Path::new("")).to_owned();
            for (folder, at) in reloaded(&scenario) {
                let other = here.join(&*folder);
                if !other.is_dir() {
                    let message = format!("there is no folder `{}`", other.display());
                    self.complain(&file, at, message, "it is looked for from the scenario's file");
                    continue;
                }
                let mut set = self.shared(&pack);
                set.push(other);
                if let Some(rules) = self.compile(set) {
                    reloads.insert(folder, rules);
                }
            }
            let pack = self.pack(rules, nothing, reloads);
            self.found.units.push(Unit { file: file.clone(), scenario, pack });
        }
    }

    fn pack(
        &mut self,
        rules: Arc<RuleSet>,
        nothing: &Arc<RuleSet>,
        reloads: BTreeMap<Text, Arc<RuleSet>>,
    ) -> Arc<Pack> {
        let same = |pack: &&Arc<Pack>| Arc::ptr_eq(&pack.rules, &rules);
        match self.found.packs.iter().find(same) {
            Some(pack) if reloads.is_empty() => pack.clone(),
            known => {
                let new = known.is_none();
                let pack = Arc::new(Pack { rules, nothing: nothing.clone(), reloads });
                if new {
                    self.found.packs.push(pack.clone());
                }
                pack
            }
        }
    }

    fn complain(
        &mut self,
        file: &SourceFile,
        at: std::ops::Range<usize>,
        message: String,
        help: &str,
    ) {
        let mut diagnostic = Diagnostic::error("scenario-rules", &file.name, at, message);
        diagnostic.help(help);
        self.found.diagnostics.push(diagnostic);
    }

    /// Rule files directly in the folders above a pack, as far as the folder of rules that it lies in.
    fn shared(&self, pack: &Path) -> Set {
        let root = self.suite.root(pack);
        let above = pack.ancestors().skip(1).take_while(|folder| lies_in(folder, &root));
        let mut set: Set = above
            .flat_map(list)
            .filter(|path| path.is_file() && is_yaml(path) && !path.ends_with("adjutant.yaml"))
            .collect();
        set.sort();
        set
    }

    fn set(&mut self, pack: &Path, scenario: &Scenario, file: &Arc<SourceFile>) -> Option<Set> {
        if self.is_plugins(pack) {
            return Some(Set::new());
        }
        let mut set = self.shared(pack);
        set.push(pack.to_owned());
        let root = self.suite.root(pack);
        for name in &scenario.packs {
            let other = root.join(&**name);
            if !other.is_dir() {
                let message = format!("there is no pack `{name}` in `{}`", root.display());
                let help = "`packs` names folders beside the scenario's own pack";
                self.complain(file, scenario.place.clone(), message, help);
                return None;
            }
            if !lies_in(&other, pack) && !lies_in(pack, &other) {
                set.push(other);
            }
        }
        Some(set)
    }

    /// Whether a folder is one of plugins, or a plugin in one.
    fn is_plugins(&self, folder: &Path) -> bool {
        self.suite.plugins.iter().any(|plugins| lies_in(folder, plugins))
    }

    fn compile(&mut self, set: Set) -> Option<Arc<RuleSet>> {
        if let Some(known) = self.sets.get(&set) {
            return known.clone();
        }
        let compiled = match Sources::read(&set, &self.suite.plugins) {
            Err(diagnostics) => Err(diagnostics),
            Ok(sources) => {
                self.found.files.extend(sources.files().cloned());
                let compiled = RuleSet::compile(&sources, &self.suite.context);
                compiled.map(|(rules, _)| (Arc::new(rules), Arc::new(sources)))
            }
        };
        let rules = match compiled {
            Ok((rules, sources)) => {
                self.found.sets.push((rules.clone(), sources));
                Some(rules)
            }
            Err(diagnostics) => {
                for diagnostic in diagnostics.into_iter().filter(Diagnostic::is_error) {
                    if !self.found.diagnostics.contains(&diagnostic) {
                        self.found.diagnostics.push(diagnostic);
                    }
                }
                None
            }
        };
        self.sets.insert(set, rules.clone());
        rules
    }
}

/// The pack that a scenario's file belongs to: the folder above its `tests`.
fn pack_of(path: &Path) -> PathBuf {
    let own = path.parent().unwrap_or(Path::new(""));
    let tests = own.ancestors().find(|folder| folder.ends_with(TESTS));
    let pack = tests.map_or(own, |tests| tests.parent().unwrap_or(Path::new("")));
    if pack.as_os_str().is_empty() { PathBuf::from(".") } else { pack.to_owned() }
}

/// The folders that a scenario reloads, and where it says so.
fn reloaded(scenario: &Scenario) -> Vec<(Text, std::ops::Range<usize>)> {
    let entries = scenario.timeline.iter();
    let folder = |entry: &super::file::Entry| match &entry.verb {
        Verb::Reload(folder) => Some((folder.clone(), entry.place.clone())),
        _ => None,
    };
    entries.filter_map(folder).collect()
}

/// Whether a path is a folder or lies in it; both may be written in any way.
pub(crate) fn lies_in(path: &Path, folder: &Path) -> bool {
    match (path.canonicalize(), folder.canonicalize()) {
        (Ok(path), Ok(folder)) => path.starts_with(folder),
        _ => false,
    }
}
