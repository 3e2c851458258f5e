//! [`Numbers`]: a set of numbers that are given one after the other, as those of runs and events are:
//! a bit each where they lie close together.

use std::collections::BTreeMap;

/// Numbers in one word.
const WORD: u64 = u64::BITS as u64;

/// A set of numbers, in order. A word is kept for every 64 numbers of which one is in the set.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    words: BTreeMap<u64, u64>,
}

impl Numbers {
    /// Whether it was not in the set before.
    pub(super) fn insert(&mut self, number: u64) -> bool {
        let word = self.words.entry(number / WORD).or_default();
        let before = *word;
        *word |= bit(number);
        *word != before
    }

    /// Whether it was in the set.
    pub(super) fn remove(&mut self, number: u64) -> bool {
        let Some(word) = self.words.get_mut(&(number / WORD)) else { return false };
        let before = *word;
        *word &= !bit(number);
        let after = *word;
        if after == 0 {
            self.words.remove(&(number / WORD));
        }
        after != before
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.words.get(&(number / WORD)).is_some_and(|word| word & bit(number) != 0)
    }

    /// Those from a number on, the least first.
    pub(super) fn ascending(&self, from: u64) -> impl Iterator<Item = u64> + '_ {
        self.words
            .range(from / WORD..)
            .flat_map(move |(at, word)| {
                let (first, word) = (at * WORD, *word);
                (0..WORD).filter(move |n| word & bit(*n) != 0).map(move |n| first + n)
            })
            .skip_while(move |number| *number < from)
    }

    /// The greatest first.
    pub(super) fn descending(&self) -> impl Iterator<Item = u64> + '_ {
        self.words.iter().rev().flat_map(|(at, word)| {
            let (first, word) = (at * WORD, *word);
            (0..WORD).rev().filter(move |n| word & bit(*n) != 0).map(move |n| first + n)
        })
    }
}

fn bit(number: u64) -> u64 {
    1 << (number % WORD)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Numbers;

    proptest! {
        #[test]
        fn it_is_a_set(changes in prop::collection::vec((any::<bool>(), 0..300_u64), 0..200)) {
            let (mut numbers, mut model) = (Numbers::default(), BTreeSet::new());
            for (put, number) in changes {
                if put {
                    prop_assert_eq!(numbers.insert(number), model.insert(number));
                } else {
                    prop_assert_eq!(numbers.remove(number), model.remove(&number));
                }
                prop_assert_eq!(numbers.contains(number), model.contains(&number));
            }
            let descending: Vec<_> = numbers.descending().collect();
            prop_assert_eq!(descending, model.into_iter().rev().collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_ends_of_the_range_are_numbers_too() {
        let mut numbers = Numbers::default();
        assert!(numbers.insert(u64::MAX) && numbers.insert(0));
        assert_eq!(numbers.descending().collect::<Vec<_>>(), [u64::MAX, 0]);
        assert!(numbers.remove(u64::MAX) && numbers.remove(0) && numbers.words.is_empty());
    }
}
