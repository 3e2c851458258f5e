//! Requests that nobody should send: random, cut off, too large, too deep. The daemon answers or
//! hangs up, goes on, and takes the next good event.

mod support;

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::json;
use support::chance::Chance;
use support::daemon::{Daemon, structured};
use support::folder::Folder;
use support::say;

const REQUESTS: u64 = 300;
/// Most answers come sooner; who takes longer waits for more.
const SOON: Duration = Duration::from_millis(150);
/// A daemon that does not know what to say hangs up, and soon.
const PATIENCE: Duration = Duration::from_secs(20);

const RULE: &str = r"
workflow: note
triggers: [{ event: note.made }]
steps:
  - record: ${event.subject}
    set: { n: '${event.data.n}' }
";

const TARGETS: [&str; 12] = [
    "/v1/events",
    "/v1/events/note.made",
    "/v1/events/note.made?subject=note/%ff%00",
    "/v1/events/..%2f..",
    "/v1/events?before=-1&limit=99999999999999999999",
    "/v1/runs?status=sideways&limit=0",
    "/v1/runs/18446744073709551616-zz",
    "/v1/records/note?after=%00",
    "/v1/records/%f0%28%8c%28/x",
    "/v1/escalations?all=perhaps",
    "/-/ready",
    "*",
];

const HEADERS: [&str; 14] = [
    "content-type: application/json",
    "content-type: application/cloudevents+json",
    "content-type: application/cloudevents-batch+json; charset=utf-16",
    "content-type: text/html",
    "ce-id: \u{1}",
    "ce-id: %00%ff%",
    "ce-source: ",
    "ce-type: a..b",
    "ce-specversion: 9.9",
    "ce-time: yesterday",
    "idempotency-key: \"",
    "authorization: Bearer \u{ff}",
    "transfer-encoding: chunked",
    "host: evil.example",
];

fn body(chance: &mut Chance) -> Vec<u8> {
    let event = structured("x", "note.made", "note/x", &json!({ "n": 1 }));
    match chance.below(9) {
        0 => Vec::new(),
        1 => (0..chance.below(300)).map(|_| chance.next() as u8).collect(),
        2 => event.as_bytes()[..chance.below(event.len() as u64) as usize].to_vec(),
        3 => {
            let mut bytes = event.into_bytes();
            let at = chance.below(bytes.len() as u64) as usize;
            bytes[at] = chance.next() as u8;
            bytes
        }
        4 => "[".repeat(chance.below(200_000) as usize).into_bytes(),
        5 => "{\"a\":".repeat(chance.below(50_000) as usize).into_bytes(),
        6 => vec![b' '; 2 << 20],
        7 => format!("[{event},1,null,{{}},{event}]").into_bytes(),
        _ => b"{\"specversion\":\"1.0\",\"id\":1e999,\"data_base64\":\"!\"}".to_vec(),
    }
}

fn request(chance: &mut Chance) -> Vec<u8> {
    if chance.below(8) == 0 {
        return (0..chance.below(2_000)).map(|_| chance.next() as u8).collect();
    }
    let pick =
        |from: &[&'static str], chance: &mut Chance| from[chance.below(from.len() as u64) as usize];
    let method = pick(&["POST", "POST", "POST", "GET", "PUT", "HEAD", "OPTIONS", "X"], chance);
    let target = pick(&TARGETS, chance);
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    if chance.below(5) != 0 {
        head.push_str("host: localhost\r\n");
    }
    for _ in 0..chance.below(5) {
        head.push_str(pick(&HEADERS, chance));
        head.push_str("\r\n");
    }
    let body = body(chance);
    match chance.below(6) {
        0 => {}
        // More is promised than comes.
        1 => head = format!("{head}content-length: {}\r\n", body.len() + 10),
        2 => head.push_str("content-length: -1\r\n"),
        _ => head = format!("{head}content-length: {}\r\n", body.len()),
    }
    head.push_str("connection: close\r\n\r\n");
    [head.into_bytes(), body].concat()
}

/// Sends bytes and reads what comes back. A daemon that waits for more is told by `end` that nothing
/// comes; then it must end as well. Whoever sends such things may find the connection closed under
/// them at any point.
fn send(
    bytes: &[u8],
    mut stream: impl std::io::Read + std::io::Write,
    end: impl FnOnce(),
) -> Vec<u8> {
    // A daemon that has hung up already is one of the answers.
    drop(stream.write_all(bytes));
    let mut answer = Vec::new();
    if is_open(stream.read_to_end(&mut answer)) {
        end();
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned();
        assert!(!is_open(stream.read_to_end(&mut answer)), "no answer and no end to {shown:?}");
    }
    answer
}

/// Whether reading ended because nothing came for a while.
fn is_open(read: std::io::Result<usize>) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    read.is_err_and(|error| matches!(error.kind(), WouldBlock | TimedOut))
}

#[test]
fn three_hundred_bad_requests_do_no_harm() {
    let seed = Chance::seed("ADJUTANT_MALFORMED_SEED");
    say(&format!("ADJUTANT_MALFORMED_SEED={seed}"));
    let mut chance = Chance::new(seed);
    let daemon = Daemon::start(Folder::new("").rule("note.yaml", RULE));
    let socket = daemon.folder.path("data/adjutant.sock");
    let mut statuses = std::collections::BTreeMap::new();
    for n in 0..REQUESTS {
        let bytes = request(&mut chance);
        let answer = if chance.below(2) == 0 {
            let stream = TcpStream::connect(("127.0.0.1", daemon.folder.port)).expect("it listens");
            stream.set_read_timeout(Some(SOON)).expect("a timeout");
            let other = stream.try_clone().expect("one more handle");
            send(&bytes, stream, move || {
                // Fails only if the daemon hung up, which is as well.
                drop(other.shutdown(std::net::Shutdown::Write));
                drop(other.set_read_timeout(Some(PATIENCE)));
            })
        } else {
            let stream = UnixStream::connect(&socket).expect("it listens");
            stream.set_read_timeout(Some(SOON)).expect("a timeout");
            let other = stream.try_clone().expect("one more handle");
            send(&bytes, stream, move || {
                drop(other.shutdown(std::net::Shutdown::Write));
                drop(other.set_read_timeout(Some(PATIENCE)));
            })
        };
        let status = String::from_utf8_lossy(&answer).chars().skip(9).take(3).collect::<String>();
        assert!(!status.starts_with('5'), "{status} to {:?}", String::from_utf8_lossy(&bytes));
        *statuses.entry(status).or_insert(0) += 1;
        if n % 50 == 0 {
            daemon.event(&format!("good-{n}"), "note.made", "note/good", &json!({ "n": n }));
        }
    }
    say(&format!("answers: {statuses:?}"));
    assert!(statuses.get("400").is_some_and(|count| *count > 10), "{statuses:?}");
    daemon.event("last", "note.made", "note/last", &json!({ "n": 1 }));
    assert_eq!(daemon.get("/-/ready").status, 200);
    assert!(!daemon.log().contains("panicked"));
}
