use std::io;
use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::Backoff;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Takes connections from a listener, and outlives its errors.
pub(super) struct Acceptor {
    listener: TcpListener,
    limit: Option<Arc<Semaphore>>,
    backoff: Backoff,
    failures: u32,
}

impl Acceptor {
    pub(super) fn new(listener: TcpListener, limit: Option<Arc<Semaphore>>) -> Self {
        let backoff = Backoff::new(Duration::from_millis(5), Duration::from_secs(1));
        Self { listener, limit, backoff: backoff.unwrap_or_default(), failures: 0 }
    }

    /// The next connection, once there is room for it. Cancel safe.
    pub(super) async fn next(&mut self) -> (TcpStream, Option<OwnedSemaphorePermit>) {
        let permit = match &self.limit {
            Some(limit) => Arc::clone(limit).acquire_owned().await.ok(),
            None => None,
        };
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    self.failures = 0;
                    return (prepared(stream), permit);
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    // Out of file descriptors or memory: trying again at once would spin.
                    let pause = self.backoff.bound(self.failures);
                    self.failures = self.failures.saturating_add(1);
                    tracing::error!(%error, ?pause, "connections cannot be accepted");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Closes the listener; answers the connections that were made before and wait in its queue.
    pub(super) fn close(self) -> Vec<TcpStream> {
        let mut waiting = Vec::new();
        match self.listener.into_std() {
            Ok(listener) => loop {
                let stream = match listener.accept() {
                    Ok((stream, _)) => stream,
                    Err(error) if concerns_one_connection(&error) => continue,
                    Err(_) => break,
                };
                let stream = stream.set_nonblocking(true).map(|()| stream);
                match stream.and_then(TcpStream::from_std) {
                    Ok(stream) => waiting.push(prepared(stream)),
                    Err(error) => tracing::warn!(%error, "a connection cannot be served"),
                }
            },
            Err(error) => tracing::warn!(%error, "the listener's queue could not be emptied"),
        }
        waiting
    }
}

fn prepared(stream: TcpStream) -> TcpStream {
    // Answers are written whole; waiting for more only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    stream
}

fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
