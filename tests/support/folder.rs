//! A folder with a configuration, rules, templates and secrets: everything one daemon needs.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

/// Below the range that systems give to outgoing connections, so that none of those is in the way.
const FIRST_PORT: u16 = 20_000;
/// Ports to look through, from a place that depends on the process.
const PORTS: u16 = 10_000;

/// A folder of its own, gone when dropped.
pub(crate) struct Folder {
    dir: TempDir,
    /// Where the daemon listens.
    pub(crate) port: u16,
}

impl Folder {
    /// With a configuration that listens on a free port, followed by `more` lines of YAML. `more`
    /// must not name `data_dir`, `http` or `rules`.
    pub(crate) fn new(more: &str) -> Self {
        let folder = Self { dir: tempfile::tempdir().expect("a folder"), port: free_port() };
        let config = format!(
            "data_dir: data\nrules: [rules]\nplugins: [plugins]\nhttp:\n  listen: 127.0.0.1:{}\n{more}",
            folder.port
        );
        folder.write("adjutant.yaml", &config);
        fs::create_dir_all(folder.path("rules")).expect("a folder");
        fs::create_dir_all(folder.path("plugins")).expect("a folder");
        folder
    }

    /// With one more rule file.
    pub(crate) fn rule(self, name: &str, text: &str) -> Self {
        self.write(&format!("rules/{name}"), text);
        self
    }

    /// With a secret that the daemon can look up by its name.
    pub(crate) fn secret(self, name: &str, value: &str) -> Self {
        self.write(&format!("credentials/{name}"), value);
        self
    }

    /// A path in it.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// Writes a file, making folders as needed.
    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("inside the folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
    }

    /// The text of every file below a folder in it whose name ends so, in order of name.
    pub(crate) fn texts(&self, relative: &str, end: &str) -> Vec<(String, String)> {
        texts(&self.path(relative), end)
    }
}

/// The name and text of every file below a folder whose name ends so, in order of name.
pub(crate) fn texts(folder: &Path, end: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.expect("a folder's entry").path();
        let name = path.to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(texts(&path, end));
        } else if name.ends_with(end) {
            found.push((name, fs::read_to_string(&path).expect("a text")));
        }
    }
    found.sort();
    found
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = std::process::id() as u16 % PORTS;
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST_PORT + (offset + step) % PORTS;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
