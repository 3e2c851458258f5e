//! [`Head`]: what the index keeps of a run, taken from the run or from the front of its row.
//!
//! A row of a run begins with what the index needs, in the order of [`Front`]: a start reads a million
//! of them and leaves the rest, its variables and its story, where it is. Only an effect under way
//! stands further behind; such a row is decoded whole.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

use serde::Deserialize;

use crate::model::{
    ArmRole, ArmSubject, BundleId, Digest, EventNo, Instant, Parent, Pattern, ReadError, Run,
    RunNo, Status,
};
use crate::store::codec;

/// What the index keeps of a run, besides the effect it is busy with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) no: RunNo,
    pub(super) status: Status,
    pub(super) event: EventNo,
    pub(super) parent: Option<RunNo>,
    pub(super) due: Option<Instant>,
    /// [`holder_key`], if it counts for `mode` and `max`.
    pub(super) holds: Option<(u64, u64)>,
    /// [`waiter_key`] of everything it listens for. A queued run listens for its exits already.
    pub(super) waits: Vec<u64>,
    pub(super) ladder: bool,
    pub(super) bundle: BundleId,
}

/// What the front of a row says.
pub(super) enum Read {
    Head(Head),
    /// A run that is busy with an effect.
    Busy(Box<Run>),
}

/// A hash that is the same in every process of this build; it never reaches the disk.
pub(super) fn hash(value: impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

/// What runs that wait for a pattern and a subject are found by.
pub(super) fn waiter_key(pattern: &Pattern, subject: &ArmSubject) -> u64 {
    let subject = match subject {
        ArmSubject::Is(subject) => SubjectFront::Is(subject),
        ArmSubject::None => SubjectFront::None,
        ArmSubject::Any => SubjectFront::Any,
    };
    let pattern = match pattern {
        Pattern::Exact(text) => PatternFront::Exact(text),
        Pattern::Prefix(text) => PatternFront::Prefix(text),
    };
    hash((pattern, subject))
}

/// What runs of a workflow and a key are found by.
pub(super) fn holder_key(workflow: &str, key: Option<&str>) -> (u64, u64) {
    (hash(workflow), hash(key))
}

impl Head {
    pub(super) fn of(run: &Run) -> Self {
        let arms = run.arms.iter().flat_map(|arm| arm.patterns.iter().zip(std::iter::repeat(arm)));
        Self {
            no: run.no,
            status: run.status,
            event: run.event,
            parent: run.parent.as_ref().map(|parent| parent.run),
            due: run.due(),
            holds: run.slot.then(|| holder_key(&run.workflow, run.key.as_deref())),
            waits: arms.map(|(pattern, arm)| waiter_key(pattern, &arm.subject)).collect(),
            ladder: run.ladder.is_some(),
            bundle: run.bundle,
        }
    }

    /// From a row.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`] when it is damaged.
    pub(super) fn read(row: &[u8]) -> Result<Read, ReadError> {
        let (front, rest): (Front<'_>, _) =
            codec::decode_front(codec::body(row, "a run")?, "a run")?;
        if matches!(front.wait, WaitFront::Effect) {
            return codec::decode_run(row).map(|run| Read::Busy(Box::new(run)));
        }
        let ((_, bundle), _): ((Digest, BundleId), _) = codec::decode_front(rest, "a run")?;
        let until = match front.wait {
            WaitFront::Until(at) | WaitFront::Event(at) | WaitFront::Rest(at) => Some(at),
            WaitFront::Child(_, until) => until,
            WaitFront::Join(join) => join.until,
            WaitFront::Ready | WaitFront::Slot | WaitFront::Effect | WaitFront::Over => None,
        };
        let due = until.map_or(front.expires, |at| at.min(front.expires));
        let arms = front.arms.iter();
        let arms = arms.flat_map(|arm| arm.patterns.iter().zip(std::iter::repeat(&arm.subject)));
        Ok(Read::Head(Self {
            no: front.no,
            status: front.status,
            event: front.event,
            parent: front.parent.map(|parent| parent.run),
            due: front.status.is_alive().then_some(due),
            holds: front.slot.then(|| holder_key(front.workflow, front.key)),
            waits: arms.map(hash).collect(),
            ladder: front.ladder.is_some(),
            bundle,
        }))
    }
}

/// The first fields of [`Run`], in its order, as far as they are needed here. What is read only to
/// come past it has no use of its own.
#[derive(Deserialize)]
struct Front<'a> {
    no: RunNo,
    status: Status,
    event: EventNo,
    parent: Option<Parent>,
    workflow: &'a str,
    #[serde(borrow)]
    key: Option<&'a str>,
    slot: bool,
    expires: Instant,
    #[serde(borrow)]
    arms: Vec<ArmFront<'a>>,
    #[serde(borrow)]
    ladder: Option<LadderFront<'a>>,
    #[serde(borrow)]
    wait: WaitFront<'a>,
}

/// [`crate::model::Arm`].
#[derive(Deserialize)]
struct ArmFront<'a> {
    #[serde(rename = "role")]
    _role: ArmRole,
    #[serde(borrow)]
    patterns: Vec<PatternFront<'a>>,
    #[serde(borrow)]
    subject: SubjectFront<'a>,
}

/// [`Pattern`].
#[derive(Deserialize, Hash)]
enum PatternFront<'a> {
    Exact(&'a str),
    Prefix(&'a str),
}

/// [`ArmSubject`].
#[derive(Deserialize, Hash)]
enum SubjectFront<'a> {
    Is(&'a str),
    None,
    Any,
}

/// [`crate::model::Ladder`].
#[derive(Deserialize)]
struct LadderFront<'a> {
    #[serde(rename = "summary")]
    _summary: &'a str,
    #[serde(borrow, rename = "severity")]
    _severity: Option<&'a str>,
    #[serde(rename = "level")]
    _level: u32,
    #[serde(rename = "reached")]
    _reached: Instant,
    #[serde(borrow, rename = "acknowledged")]
    _acknowledged: Option<(&'a str, Instant)>,
}

/// [`crate::model::Wait`] without the effect.
#[derive(Deserialize)]
enum WaitFront<'a> {
    Ready,
    Slot,
    Until(Instant),
    Event(Instant),
    Child(#[expect(dead_code, reason = "only come past")] RunNo, Option<Instant>),
    Effect,
    Over,
    #[serde(borrow)]
    Join(JoinFront<'a>),
    Rest(Instant),
}

/// [`crate::model::Join`].
#[derive(Deserialize)]
struct JoinFront<'a> {
    until: Option<Instant>,
    #[serde(rename = "of")]
    _of: u32,
    #[serde(rename = "only")]
    _only: Vec<u32>,
    #[serde(rename = "total")]
    _total: u32,
    #[serde(rename = "begun")]
    _begun: u32,
    #[serde(rename = "running")]
    _running: u32,
    #[serde(borrow, rename = "failed")]
    _failed: Vec<(u32, CauseFront<'a>)>,
    #[serde(rename = "held")]
    _held: bool,
    #[serde(rename = "fanning")]
    _fanning: bool,
}

/// [`crate::model::Cause`].
#[derive(Deserialize)]
struct CauseFront<'a> {
    #[serde(rename = "code")]
    _code: &'a str,
    #[serde(rename = "message")]
    _message: &'a str,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::samples::{Samples, WAITS};

    proptest! {
        #[test]
        fn the_front_of_a_row_says_what_the_run_says(seed: u64) {
            let mut s = Samples::new(seed);
            for kind in 0..WAITS {
                let run = s.run(kind);
                match Head::read(&codec::encode(&run)).unwrap() {
                    Read::Head(head) => {
                        prop_assert_eq!(head, Head::of(&run));
                        prop_assert!(run.effect().is_none());
                    }
                    Read::Busy(read) => {
                        prop_assert_eq!(&*read, &run);
                        prop_assert!(run.effect().is_some());
                    }
                }
            }
        }

        #[test]
        fn a_damaged_front_is_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let row = [&[1], bytes.as_slice()].concat();
            let read = Head::read(&row);
            prop_assert!(matches!(read, Ok(_) | Err(ReadError::Corrupt(_))));
        }
    }
}
