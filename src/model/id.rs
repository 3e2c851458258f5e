//! Names, numbers and hashes that identify things.
//!
//! Events and runs are numbered in the order they are committed, so that their rows are written in
//! key order; hashes are the identity that survives redelivery and reloads.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::value::Text;

/// The name of a workflow, a policy, a calendar, a purpose or a record kind.
pub type Name = Text;

/// Whether `text` may name a document: `[a-z][a-z0-9-]*`, at most `limits::NAME_BYTES` long.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.len() <= super::limits::NAME_BYTES
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $name(pub u64);

        impl $name {
            /// The number after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// The place of an event in the order of acceptance; the first is 1.
    EventNo
);
number!(
    /// The place of a run in the order of starting; the first is 1.
    RunNo
);
number!(
    /// The place of an item in the durable inbox.
    InboxNo
);

/// The first 128 bits of a SHA-256 over length-prefixed parts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 16]);

/// Identifies a bundle: a workflow with everything it is pinned to, by content.
pub type BundleId = Digest;

impl Digest {
    /// Of `parts`, each prefixed with its length so that no two lists of parts collide by joining.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = Hasher::new();
        for part in parts {
            hasher.part(part);
        }
        hasher.finish()
    }

    /// The first 64 bits, for indexes in memory.
    #[must_use]
    pub fn short(self) -> u64 {
        let mut head = [0; 8];
        head.copy_from_slice(&self.0[..8]);
        u64::from_be_bytes(head)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every message of every run carries one: a table is far cheaper than `{:02x}` for each byte.
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(2 * self.0.len());
        for byte in self.0 {
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        f.write_str(&text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Builds a [`Digest`] part by part.
pub struct Hasher(sha2::Sha256);

impl Hasher {
    /// With nothing hashed yet.
    #[must_use]
    pub fn new() -> Self {
        Self(sha2::Sha256::new())
    }

    /// Adds one part, prefixed with its length.
    pub fn part(&mut self, part: &[u8]) -> &mut Self {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }

    /// Adds bytes as they are: for what is hashed piece by piece.
    pub fn more(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The digest of the parts so far.
    #[must_use]
    pub fn finish(self) -> Digest {
        let mut head = [0; 16];
        head.copy_from_slice(&self.0.finalize()[..16]);
        Digest(head)
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

/// Identifies a run to people and receivers: its number for finding it, its hash for trusting it.
///
/// Printed as `17-9f86d081884c7d65`; `17` alone is read as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunId {
    /// Finds the row.
    pub no: RunNo,
    /// The head of the run's hash; `None` when a person typed only the number.
    pub check: Option<u64>,
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.check {
            Some(check) => write!(f, "{}-{check:016x}", self.no),
            None => self.no.fmt(f),
        }
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not a run id: write `17` or `17-9f86d081884c7d65`");
        let (no, check) = match text.split_once('-') {
            Some((no, check)) => (no, Some(u64::from_str_radix(check, 16).map_err(|_| wrong())?)),
            None => (text, None),
        };
        Ok(Self { no: RunNo(no.parse().map_err(|_| wrong())?), check })
    }
}

/// The key of an effect: the same over every retry of one action of one run.
///
/// It is sent as `Idempotency-Key` and `webhook-id`, and is the left part of a mail's `Message-ID`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EffectKey(pub Digest);

impl fmt::Display for EffectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "eff_{}", self.0)
    }
}

impl fmt::Debug for EffectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_collide_by_joining() {
        assert_ne!(Digest::of(&[b"ab", b"c"]), Digest::of(&[b"a", b"bc"]));
    }

    #[test]
    fn run_ids_read_back() {
        let id = RunId { no: RunNo(17), check: Some(0x9f86_d081_884c_7d65) };
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("17".parse(), Ok(RunId { no: RunNo(17), check: None }));
        assert!("x".parse::<RunId>().is_err());
    }

    #[test]
    fn names_are_lower_case_with_dashes() {
        assert!(is_name("lead-response-2"));
        for bad in ["", "Lead", "2lead", "lead_x", "-lead", "lead.x", &"x".repeat(129)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
