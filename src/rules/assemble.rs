//! From files to the parts of a rule set: parse, declare, compile, pin.
//!
//! Every step goes on after mistakes, so that all of them are found at once; only what would follow
//! from a mistake that is reported already is left out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use crate::model::{Name, Text, is_name};
use crate::script::Sandbox;

use super::bundle::{
    Bundle, BundleSource, Compiled, DocumentSource, PinnedPlugin, Unit, compile, compile_templates,
    sandbox,
};
use super::calendar::Calendar;
use super::calls;
use super::compile::{Cx, Local, Used};
use super::decode::Sink;
use super::diagnostic::{Diagnostic, Lines, SourceFile};
use super::directory::{Declared, Directory, Sort};
use super::documents;
use super::expressions;
use super::keys;
use super::lint;
use super::plugins;
use super::program::{Purpose, RecordKind, Sla, Team};
use super::purpose;
use super::ruleset::{Context, Sources};
use super::sla;
use super::suggest;
use super::team;
use super::template_views::TemplateViews;
use super::templates::TemplateSource;
use super::yaml::{self, Document, Kind};

/// Mistakes shown at once: whoever makes more has one cause for most of them.
const SHOWN: usize = 1_000;

/// The compiled parts.
pub(super) struct Loaded {
    pub sandbox: Sandbox,
    pub workflows: BTreeMap<Name, Arc<Bundle>>,
    pub policies: BTreeMap<Name, Arc<Bundle>>,
    pub calendars: BTreeMap<Name, Calendar>,
    pub purposes: BTreeMap<Name, Purpose>,
    pub records: BTreeMap<Name, RecordKind>,
    pub teams: BTreeMap<Name, Team>,
    pub slas: BTreeMap<Name, Sla>,
    pub kinds: BTreeSet<Text>,
}

/// A document whose kind is known.
struct Found<'s> {
    file: &'s SourceFile,
    lines: &'s Lines,
    document: Document,
    sort: Sort,
}

/// A workflow or policy that compiled.
pub(super) struct Built {
    /// Where its name stands.
    pub name: Range<usize>,
    pub source: DocumentSource,
    pub workflow: Arc<super::program::Workflow>,
    pub used: Used,
}

/// Compiles all files. The parts are there if nothing is wrong; mistakes are in the order of files.
pub(super) fn assemble(sources: &Sources, context: &Context) -> (Option<Loaded>, Vec<Diagnostic>) {
    let mut out = Vec::new();
    let mut incomplete = false;
    let mut found = Vec::new();
    let lines: Vec<Lines> = sources.rules.iter().map(|file| Lines::of(&file.text)).collect();
    for (file, lines) in sources.rules.iter().zip(&lines) {
        let parsed = yaml::parse(file, &mut out);
        incomplete |= parsed.incomplete;
        for document in parsed.documents {
            match kind_of(file, &document, &mut out) {
                Some(sort) => found.push(Found { file, lines, document, sort }),
                None => incomplete = true,
            }
        }
    }
    let views =
        TemplateViews::compile(&sources.templates, &sources.rules, &items(&found), &mut out);
    let plugins = plugins::read(&sources.plugins, context, &mut out);
    let mut directory = Directory::new(context, views);
    directory.incomplete = incomplete;
    let unread = out.len();
    let sandbox = sandbox_of(&plugins, &mut directory, &mut out);
    drop_consequences(&mut out, unread);
    let loaded = sandbox.and_then(|sandbox| {
        plugins::check_hooks(&sandbox, context, &directory.lost, &mut out);
        declare(&found, &mut directory, &mut out);
        let parts = Parts::compile(&found, &sandbox, &directory, &mut out);
        calls::check(&parts.built, &mut out);
        if !out.iter().any(Diagnostic::is_error) {
            calls::never_started(&parts.built, &mut out);
        }
        let rules = written(&found, &[Sort::Workflow, Sort::Policy]);
        let (teams, records) = (written(&found, &[Sort::Team]), written(&found, &[Sort::Record]));
        lint::check((&rules, &teams, &records), &directory.hooks, incomplete, &mut out);
        parts.pin(sandbox, &plugins, &directory, &mut out)
    });
    sort(sources, &mut out);
    (loaded, out)
}

/// The names that rules give to what they go through: `as: lead`.
fn items(found: &[Found<'_>]) -> BTreeSet<Text> {
    let rules = written(found, &[Sort::Workflow, Sort::Policy]);
    let mut items = BTreeSet::new();
    for one in rules {
        lint::each_step(one.root, &mut |step| {
            let name = step.get("as").and_then(yaml::Node::scalar);
            items.extend(name.map(|scalar| Text::from(scalar.text.as_str())));
        });
    }
    items
}

/// Takes out mistakes of plugins (those from `since` on) whose `plugin.yaml` is wrong: what it would permit and
/// declare is not known.
fn drop_consequences(out: &mut Vec<Diagnostic>, since: usize) {
    let folder =
        |one: &Diagnostic| one.primary.file.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let manifests = out[..since.min(out.len())].iter().filter(|one| {
        one.is_error() && one.primary.file.rsplit('/').next() == Some(super::manifest::FILE)
    });
    let wrong: BTreeSet<String> = manifests.filter_map(folder).collect();
    let mut at = 0;
    out.retain(|one| {
        at += 1;
        at <= since || !folder(one).is_some_and(|folder| wrong.contains(&folder))
    });
}

/// Documents of some sorts as they are written.
fn written<'f>(found: &'f [Found<'_>], sorts: &[Sort]) -> Vec<lint::Written<'f>> {
    let named = |found: &'f Found<'_>| {
        let root = &found.document.root;
        let name = root.get(found.sort.kind())?.scalar()?;
        sorts.contains(&found.sort).then_some(lint::Written {
            name: &name.text,
            file: found.file,
            root,
        })
    };
    found.iter().filter_map(named).collect()
}

/// The kind of a document; a document without one, or of a kind not built yet, is reported.
fn kind_of(file: &SourceFile, document: &Document, out: &mut Vec<Diagnostic>) -> Option<Sort> {
    let mut sink = Sink::new(file, out);
    let kinds = || keys::DOCUMENTS.iter().map(|table| table.kind);
    let Kind::Map(entries) = &document.root.kind else {
        if !document.root.is_broken() {
            let message = format!("a document is an object, not {}", document.root.type_name());
            let all: Vec<_> = kinds().collect();
            sink.error("wrong-type", document.root.head(), message)
                .help(format!("begin it with one of {}", suggest::list(&all)));
        }
        return None;
    };
    let found: Vec<_> =
        entries.iter().filter_map(|entry| Some((entry, keys::document(&entry.key)?))).collect();
    match found[..] {
        [(entry, table)] => {
            if table.table.is_none() {
                sink.later(entry.key_span.clone(), &entry.key);
            }
            Sort::of(table.kind)
        }
        [] => {
            let near = entries
                .iter()
                .find_map(|entry| Some((entry, suggest::nearest(&entry.key, kinds())?)));
            if let Some(entry) = entries.iter().find(|entry| entry.key == "scenario") {
                sink.error("unknown-kind", entry.key_span.clone(), "a scenario is not a rule")
                    .help(
                        "put it into a folder `tests/` of its pack, where `adjutant test` plays it",
                    );
            } else if let Some((entry, near)) = near {
                let message = format!("there are no documents of kind `{}`", entry.key);
                sink.error("unknown-kind", entry.key_span.clone(), message)
                    .help(format!("did you mean `{near}`?"));
            } else {
                let built = keys::DOCUMENTS.iter().filter(|table| table.table.is_some());
                let built: Vec<_> = built.map(|table| table.kind).collect();
                let help =
                    format!("give it one of the keys {}, with its name", suggest::list(&built));
                let message = "this document does not say what it is";
                sink.error("unknown-kind", document.root.head(), message).help(help);
            }
            None
        }
        [(first, _), (second, _), ..] => {
            let message =
                format!("one document cannot be both `{}` and `{}`", first.key, second.key);
            sink.error("two-kinds", second.key_span.clone(), message)
                .also(&file.name, first.key_span.clone(), "the first kind")
                .help("a document has exactly one kind key: put `---` between two documents");
            None
        }
    }
}

/// The sandbox of all plugins; after a mistake, that of the others, so that the rest is checked.
fn sandbox_of(
    plugins: &[PinnedPlugin],
    directory: &mut Directory,
    out: &mut Vec<Diagnostic>,
) -> Option<Sandbox> {
    let before = out.len();
    if let Some(sandbox) = sandbox(plugins.iter(), out) {
        return Some(sandbox);
    }
    let broken: BTreeSet<Text> =
        out[before..].iter().map(|mistake| mistake.primary.file.clone()).collect();
    let (bad, good): (Vec<_>, Vec<_>) =
        plugins.iter().partition(|plugin| broken.contains(&plugin.file));
    for plugin in bad {
        directory.lost.extend(expressions::defined(&plugin.text).into_iter().map(Text::from));
    }
    sandbox(good.into_iter(), &mut Vec::new()).or_else(|| sandbox([].iter(), &mut Vec::new()))
}

/// Declares every name; a name twice is reported.
fn declare(found: &[Found<'_>], directory: &mut Directory, out: &mut Vec<Diagnostic>) {
    for Found { file, document, sort, .. } in found {
        let Some(node) = document.root.get(sort.kind()) else { continue };
        let Some(name) = node.scalar().map(|scalar| scalar.text.as_str()).filter(|n| is_name(n))
        else {
            continue;
        };
        if *sort == Sort::Record {
            directory.declare_indexes(name, documents::declared_indexes(&document.root));
        }
        let at = Declared { file: file.name.clone(), span: node.head() };
        // Runs are listed by the name of their workflow or policy, so the two share their names.
        let other = match sort {
            Sort::Workflow => directory.declared(Sort::Policy, name),
            Sort::Policy => directory.declared(Sort::Workflow, name),
            _ => None,
        };
        if let Some(first) = other {
            let message = format!("there is a workflow and an escalation policy `{name}`");
            let mut error = Diagnostic::error("duplicate-name", &file.name, node.head(), message);
            error
                .said("again here")
                .also(&first.file, first.span.clone(), "first here")
                .help("rename one: their runs are listed by this name");
            out.push(error);
        } else if let Some(first) = directory.declare(*sort, name, at) {
            let message = format!("there are two {} `{name}`", sort.plural());
            let mut error = Diagnostic::error("duplicate-name", &file.name, node.head(), message);
            error.said("again here").also(&first.file, first.span.clone(), "first here");
            out.push(error);
        }
    }
}

/// Everything compiled, not yet pinned.
#[derive(Default)]
struct Parts {
    built: Vec<Built>,
    calendars: BTreeMap<Name, Calendar>,
    purposes: BTreeMap<Name, Purpose>,
    records: BTreeMap<Name, RecordKind>,
    teams: BTreeMap<Name, Team>,
    slas: BTreeMap<Name, Sla>,
}

impl Parts {
    fn compile(
        found: &[Found<'_>],
        sandbox: &Sandbox,
        directory: &Directory,
        out: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut parts = Self::default();
        for Found { file, lines, document, sort } in found {
            let root = &document.root;
            if matches!(sort, Sort::Workflow | Sort::Policy) {
                let policy = *sort == Sort::Policy;
                let unit = Unit { file, lines, first_line: 1, root, policy };
                if let Some(Compiled { workflow, used }) =
                    compile(unit, sandbox, Some(directory), out)
                {
                    let source = DocumentSource {
                        name: workflow.name.clone(),
                        policy,
                        text: file.text[document.span.clone()].into(),
                        file: file.name.clone(),
                        line: lines.line(document.span.start),
                    };
                    let name = root.get(sort.kind()).map_or(0..0, yaml::Node::head);
                    parts.built.push(Built { name, source, workflow: Arc::new(workflow), used });
                }
                continue;
            }
            let name = root.get(sort.kind()).and_then(|node| node.scalar());
            let name = name.map(|scalar| Name::from(scalar.text.as_str())).unwrap_or_default();
            let mut cx = Cx {
                sink: Sink::new(file, out),
                first_line: 1,
                lines,
                sandbox,
                directory: Some(directory),
                used: Used::default(),
                local: Local::default(),
            };
            match sort {
                Sort::Calendar => {
                    if let Some(calendar) = documents::calendar(&mut cx, root) {
                        parts.calendars.insert(name, calendar);
                    }
                }
                Sort::Purpose => {
                    if let Some(purpose) = purpose::purpose(&mut cx, root) {
                        parts.purposes.insert(name, purpose);
                    }
                }
                Sort::Record => {
                    if let Some(kind) = documents::record(&mut cx, root) {
                        parts.records.insert(name, kind);
                    }
                }
                Sort::Team => {
                    if let Some(team) = team::team(&mut cx, root) {
                        parts.teams.insert(name, team);
                    }
                }
                Sort::Sla => {
                    if let Some(sla) = sla::sla(&mut cx, root) {
                        parts.slas.insert(name, sla);
                    }
                }
                Sort::Workflow | Sort::Policy | Sort::Endpoint => {}
            }
        }
        parts
    }

    /// Makes the bundles, unless something is wrong.
    fn pin(
        self,
        sandbox: Sandbox,
        plugins: &[PinnedPlugin],
        directory: &Directory,
        out: &mut Vec<Diagnostic>,
    ) -> Option<Loaded> {
        if out.iter().any(Diagnostic::is_error) {
            return None;
        }
        let library = Library::new(plugins);
        let workflows: HashMap<&Name, &Built> = self
            .built
            .iter()
            .filter(|built| !built.source.policy)
            .map(|built| (&built.source.name, built))
            .collect();
        let kinds = self.built.iter().flat_map(|built| built.used.kinds.iter().cloned()).collect();
        let mut bundles = (BTreeMap::new(), BTreeMap::new());
        for built in &self.built {
            let family = calls::family(built, &workflows);
            let mut words = BTreeSet::new();
            let mut templates: BTreeMap<Text, &TemplateSource> = BTreeMap::new();
            for member in &family {
                words.extend(member.used.words.iter().map(|word| &**word));
                pin_templates(built, member, directory, &mut templates, out);
            }
            let callees: BTreeMap<Name, &Built> =
                family.iter().skip(1).map(|callee| (callee.source.name.clone(), *callee)).collect();
            let source = BundleSource {
                main: built.source.clone(),
                callees: callees.values().map(|callee| callee.source.clone()).collect(),
                plugins: library.used(&words),
                templates: templates.into_values().cloned().collect(),
            };
            let Some(templates) = compile_templates(&source, out) else { continue };
            let below =
                callees.into_iter().map(|(name, callee)| (name, callee.workflow.clone())).collect();
            let bundle = Bundle::assemble(
                built.workflow.clone(),
                below,
                (templates, sandbox.clone()),
                source,
            );
            let kind = if bundle.policy { &mut bundles.1 } else { &mut bundles.0 };
            kind.insert(bundle.name.clone(), Arc::new(bundle));
        }
        Some(Loaded {
            sandbox,
            workflows: bundles.0,
            policies: bundles.1,
            calendars: self.calendars,
            purposes: self.purposes,
            records: self.records,
            teams: self.teams,
            slas: self.slas,
            kinds,
        })
    }
}

/// Adds the template files that `member` uses to those of the bundle of `main`.
fn pin_templates<'d>(
    main: &Built,
    member: &Built,
    directory: &'d Directory,
    templates: &mut BTreeMap<Text, &'d TemplateSource>,
    out: &mut Vec<Diagnostic>,
) {
    let Some(view) = directory.templates.of(&member.source.file) else { return };
    for source in view.sources(member.used.templates.keys()) {
        let other = templates.insert(source.name.clone(), source);
        let Some(other) = other.filter(|other| other.text != source.text) else { continue };
        let (first, second) = (&main.source.name, &member.source.name);
        let message = format!(
            "`{first}` and `{second}`, which it calls, use different templates of the name `{}`",
            source.name
        );
        let mut error = Diagnostic::error("template", &source.file, 0..0, message);
        error
            .also(&other.file, 0..0, "the other one")
            .help("a run keeps one template of a name: rename one of the files");
        out.push(error);
    }
}

/// Which functions are whose.
struct Library<'p> {
    plugins: &'p [PinnedPlugin],
    /// By function: the plugins that define it.
    owners: HashMap<&'p str, Vec<usize>>,
    /// By plugin: the plugins whose functions it may call.
    needs: Vec<BTreeSet<usize>>,
}

impl<'p> Library<'p> {
    fn new(plugins: &'p [PinnedPlugin]) -> Self {
        let mut owners: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, plugin) in plugins.iter().enumerate() {
            for function in expressions::defined(&plugin.text) {
                owners.entry(function).or_default().push(at);
            }
        }
        let needs = plugins
            .iter()
            .map(|plugin| {
                expressions::callable(&plugin.text)
                    .filter_map(|word| owners.get(word))
                    .flatten()
                    .copied()
                    .collect()
            })
            .collect();
        Self { plugins, owners, needs }
    }

    /// The plugins whose functions may be among `words`, with those they need in turn.
    fn used(&self, words: &BTreeSet<&str>) -> Vec<PinnedPlugin> {
        let mut open: Vec<usize> =
            words.iter().filter_map(|word| self.owners.get(word)).flatten().copied().collect();
        let mut taken = BTreeSet::new();
        while let Some(at) = open.pop() {
            if taken.insert(at) {
                open.extend(&self.needs[at]);
            }
        }
        taken.into_iter().map(|at| self.plugins[at].clone()).collect()
    }
}

/// In the order of the files and their text; the same twice (a template in two views) once.
fn sort(sources: &Sources, out: &mut Vec<Diagnostic>) {
    let order: HashMap<&str, usize> =
        sources.files().enumerate().map(|(at, file)| (&*file.name, at)).collect();
    let place = |found: &Diagnostic| -> (usize, Range<usize>) {
        let file = order.get(&*found.primary.file).copied().unwrap_or(usize::MAX);
        (file, found.primary.span.clone())
    };
    out.sort_by(|a, b| {
        let ((file_a, span_a), (file_b, span_b)) = (place(a), place(b));
        (file_a, span_a.start, span_a.end).cmp(&(file_b, span_b.start, span_b.end))
    });
    out.dedup();
    if out.len() > SHOWN {
        let more = out.len() - SHOWN;
        out.truncate(SHOWN);
        if let Some(last) = out.last().map(|last| last.primary.clone()) {
            let message = format!("{more} more mistakes are not shown");
            out.push(Diagnostic::error("too-many", &last.file, last.span, message));
        }
    }
}
