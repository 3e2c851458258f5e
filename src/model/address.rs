//! [`Address`]: the kind and id of a record, `lead/42`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::id::{Name, is_name};
use super::limits;
use super::value::Text;

/// Where a record lives: `kind/id`. The kind is a name; the id is any text that is not empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// The kind, such as `lead`.
    pub kind: Name,
    /// The id within the kind, such as `42`. May contain `/`.
    pub id: Text,
}

/// Why a text is not the address of a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No slash, or nothing on one side of it.
    #[error("`{0}` is not a record address: write kind/id, such as `lead/42`")]
    Shape(String),
    /// The part before the slash is not a name.
    #[error("`{0}` cannot be a record kind: lower-case letters, digits and `-`, a letter first, at most {max} bytes", max = limits::NAME_BYTES)]
    Kind(String),
    /// The id is too long or has control characters.
    #[error("the id of a `{0}` record is longer than {max} bytes or has control characters", max = limits::SUBJECT_BYTES)]
    Id(String),
}

impl Address {
    /// Checked parts.
    ///
    /// # Errors
    /// [`AddressError`] when the kind is not a name or the id is empty, too long or has control characters.
    pub fn new(kind: &str, id: &str) -> Result<Self, AddressError> {
        if id.is_empty() {
            return Err(AddressError::Shape(format!("{kind}/")));
        }
        if !is_name(kind) {
            return Err(AddressError::Kind(kind.to_owned()));
        }
        if id.len() > limits::SUBJECT_BYTES || id.chars().any(char::is_control) {
            return Err(AddressError::Id(kind.to_owned()));
        }
        Ok(Self { kind: kind.into(), id: id.into() })
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((kind, id)) if !kind.is_empty() && !id.is_empty() => Self::new(kind, id),
            _ => Err(AddressError::Shape(text.to_owned())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_kind_and_an_id() {
        assert_eq!("lead/42".parse::<Address>().unwrap().to_string(), "lead/42");
        assert_eq!(&*"file/a/b".parse::<Address>().unwrap().id, "a/b");
        for bad in ["lead", "/42", "lead/", "", "Lead/1", "lead/a\nb"] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }
}
