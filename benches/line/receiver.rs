//! The receiver of webhooks: writes each into its ledger and answers 200, over TCP or TLS. Beside it
//! the one that takes connections and never says a word.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::ledger::Ledgers;
use super::moment;
use super::outcome::Result;

/// A running receiver; it ends with the runtime.
#[derive(Clone)]
pub(crate) struct Receiver {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The ledgers it writes into.
    pub(crate) ledgers: Ledgers,
    foreign: Arc<AtomicU64>,
}

impl Receiver {
    /// Listens on a free port of this machine.
    pub(crate) async fn start(tls: Option<TlsAcceptor>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let receiver = Self {
            address: listener.local_addr()?,
            ledgers: Ledgers::default(),
            foreign: Arc::default(),
        };
        tokio::spawn(receiver.clone().accept(listener, tls));
        Ok(receiver)
    }

    /// Where webhooks go.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Webhooks that belonged to no ledger: late ones of an earlier load, or nonsense.
    pub(crate) fn foreign(&self) -> u64 {
        self.foreign.load(Relaxed)
    }

    async fn accept(self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            // It only costs latency where it fails.
            let _ = stream.set_nodelay(true);
            let (receiver, tls) = (self.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => receiver.serve(stream).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => receiver.serve(stream).await,
                        Err(error) => super::say(&format!("the TLS receiver: {error}")),
                    },
                }
            });
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(move |request| {
            let receiver = self.clone();
            async move { Ok::<_, Infallible>(receiver.hear(request).await) }
        });
        // A sender that breaks off shows in the audit, if it matters.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    async fn hear(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        if let Ok(body) = body.collect().await {
            let at = moment::now();
            let key = parts.headers.get("idempotency-key");
            let key = key.map(http::HeaderValue::as_bytes).unwrap_or_default();
            if !self.ledgers.received(&body.to_bytes(), key, at) {
                self.foreign.fetch_add(1, Relaxed);
            }
        }
        let mut response = Response::new(Full::new(Bytes::from_static(b"{\"ok\":true}")));
        let json = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert(http::header::CONTENT_TYPE, json);
        response
    }
}

/// Takes connections, reads nothing and says nothing.
pub(crate) async fn silent(at: Ipv4Addr) -> Result<SocketAddr> {
    let listener = TcpListener::bind((at, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        let mut held: Vec<TcpStream> = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    Ok(address)
}
