//! The plugins of a rule set: single files, and folders with a manifest.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Text;
use crate::script::{Grant, Sandbox};

use super::bundle::PinnedPlugin;
use super::diagnostic::{Diagnostic, SourceFile};
use super::manifest::{self, Manifest};
use super::ruleset::Context;
use super::suggest;

/// Every plugin, in order of name. A file alone is called as it is and may only compute; what is in a
/// folder is called as its manifest says, and may do what that says.
pub(super) fn read(
    files: &[SourceFile],
    context: &Context,
    out: &mut Vec<Diagnostic>,
) -> Vec<PinnedPlugin> {
    let given = |name: &str| context.plugin_settings.get(name);
    let mut folders: BTreeMap<&str, Option<Manifest>> = BTreeMap::new();
    let mut first: BTreeMap<Text, &SourceFile> = BTreeMap::new();
    for file in files.iter().filter(|file| is_manifest(file)) {
        let manifest = manifest::read(file, given, out);
        if let Some(manifest) = &manifest {
            name_once(&mut first, &manifest.name, file, out);
        }
        folders.insert(folder(file), manifest);
    }
    let mut plugins: BTreeMap<Text, PinnedPlugin> = BTreeMap::new();
    for file in files.iter().filter(|file| !is_manifest(file)) {
        let stem = file.name.rsplit('/').next().unwrap_or(&file.name);
        let stem = stem.strip_suffix(".rhai").unwrap_or(stem);
        let (name, grant) = match folders.get(folder(file)) {
            // What is wrong with the manifest is said; what it would allow is not a second mistake.
            Some(None) => (stem.into(), Grant::from_before_manifests()),
            Some(Some(manifest)) => {
                (format!("{}/{stem}", manifest.name).into(), manifest.grant.clone())
            }
            None => {
                name_once(&mut first, stem, file, out);
                (Text::from(stem), Grant::default())
            }
        };
        let (file, text) = (file.name.clone(), file.text.clone());
        let plugin = PinnedPlugin { name: name.clone(), file, text, grant: Some(grant.encode()) };
        plugins.entry(name).or_insert(plugin);
    }
    unknown_settings(&first, folders.values().any(Option::is_none), context, out);
    plugins.into_values().collect()
}

/// How many plugins these files are.
pub(super) fn count(files: &[SourceFile]) -> usize {
    let folders: BTreeSet<&str> =
        files.iter().filter(|file| is_manifest(file)).map(folder).collect();
    let alone = files.iter().filter(|file| !folders.contains(folder(file)));
    folders.len() + alone.count()
}

/// Settings for a plugin that is not there.
fn unknown_settings(
    known: &BTreeMap<Text, &SourceFile>,
    incomplete: bool,
    context: &Context,
    out: &mut Vec<Diagnostic>,
) {
    for name in context.plugin_settings.keys().filter(|name| !known.contains_key(&***name)) {
        if incomplete {
            continue;
        }
        let message = format!("`plugin_settings.{name}` is for a plugin that is not there");
        let file = "the configuration".into();
        let mut error = Diagnostic::error("settings", &file, 0..0, message);
        error.maybe_help(suggest::hint(name, known.keys().map(|name| &**name)));
        out.push(error);
    }
}

/// The functions that the configuration names for inbound webhooks must be there.
pub(super) fn check_hooks(
    sandbox: &Sandbox,
    context: &Context,
    lost: &BTreeSet<Text>,
    out: &mut Vec<Diagnostic>,
) {
    for hook in &context.hooks {
        let Some(transform) = &hook.transform else { continue };
        if sandbox.defines(transform, 1) || lost.contains(transform) {
            continue;
        }
        let message = format!(
            "the inbound webhook `{}` of the configuration is transformed by `{transform}`, which no plugin has",
            hook.name
        );
        let known = sandbox.functions().iter().filter(|known| known.plugin.is_some());
        let hint = suggest::hint(transform, known.map(|known| &*known.name));
        let help = hint
            .unwrap_or_else(|| format!("define it in a plugin: `fn {transform}(request) {{ … }}`"));
        let file = "the configuration".into();
        let mut error = Diagnostic::error("unknown-function", &file, 0..0, message);
        error.help(help);
        out.push(error);
    }
}

fn name_once<'f>(
    first: &mut BTreeMap<Text, &'f SourceFile>,
    name: &str,
    file: &'f SourceFile,
    out: &mut Vec<Diagnostic>,
) {
    if let Some(other) = first.insert(name.into(), file) {
        let message = format!("there are two plugins `{name}`");
        let mut error = Diagnostic::error("duplicate-name", &file.name, 0..0, message);
        error.also(&other.name, 0..0, "the other one").help("rename one of them");
        out.push(error);
    }
}

fn is_manifest(file: &SourceFile) -> bool {
    file.name.rsplit('/').next() == Some(manifest::FILE)
}

fn folder(file: &SourceFile) -> &str {
    file.name.rsplit_once('/').map_or("", |(folder, _)| folder)
}
