//! [`TemplateViews`]: the templates that the rules of a folder see.
//!
//! `template: x` is the nearest `templates/x.*` upward from the rule file. So each folder has a
//! view: for every name, the files of the nearest `templates/` that has any of that name.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Name, Text};

use super::diagnostic::{Diagnostic, SourceFile};
use super::templates::{Member, TemplateSource, Templates};

/// A file of a `templates/` folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFile {
    /// The file; its name as shown to people.
    pub file: SourceFile,
    /// The folder whose rules may use it: the one that holds `templates/`, as shown to people.
    pub dir: Text,
}

impl TemplateFile {
    /// Its name within `templates/`: `lead-ack.de.html`.
    #[must_use]
    pub fn local(&self) -> &str {
        self.file.name.rsplit('/').next().unwrap_or(&self.file.name)
    }

    /// The name a rule uses: up to the first dot.
    #[must_use]
    pub fn stem(&self) -> &str {
        let local = self.local();
        local.split('.').next().unwrap_or(local)
    }
}

/// The views of all folders that have rules or templates.
#[derive(Debug, Default)]
pub(super) struct TemplateViews {
    views: BTreeMap<Text, View>,
}

/// What the rules of one folder see.
#[derive(Debug)]
pub(super) struct View {
    templates: Templates,
    sources: BTreeMap<Text, TemplateSource>,
}

impl TemplateViews {
    /// Compiles the views of every folder; mistakes in templates go to `out`, each once. `items` are the names
    /// that rules give to what they go through.
    pub(super) fn compile(
        files: &[TemplateFile],
        rules: &[SourceFile],
        items: &BTreeSet<Text>,
        out: &mut Vec<Diagnostic>,
    ) -> Self {
        let folders: BTreeSet<&str> = rules
            .iter()
            .map(|file| parent(&file.name))
            .chain(files.iter().map(|file| &*file.dir))
            .collect();
        let mut views = BTreeMap::new();
        let mut found: Vec<Diagnostic> = Vec::new();
        for folder in folders {
            let sources = seen_from(folder, files);
            let (templates, errors) = Templates::look(&sources, items);
            for error in errors {
                let Some(source) = sources.get(error.index) else { continue };
                let mut mistake =
                    Diagnostic::error("template", &source.file, error.span, error.message);
                mistake.maybe_help(error.help);
                if !found.contains(&mistake) {
                    found.push(mistake);
                }
            }
            let sources = sources.into_iter().map(|source| (source.name.clone(), source)).collect();
            views.insert(Text::from(folder), View { templates, sources });
        }
        out.append(&mut found);
        Self { views }
    }

    /// The view of a rule file.
    pub(super) fn of(&self, rule_file: &str) -> Option<&View> {
        self.views.get(parent(rule_file))
    }
}

impl View {
    /// Why a template is not there, and what to do about it; `None` if it is.
    pub(super) fn missing(&self, name: &str) -> Option<(String, Option<String>)> {
        (!self.templates.has(name)).then(|| self.templates.explain_missing(name))
    }

    /// What rendering a template may read of `vars`, `steps` and `args`, with the file each stands in.
    pub(super) fn members(&self, name: &str) -> impl Iterator<Item = (&Text, &Member)> {
        self.templates.members(name)
    }

    /// The files that rendering these templates may read.
    pub(super) fn sources<'n>(
        &self,
        names: impl Iterator<Item = &'n Name>,
    ) -> Vec<&TemplateSource> {
        let files: BTreeSet<Text> =
            names.flat_map(|name| self.templates.referenced(name)).collect();
        files.into_iter().filter_map(|file| self.sources.get(&file)).collect()
    }
}

/// The files that rules in `folder` see: for each name, those of the nearest folder that has it.
fn seen_from(folder: &str, files: &[TemplateFile]) -> Vec<TemplateSource> {
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    let mut sources = Vec::new();
    let mut next = Some(folder);
    while let Some(dir) = next {
        let here: Vec<_> =
            files.iter().filter(|file| *file.dir == *dir && !taken.contains(file.stem())).collect();
        taken.extend(here.iter().map(|file| file.stem()));
        sources.extend(here.iter().map(|file| TemplateSource {
            name: file.local().into(),
            file: file.file.name.clone(),
            text: file.file.text.clone(),
        }));
        next = (!dir.is_empty() && dir != "/").then(|| parent(dir));
    }
    sources
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

    fn file(dir: &str, local: &str, text: &str) -> TemplateFile {
        let name = format!("{dir}/templates/{local}");
        TemplateFile { file: SourceFile::new(name, text), dir: dir.into() }
    }

    #[test]
    fn the_nearest_folder_upward_wins_for_all_files_of_a_name() {
        let files = [
            file("rules", "a.txt", "Subject: far\n\nx"),
            file("rules", "a.de.txt", "Subject: fern\n\nx"),
            file("rules", "b.txt", "Subject: b\n\nx"),
            file("rules/leads", "a.txt", "Subject: near\n\nx"),
            file("other", "c.txt", "Subject: c\n\nx"),
        ];
        let rules = [SourceFile::new("rules/leads/x.yaml", "")];
        let mut out = Vec::new();
        let views = TemplateViews::compile(&files, &rules, &BTreeSet::new(), &mut out);
        assert_eq!(out, []);
        let view = views.of("rules/leads/x.yaml").unwrap();
        assert!(view.missing("a").is_none());
        assert!(view.missing("b").is_none());
        assert!(view.missing("c").is_some());
        let names = [Name::from("a"), Name::from("b")];
        let seen: Vec<_> = view.sources(names.iter()).iter().map(|source| &*source.file).collect();
        assert_eq!(seen, ["rules/leads/templates/a.txt", "rules/templates/b.txt"]);
    }
}
