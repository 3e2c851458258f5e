//! Ledgers on the wire.

use serde::{Deserialize, Serialize};

use crate::model;

/// How far a ledger is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The kind of its records.
    pub kind: String,
    /// How many there are.
    pub count: u64,
    /// The hash of the last, in hex; empty where there is none.
    pub hash: String,
    /// When that was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Signs the others: HMAC-SHA256, in hex.
    pub signature: String,
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledgers {
    /// In order of kind.
    pub ledgers: Vec<Head>,
}

/// Whether a head is one of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// It is.
    pub valid: bool,
}

impl Head {
    /// From the engine's.
    #[must_use]
    pub fn new(head: &model::Head) -> Self {
        Self {
            kind: head.kind.to_string(),
            count: head.count,
            hash: head.hash.to_string(),
            at: head.at.map(|at| at.to_string()),
            signature: head.signature.to_string(),
        }
    }

    /// As the engine has it.
    #[must_use]
    pub fn to_model(&self) -> model::Head {
        model::Head {
            kind: self.kind.as_str().into(),
            count: self.count,
            hash: self.hash.as_str().into(),
            at: self.at.as_deref().and_then(|at| at.parse().ok()),
            signature: self.signature.as_str().into(),
        }
    }
}
