//! The power goes while a store is being opened after a crash: sled repairs its file then and
//! writes a snapshot. Every image must open once more with the same commits.
//!
//! sled zeroes free segments after it has given the new snapshot its name. Zeroed segments without
//! that snapshot cost commits (seen here: two of 351, and the whole store), so the store asks the
//! file system to make changes of names durable at once. Where it does not do that, a second power
//! cut within milliseconds, while the store opens after the first, can still cost commits.

use std::fs;
use std::path::Path;

use adjutant::store::honest;

use crate::image::Disk;
use crate::workload::{Expected, Random};
use crate::{
    MODES, Mode, SEED, copy_dir, number, open, open_image, read_files, strace_works, trace_child,
    write_files,
};

/// Crashed stores whose opening is cut (`CRASH_OPENINGS` sets another number), and images of each.
const CRASHED: u64 = 5;
const IMAGES: usize = 12;

#[test]
fn every_image_of_an_opening_opens() {
    honest::install().expect("this test is about the filter");
    if !strace_works() {
        println!("no strace here: what happens while a store opens cannot be seen");
        return;
    }
    for mode in MODES {
        openings(mode);
    }
}

fn openings(mode: Mode) {
    let seed = number(SEED, 1);
    let crashed = number("CRASH_OPENINGS", CRASHED);
    let dir = tempfile::tempdir().unwrap();
    let trace = trace_child(dir.path(), seed, mode, "commit");
    let mut random = Random(seed ^ 0x0ba5_eba1);
    let mut disk = Disk::new(read_files(&dir.path().join("first")), &trace);
    let mut moments: Vec<usize> =
        (0..crashed).map(|_| random.below(trace.moments.len() as u64) as usize).collect();
    moments.sort_unstable();
    let mut expected = Expected::new(seed);
    let (mut failures, mut with_new, mut with_torn) = (Vec::new(), 0, 0);
    for moment in moments {
        disk.advance(moment);
        let place = dir.path().join("crashed");
        copy_dir(&dir.path().join("first"), &place);
        write_files(&place, &disk.image(&mut random, 50));

        // what it holds, asked of a copy
        let copy = dir.path().join("image");
        copy_dir(&place, &copy);
        let last = open_image(mode, &copy, disk.acknowledged, &mut expected).unwrap();

        let opened = dir.path().join("opened");
        copy_dir(&place, &opened);
        let opening = trace_child(&opened, seed, mode, "reopen");
        let mut second = Disk::new(read_files(&place), &opening);
        // Both ends of it always, so that there are images before and after the new snapshot.
        let end = opening.moments.len();
        let between = (2..IMAGES).map(|_| random.below(end as u64 + 1) as usize);
        let mut cuts: Vec<usize> = [0, end].into_iter().chain(between).collect();
        cuts.sort_unstable();
        for cut in cuts {
            second.advance(cut);
            copy_dir(&place, &copy);
            write_files(&copy, &second.image(&mut random, 50));
            if second.renamed {
                lay_snapshots([&place, &opened, &copy], &mut random);
                with_new += 1;
            } else {
                with_torn += u32::from(lay_torn(&opened, &copy, &mut random));
            }
            let lying = format!(
                "snapshots before {:?}, after {:?}, in the image {:?}",
                snapshots(&place),
                snapshots(&opened),
                snapshots(&copy)
            );
            let kept = dir.path().join("kept");
            copy_dir(&copy, &kept);
            let outcome = last_commit(mode, &copy);
            if outcome.as_ref() != Ok(&last) {
                failures.push(format!(
                    "crashed at moment {moment}, its opening at {cut} of {}: {outcome:?}, \
                     expected {last}; {lying}",
                    opening.moments.len()
                ));
                keep_opening(&[(&place, "crashed"), (&opened, "opened"), (&kept, "image")]);
            } else if let Err(why) = open_image(mode, &copy, last, &mut expected.clone()) {
                failures.push(format!("crashed at {moment}, its opening at {cut}: {why}"));
            }
        }
    }
    println!(
        "{mode:?}, seed {seed}: {} images of openings, {with_new} with the new snapshot, {with_torn} with a \
         torn one; {} failed",
        crashed as usize * IMAGES,
        failures.len()
    );
    assert!(with_new > 0 && with_torn > 0, "both must occur to be tested");
    assert!(failures.is_empty(), "{mode:?}, seed {seed}:\n{}", failures.join("\n"));
}

/// The number of the last commit.
fn last_commit(mode: Mode, place: &Path) -> Result<u64, String> {
    let store = open(mode, place, None).map_err(|error| error.to_string())?;
    store.lead().map(|lead| lead.number).map_err(|error| error.to_string())
}

fn snapshots(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    names.filter(|name| name.starts_with("snap.")).collect()
}

/// The new snapshot is there, and the old one may be gone.
fn lay_snapshots([before, after, image]: [&Path; 3], random: &mut Random) {
    for name in snapshots(after) {
        fs::copy(after.join(&name), image.join(&name)).unwrap();
    }
    if random.below(2) == 0 {
        let after = snapshots(after);
        for name in snapshots(before).iter().filter(|name| !after.contains(name)) {
            fs::remove_file(image.join(name)).unwrap();
        }
    }
}

/// A part of the new snapshot may be there under the name it has while it is written.
fn lay_torn(after: &Path, image: &Path, random: &mut Random) -> bool {
    let Some(name) = snapshots(after).pop() else { return false };
    let bytes = fs::read(after.join(&name)).unwrap();
    let part = random.below(bytes.len() as u64 + 1) as usize;
    fs::write(image.join(format!("{name}.generating")), &bytes[..part]).unwrap();
    true
}

fn keep_opening(what: &[(&Path, &str)]) {
    if let Some(folder) = std::env::var_os("CRASH_KEEP") {
        for (from, name) in what {
            copy_dir(from, &Path::new(&folder).join(name));
        }
    }
}
