//! The floor: what a durable forwarder costs that does nothing else. No rules, no state but a log.
//!
//! The same promise as the daemon's: an event is appended and synced (many share one `fdatasync`)
//! before 202 is answered, and what was answered is delivered at least once, also after SIGKILL. The
//! same libraries for HTTP and as many requests under way at a time. The condition and the text of the
//! webhook are compiled in.
//!
//! The log is made of lines: `E <number> <event>` and, once delivered, `D <number>`, which goes out
//! with the next group and is not waited for. At start every E without its D is delivered again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

use super::outcome::Result;

/// Lines that share one sync at most.
const GROUP: usize = 1_024;
/// Requests under way: as many as the daemon has to one host.
const UNDER_WAY: usize = 64;
/// Attempts at a webhook.
const ATTEMPTS: u32 = 8;

/// What goes into the log.
enum Line {
    Event(Vec<u8>, oneshot::Sender<()>),
    Delivered(u64),
}

struct Floor {
    http: reqwest::Client,
    hook: String,
    under_way: Semaphore,
    log: Sender<Line>,
    next: AtomicU64,
}

/// Runs until it is killed.
pub(crate) fn run(port: u16, log: &Path, hook: String) -> Result<()> {
    // Without a provider the client cannot be built, although everything here is in the clear.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (open, next) = undelivered(log)?;
    let file = File::options().create(true).append(true).open(log)?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || write(file, &receiver));
    let http = reqwest::Client::builder()
        .pool_max_idle_per_host(4 * UNDER_WAY)
        .tcp_nodelay(true)
        .no_proxy()
        .build()?;
    let floor = Arc::new(Floor {
        http,
        hook,
        under_way: Semaphore::new(UNDER_WAY),
        log: sender,
        next: AtomicU64::new(next),
    });
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async move {
        for (number, event) in open {
            tokio::spawn(floor.clone().forward(number, Bytes::from(event)));
        }
        let router = Router::new()
            .route("/v1/events", post(take))
            .route("/-/ready", get(|| async { StatusCode::OK }))
            .with_state(floor);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let listener = listener.tap_io(|stream| {
            // It only costs latency where it fails.
            let _ = stream.set_nodelay(true);
        });
        Ok(axum::serve(listener, router).await?)
    })
}

/// Events that were not delivered, and the next number. A torn last line was never answered.
fn undelivered(log: &Path) -> Result<(BTreeMap<u64, Vec<u8>>, u64)> {
    let (mut open, mut next) = (BTreeMap::new(), 0);
    let Ok(file) = File::open(log) else { return Ok((open, next)) };
    for line in BufReader::with_capacity(1 << 20, file).split(b'\n') {
        let line = line?;
        let text = String::from_utf8_lossy(&line);
        let mut words = text.splitn(3, ' ');
        let kind = words.next();
        let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) else { continue };
        match (kind, words.next()) {
            (Some("E"), Some(event)) => {
                next = next.max(number + 1);
                open.insert(number, event.as_bytes().to_vec());
            }
            (Some("D"), _) => drop(open.remove(&number)),
            _ => {}
        }
    }
    Ok((open, next))
}

/// The one writer: takes what waits, appends it, syncs once, answers all of it.
fn write(mut file: File, lines: &Receiver<Line>) {
    let mut text = b"\n".to_vec();
    while let Ok(first) = lines.recv() {
        let mut waiting = Vec::new();
        let rest = std::iter::from_fn(|| lines.try_recv().ok());
        for line in std::iter::once(first).chain(rest).take(GROUP) {
            match line {
                Line::Event(line, answer) => {
                    text.extend_from_slice(&line);
                    waiting.push(answer);
                }
                Line::Delivered(number) => {
                    text.extend_from_slice(format!("D {number}\n").as_bytes());
                }
            }
        }
        if file.write_all(&text).and_then(|()| file.sync_data()).is_err() {
            // Nothing more can be promised.
            std::process::abort();
        }
        text.clear();
        for answer in waiting {
            // Whoever waited may have gone.
            let _ = answer.send(());
        }
    }
}

async fn take(State(floor): State<Arc<Floor>>, event: Bytes) -> StatusCode {
    let number = floor.next.fetch_add(1, Relaxed);
    let mut line = format!("E {number} ").into_bytes();
    line.extend_from_slice(&event);
    line.push(b'\n');
    let (answer, durable) = oneshot::channel();
    if floor.log.send(Line::Event(line, answer)).is_err() || durable.await.is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    tokio::spawn(floor.forward(number, event));
    StatusCode::ACCEPTED
}

impl Floor {
    async fn forward(self: Arc<Self>, number: u64, event: Bytes) {
        if let Some(body) = webhook(&event) {
            let Ok(_permit) = self.under_way.acquire().await else { return };
            for attempt in 0..ATTEMPTS {
                if self.deliver(number, body.clone()).await {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
            }
        }
        // The writer outlives every request.
        let _ = self.log.send(Line::Delivered(number));
    }

    async fn deliver(&self, number: u64, body: Vec<u8>) -> bool {
        let request = self
            .http
            .post(&self.hook)
            .header("content-type", "application/json")
            .header("idempotency-key", format!("floor-{number}"))
            .body(body);
        match request.send().await {
            Ok(answer) if answer.status().is_success() => answer.bytes().await.is_ok(),
            _ => false,
        }
    }
}

/// The webhook of W1, if the event matches.
fn webhook(event: &[u8]) -> Option<Vec<u8>> {
    let event: Value = serde_json::from_slice(event).ok()?;
    let data = &event["data"];
    let matches = data["score"].as_f64()? >= 80.0 && data["region"] == "EU";
    let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
    matches.then(|| {
        let text = format!(
            "New EU lead {} ({}) from {} scored {}",
            text("name"),
            text("email"),
            text("company"),
            data["score"]
        );
        serde_json::to_vec(&json!({ "id": event["id"], "text": text })).unwrap_or_default()
    })
}
