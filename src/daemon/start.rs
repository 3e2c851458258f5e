//! [`Daemon`]: its parts put together, started and stopped.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::actions::{Performer, Secrets, SettingsError};
use crate::model::{Input, ReadError, Retention};
use crate::pump::Pump;
use crate::rules::RuleSet;
use crate::store::{Store, StoreError};

use super::clock::Clock;
use super::config::HookConfig;
use super::executor::Executor;
use super::handle::Handle;
use super::hooks::Hooks;
use super::links::{self, Links};
use super::looping::{Fatal, Loop};
use super::mailbox::Message;
use super::notify::Watchdog;
use super::scripts::Scripts;
use super::writer::Writer;

/// How often the room on the disk is looked at: at full speed a second writes some 20 MB.
const SPACE_EVERY: Duration = Duration::from_secs(5);

/// How often what is past its retention is removed: retention counts days.
const SWEEP_EVERY: Duration = Duration::from_hours(1);
/// Sweeps within the shortest time that anything is kept, so that little is kept much longer.
const SWEEPS: u32 = 20;
/// What is kept for seconds only is for tests and benches; it is not looked at all the time.
const SWEEP_LEAST: Duration = Duration::from_secs(5);

/// What a daemon is told besides its rules and its actions.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long what is over is kept: `retention`.
    pub retention: Retention,
    /// Bytes of inputs from outside that may wait for the engine: `limits.queue`. Whoever comes
    /// when they are used up gets [`super::Unavailable::Busy`].
    pub queue_bytes: usize,
    /// What signs the links in the mails of escalations; `None` while people cannot reach the daemon.
    pub links: Option<Arc<Links>>,
}

/// A running engine.
pub struct Daemon {
    handle: Handle,
    scripts: Scripts,
    over: oneshot::Receiver<Result<(), Fatal>>,
}

/// Why a daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl Daemon {
    /// Loads the state of `store`, puts `rules` in force, and starts deciding and performing. Call
    /// it inside a tokio runtime, which performs the effects.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(
        store: Arc<dyn Store>,
        rules: Arc<RuleSet>,
        performer: Performer,
        settings: Settings,
    ) -> Result<Self, StartError> {
        let clock = Clock::start();
        let handle = Handle::new(settings.queue_bytes, rules.clone());
        #[cfg(feature = "test-clock")]
        super::clock::outside::listen(&handle)?;
        let pump = Pump::open(store.clone(), rules, clock.wall())?
            .keeping(settings.retention)
            .with_key(clock.wall(), links::random()?)?;
        let runtime = tokio::runtime::Handle::current();
        let scripts = Scripts::new(runtime.clone(), handle.clone(), clock);
        let kept = scripts.clone();
        let engine = Loop {
            pump,
            handle: handle.clone(),
            writer: Writer::start(store.clone(), handle.clone(), clock)?,
            executor: Executor::new(performer, settings.links, scripts, runtime, handle.clone()),
            clock,
            watchdog: Watchdog::from_environment(),
            #[cfg(feature = "test-clock")]
            moved: None,
        };
        let (done, over) = oneshot::channel();
        std::thread::Builder::new().name("adjutant-engine".to_owned()).spawn(move || {
            // Whoever waits for the end may have gone.
            drop(done.send(engine.run()));
        })?;
        tokio::spawn(watch_space(Arc::downgrade(&store), handle.clone()));
        tokio::spawn(sweep(handle.clone(), settings.retention));
        Ok(Self { handle, scripts: kept, over })
    }

    /// How to reach it.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Its inbound webhooks.
    ///
    /// # Errors
    /// Every hook whose secret cannot be used.
    pub fn hooks(
        &self,
        hooks: &[HookConfig],
        secrets: Secrets,
        clock: Clock,
    ) -> Result<Hooks, Vec<SettingsError>> {
        Hooks::new(hooks, secrets, self.scripts.clone(), self.handle.clone(), clock)
    }

    /// Finishes what is under way and stops.
    pub fn drain(&self) {
        self.handle.drain();
    }

    /// Waits for its end: asked for, or because the store failed.
    ///
    /// # Errors
    /// [`Fatal`] when it ended by itself.
    pub async fn over(&mut self) -> Result<(), Fatal> {
        (&mut self.over).await.unwrap_or(Err(Fatal::Gone("engine")))
    }
}

/// Has the engine remove what is past its retention.
async fn sweep(handle: Handle, kept: Retention) {
    let shortest = kept.events.min(kept.runs).min(kept.failed_runs).to_std();
    let pause = (shortest / SWEEPS).clamp(SWEEP_LEAST, SWEEP_EVERY);
    while handle.shared().mailbox.push(Message::Input(Input::Sweep, None)) {
        tokio::time::sleep(pause).await;
    }
}

/// Refuses new events while the disk is nearly full; outcomes and timers go on. It ends with the
/// engine, and does not keep the store open.
async fn watch_space(store: Weak<dyn Store>, handle: Handle) {
    while let Some(store) = store.upgrade() {
        let space = tokio::task::spawn_blocking(move || store.space()).await;
        match space {
            Ok(Ok(space)) => {
                let full = space.is_nearly_full();
                let was = handle.shared().disk_full.swap(full, Ordering::Relaxed);
                if full && !was {
                    tracing::error!(
                        free = space.free,
                        "the disk is nearly full: events are refused"
                    );
                } else if was && !full {
                    tracing::info!(free = space.free, "there is room again: events are taken");
                }
            }
            Ok(Err(StoreError::Busy(_))) | Err(_) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the room on the disk is not known"),
        }
        tokio::time::sleep(SPACE_EVERY).await;
    }
}
