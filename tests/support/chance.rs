//! Numbers that look random and come again from the same seed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `SplitMix64` (Steele, Lea, Flood 2014): small, and good enough to pick moments.
pub(crate) struct Chance(u64);

impl Chance {
    /// From a seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed in the variable, so that a failure can be played again; else one from the clock.
    pub(crate) fn seed(variable: &str) -> u64 {
        let given = std::env::var(variable).ok();
        given.map_or_else(
            || {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                u64::from(now.expect("it is after 1970").subsec_nanos())
            },
            |text| text.parse().expect("a seed is a number"),
        )
    }

    /// The next number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True once in so many times.
    pub(crate) const fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of some things.
    pub(crate) fn pick<T: Copy, const N: usize>(&mut self, of: [T; N]) -> T {
        of[self.below(N as u64) as usize]
    }

    /// A duration in milliseconds between two bounds.
    pub(crate) const fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}
