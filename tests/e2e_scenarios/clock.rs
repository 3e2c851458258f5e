//! The test's side of the daemon's clock: it says what time it is, and hears when nothing is left to do.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use adjutant::model::Instant;

use crate::support::wait_for;

/// How long a starting process may take until it asks for the time.
const START: Duration = Duration::from_mins(1);
/// How long one look for an answer takes.
const LOOK: Duration = Duration::from_millis(2);

/// See the module.
pub(crate) struct Clock {
    listener: UnixListener,
    /// The daemon that lives.
    daemon: Option<UnixStream>,
    /// What came of its answers so far.
    heard: String,
    /// The number of the newest move, which its answer bears.
    moves: u64,
}

impl Clock {
    /// Daemons find it at `path`.
    pub(crate) fn listen(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("a socket");
        listener.set_nonblocking(true).expect("a socket may be so");
        Self { listener, daemon: None, heard: String::new(), moves: 0 }
    }

    /// Waits for a daemon that was just started.
    pub(crate) fn await_daemon(&mut self) {
        let stream = wait_for("the daemon to ask for the time", START, || {
            self.listener.accept().ok().map(|(stream, _)| stream)
        });
        stream.set_nonblocking(false).expect("a socket may be so");
        stream.set_read_timeout(Some(LOOK)).expect("a socket may be so");
        self.daemon = Some(stream);
        self.heard.clear();
    }

    /// It is this time now.
    pub(crate) fn set(&mut self, to: Instant) {
        let daemon = self.daemon.as_mut().expect("a daemon has asked for the time");
        self.moves += 1;
        writeln!(daemon, "{} {}", self.moves, to.as_micros()).expect("the daemon listens");
    }

    /// When something is due next, if the daemon has said by now that nothing is left to do.
    pub(crate) fn rest(&mut self) -> Option<Instant> {
        let daemon = self.daemon.as_mut().expect("a daemon has asked for the time");
        let mut bytes = [0; 64];
        match daemon.read(&mut bytes) {
            Ok(0) => panic!("the daemon has gone"),
            Ok(read) => self.heard.push_str(std::str::from_utf8(&bytes[..read]).expect("numbers")),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("the daemon cannot be heard: {error}"),
        }
        while let Some((line, rest)) = self.heard.split_once('\n') {
            let (number, due) = line.split_once(' ').expect("a number and an instant");
            let is_newest = number.parse() == Ok(self.moves);
            let due = Instant::from_micros(due.parse().expect("an instant"));
            self.heard = rest.to_owned();
            if is_newest {
                return Some(due);
            }
        }
        None
    }
}
