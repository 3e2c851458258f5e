//! What a process costs, read from `/proc`, and what a folder takes on the disk.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Ticks of a second in `/proc/PID/stat`: Linux shows every architecture this many.
const TICKS: f64 = 100.0;
/// Bytes of a block in `st_blocks`.
const BLOCK: u64 = 512;

/// Seconds of processor time that a process used so far, threads and kernel included; 0 if it is gone.
pub(crate) fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name of the process is in brackets and may hold anything.
    let fields: Vec<&str> =
        stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / TICKS
}

/// Seconds of processor time that the whole machine used so far, and that its host kept for others.
pub(crate) fn machine() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let fields: Vec<f64> = line.split_whitespace().skip(1).filter_map(|f| f.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; what follows is counted in them.
    let busy = fields.iter().enumerate().take(8).filter(|(at, _)| ![3, 4].contains(at));
    busy.map(|(_, ticks)| ticks).sum::<f64>() / TICKS
}

/// Memory of a process in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) now: f64,
    /// The most that was ever resident.
    pub(crate) peak: f64,
}

/// Reads the memory of a process; zeros if it is gone.
pub(crate) fn memory(pid: u32) -> Memory {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kilobytes: f64 = line.trim_start_matches(':').trim().split(' ').next()?.parse().ok()?;
        Some(kilobytes * 1024.0)
    };
    Memory { now: bytes("VmRSS").unwrap_or(0.0), peak: bytes("VmHWM").unwrap_or(0.0) }
}

/// Bytes that everything below a folder takes on the disk.
pub(crate) fn disk(folder: &Path) -> f64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => disk(&entry.path()),
            Ok(found) => (found.blocks() * BLOCK) as f64,
            // Files come and go while we look.
            Err(_) => 0.0,
        })
        .sum()
}

/// Whether a folder lies in memory, where a sync costs nothing.
pub(crate) fn is_in_memory(folder: &Path) -> bool {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58f6;
    rustix::fs::statfs(folder).is_ok_and(|found| [TMPFS, RAMFS].contains(&(found.f_type as u64)))
}
