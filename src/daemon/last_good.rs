//! The last rule set that was in force: its files, beside the state. A start that finds the rule files
//! broken goes on with it, so that a half-finished edit and a power cut do not stop every timer.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::rules::Sources;

/// Its name in the data directory.
const FILE: &str = "rules.good";
/// The same while it is written.
const UNFINISHED: &str = "rules.good.new";

/// Keeps a rule set; the one before stays until it is there whole.
///
/// # Errors
/// What the system says.
pub fn keep(data_dir: &Path, sources: &Sources) -> io::Result<()> {
    let bytes = sources.encode();
    let path = data_dir.join(FILE);
    if fs::read(&path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let unfinished = data_dir.join(UNFINISHED);
    let mut file = File::create(&unfinished)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, &path)?;
    File::open(data_dir)?.sync_all()
}

/// The one that was kept; `None` when there is none that can be read.
#[must_use]
pub fn read(data_dir: &Path) -> Option<Sources> {
    let bytes = fs::read(data_dir.join(FILE)).ok()?;
    Sources::decode(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{SourceFile, TemplateFile};

    fn sources(text: &str) -> Sources {
        Sources {
            rules: vec![SourceFile::new("rules/a.yaml", text)],
            templates: vec![TemplateFile {
                file: SourceFile::new("rules/templates/x.txt", "Subject: x\n"),
                dir: "rules".into(),
            }],
            plugins: vec![SourceFile::new("plugins/p.rhai", "fn one() { 1 }")],
        }
    }

    #[test]
    fn what_was_kept_last_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), None);
        for text in ["first", "second", "second"] {
            keep(dir.path(), &sources(text)).unwrap();
            assert_eq!(read(dir.path()), Some(sources(text)));
        }
        fs::write(dir.path().join(FILE), b"\x01half").unwrap();
        assert_eq!(read(dir.path()), None, "what is damaged is not there");
    }
}
