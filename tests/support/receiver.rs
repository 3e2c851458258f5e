//! An HTTP receiver that answers as scripted and keeps every request, in memory and in a ledger file.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use super::thread::Server;

/// How one request is answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// The status; `None` breaks the connection instead, after the request was kept.
    pub(crate) status: Option<u16>,
    /// Headers.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) body: String,
    /// How long the answer takes.
    pub(crate) delay: Duration,
}

impl Reply {
    /// With an empty JSON object.
    pub(crate) fn status(status: u16) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status: Some(status), headers, body: "{}".to_owned(), delay: Duration::ZERO }
    }

    /// No answer at all: the request was heard and the connection breaks.
    pub(crate) fn none() -> Self {
        Self { status: None, ..Self::status(200) }
    }

    /// With one more header.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// With this body.
    pub(crate) fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    /// After this long.
    pub(crate) const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// When, since the receiver was started.
    pub(crate) at: Duration,
    /// The method.
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// Headers, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Bytes,
    /// How many requests with the same `Idempotency-Key` came before it.
    pub(crate) earlier: usize,
    /// The status it was answered with; `None` if the connection was broken instead.
    pub(crate) status: Option<u16>,
}

impl Heard {
    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The `Idempotency-Key`; empty if there is none.
    pub(crate) fn key(&self) -> &str {
        self.header("idempotency-key").unwrap_or_default()
    }

    /// The body as JSON; null if it is not.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn ledger_line(&self) -> String {
        serde_json::json!({
            "method": self.method,
            "path": self.path,
            "headers": self.headers,
            "body": STANDARD.encode(&self.body),
            "status": self.status,
        })
        .to_string()
    }
}

#[derive(Default)]
struct Ledger {
    heard: Vec<Heard>,
    by_key: HashMap<String, usize>,
    file: Option<File>,
}

struct Shared {
    began: Instant,
    ledger: Mutex<Ledger>,
    answer: Box<dyn Fn(&Heard) -> Reply + Send + Sync>,
}

/// A running receiver.
pub(crate) struct Receiver {
    server: Server,
    shared: Arc<Shared>,
}

impl Receiver {
    /// Answers each request as `answer` says; it sees the request with `status` not yet known.
    pub(crate) fn start(answer: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            began: Instant::now(),
            ledger: Mutex::default(),
            answer: Box::new(answer),
        });
        let for_tasks = Arc::clone(&shared);
        let server = Server::start("receiver", move |stream| {
            let shared = Arc::clone(&for_tasks);
            async move {
                let service = service_fn(move |request| respond(Arc::clone(&shared), request));
                // A client that breaks off is its own test's business.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            }
        });
        Self { server, shared }
    }

    /// Answers the first requests as listed and every later one with 200.
    pub(crate) fn scripted(script: Vec<Reply>) -> Self {
        let script = Mutex::new(VecDeque::from(script));
        Self::start(move |_| {
            let next = script.lock().expect("no holder panics").pop_front();
            next.unwrap_or_else(|| Reply::status(200))
        })
    }

    /// From now on each request is appended to this file before it is answered: one JSON object a
    /// line with `method path headers body status`, the body in base64.
    pub(crate) fn keep_in(&self, path: &Path) {
        let file = File::options().create(true).append(true).open(path).expect("a ledger file");
        self.ledger().file = Some(file);
    }

    /// `http://127.0.0.1:PORT` and the path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address)
    }

    /// Every request, in order of arrival.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.ledger().heard.clone()
    }

    /// How many requests came.
    pub(crate) fn count(&self) -> usize {
        self.ledger().heard.len()
    }

    /// The requests to a path.
    pub(crate) fn heard_at(&self, path: &str) -> Vec<Heard> {
        self.heard().into_iter().filter(|heard| heard.path == path).collect()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.shared.ledger.lock().expect("no holder panics")
    }
}

/// Breaks the connection: hyper drops it when a service fails.
#[derive(Debug)]
struct HangUp;

impl std::fmt::Display for HangUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hung up as scripted")
    }
}

impl std::error::Error for HangUp {}

impl From<Infallible> for HangUp {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

async fn respond(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, HangUp> {
    let (parts, body) = request.into_parts();
    // A body that breaks off was never heard: the client knows that it was not answered.
    let body = body.collect().await.map_err(|_| HangUp)?.to_bytes();
    let reply = keep(&shared, &parts, body);
    tokio::time::sleep(reply.delay).await;
    let Some(status) = reply.status else {
        return Err(HangUp);
    };
    let mut response = Response::builder().status(status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(Bytes::from(reply.body))).expect("a script has valid headers"))
}

fn keep(shared: &Shared, parts: &hyper::http::request::Parts, body: Bytes) -> Reply {
    let headers = parts.headers.iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let mut heard = Heard {
        at: shared.began.elapsed(),
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        headers: headers.collect(),
        body,
        earlier: 0,
        status: None,
    };
    let mut ledger = shared.ledger.lock().expect("no holder panics");
    if !heard.key().is_empty() {
        let count = ledger.by_key.entry(heard.key().to_owned()).or_default();
        heard.earlier = *count;
        *count += 1;
    }
    let reply = (shared.answer)(&heard);
    heard.status = reply.status;
    if let Some(file) = ledger.file.as_mut() {
        writeln!(file, "{}", heard.ledger_line()).expect("the ledger can be written");
    }
    ledger.heard.push(heard);
    reply
}
