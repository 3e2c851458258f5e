//! The generator: a closed loop, in which each connection sends when it was answered, and an open loop,
//! which sends at a fixed rate however the subject fares. In the open loop every event has the moment
//! at which it should have been sent, and latencies count from there.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
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
/// The status of a batch of which not all was accepted.
const MULTI_STATUS: u16 = 207;
/// After a refusal, so that refusals do not become the load.
const REFUSED: Duration = Duration::from_millis(2);

/// Makes the event with this number for a ledger.
pub(crate) type Event = Arc<dyn Fn(&Ledger, usize) -> Vec<u8> + Send + Sync>;

/// What is sent, where and how.
#[derive(Clone)]
pub(crate) struct Load {
    address: SocketAddr,
    /// Connections, each with one request under way.
    pub(crate) connections: usize,
    /// Makes an event of a number.
    pub(crate) event: Event,
    /// Events of a request; one is sent as it is, more as a batch.
    pub(crate) batch: usize,
    /// Requests at most.
    pub(crate) most: usize,
    /// Sends an event until it is accepted, as a careful sender does.
    pub(crate) insists: bool,
    /// Ends a closed loop before its time.
    pub(crate) stop: Arc<AtomicBool>,
    /// The most nanoseconds by which the clock of an open loop was late: its own fault, not the subject's.
    pub(crate) lag: Arc<AtomicU64>,
    /// In an open loop: what could not be sent so long after the end is not sent at all.
    pub(crate) overtime: Duration,
}

/// When each request of an open loop is due.
struct Pace {
    tickets: Semaphore,
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
    fn keep(&self, total: usize, connections: usize, lag: &AtomicU64) {
        let mut given = 0;
        while given < total {
            let elapsed = moment::now().saturating_sub(self.start);
            let due = (elapsed as f64 * self.per_second / 1e9) as usize + 1;
            let due = due.min(total);
            if due > given {
                lag.fetch_max(moment::now().saturating_sub(self.due(given)), Relaxed);
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
            event: Arc::new(work::event),
            batch: 1,
            most: usize::MAX,
            insists: false,
            stop: Arc::default(),
            lag: Arc::default(),
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
        self.workers(ledger, self.most, None).await;
        timer.abort();
        self.stop.store(false, Relaxed);
    }

    /// At a rate of events, for so long.
    pub(crate) async fn open(&self, ledger: &Arc<Ledger>, per_second: f64, length: Duration) {
        let start = moment::now();
        let per_second = per_second / self.batch as f64;
        let total = (per_second * length.as_secs_f64()).round().max(1.0) as usize;
        let pace = Arc::new(Pace {
            tickets: Semaphore::new(0),
            start,
            per_second,
            end: start + moment::nanos(length) + moment::nanos(self.overtime),
        });
        let (keeper, connections, lag) = (pace.clone(), self.connections, self.lag.clone());
        let keeper = std::thread::spawn(move || keeper.keep(total, connections, &lag));
        self.workers(ledger, total, Some(&pace)).await;
        // It ends when the last event is due, and it does not panic.
        let _ = keeper.join();
    }

    async fn workers(&self, ledger: &Arc<Ledger>, total: usize, pace: Option<&Arc<Pace>>) {
        let left = Arc::new(Left { taken: AtomicUsize::new(0), total });
        let work = |_| self.clone().work(ledger.clone(), left.clone(), pace.cloned());
        let workers: Vec<_> = (0..self.connections).map(work).map(tokio::spawn).collect();
        for worker in workers {
            // A worker does not panic.
            let _ = worker.await;
        }
    }

    async fn work(self, ledger: Arc<Ledger>, left: Arc<Left>, pace: Option<Arc<Pace>>) {
        let mut line = Line::to(self.address);
        loop {
            if let Some(pace) = &pace
                && let Ok(ticket) = pace.tickets.acquire().await
            {
                ticket.forget();
            }
            let n = left.taken.fetch_add(1, Relaxed);
            let over = match &pace {
                None => self.stop.load(Relaxed),
                Some(pace) => moment::now() > pace.end,
            };
            if n >= left.total || over {
                return;
            }
            let due = pace.as_ref().map(|pace| pace.due(n));
            let events = ledger.take(self.batch);
            while !self.send(&mut line, &ledger, events.clone(), due).await && self.insists {}
        }
    }

    /// Sends events once and writes down what became of each; whether all were accepted.
    async fn send(
        &self,
        line: &mut Line,
        ledger: &Ledger,
        seqs: Range<usize>,
        due: Option<u64>,
    ) -> bool {
        let (media, body) = self.body(ledger, seqs.clone());
        let ready = line.ready().await;
        let sent = moment::now();
        for row in seqs.clone().map(|seq| ledger.row(seq)) {
            row.intended.store(due.unwrap_or(sent), Relaxed);
            row.sent.store(sent, Relaxed);
        }
        let answer = if ready { line.post("/v1/events", media, body).await } else { None };
        let Some(answer) = answer else {
            tokio::time::sleep(AGAIN).await;
            return false;
        };
        let answered = moment::now();
        for (row, status) in
            seqs.clone().map(|seq| ledger.row(seq)).zip(answer.statuses(seqs.len()))
        {
            row.answered.store(answered, Relaxed);
            row.status.store(status, Relaxed);
            row.retry_after.store(u16::from(answer.retry_after), Relaxed);
        }
        let accepted = seqs.into_iter().all(|seq| ledger.row(seq).accepted());
        if !accepted {
            tokio::time::sleep(REFUSED).await;
        }
        accepted
    }

    fn body(&self, ledger: &Ledger, seqs: Range<usize>) -> (&'static str, Bytes) {
        if self.batch == 1 {
            return (CLOUD_EVENT, (self.event)(ledger, seqs.start).into());
        }
        let mut body = Vec::with_capacity(seqs.len() * 400);
        for seq in seqs {
            body.push(if body.is_empty() { b'[' } else { b',' });
            body.extend_from_slice(&(self.event)(ledger, seq));
        }
        body.push(b']');
        (CLOUD_EVENTS, body.into())
    }
}

/// Requests that are still to be sent.
struct Left {
    taken: AtomicUsize,
    total: usize,
}

/// The media type of one structured event.
const CLOUD_EVENT: &str = "application/cloudevents+json";
/// The media type of many.
const CLOUD_EVENTS: &str = "application/cloudevents-batch+json";

/// What came back.
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// Whether it says when to come again.
    pub(crate) retry_after: bool,
    body: Bytes,
}

impl Answer {
    /// The status of each of so many events: that of the answer, unless it is about each by itself.
    fn statuses(&self, events: usize) -> Vec<u16> {
        #[derive(serde::Deserialize)]
        struct One {
            status: u16,
        }
        #[derive(serde::Deserialize)]
        struct Each {
            results: Vec<One>,
        }
        if self.status != MULTI_STATUS {
            return vec![self.status; events];
        }
        let each = serde_json::from_slice::<Each>(&self.body).map(|each| each.results);
        each.unwrap_or_default().iter().map(|one| one.status).collect()
    }
}

/// One connection, opened again when it broke.
pub(crate) struct Line {
    address: SocketAddr,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl Line {
    /// Not yet open.
    pub(crate) const fn to(address: SocketAddr) -> Self {
        Self { address, open: None }
    }

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

    /// Sends something; `None` when no answer came.
    pub(crate) async fn post(&mut self, path: &str, media: &str, body: Bytes) -> Option<Answer> {
        let sender = self.open.as_mut()?;
        let request = Request::post(path)
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
