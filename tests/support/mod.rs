//! Rigs for the end-to-end tests: an SMTP server and an HTTP receiver that answer as scripted, the
//! real binary in a folder of its own, and independent clients in Python.
//!
//! Every rig runs on a thread of its own and has plain blocking methods; dropping it ends it.
#![allow(dead_code, reason = "each test binary uses the rigs it needs")]
#![allow(
    clippy::disallowed_methods,
    reason = "these tests watch a real process in real time: there is no clock to pass in"
)]

pub(crate) mod chance;
pub(crate) mod cli;
pub(crate) mod daemon;
pub(crate) mod folder;
pub(crate) mod http;
pub(crate) mod mail;
pub(crate) mod pki;
pub(crate) mod python;
pub(crate) mod receiver;
pub(crate) mod runs;
pub(crate) mod sim;
pub(crate) mod smtp;
pub(crate) mod stored;
pub(crate) mod tampered;
pub(crate) mod thread;

use std::io::Write as _;
use std::time::{Duration, Instant};

/// How often a condition is looked at while waiting for it.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until `look` finds something.
///
/// # Panics
/// After `limit`, saying what was waited for.
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < limit, "waited {limit:?} in vain for {what}");
        std::thread::sleep(LOOK);
    }
}

/// Says something that is seen although the test runner keeps the output of tests that pass.
pub(crate) fn say(line: &str) {
    // Nothing is lost when nobody listens.
    let _ = writeln!(std::io::stderr(), "{line}");
}
