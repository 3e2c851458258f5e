//! The Unix socket in the data directory: who can open it is trusted as operator, so that nobody but
//! the daemon's own user ever can.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use super::{Exit, Failure, Globals, rule_files};
use crate::api::SOCKET;

/// Where the socket is made before it gets its mode and its place.
const NURSERY: &str = "socket.new";
/// Bytes of a socket's path: `sun_path` of unix(7), with its end and the nursery's name.
const PATH_BYTES: usize = 107;

/// The socket of the daemon with our configuration.
pub(super) fn of(globals: &Globals) -> Result<PathBuf, Failure> {
    Ok(rule_files::config_or_fail(globals)?.data_dir.join(SOCKET))
}

/// Makes the data directory, for its owner alone. One that is there stays as it is.
pub(super) fn prepare(data_dir: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(|error| {
        let what = format!("the data directory {} cannot be made: {error}", data_dir.display());
        Failure::new(Exit::Config, what).help("`data_dir` of the configuration names another")
    })
}

/// Listens. Call it with the lock of the state held: an older socket is one of a daemon that is gone.
pub(super) fn bind(data_dir: &Path) -> Result<UnixListener, Failure> {
    let path = data_dir.join(SOCKET);
    let nursery = data_dir.join(NURSERY);
    let newborn = nursery.join("s");
    if path.as_os_str().len().max(newborn.as_os_str().len()) > PATH_BYTES {
        let what = format!("{} is too long for a socket", path.display());
        return Err(
            Failure::new(Exit::Config, what).help("name a shorter `data_dir`, or a relative one")
        );
    }
    let make = || {
        // Nobody can open it in there, so that it has its mode before anybody can.
        let _ = fs::remove_dir_all(&nursery);
        DirBuilder::new().mode(0o700).create(&nursery)?;
        let listener = UnixListener::bind(&newborn)?;
        fs::set_permissions(&newborn, Permissions::from_mode(0o600))?;
        fs::rename(&newborn, &path)?;
        fs::remove_dir(&nursery)?;
        Ok(listener)
    };
    make().map_err(|error: std::io::Error| {
        Failure::new(Exit::Again, format!("cannot listen at {}: {error}", path.display()))
    })
}

/// Takes the socket away at the end; one that stays does no harm.
pub(super) fn remove(data_dir: &Path) {
    if let Err(error) = fs::remove_file(data_dir.join(SOCKET)) {
        tracing::debug!(%error, "the socket could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_its_owners_alone_and_replaces_an_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("a/data");
        prepare(&data).unwrap();
        assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        let first = bind(&data).unwrap();
        drop(first);
        let second = bind(&data).unwrap();
        let path = data.join(SOCKET);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (client, served) =
            tokio::join!(tokio::net::UnixStream::connect(&path), second.accept());
        assert!(client.is_ok() && served.is_ok());
        assert!(!data.join(NURSERY).exists());
        remove(&data);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_path_too_long_is_told_before_the_system_does() {
        let folder = tempfile::tempdir().unwrap();
        let failure = bind(&folder.path().join("x".repeat(120))).unwrap_err();
        assert_eq!(failure.exit, Exit::Config);
    }
}
