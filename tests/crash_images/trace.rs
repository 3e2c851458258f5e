//! What happened to the files of a store, call by call: read from strace, or put together from copies.

use std::collections::HashMap;

/// The files of a store that are written while it is open.
pub(crate) const FILES: [&str; 4] = ["db", "journal-0", "journal-1", "journal-2"];

/// How it writes a name that ends in `.generating`.
const GENERATING: &str = r"\x2e\x67\x65\x6e\x65\x72\x61\x74\x69\x6e\x67";

/// The store's unit of writing and reuse: small, so that there is much reuse in few commits.
pub(crate) const SEGMENT: u64 = 512 * 1024;

/// One call that matters to a file; `file` is its place in [`FILES`].
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) file: usize,
    pub(crate) what: What,
}

/// What a call does.
#[derive(Debug)]
pub(crate) enum What {
    Write { at: u64, bytes: Vec<u8> },
    Resize(u64),
    Sync,
}

/// One moment.
#[derive(Debug)]
pub(crate) enum Moment {
    /// A call begins: its place in [`Trace::calls`].
    Begin(usize),
    /// It has succeeded.
    End(usize),
    /// A new snapshot of sled's got its name.
    Renamed,
    /// The commit of this number was acknowledged.
    Acknowledged(u64),
}

/// A history of the files.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) calls: Vec<Call>,
    pub(crate) moments: Vec<Moment>,
}

impl Trace {
    /// A call that begins and ends with nothing between.
    pub(crate) fn push(&mut self, call: Call) {
        let place = self.begin(call);
        self.moments.push(Moment::End(place));
    }

    /// How many segments of sled's were begun, and how many of those where another had been.
    pub(crate) fn segments(&self) -> (usize, usize) {
        let mut places = Vec::new();
        for call in &self.calls {
            if let What::Write { at, .. } = &call.what
                && call.file == 0
                && at % SEGMENT == 0
            {
                places.push(*at);
            }
        }
        let begun = places.len();
        places.sort_unstable();
        places.dedup();
        (begun, begun - places.len())
    }

    fn begin(&mut self, call: Call) -> usize {
        self.calls.push(call);
        self.moments.push(Moment::Begin(self.calls.len() - 1));
        self.calls.len() - 1
    }

    /// Reads what `strace -f -y -xx -s … -o` wrote. The history of the [`FILES`]
    /// begins where the traced process wrote `opened` to its standard output.
    pub(crate) fn from_strace(text: &str) -> Self {
        let mut trace = Self::default();
        // calls that wait for their `resumed` line, by thread
        let mut waiting: HashMap<&str, Option<usize>> = HashMap::new();
        let mut opened = false;
        for line in text.lines() {
            let Some((thread, line)) = line.split_once(' ') else { continue };
            let line = line.trim_start();
            if line.starts_with("<... ") {
                let call = waiting.remove(thread).flatten();
                if let (Some(call), Some(result)) = (call, result(line)) {
                    assert!(result >= 0, "a call failed: {line}");
                    trace.moments.push(Moment::End(call));
                }
                continue;
            }
            if let Some(said) = said(line) {
                match said.trim().strip_prefix("acked ") {
                    Some(number) => {
                        trace.moments.push(Moment::Acknowledged(number.parse().unwrap()));
                    }
                    None => opened |= said.trim() == "opened",
                }
                continue;
            }
            if opened && line.starts_with("rename") && line.contains(GENERATING) {
                trace.moments.push(Moment::Renamed);
                continue;
            }
            let call = if opened { call(line) } else { None };
            let unfinished = line.ends_with("<unfinished ...>");
            let place = call.map(|call| trace.begin(call));
            if unfinished {
                waiting.insert(thread, place);
            } else if let (Some(place), Some(result)) = (place, result(line)) {
                assert!(result >= 0, "a call failed: {line}");
                trace.moments.push(Moment::End(place));
            }
        }
        let writes = trace.calls.iter().any(|call| matches!(call.what, What::Write { .. }));
        let syncs = trace.calls.iter().any(|call| matches!(call.what, What::Sync));
        assert!(opened && writes && syncs, "strace speaks another dialect: nothing was understood");
        trace
    }
}

/// The text of a write to standard output.
fn said(line: &str) -> Option<String> {
    let rest = line.strip_prefix("write(1<")?;
    let bytes = hex(rest.split_once('"')?.1.split_once('"')?.0)?;
    Some(String::from_utf8(bytes).unwrap())
}

/// A call on one of the files.
fn call(line: &str) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    let (path, rest) = rest.split_once('<')?.1.split_once('>')?;
    let path = String::from_utf8(hex(path)?).ok()?;
    let file = FILES.iter().position(|name| path.rsplit('/').next() == Some(name))?;
    let rest = rest.trim_start_matches(',').trim_start();
    let what = match name {
        "pwrite64" => {
            let (bytes, rest) = rest.strip_prefix('"')?.split_once('"')?;
            assert!(!rest.starts_with("..."), "strace cut a write short");
            let bytes = hex(bytes).expect("what is written is shown in hex");
            let mut numbers = rest.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty());
            let length: usize = numbers.next()?.parse().unwrap();
            assert_eq!(length, bytes.len());
            What::Write { at: numbers.next()?.parse().unwrap(), bytes }
        }
        "ftruncate" => {
            let length = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            What::Resize(length.parse().unwrap())
        }
        "fsync" | "fdatasync" => What::Sync,
        // without the filter it succeeds, and nothing follows from that
        _ => return None,
    };
    Some(Call { file, what })
}

/// What a call gave; nothing of one that the end of the process cut off: strace then shows an error that no kernel
/// has, `-1 (errno 18446744073709551414)`.
fn result(line: &str) -> Option<i64> {
    if line.ends_with(')') && line.contains(" = -1 (errno ") {
        return None;
    }
    line.rsplit_once("= ")?.1.split(' ').next()?.parse().ok()
}

/// `\x61\x62` to bytes; nothing for what strace writes plainly: `pipe:[7]`, or `(deleted)` behind
/// the path of a snapshot that is already gone.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| Some((c as char).to_digit(16)? as u8);
    text.as_bytes()
        .chunks(4)
        .map(|c| match *c {
            [b'\\', b'x', high, low] => Some(digit(high)? * 16 + digit(low)?),
            _ => None,
        })
        .collect()
}
