//! The generator: a closed loop, in which each connection sends when it was answered, and an open loop,
//! which sends at a fixed rate however the subject fares. In the open loop every event has the moment
//! at which it should have been sent, and latencies count from there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::ledger::Ledger;
use super::{moment, work};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Before trying again what was not answered: a restart takes longer.
const AGAIN: Duration = Duration::from_millis(10);
/// After a refusal, so that refusals do not become the load.
const REFUSED: Duration = Duration::from_millis(2);

/// What is sent, where and how.
#[derive(Clone)]
pub(crate) struct Load {
    address: SocketAddr,
    /// Connections, each with one request under way.
    pub(crate) connections: usize,
    /// The type of the events.
    pub(crate) kind: &'static str,
    /// Sends an event until it is accepted, as a careful sender does.
    pub(crate) insists: bool,
    /// Ends a closed loop before its time.
    pub(crate) stop: Arc<AtomicBool>,
    /// In an open loop: what could not be sent so long after the end is not sent at all.
    pub(crate) overtime: Duration,
}

/// A moment of the open loop for each event.
struct Pace {
    tickets: Semaphore,
    taken: AtomicUsize,
    total: usize,
    start: u64,
    per_second: f64,
    /// When unsent events are given up.
    end: u64,
}

impl Pace {
    /// When the n-th event is due.
    fn due(&self, n: usize) -> u64 {
        self.start + (n as f64 * 1e9 / self.per_second) as u64
    }

    /// Hands out tickets as events fall due. Sleeps in a thread of its own: the runtime's timer is no
    /// finer than a millisecond.
    fn keep(&self, connections: usize) {
        let mut given = 0;
        while given < self.total {
            let elapsed = moment::now().saturating_sub(self.start);
            let due = (elapsed as f64 * self.per_second / 1e9) as usize + 1;
            let due = due.min(self.total);
            if due > given {
                self.tickets.add_permits(due - given);
                given = due;
            }
            let next = self.due(given);
            std::thread::sleep(Duration::from_nanos(next.saturating_sub(moment::now())));
        }
        // Each connection finds out that nothing is left.
        self.tickets.add_permits(connections);
    }
}

impl Load {
    /// W1 with 64 connections.
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self {
            address,
            connections: 64,
            kind: work::KIND,
            insists: false,
            stop: Arc::default(),
            overtime: Duration::from_secs(10),
        }
    }

    /// As fast as answers come, for so long.
    pub(crate) async fn closed(&self, ledger: &Arc<Ledger>, length: Duration) {
        let stop = self.stop.clone();
        let timer = tokio::spawn(async move {
            tokio::time::sleep(length).await;
            stop.store(true, Relaxed);
        });
        self.workers(ledger, None).await;
        timer.abort();
        self.stop.store(false, Relaxed);
    }

    /// At a rate, for so long.
    pub(crate) async fn open(&self, ledger: &Arc<Ledger>, per_second: f64, length: Duration) {
        let start = moment::now();
        let pace = Arc::new(Pace {
            tickets: Semaphore::new(0),
            taken: AtomicUsize::new(0),
            total: (per_second * length.as_secs_f64()).round().max(1.0) as usize,
            start,
            per_second,
            end: start + moment::nanos(length) + moment::nanos(self.overtime),
        });
        let (keeper, connections) = (pace.clone(), self.connections);
        let keeper = std::thread::spawn(move || keeper.keep(connections));
        self.workers(ledger, Some(&pace)).await;
        // It ends when the last event is due, and it does not panic.
        let _ = keeper.join();
    }

    async fn workers(&self, ledger: &Arc<Ledger>, pace: Option<&Arc<Pace>>) {
        let workers: Vec<_> = (0..self.connections)
            .map(|_| tokio::spawn(self.clone().work(ledger.clone(), pace.cloned())))
            .collect();
        for worker in workers {
            // A worker does not panic.
            let _ = worker.await;
        }
    }

    async fn work(self, ledger: Arc<Ledger>, pace: Option<Arc<Pace>>) {
        let mut line = Line { address: self.address, open: None };
        loop {
            let intended = match &pace {
                None if self.stop.load(Relaxed) => return,
                None => None,
                Some(pace) => {
                    if let Ok(ticket) = pace.tickets.acquire().await {
                        ticket.forget();
                    }
                    let n = pace.taken.fetch_add(1, Relaxed);
                    if n >= pace.total || moment::now() > pace.end {
                        return;
                    }
                    Some(pace.due(n))
                }
            };
            let seq = ledger.take();
            self.event(&mut line, &ledger, seq, intended).await;
        }
    }

    /// Sends one event, and again if it must be.
    async fn event(&self, line: &mut Line, ledger: &Ledger, seq: usize, intended: Option<u64>) {
        let row = ledger.row(seq);
        loop {
            let event = work::event(ledger.run, seq, self.kind, ledger.matching);
            let ready = line.ready().await;
            let sent = moment::now();
            row.intended.store(intended.unwrap_or(sent), Relaxed);
            row.sent.store(sent, Relaxed);
            let answer = if ready { line.post(CLOUD_EVENT, event.into()).await } else { None };
            match answer {
                Some(answer) => {
                    row.answered.store(moment::now(), Relaxed);
                    row.status.store(answer.status, Relaxed);
                    row.retry_after.store(u16::from(answer.retry_after), Relaxed);
                    if row.accepted() {
                        return;
                    }
                    tokio::time::sleep(REFUSED).await;
                }
                None => tokio::time::sleep(AGAIN).await,
            }
            if !self.insists {
                return;
            }
        }
    }
}

/// The media type of one structured event.
pub(crate) const CLOUD_EVENT: &str = "application/cloudevents+json";
/// The media type of many.
pub(crate) const CLOUD_EVENTS: &str = "application/cloudevents-batch+json";

/// What came back.
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// Whether it says when to come again.
    pub(crate) retry_after: bool,
    /// The body.
    pub(crate) body: Bytes,
}

/// One connection, opened again when it broke.
pub(crate) struct Line {
    /// Where to.
    pub(crate) address: SocketAddr,
    /// The connection, if there is one.
    pub(crate) open: Option<SendRequest<Full<Bytes>>>,
}

impl Line {
    /// Whether there is a connection that takes a request.
    pub(crate) async fn ready(&mut self) -> bool {
        if let Some(open) = &mut self.open
            && open.ready().await.is_ok()
        {
            return true;
        }
        self.open = connect(self.address).await;
        self.open.is_some()
    }

    /// Sends events; `None` when no answer came.
    pub(crate) async fn post(&mut self, media: &'static str, body: Bytes) -> Option<Answer> {
        let sender = self.open.as_mut()?;
        let request = Request::post("/v1/events")
            .header(HOST, "127.0.0.1")
            .header(CONTENT_TYPE, media)
            .body(Full::new(body))
            .ok()?;
        let exchange = async {
            let response = sender.send_request(request).await.ok()?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.ok()?.to_bytes();
            let retry_after = parts.headers.contains_key(RETRY_AFTER);
            Some(Answer { status: parts.status.as_u16(), retry_after, body })
        };
        let answer = tokio::time::timeout(PATIENCE, exchange).await.ok().flatten();
        if answer.is_none() {
            self.open = None;
        }
        answer
    }
}

async fn connect(address: SocketAddr) -> Option<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    Some(sender)
}
