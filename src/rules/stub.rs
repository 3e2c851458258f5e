//! Temporary.
use super::{Calendar, Purpose, RecordKind, Workflow};
use crate::model::*;
use std::collections::BTreeMap;
use std::sync::Arc;
pub struct RuleSet {
    pub workflows: BTreeMap<Name, Arc<Bundle>>,
    pub policies: BTreeMap<Name, Arc<Bundle>>,
    pub calendars: BTreeMap<Name, Calendar>,
    pub purposes: BTreeMap<Name, Purpose>,
    pub records: BTreeMap<Name, RecordKind>,
}
impl RuleSet {
    pub fn candidates<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a Arc<Bundle>> + use<'a> {
        let _ = kind;
        self.workflows.values()
    }
}
pub struct Bundle {
    pub id: BundleId,
    pub name: Name,
    pub main: Arc<Workflow>,
    pub source: Src,
    pub templates: super::Templates,
}
pub struct Src;
impl Src {
    pub fn encode(&self) -> Vec<u8> {
        vec![]
    }
}
impl Bundle {
    pub fn workflow(&self, _n: &str) -> Option<&Arc<Workflow>> {
        Some(&self.main)
    }
    pub fn decode(_b: &[u8]) -> Result<Bundle, Vec<super::Diagnostic>> {
        Err(vec![])
    }
}
