//! Time that a test gives, of builds with the feature `test-clock` only.
//!
//! The variable [`VARIABLE`] names a Unix socket on which the test listens. Each line that it writes there is a number
//! of its own and an instant in microseconds since 1970: from then on that is the time, and it stands still. When
//! nothing is left to do at that time, the answer is a line with the same number and the instant at which something
//! is due next, the end of time if nothing is. A line that comes before the answer to the one before takes its
//! place. Timeouts of connections and scripts go by the system's clock all the same.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::daemon::handle::Handle;
use crate::daemon::mailbox::Message;
use crate::model::Instant;

/// Names the socket; without it the system's clock holds.
const VARIABLE: &str = "ADJUTANT_TEST_CLOCK";

/// Microseconds since 1970; empty while the system's clock holds.
static NOW: OnceLock<AtomicI64> = OnceLock::new();

/// The time that was given.
pub(super) fn now() -> Option<Instant> {
    NOW.get().map(|now| Instant::from_micros(now.load(Ordering::SeqCst)))
}

/// The clock is to be moved.
pub(in crate::daemon) struct Move {
    number: u64,
    to: Instant,
    answer: UnixStream,
}

impl Move {
    fn read(line: &str, answer: &UnixStream) -> io::Result<Self> {
        let (number, micros) = line.split_once(' ').ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self {
            number: number.parse().map_err(io::Error::other)?,
            to: Instant::from_micros(micros.parse().map_err(io::Error::other)?),
            answer: answer.try_clone()?,
        })
    }

    /// From now on it is that time. The engine says when, so that no turn of it sees two times.
    pub(in crate::daemon) fn begin(self) -> Self {
        set(self.to);
        self
    }

    /// Nothing is left to do at that time.
    pub(in crate::daemon) fn rest(mut self, due: Option<Instant>) {
        let due = due.unwrap_or(Instant::MAX).as_micros();
        // A test that is gone wants to know nothing.
        let _ = writeln!(self.answer, "{} {due}", self.number);
    }
}

/// Takes the time from the socket that is named, if one is; the first time is there when this returns. When the
/// test is gone, so is the daemon.
///
/// # Errors
/// Nobody listens there, or what comes is no time.
pub(in crate::daemon) fn listen(handle: &Handle) -> io::Result<()> {
    let Some(path) = std::env::var_os(VARIABLE) else { return Ok(()) };
    let stream = UnixStream::connect(&path).map_err(|error| {
        io::Error::other(format!("nobody gives the time at {}: {error}", path.display()))
    })?;
    let answer = stream.try_clone()?;
    let mut moves = BufReader::new(stream).lines().map(move |line| Move::read(&line?, &answer));
    let first = moves.next().ok_or(io::ErrorKind::UnexpectedEof)??;
    set(first.to);
    let handle = handle.clone();
    std::thread::Builder::new().name("adjutant-clock".to_owned()).spawn(move || {
        for to in std::iter::once(first).chain(moves.map_while(Result::ok)) {
            if !handle.shared().mailbox.push(Message::Clock(to)) {
                return;
            }
        }
        handle.drain();
    })?;
    Ok(())
}

fn set(to: Instant) {
    NOW.get_or_init(AtomicI64::default).store(to.as_micros(), Ordering::SeqCst);
}
