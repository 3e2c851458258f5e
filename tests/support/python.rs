//! The independent clients of `tests/python/`: an interpreter with their packages, made once.
//!
//! `ADJUTANT_TEST_VENV` names a virtual environment that has them; else one is made in the build's
//! folder for temporary files. No Python is a failure, not a reason to skip.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::cli::{self, Said};

/// Where the scripts are.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python");

/// Runs a script of `tests/python/`.
pub(crate) fn run(script: &str, args: &[&str]) -> Said {
    run_with(script, args, "")
}

/// Runs a script that reads this.
pub(crate) fn run_with(script: &str, args: &[&str], input: &str) -> Said {
    let script = Path::new(SCRIPTS).join(script);
    let mut command = Command::new(interpreter());
    command.arg("-B").arg(script).args(args).env("PYTHONNOUSERSITE", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the interpreter starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    cli::said(&child.wait_with_output().expect("it ends"))
}

fn interpreter() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| match std::env::var_os("ADJUTANT_TEST_VENV") {
        Some(folder) => PathBuf::from(folder).join("bin/python"),
        None => make(),
    })
}

/// Makes a virtual environment unless it is there with the packages wanted now.
fn make() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(folder).expect("a folder for temporary files");
    // Test binaries may run at the same time: the first makes it, the others wait.
    let lock = File::create(folder.join("venv.lock")).expect("a lock file");
    lock.lock().expect("a lock");
    let wanted = fs::read_to_string(Path::new(SCRIPTS).join("requirements.txt"));
    let wanted = wanted.expect("requirements.txt");
    let venv = folder.join("venv");
    let python = venv.join("bin/python");
    let stamp = venv.join("adjutant-requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return python;
    }
    let requirements = Path::new(SCRIPTS).join("requirements.txt");
    must(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
    must(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(requirements));
    fs::write(stamp, wanted).expect("a stamp");
    python
}

fn must(command: &mut Command) {
    let hint = "these tests need python3 with venv and pip, and the packages of \
                tests/python/requirements.txt: install python3-venv, or name a virtual environment \
                that has them in ADJUTANT_TEST_VENV";
    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let said = cli::said(&output);
            panic!("{command:?} failed: {}{}\n{hint}", said.out, said.err);
        }
        Err(error) => panic!("{command:?} did not start: {error}\n{hint}"),
    }
}
