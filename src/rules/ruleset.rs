//! [`RuleSet`]: everything the engine goes by, compiled from all files at once or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{FileGlob, KNOWN_KINDS, Name, Text, Value};
use crate::script::Sandbox;

use super::assemble::{self, Loaded};
use super::bundle::Bundle;
use super::calendar::Calendar;
use super::diagnostic::{Diagnostic, SourceFile};
use super::directory::BUILT_IN_PURPOSES;
use super::matching::Matching;
use super::program::{Purpose, RecordKind, Sla, Team, TriggerKind};
use super::purpose;
use super::template_views::TemplateFile;

/// The files of a rule set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Rule files; names use `/` and tell which folder a file is in.
    pub rules: Vec<SourceFile>,
    /// Files of `templates/` folders.
    pub templates: Vec<TemplateFile>,
    /// Plugins: files `NAME.rhai`, and of folders the `plugin.yaml` with the files beside it.
    pub plugins: Vec<SourceFile>,
}

/// What the configuration says that rules refer to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    /// Names of webhook endpoints.
    pub endpoints: Vec<Name>,
    /// The zone where a rule names none; UTC if empty.
    pub timezone: Text,
    /// What the configuration sets for plugins, by name.
    pub plugin_settings: BTreeMap<Name, Value>,
    /// Inbound webhooks.
    pub hooks: Vec<HookContext>,
}

/// What rules and plugins must know of an inbound webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookContext {
    /// Its name: `/hooks/NAME`.
    pub name: Name,
    /// The function of a plugin that makes its events.
    pub transform: Option<Text>,
}

/// A compiled rule set. Immutable; share it behind an `Arc`.
#[derive(Debug)]
pub struct RuleSet {
    /// Compiled every expression in it.
    pub sandbox: Sandbox,
    /// Workflows by name.
    pub workflows: BTreeMap<Name, Arc<Bundle>>,
    /// Escalation policies by name.
    pub policies: BTreeMap<Name, Arc<Bundle>>,
    /// Calendars by name.
    pub calendars: BTreeMap<Name, Calendar>,
    /// Purposes by name, the built-in ones included.
    pub purposes: BTreeMap<Name, Purpose>,
    /// Record kinds that have a document, by name.
    pub records: BTreeMap<Name, RecordKind>,
    /// Teams by name.
    pub teams: BTreeMap<Name, Team>,
    /// Service levels by name.
    pub slas: BTreeMap<Name, Sla>,
    /// Kinds of records whose changes some rule waits for.
    kinds: BTreeSet<Text>,
    /// Which workflows an event could start.
    matching: Matching,
}

/// As stored: a version, then postcard.
const VERSION: u8 = 1;

/// The files as plain data: name and text, and of templates their folder.
#[derive(Serialize, Deserialize)]
struct Stored {
    rules: Vec<(Text, Text)>,
    templates: Vec<(Text, Text, Text)>,
    plugins: Vec<(Text, Text)>,
}

impl Sources {
    /// All files, to be read again by [`Sources::decode`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let pair = |file: &SourceFile| (file.name.clone(), file.text.clone());
        let template = |template: &TemplateFile| {
            let (name, text) = pair(&template.file);
            (name, text, template.dir.clone())
        };
        let stored = Stored {
            rules: self.rules.iter().map(pair).collect(),
            templates: self.templates.iter().map(template).collect(),
            plugins: self.plugins.iter().map(pair).collect(),
        };
        // Plain data of texts: writing it to memory cannot fail.
        postcard::to_extend(&stored, vec![VERSION]).unwrap_or_default()
    }

    /// Reads what [`Sources::encode`] wrote; `None` when it is damaged or newer.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&VERSION, rest) = bytes.split_first()? else { return None };
        let stored: Stored = postcard::from_bytes(rest).ok()?;
        let file = |(name, text): (Text, Text)| SourceFile { name, text };
        Some(Self {
            rules: stored.rules.into_iter().map(file).collect(),
            templates: stored
                .templates
                .into_iter()
                .map(|(name, text, dir)| TemplateFile { file: file((name, text)), dir })
                .collect(),
            plugins: stored.plugins.into_iter().map(file).collect(),
        })
    }

    /// How many plugins there are: folders with a manifest, and files alone.
    #[must_use]
    pub fn plugin_count(&self) -> usize {
        super::plugins::count(&self.plugins)
    }

    /// Every file, for rendering diagnostics.
    pub fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.rules.iter().chain(self.templates.iter().map(|file| &file.file)).chain(&self.plugins)
    }
}

impl RuleSet {
    /// Compiles all files.
    ///
    /// # Errors
    /// Every mistake of every file, in the order of the files, warnings among them.
    pub fn compile(
        sources: &Sources,
        context: &Context,
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let (loaded, found) = assemble::assemble(sources, context);
        match loaded {
            Some(loaded) if !found.iter().any(Diagnostic::is_error) => {
                Ok((Self::of(loaded), found))
            }
            _ => Err(found),
        }
    }

    /// Without a single rule.
    ///
    /// # Errors
    /// The sandbox could not be made, which a correct build never sees.
    pub fn empty() -> Result<Self, Vec<Diagnostic>> {
        Self::compile(&Sources::default(), &Context::default()).map(|(rules, _)| rules)
    }

    fn of(loaded: Loaded) -> Self {
        let Loaded { sandbox, workflows, policies, calendars, teams, slas, kinds, .. } = loaded;
        let (mut purposes, mut records) = (loaded.purposes, loaded.records);
        for name in BUILT_IN_PURPOSES {
            purposes.entry(name.into()).or_insert_with(|| purpose::plain(name, ""));
        }
        for (kind, indexes) in KNOWN_KINDS {
            let kind = records.entry(kind.into()).or_default();
            for index in indexes {
                if !kind.indexes.iter().any(|known| **known == **index) {
                    kind.indexes.push((*index).into());
                }
            }
        }
        let matching = Matching::of(workflows.values());
        Self {
            sandbox,
            workflows,
            policies,
            calendars,
            purposes,
            records,
            teams,
            slas,
            kinds,
            matching,
        }
    }

    /// Whether a rule waits for changes of records of this kind.
    #[must_use]
    pub fn watches(&self, kind: &str) -> bool {
        self.kinds.contains(kind)
    }

    /// Whether an enabled workflow has a trigger for events of type `kind`.
    #[must_use]
    pub fn listens(&self, kind: &str) -> bool {
        self.matching.listens(kind)
    }

    /// Which files of the spool the enabled workflows read, each pattern once.
    #[must_use]
    pub fn globs(&self) -> BTreeSet<&FileGlob> {
        let enabled = self.workflows.values().filter(|bundle| bundle.main.enabled);
        let triggers = enabled.flat_map(|bundle| &bundle.main.triggers);
        triggers
            .filter_map(|trigger| match &trigger.kind {
                TriggerKind::Files(glob) => Some(glob),
                _ => None,
            })
            .collect()
    }

    /// The enabled workflows that an event of type `kind` could start, in order of name: the first
    /// `limit` of those after `after`. `event` is what expressions see of it. Whoever is left out
    /// would not have started, and no expression of theirs would have failed. The cost grows with
    /// the number of those found, not of all.
    pub fn candidates(
        &self,
        kind: &str,
        event: &Value,
        after: Option<&str>,
        limit: usize,
    ) -> impl Iterator<Item = &Arc<Bundle>> {
        self.matching.find(kind, event, after, limit)
    }

    /// The enabled workflows with a trigger for `kind` that are no [`RuleSet::candidates`], in order
    /// of name. The cost grows with the number of all.
    pub fn ruled_out(&self, kind: &str, event: &Value) -> impl Iterator<Item = &Arc<Bundle>> {
        self.matching.ruled_out(kind, event)
    }
}
