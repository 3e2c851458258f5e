//! A server on a thread of its own, which ends when its handle is dropped.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// A listening server.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on a free port of 127.0.0.1 and hands each connection to `serve` as a task.
    pub(crate) fn start<F, S>(name: &str, mut serve: F) -> Self
    where
        F: FnMut(TcpStream) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let body = async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("a bound port has an address");
            tell.send(address).expect("the starter waits");
            let accept = async {
                loop {
                    // An accept fails when the peer was gone at once; the next one is fine.
                    if let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(serve(stream));
                    }
                }
            };
            tokio::select! { () = accept => {}, _ = stopped => {} }
        };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime")
                    .block_on(body);
            })
            .expect("a thread");
        let address = told.recv().expect("the server says where it listens");
        Self { address, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the server shows in the test that misses its answers.
            let _ = thread.join();
        }
    }
}
