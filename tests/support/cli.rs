//! Running the real binary's commands and looking at what they say.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The binary under test: the one just built, or another that `ADJUTANT_TEST_BINARY` names.
pub(crate) fn binary() -> PathBuf {
    let named = std::env::var_os("ADJUTANT_TEST_BINARY").map(PathBuf::from);
    named.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_adjutant")))
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    /// The exit code; -1 if a signal ended it.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Said {
    /// The output as JSON.
    ///
    /// # Panics
    /// If the command failed or said something else.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, 0, "{}", self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

/// The binary in a folder, with nothing inherited that would change what it does.
pub(crate) fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(args).current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let ours = name.starts_with("ADJUTANT_");
        if ours || ["RUST_LOG", "NOTIFY_SOCKET", "WATCHDOG_USEC"].contains(&name.as_str()) {
            command.env_remove(&name);
        }
    }
    command.env("NO_COLOR", "1").env("CREDENTIALS_DIRECTORY", folder.join("credentials"));
    command
}

/// Runs a command to its end.
pub(crate) fn run(folder: &Path, args: &[&str]) -> Said {
    let output = command(folder, args).output().expect("the binary starts");
    said(&output)
}

/// What a finished process said.
pub(crate) fn said(output: &Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
