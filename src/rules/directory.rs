//! [`Directory`]: everything that a rule set declares, found before anything is compiled, so that
//! names can be resolved wherever they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::model::{KNOWN_KINDS, Name, Text};

use super::ruleset::Context;
use super::template_views::TemplateViews;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sort {
    /// `workflow:`
    Workflow,
    /// `escalation:`
    Policy,
    /// `calendar:`
    Calendar,
    /// `purpose:`
    Purpose,
    /// `record:`
    Record,
    /// `team:`
    Team,
    /// `sla:`
    Sla,
    /// An endpoint of the configuration.
    Endpoint,
}

/// Where a name is declared.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    /// The file.
    pub file: Text,
    /// The name's bytes.
    pub span: Range<usize>,
}

/// All declared names.
#[derive(Debug, Default)]
pub(super) struct Directory {
    names: BTreeMap<(Sort, Name), Declared>,
    indexes: BTreeMap<Name, Vec<Name>>,
    endpoints: BTreeSet<Name>,
    /// Inbound webhooks of the configuration.
    pub hooks: BTreeSet<Name>,
    /// A file could not be read to its end: what is missing may be in it.
    pub incomplete: bool,
    /// The zone where a calendar names none; empty: UTC.
    pub timezone: Text,
    /// Functions of plugins that did not compile: using them is not a second mistake.
    pub lost: BTreeSet<Text>,
    /// Templates by folder.
    pub templates: TemplateViews,
}

/// Purposes that exist without a document.
pub(super) const BUILT_IN_PURPOSES: [&str; 2] = ["internal", "transactional"];

impl Sort {
    /// By the kind key of its document.
    pub(super) fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "workflow" => Self::Workflow,
            "escalation" => Self::Policy,
            "calendar" => Self::Calendar,
            "purpose" => Self::Purpose,
            "record" => Self::Record,
            "team" => Self::Team,
            "sla" => Self::Sla,
            _ => return None,
        })
    }

    /// The kind key of its document.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Policy => "escalation",
            Self::Calendar => "calendar",
            Self::Purpose => "purpose",
            Self::Record => "record",
            Self::Team => "team",
            Self::Sla => "sla",
            Self::Endpoint => "endpoint",
        }
    }

    /// As people call it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Policy => "escalation policy",
            Self::Calendar => "calendar",
            Self::Purpose => "purpose",
            Self::Record => "record kind",
            Self::Team => "team",
            Self::Sla => "service level",
            Self::Endpoint => "endpoint",
        }
    }

    /// Several of them.
    pub(super) const fn plural(self) -> &'static str {
        match self {
            Self::Workflow => "workflows",
            Self::Policy => "escalation policies",
            Self::Calendar => "calendars",
            Self::Purpose => "purposes",
            Self::Record => "record kinds",
            Self::Team => "teams",
            Self::Sla => "service levels",
            Self::Endpoint => "endpoints",
        }
    }

    /// The code of a diagnostic about an unknown one.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Workflow => "unknown-workflow",
            Self::Policy => "unknown-policy",
            Self::Calendar => "unknown-calendar",
            Self::Purpose => "unknown-purpose",
            Self::Record => "unknown-record",
            Self::Team => "unknown-team",
            // Nothing names one.
            Self::Sla => "internal",
            Self::Endpoint => "unknown-endpoint",
        }
    }

    /// What to do about an unknown one.
    pub(super) fn how_to_declare(self, name: &str) -> String {
        match self {
            Self::Endpoint => format!(
                "name it in the configuration: `webhooks: {{ endpoints: {{ {name}: {{ url: … }} }} }}`"
            ),
            other => format!("declare it in a document: `{}: {name}`", other.kind()),
        }
    }
}

impl Directory {
    /// With what the configuration says, and these templates.
    pub(super) fn new(context: &Context, templates: TemplateViews) -> Self {
        Self {
            endpoints: context.endpoints.iter().cloned().collect(),
            hooks: context.hooks.iter().map(|hook| hook.name.clone()).collect(),
            timezone: context.timezone.clone(),
            templates,
            indexes: KNOWN_KINDS
                .iter()
                .map(|(kind, all)| {
                    ((*kind).into(), all.iter().map(|index| (*index).into()).collect())
                })
                .collect(),
            ..Self::default()
        }
    }

    /// Where a name is declared.
    pub(super) fn declared(&self, sort: Sort, name: &str) -> Option<&Declared> {
        self.names.get(&(sort, Name::from(name)))
    }

    /// Declares a name; the earlier declaration if there is one.
    pub(super) fn declare(&mut self, sort: Sort, name: &str, at: Declared) -> Option<&Declared> {
        let key = (sort, Name::from(name));
        if self.names.contains_key(&key) {
            return self.names.get(&key);
        }
        self.names.insert(key, at);
        None
    }

    /// Declares the indexes of a record kind.
    pub(super) fn declare_indexes(&mut self, kind: &str, indexes: Vec<Name>) {
        self.indexes.entry(kind.into()).or_default().extend(indexes);
    }

    /// Whether there is one of this name.
    pub(super) fn knows(&self, sort: Sort, name: &str) -> bool {
        self.declared(sort, name).is_some()
            || sort == Sort::Endpoint && self.endpoints.contains(name)
            || sort == Sort::Purpose && BUILT_IN_PURPOSES.contains(&name)
    }

    /// All names of a sort.
    pub(super) fn names(&self, sort: Sort) -> impl Iterator<Item = &str> {
        let endpoints = self.endpoints.iter().filter(move |_| sort == Sort::Endpoint);
        let built_in = BUILT_IN_PURPOSES.into_iter().filter(move |_| sort == Sort::Purpose);
        let declared = self.names.keys().filter(move |(known, _)| *known == sort);
        declared.map(|(_, name)| &**name).chain(endpoints.map(|name| &**name)).chain(built_in)
    }

    /// The declared indexes of a record kind; `None` if it has no document.
    pub(super) fn indexes(&self, kind: &str) -> Option<&Vec<Name>> {
        self.indexes.get(kind)
    }
}
