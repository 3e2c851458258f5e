//! [`Failure`]: why a command did not do what it should, and the exit code that says so.

use std::fmt;
use std::process::ExitCode;

/// Exit codes; those from 69 on are those of `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is well.
    Fine = 0,
    /// A check failed, or the daemon refused.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The daemon cannot be reached.
    Unreachable = 69,
    /// Storage failed and stays down.
    Storage = 74,
    /// Not now: try again.
    Again = 75,
    /// The configuration or the rules are wrong.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How it ends.
    pub exit: Exit,
    /// What is wrong: lower case, no full stop; or a report.
    pub message: String,
    /// The message is a report that is laid out already, with styles.
    pub laid_out: bool,
    /// What to do about it.
    pub help: Option<String>,
}

impl Failure {
    /// Without help.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), laid_out: false, help: None }
    }

    /// From a report that is laid out already.
    #[must_use]
    pub fn report(exit: Exit, text: String) -> Self {
        Self { exit, message: text, laid_out: true, help: None }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
