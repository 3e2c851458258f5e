//! [`Subject`]: what is measured, as a process of its own in a folder of its own: the daemon or the
//! floor. Started, asked whether it is ready, stopped, killed, started again. It never outlives its
//! handle, and its folder goes with it.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use adjutant::store::{JournaledStore, Store as _};
use tempfile::TempDir;

use super::outcome::Result;
use super::{generator, meter};

/// How long a start may take: a million runs are read on the way.
const START: Duration = Duration::from_mins(3);
/// How long a stop may take.
const STOP: Duration = Duration::from_mins(1);
/// How often it is asked whether it is ready; this is how exact the time of a start is.
const ASK: Duration = Duration::from_millis(1);
/// Rows read at a time.
const SCAN: usize = 10_000;
/// Lines of its log that are shown when it does not start.
const LOG_LINES: usize = 20;

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// `benches/line/floor.rs`
    Floor,
    /// The daemon.
    Adjutant,
}

/// See the file's description.
pub(crate) struct Subject {
    program: Program,
    folder: TempDir,
    port: u16,
    hook: String,
    child: Option<Child>,
}

impl Subject {
    /// The floor, which sends W1's webhooks to `hook`.
    pub(crate) fn floor(hook: &str) -> Result<Self> {
        Self::new(Program::Floor, hook)
    }

    /// The daemon with these rules and more lines of configuration, which must not name
    /// `data_dir http rules plugins`. Lines indented by two belong to `webhooks:`.
    pub(crate) fn adjutant(rules: &str, more: &str) -> Result<Self> {
        let subject = Self::new(Program::Adjutant, "")?;
        subject.configure(more)?;
        subject.write("rules/line.yaml", rules)?;
        Ok(subject)
    }

    /// Gives the daemon other lines of configuration, as [`Subject::adjutant`] does: from its next
    /// start on.
    pub(crate) fn configure(&self, more: &str) -> Result<()> {
        let config = format!(
            "data_dir: data\nrules: [rules]\nplugins: []\nhttp:\n  listen: 127.0.0.1:{}\nwebhooks:\n  \
             allow_networks: [127.0.0.0/8]\n{more}",
            self.port
        );
        self.write("adjutant.yaml", &config)
    }

    /// Writes a file in its folder.
    pub(crate) fn write(&self, relative: &str, text: &str) -> Result<()> {
        let path = self.path(relative);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::write(path, text)?)
    }

    fn new(program: Program, hook: &str) -> Result<Self> {
        let folder = tempfile::tempdir_in(place())?;
        fs::create_dir_all(folder.path().join("data"))?;
        // Taken from the system and given back: free for as long as nobody else asks for it.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        Ok(Self { program, folder, port, hook: hook.to_owned(), child: None })
    }

    /// A path in its folder.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its process; 0 while there is none.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Bytes of its data on the disk.
    pub(crate) fn disk(&self) -> f64 {
        meter::disk(&self.path("data"))
    }

    /// Starts it and waits until it takes events. Answers how long that took.
    pub(crate) fn start(&mut self) -> Result<Duration> {
        let began = Instant::now();
        let log = File::options().create(true).append(true).open(self.path("log"))?;
        let mut command = self.command()?;
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        let child = self.child.insert(command.spawn()?);
        let pid = child.id();
        while began.elapsed() < START {
            if let Some(status) = child.try_wait()? {
                return Err(format!("it ended with {status} at once:\n{}", self.log()).into());
            }
            if is_ready((Ipv4Addr::LOCALHOST, self.port).into()) {
                return Ok(began.elapsed());
            }
            std::thread::sleep(ASK);
        }
        Err(format!("process {pid} was not ready after {START:?}:\n{}", self.log()).into())
    }

    fn command(&self) -> Result<Command> {
        let mut command = match self.program {
            Program::Adjutant => {
                let mut command = Command::new(binary());
                command.arg("serve");
                command
            }
            Program::Floor => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("floor").arg("--port").arg(self.port.to_string());
                command.arg("--log").arg(self.path("data/log")).arg("--hook").arg(&self.hook);
                command
            }
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ADJUTANT_") || name == "NOTIFY_SOCKET" {
                command.env_remove(name);
            }
        }
        command.env("CREDENTIALS_DIRECTORY", self.path("credentials"));
        Ok(command)
    }

    /// SIGKILL: it gets no chance to do anything.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Either fails only when it is gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and waits for its end. Answers how long that took.
    pub(crate) fn stop(&mut self) -> Result<Duration> {
        let began = Instant::now();
        let Some(mut child) = self.child.take() else { return Ok(Duration::ZERO) };
        // There is no safe call for it in std.
        Command::new("sh").arg("-c").arg(format!("kill -TERM {}", child.id())).status()?;
        while began.elapsed() < STOP {
            if child.try_wait()?.is_some() {
                return Ok(began.elapsed());
            }
            std::thread::sleep(ASK);
        }
        self.child = Some(child);
        Err(format!("it did not stop within {STOP:?}").into())
    }

    /// Asks it something: the body of the answer.
    pub(crate) fn get(&self, path: &str) -> Result<serde_json::Value> {
        let (status, body) = get(self.address(), path)?;
        match status {
            200 => Ok(serde_json::from_str(&body)?),
            _ => Err(format!("GET {path} was answered {status}: {body}").into()),
        }
    }

    /// Bytes of keys and values in its store, which must be stopped: what the disk is used for.
    pub(crate) fn live(&self) -> Result<f64> {
        let store = JournaledStore::open(&self.path("data/state"))?;
        let (mut bytes, mut from) = (0.0, Vec::new());
        loop {
            let rows = store.scan(&from, &[u8::MAX; 8], SCAN)?;
            bytes += rows.iter().map(|(key, value)| (key.len() + value.len()) as f64).sum::<f64>();
            match rows.last() {
                Some((last, _)) if rows.len() == SCAN => {
                    // The next key there can be.
                    from = [last, [0].as_slice()].concat();
                }
                _ => return Ok(bytes),
            }
        }
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// The generator's view of it.
    pub(crate) fn load(&self) -> generator::Load {
        generator::Load::to(self.address())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The daemon's binary, built with the same profile as the benchmark.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_adjutant"))
}

/// Where the folders are made: beside what cargo builds, so on a real disk where that is.
pub(crate) fn place() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

fn is_ready(address: SocketAddr) -> bool {
    get(address, "/-/ready").is_ok_and(|(status, _)| status == 200)
}

/// One request on a connection of its own: status and body.
fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or("this is not HTTP")?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.to_owned()))
}
