//! [`Config`]: `adjutant.yaml`, or what holds without one.
//!
//! Text → raw settings (`shape`) → meaning (`validate`); `places` knows where each setting stands,
//! so that every mistake is reported at once and points at its bytes. Nothing here is a secret:
//! secrets are named and looked up where they are used.

mod hooks;
mod places;
mod raw;
mod shape;
mod validate;
mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use url::Url;

use crate::model::{Name, Retention, Span, Text, Value};
use crate::rules::{Diagnostic, Label, Severity, SourceFile};
use crate::triggers::Verify;

use places::{Misplaced, Places};
use validate::Reader;

/// The file looked for in the working directory.
pub const CONFIG_FILE: &str = "adjutant.yaml";
/// The variable of the environment that names a file.
pub const CONFIG_VARIABLE: &str = "ADJUTANT_CONFIG";
/// Bytes of a configuration file: a larger one is something else.
const CONFIG_BYTES: u64 = 1024 * 1024;
/// Where the API listens when nothing is said.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8750);
/// Long enough for a slow receiver, short enough that its lane is not stuck behind it.
const WEBHOOK_TIMEOUT: Span = Span::from_secs(15);
/// Bytes of requests that may wait for the engine: some tens of thousands of ordinary events.
const QUEUE_BYTES: u64 = 64 * 1024 * 1024;

/// Everything that can be configured, checked, with its defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file it was read from; `None`: the defaults.
    pub file: Option<PathBuf>,
    /// State, socket and lock. Default: `data`.
    pub data_dir: PathBuf,
    /// Folders of rule files. Default: `rules`.
    pub rules: Vec<PathBuf>,
    /// Folders of plugins. Default: `plugins`.
    pub plugins: Vec<PathBuf>,
    /// Whether changed rule files are put in force by themselves. Default: yes.
    pub watch: bool,
    /// What is set for plugins, by name; their manifests say what may be.
    pub plugin_settings: BTreeMap<Name, Value>,
    /// The HTTP API.
    pub http: HttpConfig,
    /// Name of the time zone where a rule names none. Default: `UTC`.
    pub timezone: Text,
    /// Mail.
    pub smtp: SmtpConfig,
    /// Where mail goes while no server is named, and requests to endpoints without an address.
    /// Default: `outbox`.
    pub outbox: PathBuf,
    /// Where files for `files` triggers are laid. Default: `spool`.
    pub spool: PathBuf,
    /// Outgoing webhooks.
    pub webhooks: WebhookConfig,
    /// Bounds that may be lowered.
    pub limits: Limits,
    /// How long things are kept.
    pub retention: Retention,
    /// What is logged.
    pub log: LogConfig,
}

/// `http:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Where the API listens. Default: `127.0.0.1:8750`. Not loopback only with tokens.
    pub listen: SocketAddr,
    /// Where people reach it: links in mail begin with it.
    pub public_url: Option<Url>,
    /// Who may call it. Default: nobody but callers on this machine.
    pub tokens: Vec<TokenConfig>,
    /// Inbound webhooks. Default: none.
    pub hooks: Vec<HookConfig>,
}

/// One of `http.hooks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookConfig {
    /// `path`: its name, and the last part of `/hooks/NAME`. Unique.
    pub name: Name,
    /// How a delivery is verified.
    pub verify: Verify,
    /// The name of the secret it is verified with; there unless nothing is verified.
    pub secret: Option<Text>,
    /// The function of a plugin that makes its events. Default: one event with the body as data.
    pub transform: Option<Text>,
    /// The header by which a delivery is known, of those without one in their standard; default: a hash
    /// of the body.
    pub id_header: Option<Text>,
}

/// One of `http.tokens`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenConfig {
    /// Whose it is; the source of its plain events. Unique, never `local`.
    pub name: Name,
    /// What it may do; at least one.
    pub scopes: Vec<Scope>,
    /// SHA-256 of the token's text.
    pub sha256: [u8; 32],
}

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Hand in events.
    Ingest,
    /// See runs, records, escalations.
    Read,
    /// Cancel, retry, acknowledge.
    Operate,
    /// Everything.
    Admin,
}

/// `smtp:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpConfig {
    /// The relay; `None`: mail goes to the outbox.
    pub host: Option<String>,
    /// Default: 587 with `starttls`, 465 with `tls`, 25 with `none`.
    pub port: u16,
    /// Default: `starttls`.
    pub tls: SmtpTls,
    /// Logs in when given; then there is a password as well.
    pub username: Option<String>,
    /// The name of the secret.
    pub password: Option<Text>,
    /// The sender: an address, or a name and an address. Default, without a host only:
    /// `Adjutant <adjutant@localhost>`.
    pub from: String,
    /// A PEM file of certificates to trust beside the system's.
    pub ca: Option<PathBuf>,
    /// Patterns such as `*@example.com`; every other recipient is held back. Empty: nobody is.
    pub only_to: Vec<String>,
}

/// `smtp.tls`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// Begins in the clear and must be upgraded.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// In the clear.
    None,
}

impl SmtpTls {
    /// The port commonly used with it (RFC 8314, RFC 6409, RFC 5321).
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

/// `webhooks:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Private networks that requests may go to. Default: none.
    pub allow_networks: Vec<IpNet>,
    /// For a step that names none. Default: 15 s; at most 1 h.
    pub timeout: Span,
    /// The name of the secret that signs requests.
    pub secret: Option<Text>,
    /// A PEM file of certificates to trust beside the system's.
    pub ca: Option<PathBuf>,
    /// Receivers that rules know by name.
    pub endpoints: BTreeMap<Name, Endpoint>,
}

/// One of `webhooks.endpoints`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address; `None`, without `url_secret`: requests go to the outbox.
    pub url: Option<Url>,
    /// The name of the secret that is its address, where knowing that is all it takes to send.
    pub url_secret: Option<Text>,
    /// The name of the secret that signs its requests.
    pub secret: Option<Text>,
}

/// `limits:`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one event; a larger one gets 413. Default and most: 1 MiB.
    pub event_size: usize,
    /// Bytes of requests that wait for the engine; over it they get 503. Default: 64 MiB.
    pub queue: usize,
}

/// `log:`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Default: `text`.
    pub format: LogFormat,
    /// Default: `info`.
    pub level: LogLevel,
}

/// `log.format`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// `log.level`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What needs somebody.
    Error,
    /// What may soon.
    Warn,
    /// What happens to the daemon as a whole.
    Info,
    /// What happens to each event and run.
    Debug,
    /// Everything.
    Trace,
}

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadConfig {
    /// Every mistake, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// The file they point into; `None` when it could not be read.
    pub source: Option<SourceFile>,
}

/// What is wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bad {
    message: String,
    help: Option<String>,
}

impl Config {
    /// Finds and reads the configuration: `explicit` (of `--config`), else the file that `env` gives
    /// for [`CONFIG_VARIABLE`], else [`CONFIG_FILE`] in `working_dir` if there is one, else defaults.
    /// Paths in a file start from its folder; those of the defaults from `working_dir`, for which an
    /// empty path means the current one.
    ///
    /// # Errors
    /// [`BadConfig`] with every mistake, or with the reason why a file that was named, or that is
    /// there, could not be read.
    pub fn load(
        explicit: Option<&Path>,
        env: impl Fn(&str) -> Option<OsString>,
        working_dir: &Path,
    ) -> Result<Self, BadConfig> {
        let named = env(CONFIG_VARIABLE).filter(|name| !name.is_empty());
        let (file, chosen) = match (explicit, named) {
            (Some(file), _) => (file.to_owned(), Some("--config")),
            (None, Some(file)) => (PathBuf::from(file), Some(CONFIG_VARIABLE)),
            (None, None) => (PathBuf::from(CONFIG_FILE), None),
        };
        let path = working_dir.join(&file);
        let name: Text = file.display().to_string().into();
        let text = match read(&path) {
            Ok(text) => text,
            Err(error) if chosen.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::defaults(working_dir));
            }
            Err(error) => return Err(unreadable(name, chosen, &error)),
        };
        let source = SourceFile { name, text: text.into() };
        let base = path.parent().unwrap_or(Path::new(""));
        match Self::parse(&source, base) {
            Ok(config) => Ok(Self { file: Some(path), ..config }),
            Err(diagnostics) => Err(BadConfig { diagnostics, source: Some(source) }),
        }
    }

    /// What holds without a file; paths start from `base`.
    #[must_use]
    pub fn defaults(base: &Path) -> Self {
        Reader { places: &Places::default(), base, errors: Vec::new() }
            .config(raw::RawConfig::default())
    }

    /// Reads the text of a configuration; paths start from `base`.
    ///
    /// # Errors
    /// Every mistake, in the order of the file.
    pub fn parse(source: &SourceFile, base: &Path) -> Result<Self, Vec<Diagnostic>> {
        let diagnostics = |mut errors: Vec<Misplaced>| {
            errors.sort_by_key(|error| error.span.start);
            errors.into_iter().map(|error| error.into_diagnostic(&source.name)).collect()
        };
        let places = Places::read(&source.text).map_err(diagnostics)?;
        let (raw, mut errors) = shape::read(&source.text, &places);
        let mut reader = Reader { places: &places, base, errors: Vec::new() };
        let config = reader.config(raw);
        errors.append(&mut reader.errors);
        if errors.is_empty() { Ok(config) } else { Err(diagnostics(errors)) }
    }
}

impl Misplaced {
    fn into_diagnostic(self, file: &Text) -> Diagnostic {
        let label = |span, text: &str| Label { file: file.clone(), span, text: text.to_owned() };
        Diagnostic {
            severity: Severity::Error,
            code: self.code,
            message: self.bad.message,
            primary: label(self.span, ""),
            secondary: self.other.map(|span| label(span, "the first one")).into_iter().collect(),
            help: self.bad.help,
        }
    }
}

/// A file's text, if it is one and not too large.
fn read(path: &Path) -> std::io::Result<String> {
    let size = fs::metadata(path)?.len();
    if size > CONFIG_BYTES {
        return Err(std::io::Error::other(format!(
            "it has {size} bytes, and a configuration at most {CONFIG_BYTES}"
        )));
    }
    let text = fs::read_to_string(path)?;
    // some editors put a byte order mark first
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn unreadable(name: Text, chosen: Option<&str>, error: &std::io::Error) -> BadConfig {
    let help = chosen.map(|by| {
        format!("it was named by {by}; without one, ./{CONFIG_FILE} or the defaults hold")
    });
    let diagnostic = Diagnostic {
        severity: Severity::Error,
        code: "unreadable",
        message: format!("the configuration `{name}` cannot be read: {error}"),
        primary: Label { file: name, span: 0..0, text: String::new() },
        secondary: Vec::new(),
        help,
    };
    BadConfig { diagnostics: vec![diagnostic], source: None }
}

/// The candidate most like `written`, if any is much like it.
fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::jaro_winkler(candidate, written), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
