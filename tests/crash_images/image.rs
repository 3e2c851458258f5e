//! What a disk may show after the power went at some moment of a history.
//!
//! What was written before a sync began that has ended is there. Of all that was written since,
//! each page of 4 KiB shows any one of its versions; a file has any of the lengths it had.

use std::collections::BTreeMap;

use crate::trace::{Call, Moment, Trace, What};
use crate::workload::Random;

/// What a disk keeps or loses as one.
const PAGE: u64 = 4096;

/// Makes images at rising moments of one history.
pub(crate) struct Disk<'a> {
    trace: &'a Trace,
    /// What is surely on the disk, file by file.
    durable: Vec<Vec<u8>>,
    /// Next moment to look at.
    moment: usize,
    /// Calls begun and not surely on the disk, in order; the flag: they have ended.
    volatile: BTreeMap<usize, bool>,
    /// For each sync under way: the calls that it covers.
    syncing: BTreeMap<usize, Vec<usize>>,
    /// The last acknowledged commit.
    pub(crate) acknowledged: u64,
    /// Whether a new snapshot has got its name; changes of names are durable as they are made.
    pub(crate) renamed: bool,
}

impl<'a> Disk<'a> {
    pub(crate) fn new(first: Vec<Vec<u8>>, trace: &'a Trace) -> Self {
        Self {
            trace,
            durable: first,
            moment: 0,
            volatile: BTreeMap::new(),
            syncing: BTreeMap::new(),
            acknowledged: 0,
            renamed: false,
        }
    }

    /// Goes on to a later moment.
    pub(crate) fn advance(&mut self, to: usize) {
        while self.moment < to {
            match self.trace.moments[self.moment] {
                Moment::Acknowledged(number) => self.acknowledged = number,
                Moment::Renamed => self.renamed = true,
                Moment::Begin(call) => match &self.trace.calls[call] {
                    Call { file, what: What::Sync } => {
                        let ended = self.volatile.iter().filter(|(call, ended)| {
                            **ended && self.trace.calls[**call].file == *file
                        });
                        self.syncing.insert(call, ended.map(|(&call, _)| call).collect());
                    }
                    _ => drop(self.volatile.insert(call, false)),
                },
                Moment::End(call) => match self.syncing.remove(&call) {
                    Some(covered) => self.settle(&covered),
                    None => drop(self.volatile.insert(call, true)),
                },
            }
            self.moment += 1;
        }
    }

    fn settle(&mut self, covered: &[usize]) {
        for call in covered {
            // another sync may have been faster
            if self.volatile.remove(call).is_some() {
                apply(&mut self.durable, &self.trace.calls[*call], |_| true);
            }
        }
    }

    /// How many calls may be lost now.
    pub(crate) fn at_stake(&self) -> usize {
        self.volatile.len()
    }

    /// One image of the many possible, file by file. `most`: of a hundred pages so many are written.
    pub(crate) fn image(&self, random: &mut Random, most: u64) -> Vec<Vec<u8>> {
        let mut image = self.durable.clone();
        let mut lengths: Vec<_> = image.iter().map(|file| vec![file.len()]).collect();
        for call in self.volatile.keys() {
            let call = &self.trace.calls[*call];
            apply(&mut image, call, |_| random.below(100) < most);
            lengths[call.file].push(image[call.file].len());
        }
        // metadata goes its own way: a file may have grown without its data, or not have grown
        for (file, lengths) in image.iter_mut().zip(lengths) {
            if random.below(3) == 0 {
                file.resize(lengths[random.below(lengths.len() as u64) as usize], 0);
            }
        }
        image
    }
}

fn apply(files: &mut [Vec<u8>], call: &Call, mut lucky: impl FnMut(u64) -> bool) {
    let file = &mut files[call.file];
    match &call.what {
        What::Resize(length) => {
            if lucky(0) {
                file.resize(*length as usize, 0);
            }
        }
        What::Write { at, bytes } => {
            let end = at + bytes.len() as u64;
            if file.len() < end as usize {
                file.resize(end as usize, 0);
            }
            let mut from = *at;
            while from < end {
                let to = ((from / PAGE + 1) * PAGE).min(end);
                if lucky(from) {
                    let part = &bytes[(from - at) as usize..(to - at) as usize];
                    file[from as usize..to as usize].copy_from_slice(part);
                }
                from = to;
            }
        }
        What::Sync => {}
    }
}
