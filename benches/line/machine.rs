//! [`Machine`]: where and of what a report was made.

use std::fmt;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::{meter, subject};

/// What the reader must know to compare.
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    memory: f64,
    kernel: String,
    date: String,
    commit: String,
    profile: &'static str,
    in_memory: bool,
}

impl Machine {
    /// This one, now.
    pub(crate) fn here() -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name"));
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kilobytes = memory.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let seconds = super::moment::wall().as_secs() as i64;
        let date = jiff::Timestamp::from_second(seconds).unwrap_or_default();
        Self {
            processor: model.unwrap_or("unknown").trim_start_matches([' ', '\t', ':']).to_owned(),
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            memory: kilobytes.unwrap_or(0.0) * 1024.0,
            kernel: kernel.trim().to_owned(),
            date: date.strftime("%Y-%m-%d").to_string(),
            commit: commit(),
            profile: if cfg!(debug_assertions) { "unoptimized" } else { "release" },
            in_memory: meter::is_in_memory(subject::place()),
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "processor": self.processor, "cores": self.cores, "memory": self.memory,
            "kernel": self.kernel, "date": self.date, "commit": self.commit,
            "profile": self.profile, "disk_is_memory": self.in_memory,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, memory, kernel, date, commit, profile, in_memory } = self;
        let memory = memory / f64::from(1 << 30);
        write!(
            f,
            "{date}, commit {commit} ({profile} build); {cores} × {processor}, {memory:.0} GiB, Linux \
             {kernel}; generator, receiver and subject share the cores"
        )?;
        if *in_memory {
            f.write_str("; THE DATA LAY IN MEMORY, so syncs cost nothing: not to be quoted")?;
        }
        Ok(())
    }
}

/// The commit, with a mark if files were changed since; `unknown` outside of a repository.
fn commit() -> String {
    let git = |args: &[&str]| {
        let output =
            Command::new("git").current_dir(env!("CARGO_MANIFEST_DIR")).args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let changed = git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty());
    if changed { format!("{commit} with changes") } else { commit }
}
