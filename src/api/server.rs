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
const HEAD_TIME: Duration = Duration::from_mins(1);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::app;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

    struct Rig {
        folder: tempfile::TempDir,
        port: u16,
        shutdown: CancellationToken,
        server: tokio::task::JoinHandle<()>,
    }

    async fn rig() -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let unix = UnixListener::bind(folder.path().join("s")).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = tcp.local_addr().unwrap().port();
        let shutdown = CancellationToken::new();
        let listeners = Listeners { tcp: Some(tcp), unix };
        let server = tokio::spawn(run(app(), listeners, shutdown.clone()));
        Rig { folder, port, shutdown, server }
    }

    fn post(body: &str) -> String {
        let length = body.len();
        format!(
            "POST /v1/events/note HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
    }

    /// Reads until so many answers have come, or the other side is done.
    async fn answers(stream: &mut (impl AsyncRead + Unpin), count: usize) -> Vec<String> {
        let (mut text, mut buffer) = (String::new(), [0; 4096]);
        while text.matches("HTTP/1.1 ").count() < count || !text.ends_with('}') {
            let read = stream.read(&mut buffer).await.unwrap();
            if read == 0 {
                break;
            }
            text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        text.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].to_owned()).collect()
    }

    #[tokio::test]
    async fn a_connection_serves_many_requests_over_tcp_and_the_socket() {
        let rig = rig().await;
        let mut tcp = TcpStream::connect(("127.0.0.1", rig.port)).await.unwrap();
        let mut unix = UnixStream::connect(rig.folder.path().join("s")).await.unwrap();
        let pipelined = format!("{}{}{}", post("1"), post("{"), post("2"));
        tcp.write_all(pipelined.as_bytes()).await.unwrap();
        assert_eq!(answers(&mut tcp, 3).await, ["202", "400", "202"]);
        unix.write_all(post("1").as_bytes()).await.unwrap();
        assert_eq!(answers(&mut unix, 1).await, ["202"]);
    }

    #[tokio::test]
    async fn too_much_is_refused_so_that_the_sender_hears_it() {
        let rig = rig().await;
        let mut tcp = TcpStream::connect(("127.0.0.1", rig.port)).await.unwrap();
        let large = format!("\"{}\"", "x".repeat(3 * 1024 * 1024));
        tcp.write_all(post(&large).as_bytes()).await.unwrap();
        assert_eq!(answers(&mut tcp, 1).await, ["413"]);
        let mut tcp = TcpStream::connect(("127.0.0.1", rig.port)).await.unwrap();
        let head = post("").replace("length: 0", "length: 99999999\r\nexpect: 100-continue");
        tcp.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(answers(&mut tcp, 1).await, ["413"]);
        let mut tcp = TcpStream::connect(("127.0.0.1", rig.port)).await.unwrap();
        let chunked = post("").replace("content-length: 0", "transfer-encoding: chunked");
        tcp.write_all(chunked.as_bytes()).await.unwrap();
        for _ in 0..40 {
            tcp.write_all(format!("8000\r\n{}\r\n", "x".repeat(0x8000)).as_bytes()).await.unwrap();
        }
        tcp.write_all(b"0\r\n\r\n").await.unwrap();
        assert_eq!(answers(&mut tcp, 1).await, ["413"]);
    }

    #[tokio::test]
    async fn the_end_waits_for_requests_under_way_only() {
        let rig = rig().await;
        let mut idle = TcpStream::connect(("127.0.0.1", rig.port)).await.unwrap();
        let mut slow = TcpStream::connect(("127.0.0.1", rig.port)).await.unwrap();
        let request = post("\"half\"");
        let (first, second) = request.split_at(request.len() - 3);
        slow.write_all(first.as_bytes()).await.unwrap();
        idle.write_all(post("1").as_bytes()).await.unwrap();
        answers(&mut idle, 1).await;
        rig.shutdown.cancel();
        assert_eq!(idle.read(&mut [0; 8]).await.unwrap(), 0, "an idle connection is closed");
        slow.write_all(second.as_bytes()).await.unwrap();
        assert_eq!(answers(&mut slow, 1).await, ["202"]);
        rig.server.await.unwrap();
        assert!(TcpStream::connect(("127.0.0.1", rig.port)).await.is_err());
    }
}
