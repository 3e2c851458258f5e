//! sled's errors and panics as [`StoreError`]s.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::super::contract::StoreError;

/// What to do about a damaged store.
pub(super) const CURE: &str = "restore it from a backup";

/// Runs a call into sled, which panics on some damage and on its own mistakes.
pub(super) fn guarded<T>(
    what: &str,
    call: impl FnOnce() -> Result<T, StoreError>,
    panicked: fn(String) -> StoreError,
) -> Result<T, StoreError> {
    // What sled and we share is behind locks that cannot be left half changed, or is refused
    // afterwards.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(done) => done,
        Err(panic) => Err(panicked(format!("{what}: sled panicked: {}; {CURE}", said(&*panic)))),
    }
}

pub(super) fn from_sled(what: &str, error: ::sled::Error) -> StoreError {
    match error {
        ::sled::Error::Io(error) => StoreError::from_io(what, &error),
        ::sled::Error::Corruption { at, .. } => {
            let place = at.map(|at| format!(" at {at:?}")).unwrap_or_default();
            StoreError::Corrupt(format!(
                "{what}: what sled reads{place} is not what it wrote; {CURE}"
            ))
        }
        // its settings file says something it cannot work with
        ::sled::Error::Unsupported(why) => StoreError::Corrupt(format!("{what}: {why}; {CURE}")),
        other => StoreError::Io(format!("{what}: {other}")),
    }
}

pub(super) fn about(path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |error| StoreError::from_io(&path.display().to_string(), &error)
}

/// Whether sled found its own lock taken. Its pool lets go of the file a moment after a store is
/// dropped, and the error is only a text.
pub(super) fn is_sleds_lock(error: &::sled::Error) -> bool {
    matches!(error, ::sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

fn said(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_keep_their_meaning() {
        let io = |code| ::sled::Error::Io(io::Error::from_raw_os_error(code));
        assert!(matches!(from_sled("x", io(28)), StoreError::Full(_)), "ENOSPC");
        assert!(matches!(from_sled("x", io(122)), StoreError::Full(_)), "EDQUOT");
        assert!(matches!(from_sled("x", io(5)), StoreError::Io(_)), "EIO");
        // sled hands its background errors on as copies, which keep the kind and not the number
        assert!(matches!(from_sled("x", io(28).clone()), StoreError::Full(_)), "ENOSPC, copied");
        let damage = ::sled::Error::Corruption { at: None, bt: () };
        assert!(matches!(from_sled("x", damage), StoreError::Corrupt(_)));
    }

    #[test]
    fn a_panic_is_an_error_with_its_words() {
        let panics = || -> Result<(), StoreError> { panic!("broken {}", 1) };
        let Err(StoreError::Unknown(why)) = guarded("commit", panics, StoreError::Unknown) else {
            panic!("not an error");
        };
        assert!(why.starts_with("commit: sled panicked: broken 1"), "{why}");
    }
}
