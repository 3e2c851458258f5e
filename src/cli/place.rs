//! Where the daemon's socket is: in the data directory that the configuration names.

use std::path::PathBuf;

use super::{Failure, Globals, rule_files};
use crate::api::SOCKET;

/// The socket of the daemon with our configuration.
pub(super) fn socket(globals: &Globals) -> Result<PathBuf, Failure> {
    Ok(rule_files::config_or_fail(globals)?.data_dir.join(SOCKET))
}
