//! [`Reloader`]: another rule set put in force while the daemon runs.
//!
//! The files are read and compiled beside the engine; only a set without a mistake reaches it, as an
//! input like any other, so that everything before it was decided by the old rules and everything after
//! it by the new. Runs in flight stay with the version they began with. What was put in force is kept
//! as the last good set, for a start that finds the files broken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::pump::{Answer, Plan, Query};
use crate::rules::{RuleSet, Sources};

use super::handle::{Handle, Unavailable};
use super::last_good;

/// How often the files are looked at: somebody who saves one expects to see it taken soon.
const LOOK: Duration = Duration::from_secs(2);

/// Reads and compiles the rule set that the configuration names, as `adjutant check` does.
pub type Load = dyn Fn() -> Result<Loaded, Refused> + Send + Sync;
/// A number that changes when a file of the rule set does.
pub type Stamp = dyn Fn() -> u64 + Send + Sync;

/// A rule set without a mistake.
pub struct Loaded {
    /// Compiled.
    pub rules: RuleSet,
    /// From these files.
    pub sources: Sources,
}

/// What is wrong with a rule set, laid out for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

/// Why another rule set was not put in force. The old one stays in force, whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// It has mistakes.
    #[error("the rules have mistakes; those in force stay in force")]
    Refused(Refused),
    /// The engine could not take it now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What was put in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Workflows in it.
    pub workflows: usize,
    /// Escalation policies.
    pub policies: usize,
    /// How many sets were in force since the start, this one included.
    pub generation: u64,
}

/// See the file's description.
pub struct Reloader {
    load: Box<Load>,
    stamp: Box<Stamp>,
    handle: Handle,
    /// Where the last good set is kept.
    data_dir: std::path::PathBuf,
    /// One at a time: the last one asked for is the one in force afterwards.
    turn: tokio::sync::Mutex<()>,
    standing: Mutex<Standing>,
}

#[derive(Debug)]
struct Standing {
    generation: u64,
    /// Why an older set than that of the files is in force.
    degraded: Option<String>,
    /// The files as they were when they were last tried.
    tried: u64,
}

impl Reloader {
    /// `degraded`: why the start went on with the last good set.
    #[must_use]
    pub fn new(
        load: Box<Load>,
        stamp: Box<Stamp>,
        handle: Handle,
        data_dir: std::path::PathBuf,
        degraded: Option<String>,
    ) -> Arc<Self> {
        let tried = stamp();
        let standing = Mutex::new(Standing { generation: 1, degraded, tried });
        Arc::new(Self {
            load,
            stamp,
            handle,
            data_dir,
            turn: tokio::sync::Mutex::new(()),
            standing,
        })
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the rules in force are not those of the files; `None` if they are, as far as is known.
    #[must_use]
    pub fn degraded(&self) -> Option<String> {
        self.standing().degraded.clone()
    }

    /// Reads the files and puts them in force, or says what is wrong with them.
    ///
    /// # Errors
    /// [`ReloadError`]; the rules in force then stay in force.
    pub async fn reload(self: &Arc<Self>) -> Result<InForce, ReloadError> {
        let _turn = self.turn.lock().await;
        super::notify::reloading();
        let result = self.clone().put_in_force().await;
        match &result {
            Ok(now) => {
                super::notify::ready(&format!("{} workflows", now.workflows));
                tracing::info!(
                    workflows = now.workflows,
                    generation = now.generation,
                    "other rules are in force"
                );
            }
            Err(error) => {
                let status = match error {
                    ReloadError::Refused(Refused(text)) => {
                        tracing::error!("{error}:\n{text}");
                        "the files have mistakes; earlier rules are in force"
                    }
                    ReloadError::Unavailable(_) => {
                        tracing::error!(%error, "reload");
                        "the files could not be taken; earlier rules are in force"
                    }
                };
                super::notify::ready(status);
            }
        }
        result
    }

    /// Reads the files and says what putting them in force would change, or what is wrong with them.
    ///
    /// # Errors
    /// [`ReloadError`].
    pub async fn plan(self: &Arc<Self>) -> Result<Plan, ReloadError> {
        let reloader = self.clone();
        let loaded = tokio::task::spawn_blocking(move || (reloader.load)()).await;
        let loaded = loaded.unwrap_or_else(|error| {
            Err(Refused(format!("reading the rules was broken off: {error}")))
        });
        let rules = loaded.map_err(ReloadError::Refused)?.rules;
        match self.handle.ask(Query::Plan(Arc::new(rules))).await? {
            Answer::Plan(plan) => Ok(plan),
            _ => Err(Unavailable::Failed("the engine answered something else".to_owned()).into()),
        }
    }

    async fn put_in_force(self: Arc<Self>) -> Result<InForce, ReloadError> {
        let reloader = self.clone();
        let loaded = tokio::task::spawn_blocking(move || {
            let stamp = (reloader.stamp)();
            reloader.standing().tried = stamp;
            (reloader.load)()
        });
        let loaded = loaded.await.unwrap_or_else(|error| {
            Err(Refused(format!("reading the rules was broken off: {error}")))
        });
        let Loaded { rules, sources } = match loaded {
            Ok(loaded) => loaded,
            Err(refused) => {
                self.standing().degraded = Some(refused.0.clone());
                return Err(ReloadError::Refused(refused));
            }
        };
        let (workflows, policies) = (rules.workflows.len(), rules.policies.len());
        self.handle.put_in_force(Arc::new(rules)).await?;
        let data_dir = self.data_dir.clone();
        let kept = tokio::task::spawn_blocking(move || last_good::keep(&data_dir, &sources)).await;
        if let Err(error) = kept.unwrap_or_else(|broken_off| Err(broken_off.into())) {
            tracing::warn!(%error, "the rules in force could not be kept for the next start");
        }
        let mut standing = self.standing();
        standing.generation += 1;
        standing.degraded = None;
        Ok(InForce { workflows, policies, generation: standing.generation })
    }

    /// Reloads when a file has changed, and a look later has not changed again: an editor may be in the
    /// middle of saving. Ends with the runtime.
    pub async fn watch(self: Arc<Self>) {
        let mut before = self.standing().tried;
        loop {
            tokio::time::sleep(LOOK).await;
            let reloader = self.clone();
            let Ok(now) = tokio::task::spawn_blocking(move || (reloader.stamp)()).await else {
                return;
            };
            let (settled, tried) = (now == before, self.standing().tried);
            before = now;
            if settled && now != tried {
                // What is wrong is in the log.
                drop(self.reload().await);
            }
        }
    }
}
