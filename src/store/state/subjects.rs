//! Which events are about what: a hash of each one's subject, as [tags](super::tags).

use crate::model::StoredEvent;
use crate::store::keys;

use super::events::Packed;
use super::tags::Tags;

/// The hash is big-endian. A row has what a batch under load brings.
pub(super) const SUBJECTS: Tags<3> =
    Tags { what: "a row of subjects", keys: keys::subjects, most: 256 };

/// A hash of 24 bits, the same for ever: the lower half and a half of CRC-32.
pub(super) fn hash(subject: &str) -> u64 {
    u64::from(crc32fast::hash(subject.as_bytes()) & 0x00ff_ffff)
}

/// The tag of a hash.
fn tag(hash: u64) -> [u8; 3] {
    let [.., a, b, c] = hash.to_be_bytes();
    [a, b, c]
}

/// The hash of a tag.
pub(super) fn of_tag([a, b, c]: [u8; 3]) -> u64 {
    u64::from(u32::from_be_bytes([0, a, b, c]))
}

/// New events, oldest first, as rows.
pub(in crate::store) fn pack<'a>(events: impl Iterator<Item = &'a StoredEvent>) -> Vec<Packed> {
    SUBJECTS.pack(events.filter_map(|stored| {
        let subject = stored.event.subject.as_deref()?;
        Some((stored.event.no, tag(hash(subject))))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_same_for_ever() {
        assert_eq!(hash("123456789"), 0x00f4_3926, "the check value of CRC-32 is cbf43926");
        assert_eq!(tag(0x00f4_3926), [0xf4, 0x39, 0x26]);
        assert_eq!(of_tag(tag(0x00f4_3926)), 0x00f4_3926);
    }
}
