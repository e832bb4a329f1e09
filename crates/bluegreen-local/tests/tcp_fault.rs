//! The TCP proxy before a server that echoes. Real sockets: no paused clock here.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use bluegreen_core::{Stop, Stopper};
use bluegreen_local::tcp_fault::{Fault, TcpFault, TcpFaultError, TcpFaultReport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Long enough never to be reached unless something hangs.
const HANG: Duration = Duration::from_secs(30);

async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut reads, mut writes) = stream.split();
                drop(tokio::io::copy(&mut reads, &mut writes).await);
                drop(writes.shutdown().await);
            });
        }
    });
    address
}

struct Running {
    fault: TcpFault,
    stopper: Stopper,
    proxy: JoinHandle<Result<TcpFaultReport, TcpFaultError>>,
}

async fn running() -> Running {
    let (fault, proxy) = TcpFault::start(echo().await).unwrap();
    let (stopper, stop) = Stop::new();
    Running { fault, stopper, proxy: tokio::spawn(proxy.run(stop)) }
}

async fn ask(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
    stream.write_all(text.as_bytes()).await?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    Ok(String::from_utf8(answer).unwrap())
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG, future).await.expect("it hangs")
}

#[tokio::test]
async fn without_a_fault_bytes_and_the_end_pass_both_ways() {
    let running = running().await;
    let mut stream = TcpStream::connect(running.fault.addr()).await.unwrap();
    assert_eq!(soon(ask(&mut stream, "hello")).await.unwrap(), "hello");
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
    running.stopper.stop(HANG);
    assert_eq!(soon(running.proxy).await.unwrap().unwrap().accepted, 1);
}

#[tokio::test]
async fn latency_holds_every_chunk_back_and_loses_none() {
    let running = running().await;
    let mut stream = TcpStream::connect(running.fault.addr()).await.unwrap();
    running.fault.set(Fault::Latency(Duration::from_millis(20)));
    let before = tokio::time::Instant::now();
    assert_eq!(soon(ask(&mut stream, "slow")).await.unwrap(), "slow");
    // There and back: never less than twice the latency, however fast the machine.
    assert!(before.elapsed() >= Duration::from_millis(40));
}

#[tokio::test]
async fn a_reset_ends_open_connections_and_new_ones() {
    let running = running().await;
    let mut stream = TcpStream::connect(running.fault.addr()).await.unwrap();
    soon(ask(&mut stream, "hello")).await.unwrap();
    running.fault.set(Fault::Reset);
    let error = soon(stream.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let mut fresh = TcpStream::connect(running.fault.addr()).await.unwrap();
    let error = soon(fresh.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    running.fault.clear();
    let mut healed = TcpStream::connect(running.fault.addr()).await.unwrap();
    assert_eq!(soon(ask(&mut healed, "again")).await.unwrap(), "again");
}

#[tokio::test]
async fn half_open_connections_pass_nothing_until_the_fault_ends() {
    let running = running().await;
    let mut open = TcpStream::connect(running.fault.addr()).await.unwrap();
    soon(ask(&mut open, "hello")).await.unwrap();
    running.fault.set(Fault::HalfOpen);
    let mut fresh = TcpStream::connect(running.fault.addr()).await.unwrap();
    for stream in [&mut open, &mut fresh] {
        stream.write_all(b"x").await.unwrap();
        let nothing = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
        assert!(nothing.is_err(), "something passed: {nothing:?}");
    }
    running.fault.clear();
    for stream in [&mut open, &mut fresh] {
        assert_eq!(soon(stream.read_u8()).await.unwrap(), b'x');
    }
}

#[tokio::test]
async fn refusing_turns_new_connections_away_and_lets_open_ones_go_on() {
    let running = running().await;
    let mut open = TcpStream::connect(running.fault.addr()).await.unwrap();
    soon(ask(&mut open, "hello")).await.unwrap();
    running.fault.set(Fault::Refuse);
    let refused = soon(async {
        loop {
            match TcpStream::connect(running.fault.addr()).await {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
                // Still in the queue of the listener that just closed.
                _ => tokio::task::yield_now().await,
            }
        }
    });
    refused.await;
    assert_eq!(soon(ask(&mut open, "still")).await.unwrap(), "still");
    running.fault.clear();
    let mut healed = soon(async {
        loop {
            match TcpStream::connect(running.fault.addr()).await {
                Ok(stream) => return stream,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert_eq!(soon(ask(&mut healed, "again")).await.unwrap(), "again");
}

#[tokio::test]
async fn stopping_closes_every_connection() {
    let running = running().await;
    let mut stream = TcpStream::connect(running.fault.addr()).await.unwrap();
    soon(ask(&mut stream, "hello")).await.unwrap();
    running.stopper.stop(Duration::ZERO);
    soon(running.proxy).await.unwrap().unwrap();
    assert!(soon(stream.read_u8()).await.is_err());
    assert!(TcpStream::connect(running.fault.addr()).await.is_err());
}
