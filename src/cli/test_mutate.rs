//! `adjutant test --mutate`: whether the scenarios notice when a time in the rules is changed.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value as Json, json};

use super::screen::{self, BAD, BOLD, put, styled};
use super::test::Place;
use super::test_report::Report;
use super::{Exit, Failure};
use crate::daemon::Clock;
use crate::model::Span;
use crate::rules::{self, Diagnostic, Files, Look, SourceFile, Sources, render};
use crate::scenario::{self, Mutated, Mutations};

/// Plays the scenarios as the rules are, and then against every change.
pub(super) fn run(
    paths: &[PathBuf],
    place: &Place,
    jobs: usize,
    for_machines: bool,
) -> Result<Exit, Failure> {
    if let Some(file) = paths.iter().find(|path| !path.is_dir()) {
        let message = format!("{} is a file", file.display());
        return Err(Failure::new(Exit::Usage, message).help(
            "name the folder of its pack: what one file of scenarios does not notice, another may",
        ));
    }
    let files = files(place)?;
    let found = place.load();
    let clock = Clock::start();
    let ended = scenario::run(&found.units, jobs, true, &|| clock.mono(), &|_, _| {});
    let as_it_is =
        Report { units: &found.units, ended: &ended, coverage: &[], broken: &[], took: Span::ZERO };
    let broken = found.diagnostics.iter().any(Diagnostic::is_error);
    if broken || as_it_is.failed() > 0 {
        screen::say(&render(&found.diagnostics, &Files::of(&found.files), Look::Coloured));
        screen::say(&as_it_is.failures());
        let message = "the scenarios do not pass as the rules are";
        return Err(
            Failure::new(Exit::Failed, message).help("mend that first: `adjutant test` shows it")
        );
    }
    let mutations =
        Mutations { files: &files, found: &found, ended: &ended, context: &place.suite.context };
    let bar = bar();
    let mutated = scenario::mutate(&mutations, jobs, &|done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    if for_machines {
        screen::say(&format!("{:#}\n", json(&mutated, &files)));
    } else {
        screen::say(&render(&mutated.diagnostics, &Files::of(&files), Look::Coloured));
        screen::say(&summary(&mutated, clock.mono()));
    }
    Ok(if mutated.diagnostics.is_empty() { Exit::Fine } else { Exit::Failed })
}

/// The rule files below the paths.
fn files(place: &Place) -> Result<Vec<SourceFile>, Failure> {
    let plugins = &place.suite.plugins;
    let folders: Vec<PathBuf> =
        place.paths.iter().filter(|path| !plugins.contains(path)).cloned().collect();
    let read = Sources::read(&folders, plugins);
    read.map(|sources| sources.rules).map_err(|diagnostics| {
        let first = diagnostics.into_iter().next();
        let said = first.map(|one| format!("{}: {}", one.primary.file, one.message));
        Failure::new(Exit::Failed, said.unwrap_or_else(|| "the rules cannot be read".to_owned()))
    })
}

/// On a terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style =
        ProgressStyle::with_template("changing times {wide_bar} {pos} of {len}  {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn summary(mutated: &Mutated, took: Span) -> String {
    let changes = mutated.changes();
    let mut text =
        format!("{}{changes} changes of {} times: ", styled(BOLD, "mutations: "), mutated.times);
    put(&mut text, format_args!("{} noticed", mutated.noticed));
    if mutated.refused > 0 {
        put(&mut text, format_args!(", {} refused when compiled", mutated.refused));
    }
    let excused: usize = mutated.excused.iter().map(|one| one.others.len()).sum();
    if excused > 0 {
        put(&mut text, format_args!(", {excused} excused"));
    }
    if mutated.unnoticed > 0 {
        let unnoticed = format!("{} unnoticed", mutated.unnoticed);
        put(&mut text, format_args!(", {}", styled(BAD, unnoticed)));
    }
    let seconds = took.as_micros() as f64 / 1e6;
    put(&mut text, format_args!(" in {seconds:.2} s\n"));
    text
}

/// The same for machines.
fn json(mutated: &Mutated, files: &[SourceFile]) -> Json {
    let excused: Vec<Json> = mutated
        .excused
        .iter()
        .map(|one| {
            let file = files.iter().find(|file| file.name == one.file);
            let (line, col) = file.map_or((0, 0), |file| file.position(one.at.start));
            let was = file.and_then(|file| file.text.get(one.at.clone())).unwrap_or_default();
            json!({
                "file": &*one.file, "line": line, "col": col,
                "was": was, "instead": one.others, "reason": one.reason,
            })
        })
        .collect();
    json!({
        "ok": mutated.diagnostics.is_empty(),
        "times": mutated.times,
        "changes": mutated.changes(),
        "noticed": mutated.noticed,
        "refused": mutated.refused,
        "unnoticed": mutated.unnoticed,
        "excused": excused,
        "diagnostics": rules::to_json(&mutated.diagnostics, &Files::of(files)),
    })
}
