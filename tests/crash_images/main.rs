//! Crash images of real stores: what a disk may show after a power cut, opened and audited.
//!
//! A process of its own commits while `strace` writes down every write, resize and sync of the
//! store's files. From that the test knows at each moment what was surely on the disk and what may
//! have been lost, makes images of the files, opens each and requires that it holds exactly the
//! commits up to some number: every acknowledged one whole, the one under way whole or not at all.
//! Sled alone is looked at, and the journal in front of it, which leans on sled's syncs whenever it
//! writes over what it settled. Where there is no strace the history of sled alone is put together
//! from copies of its file before and after each commit, which is as exact while nothing but the
//! commit writes.
//!
//! `CRASH_IMAGES` sets how many images are made (default 120), `CRASH_SEED` the seed,
//! `CRASH_KEEP` a folder in which a failing image is kept.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends where it fails and prints figures"
)]

mod image;
mod opening;
mod trace;
mod workload;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use adjutant::store::{
    JournalOptions, JournaledStore, SledOptions, SledStore, Store, StoreError, honest,
};

use image::Disk;
use trace::{Call, FILES, Trace, What};
use workload::{Expected, Random, Workload, batch};

/// Commits of one history.
const COMMITS: u64 = 400;
/// Tells the test binary to be the process that commits.
const CHILD: &str = "CRASH_CHILD";
const SEED: &str = "CRASH_SEED";
const DIR: &str = "CRASH_DIR";
const MODE: &str = "CRASH_MODE";

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// sled, with the filter.
    Sled,
    /// sled without it.
    Fallback,
    /// The journal in front of sled, with the filter.
    Journal,
}

/// Those that promise something.
const MODES: [Mode; 2] = [Mode::Sled, Mode::Journal];

#[test]
fn every_image_opens_with_whole_commits() {
    honest::install().expect("this test is about the filter");
    let (seed, images) = (number(SEED, 1), number("CRASH_IMAGES", 120));
    for mode in MODES {
        let dir = tempfile::tempdir().unwrap();
        let history = if strace_works() {
            traced(dir.path(), seed, mode)
        } else if mode == Mode::Sled {
            println!("no strace here: the history is made from copies");
            copied(dir.path(), seed)
        } else {
            println!("no strace here: {mode:?} cannot be seen at work");
            continue;
        };
        let failures = audit(mode, dir.path(), &history, seed, images);
        assert!(failures.is_empty(), "{mode:?}, seed {seed}:\n{}", failures.join("\n"));
    }
}

/// Not a promise but a fact to know: without the filter a power cut can cost acknowledged commits,
/// and even the whole store, because sled reuses a segment before what it was moved to is synced.
/// A measurement, so it only runs when asked for:
/// `CRASH_FALLBACK=1 cargo test --test crash_images -- --nocapture`.
#[test]
fn images_without_the_filter() {
    if std::env::var_os("CRASH_FALLBACK").is_none() {
        return;
    }
    let (seed, images) = (number(SEED, 1), number("CRASH_IMAGES", 120));
    let dir = tempfile::tempdir().unwrap();
    let history = traced(dir.path(), seed, Mode::Fallback);
    let failures = audit(Mode::Fallback, dir.path(), &history, seed, images);
    println!("seed {seed}: {} of {images} images failed\n{}", failures.len(), failures.join("\n"));
}

/// Not a test: the process that works on a store, when a test above starts it.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let dir = PathBuf::from(std::env::var_os(DIR).unwrap());
    let name = std::env::var(MODE).unwrap();
    let modes = [Mode::Sled, Mode::Fallback, Mode::Journal];
    let mode = modes.into_iter().find(|mode| format!("{mode:?}") == name).unwrap();
    if mode != Mode::Fallback {
        honest::install().unwrap();
    }
    if task == "reopen" {
        say("opened");
        drop(open(mode, &dir, None).unwrap());
        std::process::exit(0);
    }
    // tidied up far more often than in life, so that segments are moved and reused all the time
    let tidy_every = Some(Duration::from_millis(5));
    let store = open(mode, &dir.join("live"), tidy_every).unwrap();
    let mut lead = store.lead().unwrap();
    copy_dir(&dir.join("live"), &dir.join("first"));
    say("opened");
    let mut workload = Workload::new(number(SEED, 1));
    for _ in 0..COMMITS {
        store.commit(&batch(lead, workload.ops())).unwrap();
        lead.number += 1;
        say(&format!("acked {}", lead.number));
    }
    // as a crash would end it: nothing is closed
    std::process::exit(0);
}

/// A history and the directory it began with.
struct History {
    trace: Trace,
    first: PathBuf,
}

fn traced(dir: &Path, seed: u64, mode: Mode) -> History {
    History { trace: trace_child(dir, seed, mode, "commit"), first: dir.join("first") }
}

/// Runs this binary again as the process that works on a store, and reads what it did.
fn trace_child(dir: &Path, seed: u64, mode: Mode, task: &str) -> Trace {
    let log = dir.join("strace");
    let status = Command::new("strace")
        .args(["-f", "-qq", "-y", "-xx", "-s", "33554432", "-o"])
        .arg(&log)
        .args(["-e", "trace=pwrite64,ftruncate,fsync,fdatasync,write,?rename,renameat,renameat2"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, task)
        .env(DIR, dir)
        .env(SEED, seed.to_string())
        .env(MODE, format!("{mode:?}"))
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "the process that works on the store failed");
    let trace = Trace::from_strace(&fs::read_to_string(&log).unwrap());
    let _ = fs::remove_file(log);
    trace
}

/// The same from copies: nothing tidies up, so that all that changed in the file was written by
/// the commit since the last sync.
fn copied(dir: &Path, seed: u64) -> History {
    let live = dir.join("live");
    let store = open(Mode::Sled, &live, None).unwrap();
    let mut lead = store.lead().unwrap();
    let first = dir.join("first");
    copy_dir(&live, &first);
    let mut workload = Workload::new(seed);
    let mut trace = Trace::default();
    let mut before = fs::read(live.join("db")).unwrap();
    for _ in 0..COMMITS {
        store.commit(&batch(lead, workload.ops())).unwrap();
        lead.number += 1;
        let after = fs::read(live.join("db")).unwrap();
        let mut push = |what| trace.push(Call { file: 0, what });
        push(What::Resize(after.len() as u64));
        // pages side by side were one write
        let mut writes: Vec<(usize, Vec<u8>)> = Vec::new();
        for (page, bytes) in after.chunks(4096).enumerate() {
            let at = page * 4096;
            if before.get(at..at + bytes.len()) == Some(bytes) {
                continue;
            }
            match writes.last_mut() {
                Some((from, run)) if *from + run.len() == at => run.extend_from_slice(bytes),
                _ => writes.push((at, bytes.to_vec())),
            }
        }
        for (at, bytes) in writes {
            push(What::Write { at: at as u64, bytes });
        }
        push(What::Sync);
        trace.moments.push(trace::Moment::Acknowledged(lead.number));
        before = after;
    }
    History { trace, first }
}

/// Makes images all over the history and opens each. Returns what was wrong.
fn audit(mode: Mode, dir: &Path, history: &History, seed: u64, images: u64) -> Vec<String> {
    let trace = &history.trace;
    let mut random = Random(seed ^ 0xc0ff_ee00);
    let mut moments: Vec<usize> =
        (0..images).map(|_| random.below(trace.moments.len() as u64 + 1) as usize).collect();
    moments.sort_unstable();
    let mut disk = Disk::new(read_files(&history.first), trace);
    let mut expected = Expected::new(seed);
    let mut failures = Vec::new();
    let (mut at_stake, mut ahead) = (0, 0);
    for (index, moment) in moments.into_iter().enumerate() {
        disk.advance(moment);
        at_stake += usize::from(disk.at_stake() > 0);
        let most = [0, 10, 50, 90, 100][random.below(5) as usize];
        let files = disk.image(&mut random, most);
        let place = dir.join("image");
        copy_dir(&history.first, &place);
        write_files(&place, &files);
        match open_image(mode, &place, disk.acknowledged, &mut expected) {
            Ok(number) => ahead += u64::from(number > disk.acknowledged),
            Err(why) => {
                failures.push(format!(
                    "image {index} at moment {moment} of {}, {most} % written, {} calls at \
                     stake, {} acknowledged: {why}",
                    trace.moments.len(),
                    disk.at_stake(),
                    disk.acknowledged
                ));
                keep(&history.first, index, &files);
            }
        }
    }
    let (begun, reused) = trace.segments();
    println!(
        "{mode:?}, seed {seed}: {images} images of {} calls and {COMMITS} commits; {begun} segments begun, \
         {reused} of them reused; in {at_stake} images something was at stake, in {ahead} the \
         commit under way was there; {} failed",
        trace.calls.len(),
        failures.len()
    );
    failures
}

/// Opens an image and compares all it holds. Returns the number of its last commit.
fn open_image(
    mode: Mode,
    place: &Path,
    acknowledged: u64,
    expected: &mut Expected,
) -> Result<u64, String> {
    let store = open(mode, place, None).map_err(|error| error.to_string())?;
    let lead = store.lead().map_err(|error| error.to_string())?;
    if lead.number < acknowledged {
        return Err(format!("only {} commits are left", lead.number));
    }
    if lead.number > acknowledged + 1 {
        return Err(format!("{} commits: more than were made", lead.number));
    }
    store.verify().map_err(|error| error.to_string())?;
    let rows = store.scan(b"", &[255; 9], usize::MAX).map_err(|error| error.to_string())?;
    let expected = if lead.number == acknowledged {
        expected.at(acknowledged).clone()
    } else {
        // looked at without going there: the next image may be of the commit before
        expected.peek(lead.number)
    };
    if rows.len() != expected.len() {
        return Err(format!("{} rows, expected {}", rows.len(), expected.len()));
    }
    match rows.into_iter().zip(expected).find(|(row, expected)| row != expected) {
        Some((row, _)) => Err(format!("the row {:?} is another", row.0)),
        None => Ok(lead.number),
    }
}

/// A store of either kind.
trait Verified: Store {
    fn verify(&self) -> Result<(), StoreError>;
}

impl Verified for SledStore {
    fn verify(&self) -> Result<(), StoreError> {
        SledStore::verify(self)
    }
}

impl Verified for JournaledStore {
    fn verify(&self) -> Result<(), StoreError> {
        JournaledStore::verify(self)
    }
}

fn open(
    mode: Mode,
    place: &Path,
    tidy_every: Option<Duration>,
) -> Result<Box<dyn Verified>, StoreError> {
    let segment_bytes = trace::SEGMENT as usize;
    let sled = SledOptions { tidy_every, segment_bytes, ..SledOptions::default() };
    Ok(match mode {
        Mode::Sled | Mode::Fallback => Box::new(SledStore::open_with(place, &sled)?),
        Mode::Journal => {
            // settled far more often than in life, and not only when the next commit comes
            let options = JournalOptions {
                sled,
                settled_at: 200_000,
                settled_after: Duration::from_millis(20),
            };
            Box::new(JournaledStore::open_with(place, &options)?)
        }
    })
}

fn read_files(place: &Path) -> Vec<Vec<u8>> {
    FILES.iter().map(|name| fs::read(place.join(name)).unwrap_or_default()).collect()
}

fn write_files(place: &Path, files: &[Vec<u8>]) {
    for (name, bytes) in FILES.iter().zip(files) {
        if !bytes.is_empty() {
            fs::write(place.join(name), bytes).unwrap();
        }
    }
}

fn keep(first: &Path, index: usize, files: &[Vec<u8>]) {
    if let Some(folder) = std::env::var_os("CRASH_KEEP") {
        let place = PathBuf::from(folder).join(format!("image-{index}"));
        copy_dir(first, &place);
        write_files(&place, files);
    }
}

fn copy_dir(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Tells the tracer, by one write of its own.
fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}").unwrap();
    out.flush().unwrap();
}

fn strace_works() -> bool {
    let tried = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).status();
    tried.is_ok_and(|status| status.success())
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}
