//! `adjutant test`: scenarios played on virtual time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::rule_files::{self, config_or_fail};
use super::screen::{self, BAD, BOLD, DIM, put, styled};
use super::test_mutate;
use super::test_record;
use super::test_report::{self, Report};
use super::{Exit, Failure, Globals};
use crate::daemon::{Clock, Config};
use crate::rules::{self, Diagnostic, Files, Look, render};
use crate::scenario::{self, Coverage, Ended, Found, Reached, Suite, Unit};

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
#[command(after_help = "\
Examples:
  adjutant test                          every scenario of the configured rules and plugins
  adjutant test rules/leads              those of a pack
  adjutant test rules/leads/tests/a.yaml those of a file
  adjutant test --filter 'hot lead'      those whose name has this in it
  adjutant test --watch                  again whenever a file changes
  adjutant test --junit report.xml       for machines
  adjutant test --record 12 15           a scenario of what events 12 and 15 brought about
  adjutant test --mutate rules/leads     whether they notice when a time in the pack is changed

Scenarios are YAML files in the `tests/` folder of a pack. Time is virtual and nothing is sent. Each is
played as it stands, with every event twice, with the events of one instant in the opposite order, and
with a crash and restart after every commit, and must come to the same each time.

With --mutate every time in the rules (durations, clock times, percentages of service levels, caps) is changed
by one unit, down and up, one after the other, and some scenario must fail. A time that nobody can notice, say
the longest wait of random ones, has a comment on its line that says why: `# unnoticed: REASON`.")]
pub(super) struct Test {
    /// Folders of rules, packs, or files of scenarios
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Play each scenario only as it stands
    #[arg(long)]
    plain: bool,
    /// Only scenarios with this text in their name or file
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// How many are played at a time [default: one for each processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
    /// Also write a report in the format of JUnit
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// List every step and branch that no scenario reached
    #[arg(long)]
    coverage: bool,
    /// Fail when there is a step or branch that no scenario reached
    #[arg(long, conflicts_with = "filter")]
    full_coverage: bool,
    /// Write a scenario of these events, as they happened and as the rules are now, instead of playing any
    #[arg(long, value_name = "EVENT", num_args = 1.., conflicts_with_all = ["watch", "junit", "filter"])]
    record: Vec<String>,
    /// Change each time in the rules by one unit, and list the changes that no scenario notices
    #[arg(long, conflicts_with_all = ["plain", "filter", "junit", "coverage", "full_coverage", "record", "watch"])]
    mutate: bool,
    /// Do it again whenever a file changes, until interrupted
    #[arg(long)]
    watch: bool,
}

impl Test {
    /// How many are played at a time.
    fn jobs(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        self.jobs.unwrap_or_else(processors)
    }
}

/// How often files are looked at with `--watch`.
const LOOK_EVERY: Duration = Duration::from_millis(300);

pub(super) fn run(test: &Test, globals: &Globals) -> Result<Exit, Failure> {
    if let Some(missing) = test.paths.iter().find(|path| !path.exists()) {
        return Err(Failure::new(Exit::Usage, format!("there is no {}", missing.display())));
    }
    if !test.record.is_empty() {
        return super::here(async || test_record::run(&test.record, globals).await);
    }
    let config = config_or_fail(globals)?;
    let place = Place::of(&test.paths, &config);
    if test.mutate {
        return test_mutate::run(&test.paths, &place, test.jobs(), globals.json);
    }
    let told = if globals.json { Told::Machines } else { Told::People };
    if !test.watch {
        return once(test, &place, told);
    }
    loop {
        let stamp = place.stamp();
        // Said already; the next change may mend it.
        let _ = once(test, &place, told)?;
        screen::say(&format!("{}\n", styled(DIM, "waiting for changes …")));
        while place.stamp() == stamp {
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Whether every scenario of the configured rules passes; what is wrong is said.
pub(super) fn passes(globals: &Globals) -> Result<bool, Failure> {
    let test = Test {
        paths: Vec::new(),
        plain: false,
        filter: None,
        jobs: None,
        junit: None,
        coverage: false,
        full_coverage: false,
        record: Vec::new(),
        mutate: false,
        watch: false,
    };
    let place = Place::of(&test.paths, &config_or_fail(globals)?);
    let told = if globals.json { Told::Nothing } else { Told::People };
    Ok(once(&test, &place, told)? == Exit::Fine)
}

/// How the scenarios of the configured rules fare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    /// Those that pass.
    pub(super) passed: usize,
    /// Those that do not.
    pub(super) failed: usize,
    /// Not all of them could be read.
    pub(super) broken: bool,
}

/// Plays the scenarios of the configured rules and says nothing about them.
pub(super) fn tally(globals: &Globals) -> Result<Tally, Failure> {
    let found = Place::of(&[], &config_or_fail(globals)?).load();
    let clock = Clock::start();
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let ended = scenario::run(&found.units, jobs, false, &|| clock.mono(), &|_, _| {});
    let passes = |ended: &&Ended| ended.0.as_ref().is_ok_and(|tried| tried.failures.is_empty());
    let passed = ended.iter().filter(passes).count();
    let broken = found.diagnostics.iter().any(Diagnostic::is_error);
    Ok(Tally { passed, failed: ended.len() - passed, broken })
}

/// Who is told what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    People,
    Machines,
    Nothing,
}

/// Where scenarios are looked for.
pub(super) struct Place {
    pub(super) suite: Suite,
    pub(super) paths: Vec<PathBuf>,
}

impl Place {
    fn of(paths: &[PathBuf], config: &Config) -> Self {
        let mut plugins = rule_files::plugins(config);
        let own = paths.iter().map(|path| path.join("plugins")).filter(|path| path.is_dir());
        for path in own {
            if !plugins.iter().any(|known| rule_files::same(known, &path)) {
                plugins.push(path);
            }
        }
        let mut rules = config.rules.clone();
        let folders = paths.iter().filter(|path| path.is_dir());
        // A folder inside a configured one is a part of that; any other is a set of its own.
        rules.extend(folders.cloned());
        let paths = if paths.is_empty() {
            config.rules.iter().chain(&plugins).cloned().collect()
        } else {
            paths.to_vec()
        };
        let context = rule_files::context(config);
        Self { suite: Suite { rules, plugins, context }, paths }
    }

    /// Changes when a file does.
    fn stamp(&self) -> u64 {
        rules::stamp(self.paths.iter().chain(&self.suite.rules).chain(&self.suite.plugins))
    }

    pub(super) fn load(&self) -> Found {
        let mut files: Vec<PathBuf> = Vec::new();
        for file in self.paths.iter().flat_map(|path| scenario::find(path)) {
            if !files.contains(&file) {
                files.push(file);
            }
        }
        self.suite.load(&files)
    }

    /// Everything that could be reached: the rules of the paths themselves, with or without scenarios.
    fn whole(&self) -> Option<rules::RuleSet> {
        let folders: Vec<PathBuf> = self
            .paths
            .iter()
            .filter(|path| path.is_dir() && !self.suite.plugins.contains(path))
            .cloned()
            .collect();
        let checked = rule_files::check(&folders, &self.suite.plugins, &self.suite.context);
        checked.rules.filter(|_| !folders.is_empty())
    }
}

fn once(test: &Test, place: &Place, to: Told) -> Result<Exit, Failure> {
    let mut found = place.load();
    if let Some(filter) = &test.filter {
        let wanted = filter.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&wanted);
        found.units.retain(|unit| has(&unit.scenario.name) || has(&unit.file.name));
    }
    let clock = Clock::start();
    let told = |at: usize, ended: &Ended| {
        if to == Told::People {
            screen::say(&test_report::line(&found.units[at], ended));
        }
    };
    let ended = scenario::run(&found.units, test.jobs(), test.plain, &|| clock.mono(), &told);
    let broken = found.diagnostics.iter().any(Diagnostic::is_error);
    let partial = broken || test.filter.is_some();
    let coverage = if partial { Vec::new() } else { coverage(place, &found, &ended) };
    let broken_files: Vec<String> = found
        .diagnostics
        .iter()
        .filter(|one| one.is_error())
        .map(|one| format!("{}: {}", one.primary.file, one.message))
        .collect();
    let report = Report {
        units: &found.units,
        ended: &ended,
        coverage: &coverage,
        broken: &broken_files,
        took: clock.mono(),
    };
    if let Some(path) = &test.junit {
        write(path, &report.junit())?;
    }
    match to {
        Told::Nothing => {}
        Told::Machines => {
            let mut json = report.json();
            json["diagnostics"] = rules::to_json(&found.diagnostics, &Files::of(&found.files));
            screen::say(&format!("{json:#}\n"));
        }
        Told::People => {
            screen::say(&render(&found.diagnostics, &Files::of(&found.files), Look::Coloured));
            screen::say(&report.failures());
            screen::say(&report.coverage(test.coverage || test.full_coverage));
            screen::say(&summary(&report, broken));
        }
    }
    if found.units.is_empty() && !broken {
        if test.filter.is_some() {
            return Err(Failure::new(Exit::Usage, "no scenario has that in its name or file"));
        }
        if !test.paths.is_empty() {
            return Err(Failure::new(Exit::Usage, "there are no scenarios there")
                .help("they are YAML files in a folder `tests/` of a pack"));
        }
    }
    let uncovered = test.full_coverage && coverage.iter().any(|one| !one.missing.is_empty());
    Ok(if broken || report.failed() > 0 || uncovered { Exit::Failed } else { Exit::Fine })
}

/// What was reached in the rules of the paths and in those that scenarios saw.
fn coverage(place: &Place, found: &Found, ended: &[Ended]) -> Vec<Coverage> {
    let whole = place.whole();
    let nothing = Reached::default();
    let mut packs: Vec<(&rules::RuleSet, Reached)> =
        found.packs.iter().map(|pack| (&*pack.rules, Reached::default())).collect();
    for (unit, (tried, _)) in found.units.iter().zip(ended) {
        let of = |(rules, _): &&mut (&rules::RuleSet, Reached)| {
            std::ptr::eq(*rules, &raw const *unit.pack.rules)
        };
        if let (Ok(tried), Some((_, reached))) = (tried, packs.iter_mut().find(of)) {
            reached.add(&tried.reached);
        }
    }
    let mut all: Vec<_> = packs.iter().map(|(rules, reached)| (*rules, reached)).collect();
    all.extend(whole.as_ref().map(|rules| (rules, &nothing)));
    Coverage::of(&all)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| {
        Failure::new(Exit::Usage, format!("{} could not be written: {error}", path.display()))
    })
}

fn summary(report: &Report<'_>, broken: bool) -> String {
    let failed = report.failed();
    let passed = report.units.len() - failed;
    let mut text = String::new();
    let seconds = report.took.as_micros() as f64 / 1e6;
    put(&mut text, format_args!("{passed} passed"));
    if failed > 0 {
        put(&mut text, format_args!(", {}", styled(BAD, format_args!("{failed} failed"))));
    }
    if broken {
        put(&mut text, format_args!(", {}", styled(BAD, "not everything could be read")));
    }
    if report.units.is_empty() && !broken {
        put(
            &mut text,
            format_args!(": there are no scenarios, YAML files in a folder `tests/` of a pack"),
        );
    }
    put(&mut text, format_args!(" in {seconds:.2} s\n"));
    format!("{}{text}", styled(BOLD, "scenarios: "))
}

/// For the report: where a scenario stands.
pub(super) fn place_of(unit: &Unit, at: usize) -> (u32, u32) {
    unit.file.position(at)
}
