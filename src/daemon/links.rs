//! Links in the mails of escalations: the key they are signed with, and where they point.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use url::Url;

use crate::actions::links;
use crate::model::{Command, LinkKey};

/// The file of the key within the data directory. Losing it makes old links useless, nothing else.
const KEY_FILE: &str = "link.key";

/// Makes the links of a daemon that people can reach.
#[derive(Clone, Debug)]
pub struct Links {
    base: Url,
    /// Reads what comes back.
    pub key: LinkKey,
}

impl Links {
    /// With the key of `data_dir`, made at the first start. `base` is `http.public_url`.
    ///
    /// # Errors
    /// The key can be neither read nor made.
    pub fn open(data_dir: &Path, base: Url) -> std::io::Result<Self> {
        Ok(Self { base, key: LinkKey::new(key(&data_dir.join(KEY_FILE))?) })
    }

    /// Adds `links` to the scope of a ladder's mail: `links.acknowledge`, `links.resolve`.
    pub(super) fn add(&self, command: &mut Command) {
        let armed = command.armed;
        links::add(command, |link| {
            let token = self.key.token(link, armed);
            let mut url = self.base.clone();
            if let Ok(mut path) = url.path_segments_mut() {
                path.pop_if_empty().extend(["links", &token]);
            }
            url.to_string()
        });
    }
}

/// 32 bytes that nobody can guess.
pub(super) fn random() -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The key of the file, or a new one written there for the owner's eyes only.
fn key(file: &Path) -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    match fs::File::open(file) {
        Ok(mut found) => found.read_exact(&mut bytes)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bytes = random()?;
            let new = file.with_extension("new");
            let mut target = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            target.write_all(&bytes)?;
            target.sync_all()?;
            fs::rename(&new, file)?;
        }
        Err(error) => return Err(error),
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_kept_from_others() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(KEY_FILE);
        let first = key(&file).unwrap();
        assert_eq!(key(&file).unwrap(), first);
        assert_ne!(first, [0; 32]);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
