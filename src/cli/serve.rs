//! `adjutant serve`: the daemon put together, run, and brought to its end.
//!
//! In order: configuration → log → rules → state → actions → sockets → engine → API → ready → wait →
//! API → engine → end. What fails on the way up ends the process with the code that says whether
//! starting again can help.

use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::rule_files::{self, Checked};
use super::{Exit, Failure, Globals, action_settings, log, socket};
use crate::actions::{Performer, Secrets, SettingsError};
use crate::api::{self, ApiSettings, Listeners};
use crate::daemon::{
    Clock, Config, Daemon, Fatal, Handle, Hooks, Links, Loaded, Refused, Reloader, Settings, Spool,
    StartError, last_good, notify,
};
use crate::model::Text;
use crate::rules::{Diagnostic, Files, Look, RuleSet, Sources, render, stamp};
use crate::store::{JournaledStore, StoreError, honest};

/// The folder of the state within the data directory.
const STATE: &str = "state";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  adjutant serve
  adjutant serve --config /etc/adjutant/adjutant.yaml
  adjutant serve --strict                        with a mistake in a rule file it does not start

SIGHUP, `adjutant reload` and a changed rule file put other rules in force; a set with a mistake is
refused whole. Where the files are broken at the start, the last good ones go on.

SIGTERM and Ctrl-C let what is under way end; a second one does not wait for it, and nothing is lost
by that either.")]
pub(super) struct Serve {
    /// Do not start with the last good rules where the files have mistakes: end with 78
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(options: &Serve, globals: &Globals) -> Result<Exit, Failure> {
    // Before anything starts a thread: a filter is for the threads that exist and their children.
    let honest = honest::install();
    let config = rule_files::config_or_fail(globals)?;
    log::start(config.log, globals.color);
    if let Err(why) = honest {
        tracing::warn!("{why}");
    }
    let started = rules(&config, options.strict)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(Exit::Again, format!("no runtime could be started: {error}"))
        })?
        .block_on(serve(&config, started))
}

async fn serve(config: &Config, started: Started) -> Result<Exit, Failure> {
    let Started { rules, sources, degraded } = started;
    let counted = match rules.workflows.len() {
        1 => "1 workflow".to_owned(),
        many => format!("{many} workflows"),
    };
    let state = config.data_dir.join(STATE);
    socket::prepare(&config.data_dir)?;
    let store = JournaledStore::open(&state).map_err(|error| storage(&error))?;
    if let Some(sources) = sources
        && let Err(error) = last_good::keep(&config.data_dir, &sources)
    {
        tracing::warn!(%error, "the rules in force could not be kept for the next start");
    }
    let performer = performer(config)?;
    let unix = socket::bind(&config.data_dir)?;
    let tcp = listen(config).await?;
    let links = links(config)?;
    let settings = Settings {
        retention: config.retention,
        queue_bytes: config.limits.queue,
        links: links.clone(),
    };
    let mut daemon =
        Daemon::start(Arc::new(store), Arc::new(rules), performer, settings).map_err(|error| {
            match error {
                StartError::Read(error) => Failure::new(Exit::Storage, error.to_string()),
                StartError::Thread(_) => Failure::new(Exit::Again, error.to_string()),
            }
        })?;
    let hooks = hooks(config, &daemon)?;
    let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let listeners = Listeners { tcp: Some(tcp), unix };
    let reloader = reloader(config, daemon.handle(), degraded);
    let settings = ApiSettings {
        hooks: Some(Arc::new(hooks)),
        reloader: Some(reloader.clone()),
        ..ApiSettings::of(config, links, new_event_id)
    };
    if config.watch {
        tokio::spawn(reloader.clone().watch());
    }
    tokio::spawn(reload_when_told(reloader)?);
    let spool = Spool::new(config.spool.clone(), config.retention.events, daemon.handle());
    tasks.spawn(spool.watch(shutdown.clone()));
    tasks.spawn(api::serve(daemon.handle(), listeners, settings, shutdown.clone()));
    tasks.close();

    let mut asked = Asked::listen()?;
    notify::ready(&counted);
    tracing::info!(listen = %config.http.listen, data_dir = %config.data_dir.display(), "ready: {counted}");
    let ended = tokio::select! {
        ended = daemon.over() => Some(ended),
        name = asked.stop() => {
            tracing::info!("{name}: letting what is under way end");
            None
        }
    };
    notify::stopping();
    shutdown.cancel();
    let ended = if let Some(ended) = ended {
        ended
    } else {
        let drained = async {
            tasks.wait().await;
            daemon.drain();
            daemon.over().await
        };
        tokio::select! {
            ended = drained => ended,
            name = asked.stop() => {
                tracing::warn!("{name} again: what is under way goes on at the next start");
                Ok(())
            }
        }
    };
    socket::remove(&config.data_dir);
    match ended {
        Ok(()) => {
            tracing::info!("stopped");
            Ok(Exit::Fine)
        }
        Err(fatal) => Err(fatally(&fatal)),
    }
}

/// What the daemon starts with.
struct Started {
    rules: RuleSet,
    /// The files, unless these are not their rules.
    sources: Option<Sources>,
    /// Why these are not the rules of the files.
    degraded: Option<String>,
}

/// The rules of the files; where they have mistakes, those that were in force last, unless `strict`.
fn rules(config: &Config, strict: bool) -> Result<Started, Failure> {
    let refused = match load(config) {
        Ok(Loaded { rules, sources }) => {
            return Ok(Started { rules, sources: Some(sources), degraded: None });
        }
        Err(Refused(text)) => text,
    };
    let last = if strict { None } else { last_good::read(&config.data_dir) };
    let last = last.and_then(|last| RuleSet::compile(&last, &rule_files::context(config)).ok());
    let Some((rules, _)) = last else {
        return Err(Failure::report(Exit::Config, refused)
            .help("`adjutant check` shows this without starting anything"));
    };
    tracing::error!(
        "the rule files have mistakes, and the last good rules are in force instead; mend them and \
         `adjutant reload`:\n{refused}"
    );
    Ok(Started { rules, sources: None, degraded: Some(refused) })
}

/// Reads and compiles the rules, with every warning in the log.
fn load(config: &Config) -> Result<Loaded, Refused> {
    let Checked { sources, rules, found } = rule_files::check(
        &config.rules,
        &rule_files::plugins(config),
        &rule_files::context(config),
    );
    for warning in found.iter().filter(|diagnostic| !diagnostic.is_error()) {
        tracing::warn!(file = %warning.primary.file, "{}", warning.message);
    }
    match rules {
        Some(rules) => Ok(Loaded { rules, sources }),
        None => {
            let errors: Vec<_> = found.into_iter().filter(Diagnostic::is_error).collect();
            Err(Refused(render(&errors, &Files::of(sources.files()), Look::Plain)))
        }
    }
}

fn reloader(config: &Config, handle: Handle, degraded: Option<String>) -> Arc<Reloader> {
    let (files, loaded) = (config.clone(), config.clone());
    let stamp = move || stamp(files.rules.iter().chain(&rule_files::plugins(&files)));
    let data_dir = config.data_dir.clone();
    Reloader::new(Box::new(move || load(&loaded)), Box::new(stamp), handle, data_dir, degraded)
}

/// Reloads at each SIGHUP.
fn reload_when_told(
    reloader: Arc<Reloader>,
) -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let mut hangup = listen_for(SignalKind::hangup())?;
    Ok(async move {
        while hangup.recv().await.is_some() {
            // What is wrong is in the log.
            drop(reloader.reload().await);
        }
    })
}

fn listen_for(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| {
        Failure::new(Exit::Again, format!("signals cannot be listened for: {error}"))
    })
}

/// What signs the links in mail, where people can follow them.
fn links(config: &Config) -> Result<Option<Arc<Links>>, Failure> {
    let Some(url) = config.http.public_url.clone() else { return Ok(None) };
    let links = Links::open(&config.data_dir, url).map_err(|error| {
        let file = config.data_dir.join("link.key");
        Failure::new(Exit::Storage, format!("{} cannot be used: {error}", file.display()))
    })?;
    Ok(Some(Arc::new(links)))
}

fn performer(config: &Config) -> Result<Performer, Failure> {
    let clock = Clock::start();
    action_settings::of(config)
        .and_then(|settings| {
            Performer::new(&settings, Secrets::from_environment(), Arc::new(move || clock.wall()))
        })
        .map_err(|errors| unusable(config, &errors))
}

fn hooks(config: &Config, daemon: &Daemon) -> Result<Hooks, Failure> {
    daemon
        .hooks(&config.http.hooks, Secrets::from_environment(), Clock::start())
        .map_err(|errors| unusable(config, &errors))
}

/// Settings that cannot be used, all of them.
fn unusable(config: &Config, errors: &[SettingsError]) -> Failure {
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    let file = config
        .file
        .as_deref()
        .map_or_else(|| "the configuration".to_owned(), |file| file.display().to_string());
    Failure::new(Exit::Config, format!("{file} cannot be used:\n  {}", lines.join("\n  ")))
}

async fn listen(config: &Config) -> Result<TcpListener, Failure> {
    let address = config.http.listen;
    TcpListener::bind(address).await.map_err(|error| {
        let exit = match error.kind() {
            std::io::ErrorKind::AddrInUse => Exit::Again,
            _ => Exit::Config,
        };
        Failure::new(exit, format!("cannot listen at {address}: {error}"))
            .help("is another daemon running? `http.listen` names another address")
    })
}

/// A UUID v7: sorted by time.
fn new_event_id() -> Text {
    let micros = u64::try_from(Clock::start().wall().as_micros()).unwrap_or(0);
    let (seconds, nanos) = (micros / 1_000_000, (micros % 1_000_000) as u32 * 1_000);
    let now = uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos);
    uuid::Uuid::new_v7(now).to_string().into()
}

/// The signals that ask the daemon to stop.
struct Asked {
    term: Signal,
    interrupt: Signal,
}

impl Asked {
    fn listen() -> Result<Self, Failure> {
        Ok(Self {
            term: listen_for(SignalKind::terminate())?,
            interrupt: listen_for(SignalKind::interrupt())?,
        })
    }

    /// The name of the signal that asked to stop.
    async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

fn fatally(fatal: &Fatal) -> Failure {
    match fatal {
        Fatal::Store(error) => storage(error),
        Fatal::Read(_) => Failure::new(Exit::Storage, fatal.to_string()),
        Fatal::Gone(_) => Failure::new(Exit::Again, fatal.to_string()),
    }
}

/// Whether starting again can help, for each way in which a store fails.
fn storage(error: &StoreError) -> Failure {
    let exit = match error {
        StoreError::Busy(_) => Exit::Again,
        _ => Exit::Storage,
    };
    Failure::new(exit, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_ids_are_uuids_in_order_of_time() {
        let (one, other) = (new_event_id(), new_event_id());
        assert_ne!(one, other);
        let parsed: uuid::Uuid = one.parse().unwrap();
        assert_eq!(parsed.get_version_num(), 7);
    }
}
