//! [`FileGlob`]: which files of the spool a trigger reads.

use super::id::{Name, is_name};
use super::value::Text;

/// Folders of the spool in which the daemon keeps what it has read.
pub const SPOOL_KEPT: [&str; 2] = ["done", "refused"];

/// A pattern of paths in the spool, such as `leads/*.csv`: `*` and `?` stay within one name, `**` is any
/// number of folders. The first folder is literal, for it names the type of the events: `file.leads`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileGlob {
    folder: Name,
    pattern: glob::Pattern,
}

impl FileGlob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, (String, &'static str)> {
        const HELP: &str = "write a folder of the spool and what lies in it: `leads/*.csv`";
        let wrong = |why: &str| Err((format!("`{text}` {why}"), HELP));
        if text.starts_with('/') || text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return wrong("is no path within the spool");
        }
        let Some((folder, _)) = text.split_once('/').filter(|(folder, _)| is_name(folder)) else {
            return wrong("does not begin with the name of a folder");
        };
        if SPOOL_KEPT.contains(&folder) {
            return wrong("is where the daemon keeps what it has read");
        }
        match glob::Pattern::new(text) {
            Ok(pattern) => Ok(Self { folder: folder.into(), pattern }),
            Err(error) => wrong(&format!("is not a pattern: {}", error.msg)),
        }
    }

    /// The folder of the spool that it looks into.
    #[must_use]
    pub fn folder(&self) -> &Name {
        &self.folder
    }

    /// The type of the events that are made of rows.
    #[must_use]
    pub fn kind(&self) -> Text {
        format!("file.{}", self.folder).into()
    }

    /// Whether a file is meant, by its path within the spool.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let options = glob::MatchOptions {
            require_literal_separator: true,
            require_literal_leading_dot: true,
            ..glob::MatchOptions::new()
        };
        self.pattern.matches_with(path, options)
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.pattern.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_its_folder_and_stays_within_it() {
        let glob = FileGlob::parse("leads/*.csv").unwrap();
        assert_eq!(&*glob.kind(), "file.leads");
        for (path, meant) in [
            ("leads/march.csv", true),
            ("leads/fair/march.csv", false),
            ("leads/.march.csv", false),
            ("leads/march.csv.part", false),
            ("partners/march.csv", false),
        ] {
            assert_eq!(glob.matches(path), meant, "{path}");
        }
        assert!(FileGlob::parse("leads/**/*.csv").unwrap().matches("leads/fair/march.csv"));
    }

    #[test]
    fn what_is_no_pattern_of_the_spool_is_told() {
        for (text, why) in [
            ("*.csv", "does not begin with the name of a folder"),
            ("lea*/x.csv", "does not begin with the name of a folder"),
            ("/etc/passwd", "is no path within the spool"),
            ("leads/../../x", "is no path within the spool"),
            ("done/x.csv", "keeps what it has read"),
            ("leads/[a", "is not a pattern"),
        ] {
            let (message, _) = FileGlob::parse(text).unwrap_err();
            assert!(message.contains(why), "{message}");
        }
    }
}
