//! [`Secrets`]: values that are named in the configuration and in rules, never written there.
//!
//! A name is looked up in `$CREDENTIALS_DIRECTORY/NAME` (systemd's `LoadCredential=`), then in the
//! environment as `ADJUTANT_SECRET_NAME`, upper-cased and with `-` as `_`. Files are looked at before
//! each attempt and read when they changed, so a renewed credential counts at once. Values never reach
//! a log, a trace, the store or an error: they live in [`SecretString`], and what the other side sends
//! back is scrubbed.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};

use crate::model::{Text, Value};

/// Bytes of a secret: a key or a token is far smaller, and a wrong path may lead to a huge file.
const SECRET_BYTES: u64 = 64 * 1024;
/// Files whose values are kept in memory: more than any rules name.
const REMEMBERED: usize = 256;
/// Shorter secrets are not searched for in answers: they would blacken half of every text.
const SCRUB_FROM: usize = 4;
/// What names in the environment begin with.
const ENVIRONMENT_PREFIX: &str = "ADJUTANT_SECRET_";

/// The name of a secret: letters, digits, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(Text);

impl SecretName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where it is looked for in the environment.
    fn variable(&self) -> String {
        format!("{ENVIRONMENT_PREFIX}{}", self.0.to_ascii_uppercase().replace('-', "_"))
    }
}

impl FromStr for SecretName {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if text.is_empty() || text.len() > 128 || !text.chars().all(allowed) {
            return Err(SecretError::Name(text.chars().take(40).collect()));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a secret cannot be had. Says where it was looked for, never what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The text cannot name a secret.
    #[error("`{0}` cannot name a secret: letters, digits, `_` and `-`")]
    Name(String),
    /// It is nowhere.
    #[error("there is no secret `{name}`: looked {places}")]
    Missing {
        /// Its name.
        name: SecretName,
        /// Where it was looked for.
        places: String,
    },
    /// It is there and cannot be used.
    #[error("the secret `{name}` in {place} {problem}")]
    Unusable {
        /// Its name.
        name: SecretName,
        /// Where it was found.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Finds secrets by name. Its `Debug` shows names only.
#[derive(Debug, Default)]
pub struct Secrets {
    directory: Option<PathBuf>,
    environment: BTreeMap<String, SecretString>,
    /// What files held when they were last read.
    read: Mutex<HashMap<SecretName, (State, SecretString)>>,
}

/// Tells one state of a file from another: device, inode, size, and when it was last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State(u64, u64, u64, (i64, i64));

impl State {
    fn of(path: &Path) -> io::Result<Self> {
        let found = std::fs::metadata(path)?;
        let changed = (found.ctime(), found.ctime_nsec());
        Ok(Self(found.dev(), found.ino(), found.size(), changed))
    }
}

impl Secrets {
    /// From this process's environment.
    #[must_use]
    pub fn from_environment() -> Self {
        let directory = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self::new(directory, std::env::vars_os())
    }

    /// From a directory of credentials and an environment, of which only `ADJUTANT_SECRET_…` is
    /// kept.
    #[must_use]
    pub fn new(
        directory: Option<PathBuf>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let environment = environment
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX))
            .map(|(name, value)| (name, SecretString::from(value)))
            .collect();
        let directory = directory.filter(|path| !path.as_os_str().is_empty());
        Self { directory, environment, read: Mutex::default() }
    }

    /// The value of a secret. One line end at the end of a file does not count.
    ///
    /// Asks for the state of a small file and may read it; systemd keeps it in memory.
    ///
    /// # Errors
    /// [`SecretError`] when it is nowhere, empty, not UTF-8, too long, or cannot be read.
    pub fn get(&self, name: &SecretName) -> Result<SecretString, SecretError> {
        if let Some(directory) = &self.directory
            && let Some(value) = self.of_file(name, &directory.join(name.as_str()))?
        {
            return Ok(value);
        }
        let variable = name.variable();
        match self.environment.get(&variable) {
            Some(value) if value.expose_secret().is_empty() => {
                Err(unusable(name, format!("the variable {variable}"), "is empty"))
            }
            Some(value) => Ok(value.clone()),
            None => Err(SecretError::Missing { name: name.clone(), places: self.places(name) }),
        }
    }

    /// `None`: there is no such file.
    fn of_file(&self, name: &SecretName, path: &Path) -> Result<Option<SecretString>, SecretError> {
        let failed = |problem: &str| unusable(name, path.display().to_string(), problem);
        let unread = |error: io::Error| failed(&format!("cannot be read: {error}"));
        // its state first: what is read after it may be newer, and is then read once more
        let state = match State::of(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            state => state.map_err(unread)?,
        };
        // never locked while the disk is asked
        let read = || self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, value)) = read().get(name)
            && *then == state
        {
            return Ok(Some(value.clone()));
        }
        let bytes = read_bounded(path)
            .map_err(unread)?
            .ok_or_else(|| failed(&format!("is longer than {SECRET_BYTES} bytes")))?;
        let mut text = String::from_utf8(bytes).map_err(|_| failed("is not UTF-8 text"))?;
        let end = text.strip_suffix('\n').unwrap_or(&text);
        text.truncate(end.strip_suffix('\r').unwrap_or(end).len());
        if text.is_empty() {
            return Err(failed("is empty"));
        }
        let value = SecretString::from(text);
        let mut read = read();
        if read.len() >= REMEMBERED {
            read.clear();
        }
        read.insert(name.clone(), (state, value.clone()));
        Ok(Some(value))
    }

    fn places(&self, name: &SecretName) -> String {
        let variable = name.variable();
        match &self.directory {
            Some(directory) => {
                format!(
                    "for {} and the variable {variable}",
                    directory.join(name.as_str()).display()
                )
            }
            None => format!(
                "for the variable {variable}; CREDENTIALS_DIRECTORY, where files are looked for, is not set"
            ),
        }
    }
}

fn unusable(name: &SecretName, place: String, problem: &str) -> SecretError {
    SecretError::Unusable { name: name.clone(), place, problem: problem.to_owned() }
}

/// The secrets that one attempt used, so that an answer that repeats them can be scrubbed.
#[derive(Debug, Default)]
pub(crate) struct UsedSecrets(Vec<SecretString>);

impl UsedSecrets {
    pub(crate) fn add(&mut self, secret: SecretString) {
        self.0.push(secret);
    }

    /// `text` without any of them, as they are and as JSON writes them.
    pub(crate) fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in &self.0 {
            let secret = secret.expose_secret();
            if secret.len() < SCRUB_FROM {
                continue;
            }
            let escaped = in_json(secret);
            for written in [secret, &escaped, &escaped.replace('/', "\\/")] {
                if text.contains(written) {
                    text = Cow::Owned(text.replace(written, "[secret]"));
                }
            }
        }
        text
    }

    /// `value`, none of whose texts holds any of them.
    pub(crate) fn scrub_value(&self, value: Value) -> Value {
        match value {
            _ if self.0.is_empty() => value,
            Value::Text(text) => match self.scrub(&text) {
                Cow::Borrowed(_) => Value::Text(text.clone()),
                Cow::Owned(clean) => Value::from(clean),
            },
            Value::List(items) => {
                Value::List(items.into_iter().map(|item| self.scrub_value(item)).collect())
            }
            Value::Map(map) => Value::Map(
                map.into_iter().map(|(key, value)| (key, self.scrub_value(value))).collect(),
            ),
            other => other,
        }
    }
}

/// A text as it stands between the quotes of a string of JSON.
pub(crate) fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The file's bytes; `None` if there are more than [`SECRET_BYTES`].
fn read_bounded(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(SECRET_BYTES + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= SECRET_BYTES).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    fn name(text: &str) -> SecretName {
        text.parse().unwrap()
    }

    #[test]
    fn the_directory_wins_over_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("smtp-password"), "from-file\n").unwrap();
        let vars = environment(&[
            ("ADJUTANT_SECRET_SMTP_PASSWORD", "from-env"),
            ("ADJUTANT_SECRET_HOOK", "hook-value"),
            ("PATH", "/bin"),
        ]);
        let secrets = Secrets::new(Some(folder.path().to_owned()), vars.clone());
        let get = |secrets: &Secrets, which: &str| {
            secrets.get(&name(which)).unwrap().expose_secret().to_owned()
        };
        assert_eq!(get(&secrets, "smtp-password"), "from-file");
        assert_eq!(get(&secrets, "hook"), "hook-value");
        assert_eq!(get(&Secrets::new(None, vars), "smtp-password"), "from-env");
    }

    #[test]
    fn a_renewed_file_counts_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(Some(folder.path().to_owned()), []);
        let get = || secrets.get(&name("key")).map(|value| value.expose_secret().to_owned());
        assert!(get().is_err());
        std::fs::write(folder.path().join("key"), "one").unwrap();
        assert_eq!(get().as_deref(), Ok("one"));
        // renamed over it, as whoever renews it should
        std::fs::write(folder.path().join("new"), "two").unwrap();
        std::fs::rename(folder.path().join("new"), folder.path().join("key")).unwrap();
        assert_eq!([get(), get()], [Ok("two".to_owned()), Ok("two".to_owned())]);
        // written over, with another length
        std::fs::write(folder.path().join("key"), "three").unwrap();
        assert_eq!(get().as_deref(), Ok("three"));
        std::fs::remove_file(folder.path().join("key")).unwrap();
        assert!(get().is_err());
    }

    #[test]
    fn a_missing_secret_says_where_it_was_looked_for() {
        let secrets = Secrets::new(Some("/run/credentials".into()), []);
        let message = secrets.get(&name("hook-key")).unwrap_err().to_string();
        assert!(message.contains("/run/credentials/hook-key"), "{message}");
        assert!(message.contains("ADJUTANT_SECRET_HOOK_KEY"), "{message}");
        let message = Secrets::new(None, []).get(&name("hook-key")).unwrap_err().to_string();
        assert!(message.contains("CREDENTIALS_DIRECTORY"), "{message}");
    }

    #[test]
    fn unusable_files_are_named_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, content: &[u8]| {
            std::fs::write(folder.path().join(file), content).unwrap();
        };
        write("empty", b"\n");
        write("binary", b"\xff\xfehunter2");
        write("long", &vec![b'x'; 70_000]);
        let secrets = Secrets::new(Some(folder.path().to_owned()), []);
        for (file, problem) in [("empty", "empty"), ("binary", "UTF-8"), ("long", "longer")] {
            let message = secrets.get(&name(file)).unwrap_err().to_string();
            assert!(message.contains(problem) && message.contains(file), "{message}");
            assert!(!message.contains("hunter2"));
        }
    }

    #[test]
    fn names_cannot_leave_the_directory() {
        for bad in ["", "../passwd", "a/b", ".", "a b", "ä"] {
            assert!(bad.parse::<SecretName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_prints_a_value() {
        let secrets = Secrets::new(None, environment(&[("ADJUTANT_SECRET_A", "hunter2")]));
        let value = secrets.get(&name("a")).unwrap();
        let mut used = UsedSecrets::default();
        used.add(value.clone());
        for shown in [format!("{secrets:?}"), format!("{value:?}"), format!("{used:?}")] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert_eq!(used.scrub("you said hunter2!"), "you said [secret]!");
    }
}
