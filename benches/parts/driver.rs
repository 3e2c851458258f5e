//! The pump as the daemon drives it, over a store in memory: batches are committed as soon as they are
//! full or the work is done, and commands are handed to whoever measures.

use std::sync::Arc;

use adjutant::model::{Command, Draft, Input, Instant, Map, Value};
use adjutant::pump::Pump;
use adjutant::rules::{Context, RuleSet, SourceFile, Sources};
use adjutant::store::{MemoryStore, Store};

/// When everything happens.
pub(crate) const NOW: &str = "2026-03-02T09:00:00Z";
/// Documents in one file: far below the bound of its bytes.
const DOCUMENTS: usize = 1_000;

pub(crate) struct Driver {
    pump: Pump<()>,
    store: Arc<MemoryStore>,
    now: Instant,
    events: u64,
    /// What is to be performed.
    pub(crate) commands: Vec<Command>,
}

impl Driver {
    /// With these documents.
    pub(crate) fn new(rules: &str) -> Self {
        let documents: Vec<&str> = rules.split("---\n").filter(|text| !text.is_empty()).collect();
        let files = documents.chunks(DOCUMENTS).enumerate();
        let file = |(n, documents): (usize, &[&str])| {
            SourceFile::new(format!("rules/bench-{n}.yaml"), documents.join("---\n"))
        };
        let sources = Sources { rules: files.map(file).collect(), ..Sources::default() };
        let (rules, _) =
            RuleSet::compile(&sources, &Context::default()).expect("the rules compile");
        let store = Arc::new(MemoryStore::new());
        let now = NOW.parse().expect("an instant");
        let pump = Pump::open(store.clone(), Arc::new(rules), now).expect("an empty store opens");
        let mut driver = Self { pump, store, now, events: 0, commands: Vec::new() };
        driver.finish();
        driver
    }

    /// A lead like those of the load generator, about 330 bytes of JSON, never the same twice.
    pub(crate) fn lead(&mut self, region: &str) -> Input {
        self.events += 1;
        lead(self.events, region)
    }

    /// Decides one input.
    pub(crate) fn take(&mut self, input: Input) {
        self.pump.take(self.now, input, Some(())).expect("the store works");
        if self.pump.is_full() {
            self.commit();
        }
    }

    /// Does everything that follows, and commits it.
    pub(crate) fn finish(&mut self) {
        while self.pump.work(self.now).expect("the store works") {
            if self.pump.is_full() {
                self.commit();
            }
        }
        self.commit();
    }

    /// What was written.
    pub(crate) fn into_store(self) -> Arc<MemoryStore> {
        self.store
    }

    /// Runs so far.
    pub(crate) fn runs(&self) -> u64 {
        use adjutant::model::View;
        self.pump.view().next_run().0 - 1
    }

    fn commit(&mut self) {
        if let Some(batch) = self.pump.seal() {
            self.store.commit(&batch).expect("a memory store commits");
            let released = self.pump.durable();
            self.commands.extend(released.commands.into_iter().map(|(command, _)| command));
        }
    }
}

/// The event `no`.
pub(crate) fn lead(no: u64, region: &str) -> Input {
    Input::Event(Box::new(Draft {
        id: format!("lead-{no:08}").into(),
        source: "https://crm.example/forms".into(),
        kind: "lead.created".into(),
        subject: Some(format!("lead/{no}").into()),
        time: None,
        data: Value::from([
            ("name", "Ada Lovelace".into()),
            ("email", "ada.lovelace@analytical-engines.example".into()),
            ("company", "Analytical Engines Ltd".into()),
            ("phone", "+44 20 7946 0958".into()),
            ("score", Value::Int(87)),
            ("region", region.into()),
            ("product", "difference-engine".into()),
            ("budget", Value::Float(125_000.5)),
            ("newsletter", true.into()),
            ("note", "asked for a call back before the end of the week".into()),
        ]),
        extensions: Map::new(),
    }))
}
