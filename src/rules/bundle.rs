//! [`Bundle`]: a workflow with everything it is pinned to, compiled from its own sources alone.
//!
//! A run keeps the bundle it began with. Its sources are stored under a hash of their content and
//! may be compiled again years later, so nothing in here depends on names of live things:
//! calendars, purposes, policies, endpoints and record kinds are looked up when they are needed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{BundleId, Hasher, Name, Text};
use crate::script::{Grant, PluginSource, Sandbox};

use super::compile::{Cx, Local, Used};
use super::decode::Sink;
use super::diagnostic::{Diagnostic, Lines, SourceFile};
use super::directory::Directory;
use super::program::Workflow;
use super::templates::{TemplateSource, Templates};
use super::yaml::{self, Node};
use super::{escalation, workflow};

/// The first byte of an encoded source.
const VERSION: u8 = 2;
/// From before plugins had manifests.
const WITHOUT_GRANTS: u8 = 1;

/// A workflow or an escalation policy, with everything a run of it is pinned to.
#[derive(Debug)]
pub struct Bundle {
    /// Hash of the content.
    pub id: BundleId,
    /// The workflow or policy.
    pub name: Name,
    /// Whether it is a policy.
    pub policy: bool,
    /// Compiled.
    pub main: Arc<Workflow>,
    /// The workflows it calls, and those call, by name.
    pub callees: BTreeMap<Name, Arc<Workflow>>,
    /// The templates it uses.
    pub templates: Templates,
    /// The plugins it uses.
    pub sandbox: Sandbox,
    /// What it is compiled from.
    pub source: BundleSource,
}

/// What a bundle is compiled from: plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleSource {
    /// The document of the workflow or policy.
    pub main: DocumentSource,
    /// The documents of the workflows it calls, in order of name.
    pub callees: Vec<DocumentSource>,
    /// The plugins whose functions any of them may use, in order of name.
    pub plugins: Vec<PinnedPlugin>,
    /// The templates they use, with what those include, in order of name.
    pub templates: Vec<TemplateSource>,
}

/// One document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentSource {
    /// Its name.
    pub name: Name,
    /// Whether it is an escalation policy.
    pub policy: bool,
    /// Its own text, without the documents around it.
    pub text: Text,
    /// The file it stood in, for messages.
    pub file: Text,
    /// The line of that file on which the text begins, from 1.
    pub line: u32,
}

/// One plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedPlugin {
    /// Its name.
    pub name: Text,
    /// The file it stood in, for messages.
    pub file: Text,
    /// The text.
    pub text: Text,
    /// What it may do, and its settings, as [`Grant::encode`] writes them; `None`: it is from before
    /// there were manifests.
    pub grant: Option<Text>,
}

/// A source as it was stored before plugins had manifests.
#[derive(Deserialize)]
struct SourceWithoutGrants {
    main: DocumentSource,
    callees: Vec<DocumentSource>,
    plugins: Vec<(Text, Text, Text)>,
    templates: Vec<TemplateSource>,
}

impl From<SourceWithoutGrants> for BundleSource {
    fn from(old: SourceWithoutGrants) -> Self {
        let SourceWithoutGrants { main, callees, plugins, templates } = old;
        let plugin = |(name, file, text)| PinnedPlugin { name, file, text, grant: None };
        Self { main, callees, plugins: plugins.into_iter().map(plugin).collect(), templates }
    }
}

impl PinnedPlugin {
    /// What it may do.
    fn grant(&self) -> Grant {
        match &self.grant {
            None => Grant::from_before_manifests(),
            // Damaged: it may do nothing, so what it did shows as a mistake.
            Some(text) => Grant::decode(text).unwrap_or_default(),
        }
    }
}

impl Bundle {
    /// The workflow of this name: the bundle's own, or one it calls.
    #[must_use]
    pub fn workflow(&self, name: &str) -> Option<&Arc<Workflow>> {
        if *self.name == *name { Some(&self.main) } else { self.callees.get(name) }
    }

    /// The rule file in which a workflow of the bundle stood.
    #[must_use]
    pub fn file_of(&self, workflow: &str) -> &str {
        let callee = self.source.callees.iter().find(|callee| *callee.name == *workflow);
        &callee.unwrap_or(&self.source.main).file
    }

    /// Compiles a stored bundle.
    ///
    /// # Errors
    /// What [`BundleSource::decode`] or compiling says; the files named in the diagnostics have the
    /// texts of [`BundleSource::files`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Vec<Diagnostic>> {
        Self::compile(BundleSource::decode(bytes).map_err(|error| vec![*error])?)
    }

    /// Compiles a bundle from its sources alone.
    ///
    /// # Errors
    /// Every mistake; sources that were accepted once give none.
    pub fn compile(source: BundleSource) -> Result<Self, Vec<Diagnostic>> {
        let mut out = Vec::new();
        let sandbox = sandbox(source.plugins.iter(), &mut out);
        let mut compile = |document: &DocumentSource| {
            let file = document.as_file();
            let parsed = yaml::parse(&file, &mut out);
            let (Some(root), Some(sandbox)) = (parsed.documents.first(), &sandbox) else {
                return None;
            };
            let (lines, policy) = (Lines::of(&file.text), document.policy);
            let first_line = document.line;
            let unit = Unit { file: &file, lines: &lines, first_line, root: &root.root, policy };
            let compiled = compile(unit, sandbox, None, &mut out)?;
            Some(Arc::new(compiled.workflow))
        };
        let main = compile(&source.main);
        let mut callees = BTreeMap::new();
        for callee in &source.callees {
            if let Some(workflow) = compile(callee) {
                callees.insert(callee.name.clone(), workflow);
            }
        }
        let templates = compile_templates(&source, &mut out);
        if let Some(call) = missing_callee(&source, main.iter().chain(callees.values())) {
            out.push(call);
        }
        match (main, templates, sandbox) {
            (Some(main), Some(templates), Some(sandbox))
                if !out.iter().any(Diagnostic::is_error) =>
            {
                Ok(Self::assemble(main, callees, (templates, sandbox), source))
            }
            _ => Err(out),
        }
    }

    /// From parts that were compiled already.
    pub(super) fn assemble(
        main: Arc<Workflow>,
        callees: BTreeMap<Name, Arc<Workflow>>,
        (templates, sandbox): (Templates, Sandbox),
        source: BundleSource,
    ) -> Self {
        let (name, policy) = (source.main.name.clone(), source.main.policy);
        Self { id: source.id(), name, policy, main, callees, templates, sandbox, source }
    }
}

impl BundleSource {
    /// A hash of the content: not of where it stood, nor of its line breaks' kind.
    #[must_use]
    pub fn id(&self) -> BundleId {
        let mut hasher = Hasher::new();
        hasher.part(b"bundle");
        for document in std::iter::once(&self.main).chain(&self.callees) {
            hasher.part(&[b'd', u8::from(document.policy)]).part(document.text.as_bytes());
        }
        for plugin in &self.plugins {
            hasher.part(b"p").part(plugin.name.as_bytes()).part(plugin.text.as_bytes());
            if let Some(grant) = &plugin.grant {
                hasher.part(b"g").part(grant.as_bytes());
            }
        }
        for template in &self.templates {
            hasher.part(b"t").part(template.name.as_bytes()).part(template.text.as_bytes());
        }
        hasher.finish()
    }

    /// As stored: a version, then postcard.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Plain data of texts and numbers: writing it to memory cannot fail.
        postcard::to_extend(self, vec![VERSION]).unwrap_or_default()
    }

    /// Reads what [`BundleSource::encode`] wrote.
    ///
    /// # Errors
    /// A version this program does not know, or damaged bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Box<Diagnostic>> {
        let damaged = |message: String| {
            Box::new(Diagnostic::error("stored-bundle", &"stored rules".into(), 0..0, message))
        };
        match bytes.split_first() {
            Some((&VERSION, rest)) => postcard::from_bytes(rest)
                .map_err(|error| damaged(format!("the stored rules are damaged: {error}"))),
            Some((&WITHOUT_GRANTS, rest)) => postcard::from_bytes::<SourceWithoutGrants>(rest)
                .map(Self::from)
                .map_err(|error| damaged(format!("the stored rules are damaged: {error}"))),
            Some((version, _)) => Err(damaged(format!(
                "the stored rules have format {version}, which this version does not know"
            ))),
            None => Err(damaged("the stored rules are empty".to_owned())),
        }
    }

    /// The texts that diagnostics about this bundle point into.
    #[must_use]
    pub fn files(&self) -> Vec<SourceFile> {
        let documents =
            std::iter::once(&self.main).chain(&self.callees).map(DocumentSource::as_file);
        let plugins = self
            .plugins
            .iter()
            .map(|plugin| SourceFile::new(plugin.file.clone(), plugin.text.clone()));
        let templates = self
            .templates
            .iter()
            .map(|template| SourceFile::new(template.file.clone(), template.text.clone()));
        documents.chain(plugins).chain(templates).collect()
    }
}

impl DocumentSource {
    /// The document alone as a file. Several documents of one file keep apart by their names.
    fn as_file(&self) -> SourceFile {
        SourceFile::new(format!("{} ({})", self.file, self.name), self.text.clone())
    }
}

/// A document to compile.
#[derive(Clone, Copy)]
pub(super) struct Unit<'a> {
    pub file: &'a SourceFile,
    pub lines: &'a Lines,
    /// The line of the rule file on which the text of `file` begins, from 1.
    pub first_line: u32,
    pub root: &'a Node,
    pub policy: bool,
}

/// A compiled document.
pub(super) struct Compiled {
    pub workflow: Workflow,
    pub used: Used,
}

/// Compiles a workflow or a policy: the one way in, at load and from the store.
pub(super) fn compile(
    unit: Unit<'_>,
    sandbox: &Sandbox,
    directory: Option<&Directory>,
    out: &mut Vec<Diagnostic>,
) -> Option<Compiled> {
    let mut cx = Cx {
        sink: Sink::new(unit.file, out),
        first_line: unit.first_line,
        lines: unit.lines,
        sandbox,
        directory,
        used: Used::default(),
        local: Local::default(),
    };
    let workflow = if unit.policy {
        escalation::escalation(&mut cx, unit.root)
    } else {
        workflow::workflow(&mut cx, unit.root)
    };
    let used = cx.used;
    if (workflow.is_none() || used.dropped.is_some()) && !out.iter().any(Diagnostic::is_error) {
        // Whatever is left out must have been reported: a rule is never dropped in silence.
        let span = used.dropped.unwrap_or_else(|| unit.root.head());
        let message = "this could not be compiled, and the reason was lost";
        let mut error = Diagnostic::error("internal", &unit.file.name, span, message);
        error.help("this is a mistake in adjutant itself: please report it with the file");
        out.push(error);
        return None;
    }
    Some(Compiled { workflow: workflow?, used })
}

/// A sandbox with these plugins; `None` after a mistake in one, which is reported.
pub(super) fn sandbox<'p>(
    plugins: impl Iterator<Item = &'p PinnedPlugin>,
    out: &mut Vec<Diagnostic>,
) -> Option<Sandbox> {
    let sources: Vec<PluginSource> = plugins
        .map(|plugin| PluginSource {
            name: plugin.name.clone(),
            file: plugin.file.clone(),
            source: plugin.text.clone(),
            grant: plugin.grant(),
        })
        .collect();
    match Sandbox::new(&sources) {
        Ok(sandbox) => Some(sandbox),
        Err(errors) => {
            for (at, error) in errors {
                let file =
                    sources.get(at).map_or_else(|| Text::from("plugins"), |s| s.file.clone());
                let span = error.offset..error.offset + error.len;
                let mut mistake = Diagnostic::error("plugin", &file, span, error.message);
                mistake.maybe_help(error.help);
                out.push(mistake);
            }
            None
        }
    }
}

/// The templates of a bundle; `None` after a mistake in one, which is reported.
pub(super) fn compile_templates(
    source: &BundleSource,
    out: &mut Vec<Diagnostic>,
) -> Option<Templates> {
    match Templates::again(&source.templates) {
        Ok(templates) => Some(templates),
        Err(errors) => {
            for error in errors {
                let Some(file) = source.templates.get(error.index) else { continue };
                let mut mistake =
                    Diagnostic::error("template", &file.file, error.span, error.message);
                mistake.maybe_help(error.help);
                out.push(mistake);
            }
            None
        }
    }
}

/// A call of a workflow that the bundle does not hold: its source is damaged.
fn missing_callee<'w>(
    source: &BundleSource,
    workflows: impl Iterator<Item = &'w Arc<Workflow>>,
) -> Option<Diagnostic> {
    let known: BTreeSet<&Name> = source.callees.iter().map(|callee| &callee.name).collect();
    for workflow in workflows {
        for step in &workflow.steps {
            if let super::program::Action::Call { workflow: callee, .. } = &step.action
                && !known.contains(callee)
            {
                let message = format!("the stored rules lack the workflow `{callee}`");
                return Some(Diagnostic::error("stored-bundle", &source.main.file, 0..0, message));
            }
        }
    }
    None
}
