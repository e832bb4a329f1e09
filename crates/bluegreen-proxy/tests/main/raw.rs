//! Targets and clients that speak bytes.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};

use crate::served::listener;

/// What a raw target does after its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Close,
    Keep,
}

/// A target that answers every request with the same bytes and hands over what it got. Health
/// checks get a plain 200 and are not handed over.
pub struct Raw {
    pub address: SocketAddr,
    got: mpsc::UnboundedReceiver<String>,
    closed: Arc<Semaphore>,
}

impl Raw {
    pub async fn start(answer: &'static str, then: Then) -> Self {
        let (listener, address) = listener().await;
        let (sender, got) = mpsc::unbounded_channel();
        let closed = Arc::new(Semaphore::new(0));
        let ends = Arc::clone(&closed);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(converse(stream, answer, then, sender.clone(), Arc::clone(&ends)));
            }
        });
        Self { address, got, closed }
    }

    /// The next request that arrives, as its bytes.
    pub async fn got(&mut self) -> String {
        self.got.recv().await.unwrap()
    }

    /// How many more requests have arrived.
    pub fn further(&mut self) -> usize {
        std::iter::from_fn(|| self.got.try_recv().ok()).count()
    }

    /// Waits until one more connection was closed.
    pub async fn closed(&self) {
        self.closed.acquire().await.unwrap().forget();
    }
}

async fn converse(
    mut stream: TcpStream,
    answer: &'static str,
    then: Then,
    sender: mpsc::UnboundedSender<String>,
    closed: Arc<Semaphore>,
) {
    while let Some(request) = read_message(&mut stream).await {
        if request.starts_with("GET /health/ready ") {
            let healthy = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(healthy.as_bytes()).await.unwrap();
            return;
        }
        sender.send(request).ok();
        if stream.write_all(answer.as_bytes()).await.is_err() || then == Then::Close {
            break;
        }
    }
    drop(stream);
    closed.add_permits(1);
}

/// One message, by its own framing; nothing where the connection ends before it is whole.
async fn read_message(stream: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !is_whole(&text) {
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    Some(text)
}

fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let head = head.to_ascii_lowercase();
    if head.contains("transfer-encoding: chunked") {
        return body.ends_with("\r\n\r\n")
            && (body.starts_with("0\r\n") || body.contains("\r\n0\r\n"));
    }
    let length = head.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.lines().next()?.parse().ok()).unwrap_or(0);
    body.len() >= length
}

/// Sends bytes and reads until the other side closes.
pub async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is as good as an end.
    stream.read_to_end(&mut answer).await.ok();
    String::from_utf8_lossy(&answer).into_owned()
}
