//! [`Head`]: how far a ledger is, to be kept elsewhere and compared later.

use super::time::Instant;
use super::value::Text;

/// How far a ledger is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The kind of its records.
    pub kind: Text,
    /// How many there are.
    pub count: u64,
    /// The hash of the last; empty where there is none.
    pub hash: Text,
    /// When that was written.
    pub at: Option<Instant>,
    /// HMAC-SHA256 over the three, in hex.
    pub signature: Text,
}
