//! Makes sled's `flush` a real sync.
//!
//! sled 0.34.7 makes data "stable" with `sync_file_range`, which leaves the disk's cache and the
//! file's metadata volatile. Where that call answers ENOSYS it falls back to `fsync`. So a seccomp
//! filter in this process answers ENOSYS, for this call alone. Installing it sets `no_new_privs`:
//! nothing we start can gain privileges by setuid, which we want anyhow.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// How a commit reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// sled itself syncs each write before it counts on it, because of the filter.
    Filter,
    /// sled does not; we sync the file after its flush. A killed process loses nothing. A power
    /// cut can cost the whole store, rarely: sled reuses a part of its file before what it moved
    /// away from there is on the disk (`tests/crash_images` shows it).
    Fdatasync,
}

/// Why the filter could not be installed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the store cannot be made safe against a power cut here: a seccomp filter for \
     `sync_file_range` cannot be installed ({0})"
)]
pub struct NotInstalled(String);

/// Whether the filter is in place: a fact of the whole process, as the filter is.
static INSTALLED: OnceLock<()> = OnceLock::new();

/// Installs the filter for every thread of this process, those that run already included. Call it
/// first in `main`. Calling it again does nothing.
///
/// # Errors
/// [`NotInstalled`] where the system forbids it or the processor is not known here. Stores then
/// fall back to [`SyncMode::Fdatasync`]; say so in the log.
pub fn install() -> Result<(), NotInstalled> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if INSTALLED.get().is_none() {
        filter().map_err(NotInstalled)?;
        let _ = INSTALLED.set(());
    }
    Ok(())
}

/// How stores that are opened from now on will sync.
#[must_use]
pub fn mode() -> SyncMode {
    if INSTALLED.get().is_some() { SyncMode::Filter } else { SyncMode::Fdatasync }
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn filter() -> Result<(), String> {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

    // Numbers of `sync_file_range`: linux/arch/x86/entry/syscalls/syscall_64.tbl and
    // linux/include/uapi/asm-generic/unistd.h.
    #[cfg(target_arch = "x86_64")]
    const CALL: (i64, TargetArch) = (277, TargetArch::x86_64);
    #[cfg(target_arch = "aarch64")]
    const CALL: (i64, TargetArch) = (84, TargetArch::aarch64);
    // linux/include/uapi/asm-generic/errno.h
    const ENOSYS: u32 = 38;

    // a call without conditions matches whatever its arguments
    let calls = BTreeMap::from([(CALL.0, Vec::new())]);
    let filter =
        SeccompFilter::new(calls, SeccompAction::Allow, SeccompAction::Errno(ENOSYS), CALL.1)
            .map_err(|error| error.to_string())?;
    let program: BpfProgram =
        filter.try_into().map_err(|error: seccompiler::BackendError| error.to_string())?;
    seccompiler::apply_filter_all_threads(&program).map_err(|error| error.to_string())
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn filter() -> Result<(), String> {
    Err("not known for this system".to_owned())
}
