//! [`TemplateFiles`]: which template file a name means, seen from a rule file.
//!
//! `template: x` is the nearest `templates/x.*` upward from the rule file.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Name, Text};

use super::diagnostic::SourceFile;

/// A file of a `templates/` folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFile {
    /// The file; its name as shown to people.
    pub file: SourceFile,
    /// The folder whose rules may use it: the one that holds `templates/`, as shown to people.
    pub dir: Text,
    /// Its path within `templates/`: `lead-ack.de.html`.
    pub local: Text,
}

/// All template files by the folder they belong to.
#[derive(Debug, Default)]
pub(super) struct TemplateFiles {
    files: Vec<TemplateFile>,
    folders: BTreeMap<Text, Vec<usize>>,
}

impl TemplateFile {
    /// The name a rule uses: up to the first dot of the file name.
    #[must_use]
    pub fn stem(&self) -> &str {
        self.local.split('.').next().unwrap_or(&self.local)
    }
}

impl TemplateFiles {
    /// From the files that were found.
    pub(super) fn new(files: Vec<TemplateFile>) -> Self {
        let mut folders: BTreeMap<Text, Vec<usize>> = BTreeMap::new();
        for (at, file) in files.iter().enumerate() {
            folders.entry(file.dir.clone()).or_default().push(at);
        }
        Self { files, folders }
    }

    /// The folder whose template `name` the rules in `rule_file` mean.
    pub(super) fn folder(&self, rule_file: &str, name: &str) -> Option<&Text> {
        self.upward(rule_file).find(|(_, files)| files.iter().any(|file| file.stem() == name)).map(|(dir, _)| dir)
    }

    /// All names that the rules in a file may use.
    pub(super) fn names(&self, rule_file: &str) -> BTreeSet<Name> {
        self.upward(rule_file)
            .flat_map(|(_, files)| files.into_iter().map(|file| Name::from(file.stem())))
            .collect()
    }

    /// The files of a folder, in order of name.
    pub(super) fn of_folder(&self, dir: &str) -> impl Iterator<Item = &TemplateFile> {
        self.folders.get(dir).into_iter().flatten().map(|at| &self.files[*at])
    }

    /// All folders that have templates.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Text> {
        self.folders.keys()
    }

    fn upward(&self, rule_file: &str) -> impl Iterator<Item = (&Text, Vec<&TemplateFile>)> {
        let mut next = Some(parent(rule_file));
        std::iter::from_fn(move || {
            let dir = next?;
            next = (!dir.is_empty() && dir != "/").then(|| parent(dir));
            Some(dir)
        })
        .filter_map(|dir| {
            let (dir, files) = self.folders.get_key_value(dir)?;
            Some((dir, files.iter().map(|at| &self.files[*at]).collect()))
        })
    }
}

/// The folder of a path; empty for a bare name.
fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) => "/",
        Some(slash) => &path[..slash],
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &str, local: &str) -> TemplateFile {
        let name = format!("{dir}/templates/{local}");
        TemplateFile { file: SourceFile::new(name, "x"), dir: dir.into(), local: local.into() }
    }

    #[test]
    fn the_nearest_folder_upward_wins() {
        let files = TemplateFiles::new(vec![
            file("rules", "a.txt"),
            file("rules", "b.txt"),
            file("rules/leads", "a.de.html"),
            file("other", "c.txt"),
        ]);
        let dir = |name| files.folder("rules/leads/x.yaml", name).map(|dir| &**dir);
        assert_eq!(dir("a"), Some("rules/leads"));
        assert_eq!(dir("b"), Some("rules"));
        assert_eq!(dir("c"), None);
        let names: Vec<_> = files.names("rules/leads/x.yaml").into_iter().collect();
        assert_eq!(names, [Name::from("a"), Name::from("b")]);
    }
}
