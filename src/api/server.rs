//! Connections: accepting, their bounds, and their end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Listeners;
use super::access::Peer;
use super::routes::App;

/// Connections at a time, each way in: with the buffers below about 64 MiB at worst. More wait in
/// the kernel's queue.
const CONNECTIONS: usize = 1_024;
/// How long the head of a request may take; also how long a connection may be idle.
const HEAD_TIME: Duration = Duration::from_secs(60);
/// Bytes of a head: what nginx and Apache allow with room to spare.
const HEAD_BYTES: usize = 64 * 1024;
/// How long requests under way may take to finish at the end.
const DRAIN_TIME: Duration = Duration::from_secs(10);
/// Pause after a failed accept: with all file handles in use, trying at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown`, then drains.
pub(super) async fn run(app: Arc<App>, listeners: Listeners, shutdown: CancellationToken) {
    let Listeners { tcp, unix } = listeners;
    let tasks = TaskTracker::new();
    let door = || Door {
        app: app.clone(),
        tasks: tasks.clone(),
        room: Arc::new(Semaphore::new(CONNECTIONS)),
        shutdown: shutdown.clone(),
    };
    let (by_socket, by_tcp) = (door(), door());
    let socket = async {
        while let Some(permit) = by_socket.free_place().await {
            match by_socket.unless_over(unix.accept()).await {
                None => break,
                Some(Ok((stream, _))) => by_socket.open(stream, Peer::Socket, permit),
                Some(Err(error)) => pause(&error).await,
            }
        }
    };
    let tcp = async {
        let Some(tcp) = tcp else { return };
        while let Some(permit) = by_tcp.free_place().await {
            match by_tcp.unless_over(tcp.accept()).await {
                None => break,
                Some(Ok((stream, address))) => {
                    // Answers are small and waited for: never held back to be joined with others.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "TCP_NODELAY could not be set");
                    }
                    by_tcp.open(stream, Peer::Tcp(address.ip()), permit);
                }
                Some(Err(error)) => pause(&error).await,
            }
        }
    };
    tokio::join!(socket, tcp);
    tasks.close();
    if tokio::time::timeout(DRAIN_TIME, tasks.wait()).await.is_err() {
        tracing::warn!("{} connections were cut off at the end", tasks.len());
    }
}

/// One way in.
struct Door {
    app: Arc<App>,
    tasks: TaskTracker,
    room: Arc<Semaphore>,
    shutdown: CancellationToken,
}

impl Door {
    async fn unless_over<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => None,
            value = future => Some(value),
        }
    }

    async fn free_place(&self) -> Option<OwnedSemaphorePermit> {
        self.unless_over(self.room.clone().acquire_owned()).await.and_then(Result::ok)
    }

    fn open<S>(&self, stream: S, peer: Peer, permit: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (app, shutdown) = (self.app.clone(), self.shutdown.clone());
        self.tasks.spawn(async move {
            let _permit = permit;
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                let app = app.clone();
                async move { Ok::<_, Infallible>(app.answer(peer, request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .max_buf_size(HEAD_BYTES)
                .pipeline_flush(true)
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            let result = tokio::select! {
                biased;
                result = connection.as_mut() => result,
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = result {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}

async fn pause(error: &std::io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
