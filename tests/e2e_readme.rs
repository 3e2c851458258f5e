//! The README tells the truth: its tour, command by command, its first rule with the mistakes it shows,
//! and the shipped rules in a fresh checkout.
//!
//! A block of shell commands after a line such as `<!-- tour -->` belongs to that story. The blocks of a
//! story are one session of one shell, as they are for a reader.
#![allow(clippy::unwrap_used, reason = "a test's own tools may end the test")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::cli::{self, Said};
use support::folder::texts;
use support::mail::Mail;
use support::{http, wait_for};

/// The repository.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// How long a start, a mail or a stop may take on a busy machine.
const SOON: Duration = Duration::from_mins(1);
/// Stands between the outputs of two blocks.
const BETWEEN: &str = "----- next block -----";

fn readme() -> String {
    fs::read_to_string(Path::new(ROOT).join("README.md")).expect("a README")
}

/// The blocks of a story, in order, each with the README's text from there on.
fn blocks<'a>(readme: &'a str, story: &str) -> Vec<(&'a str, &'a str)> {
    let mark = format!("<!-- {story} -->");
    let marked = readme.split(mark.as_str()).skip(1);
    let block = |rest: &'a str| {
        let fenced = rest.trim_start().strip_prefix("```sh\n")?;
        fenced.split_once("\n```\n")
    };
    marked.map(|rest| block(rest).expect("a marked block opens with ```sh")).collect()
}

/// A checkout as a reader has it, where `cargo run -- …` and `adjutant …` are the binary under test, so
/// that nothing is built here.
struct Checkout {
    dir: tempfile::TempDir,
}

impl Checkout {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for part in ["rules", "plugins", "examples"] {
            copy(&Path::new(ROOT).join(part), &dir.path().join(part));
        }
        let config = Path::new(ROOT).join("adjutant.yaml");
        if config.exists() {
            fs::copy(config, dir.path().join("adjutant.yaml")).unwrap();
        }
        let bin = dir.path().join("bin");
        fs::create_dir_all(&bin).unwrap();
        symlink(cli::binary(), bin.join("adjutant")).unwrap();
        let cargo = "#!/bin/sh\nwhile [ $# -gt 0 ]; do\n  if [ \"$1\" = -- ]; then shift; exec \
                     adjutant \"$@\"; fi\n  shift\ndone\n";
        fs::write(bin.join("cargo"), cargo).unwrap();
        fs::set_permissions(bin.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// bash on a script, in the checkout.
    fn bash(&self, script: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(self.dir.path())
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("NO_COLOR", "1")
            .env_remove("ADJUTANT_CONFIG")
            .stdin(Stdio::null());
        command
    }

    /// Runs the blocks of a story in one shell. What it left running is killed.
    fn tell(&self, blocks: &[(&str, &str)]) -> Said {
        let scripts: Vec<&str> = blocks.iter().map(|(script, _)| *script).collect();
        let between = format!("\necho '{BETWEEN}'\n");
        let session = format!(
            "trap 'kill -KILL $(jobs -p) 2>/dev/null || true' EXIT\n{}\n",
            scripts.join(&between)
        );
        cli::said(&self.bash(&session).output().expect("these tests need bash"))
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if ["data", "outbox"].iter().any(|made| entry.file_name() == *made) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn the_tour_goes_as_the_readme_tells_it() {
    let readme = readme();
    let blocks = blocks(&readme, "tour");
    assert!(blocks.len() > 4, "the README has a tour: {blocks:?}");
    let checkout = Checkout::new();
    let said = checkout.tell(&blocks);
    let log = fs::read_to_string(checkout.path("examples/tour/adjutant.log")).unwrap_or_default();
    assert_eq!(said.code, 0, "{}\n{}\n{log}", said.out, said.err);
    let told: Vec<&str> = said.out.split(BETWEEN).collect();
    let after = |command: &str| {
        let at = blocks.iter().position(|(script, _)| script.contains(command));
        told[at.unwrap_or_else(|| panic!("the tour has `{command}`"))]
    };
    let has = |output: &str, words: &[&str]| {
        for word in words {
            assert!(output.contains(word), "`{word}` is missing:\n{output}\n{log}");
        }
    };

    // One run, although the lead came twice: the lead is answered in German, Ana is told.
    let listed = after("adjutant runs list");
    assert_eq!(listed.matches("lead-tour").count(), 1, "{listed}");
    assert_eq!(listed.matches("To: ").count(), 2, "{listed}");
    has(listed, &["zoe", "ana@ops.example"]);
    // The ladder: Ana is reminded with her manager in copy, then Tom is asked.
    let escalated = after("adjutant escalations list");
    assert_eq!(escalated.matches("To: ").count(), 4, "{escalated}");
    has(escalated, &["Cc: ", "mia@ops.example", "tom@ops.example", "lead-waits"]);
    // Its story: steps, attempts with their keys, and what it waits for.
    has(after("adjutant runs show"), &["lead-tour", "eff_", "lead.accepted"]);
    // Accepted: the run is done, the record says by whom, the CRM's request is a file.
    let accepted = after("adjutant emit lead.accepted");
    has(accepted, &["done", "accepted", "ana", "POST", "lead/42"]);
}

#[test]
fn the_first_rule_is_checked_as_the_readme_shows() {
    let readme = readme();
    let mut blocks = blocks(&readme, "first-rule");
    assert!(blocks.len() > 1, "the README has a first rule: {blocks:?}");
    let checkout = Checkout::new();
    // A folder of our own instead of one that others may use.
    let folder = checkout.path("first").display().to_string();
    let scripts: Vec<String> =
        blocks.iter().map(|(script, _)| script.replace("/tmp/first", &folder)).collect();
    let rest = blocks.last().map_or("", |(_, rest)| rest);
    for (block, script) in blocks.iter_mut().zip(&scripts) {
        block.0 = script;
    }
    let said = checkout.tell(&blocks);
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);

    let shown = rest.split_once("```text\n").and_then(|(_, text)| text.split_once("\n```"));
    let (shown, _) = shown.expect("the README shows what `check` says");
    let all = format!("{}{}", said.out, said.err).replace(&folder, "/tmp/first");
    assert!(all.contains(shown.trim()), "the README shows\n{shown}\nbut it says\n{all}");
}

/// A daemon in the background; killed when dropped.
struct Background(Child);

impl Background {
    fn start(checkout: &Checkout, command: &str) -> Self {
        let log = fs::File::create(checkout.path("daemon.log")).unwrap();
        // The shell becomes the daemon, so that signals reach it.
        let mut command = checkout.bash(&format!("exec {command}"));
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap())
    }

    fn await_ready(&mut self, checkout: &Checkout, port: u16) {
        let url = format!("http://127.0.0.1:{port}/-/ready");
        wait_for("the daemon to be ready", SOON, || {
            if let Some(status) = self.0.try_wait().unwrap() {
                let log = fs::read_to_string(checkout.path("daemon.log")).unwrap();
                panic!("the daemon ended with {status}; does another use port {port}?\n{log}");
            }
            http::send("GET", &url, &[], "").ok().filter(|answer| answer.status == 200)
        });
    }

    fn stop(mut self) -> i32 {
        let id = self.0.id();
        let sent = Command::new("sh").arg("-c").arg(format!("kill -TERM {id}")).status().unwrap();
        assert!(sent.success());
        let status = wait_for("the daemon to stop", SOON, || self.0.try_wait().unwrap());
        status.code().unwrap_or(-1)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Either fails only when it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The README's first command: the first block of shell commands in it.
fn first_command(readme: &str) -> &str {
    let block = readme.split_once("```sh\n").and_then(|(_, rest)| rest.split_once("\n```"));
    block.expect("a first block").0
}

#[test]
fn a_fresh_checkout_starts_with_the_shipped_rules() {
    let checkout = Checkout::new();
    let mut daemon = Background::start(&checkout, first_command(&readme()));
    daemon.await_ready(&checkout, 8750);
    let lead = r#"adjutant emit lead.created --subject lead/1 --data '{"name":"Ann","email":"ann@x.example","country":"DE"}'"#;
    let emitted = cli::said(&checkout.bash(lead).output().unwrap());
    assert_eq!(emitted.code, 0, "{emitted:?}");
    let mail = wait_for("the answer to the lead", SOON, || {
        let mails = texts(&checkout.path("outbox"), ".eml");
        let mails = mails.into_iter().map(|(_, raw)| Mail { raw });
        mails
            .into_iter()
            .find(|mail| mail.header("To").is_some_and(|to| to.contains("ann@x.example")))
    });
    assert!(mail.message_id().contains("eff_"), "{}", mail.raw);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn marked_blocks_are_found() {
    let readme = "x\n```sh\nfirst\n```\n<!-- tour -->\n```sh\na\nb\n```\nx\n```sh\nnot this\n```\n\
                  <!-- tour -->\n```sh\nc\n```\n<!-- other -->\n```sh\nd\n```\n";
    let found: Vec<&str> = blocks(readme, "tour").iter().map(|(block, _)| *block).collect();
    assert_eq!(found, ["a\nb", "c"]);
    assert_eq!(first_command(readme), "first");
}

#[test]
fn a_story_stops_at_what_fails_and_leaves_nothing_running() {
    let checkout = Checkout::new();
    let good = checkout.tell(&[("x=1", ""), ("echo $x", "")]);
    assert_eq!((good.code, good.out.as_str()), (0, format!("{BETWEEN}\n1\n").as_str()));
    let bad = checkout.tell(&[("sleep 600 &\necho $!", ""), ("false", ""), ("echo on", "")]);
    assert_ne!(bad.code, 0);
    assert!(!bad.out.contains("on\n"), "{}", bad.out);
    let id = bad.out.lines().next().unwrap();
    wait_for("the background job to be gone", SOON, || {
        let probe = Command::new("sh").arg("-c").arg(format!("kill -0 {id}")).output().unwrap();
        (!probe.status.success()).then_some(())
    });
}

#[test]
fn the_first_scenario_is_played_as_the_readme_shows() {
    let readme = readme();
    let mut blocks = blocks(&readme, "first-test");
    assert!(blocks.len() > 1, "the README has a first scenario: {blocks:?}");
    let checkout = Checkout::new();
    let folder = checkout.path("second").display().to_string();
    let scripts: Vec<String> =
        blocks.iter().map(|(script, _)| script.replace("/tmp/second", &folder)).collect();
    let rest = blocks.last().map_or("", |(_, rest)| rest);
    for (block, script) in blocks.iter_mut().zip(&scripts) {
        block.0 = script;
    }
    let said = checkout.tell(&blocks);
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    let all = said.out.replace(&folder, "/tmp/second");
    assert!(all.contains("1 passed") && all.contains("1 failed"), "{all}");
    let shown = rest.split_once("```text\n").and_then(|(_, text)| text.split_once("\n```"));
    let (shown, _) = shown.expect("the README shows what `test` says");
    assert!(all.contains(shown.trim()), "the README shows\n{shown}\nbut it says\n{all}");
}
