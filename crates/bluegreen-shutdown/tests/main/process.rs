//! A process of its own, which gets real signals: this test binary, started once more.

use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bluegreen_shutdown::{Level, Lifecycle, LifecycleConfig};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};

use crate::http1::Connection;

const SCENE: &str = "BLUEGREEN_SHUTDOWN_SCENE";

/// Not a test of its own: the process that the tests below start.
#[test]
fn child() {
    let Ok(scene) = std::env::var(SCENE) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(serve(&scene));
}

async fn serve(scene: &str) {
    let config = LifecycleConfig::default().with_drain_delay(Duration::from_secs(1));
    let mut lifecycle = Lifecycle::new(config).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\nlistening on {}", listener.local_addr().unwrap());
    let readiness = lifecycle.stop(Level::Readiness);
    let ready = move || async move {
        if readiness.is_requested() {
            http::StatusCode::SERVICE_UNAVAILABLE
        } else {
            http::StatusCode::OK
        }
    };
    let work = || async {
        tokio::time::sleep(Duration::from_millis(2)).await;
        "done"
    };
    let router = Router::new().route("/ready", get(ready)).route("/work", get(work));
    lifecycle.serve("http", listener, router);
    match scene {
        "blocked" => lifecycle.spawn(Level::Requests, "blocked", |stop| async move {
            stop.requested().await;
            println!("blocking");
            std::future::pending::<Result<(), String>>().await
        }),
        "panic" => lifecycle.spawn(Level::Consumers, "orders", |_| async move {
            if true {
                panic!("no such handler");
            }
            Ok::<_, String>(())
        }),
        _ => {}
    }
    let report = lifecycle.run().await;
    println!("{report}");
    report.exit()
}

struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(scene: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process::child", "--nocapture"])
            .env(SCENE, scene)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn line(&mut self, beginning: &str) -> String {
        loop {
            let line = self.lines.next_line().await.unwrap();
            let line = line.unwrap_or_else(|| panic!("ended before it said {beginning:?}"));
            if let Some(rest) = line.strip_prefix(beginning) {
                return rest.to_owned();
            }
        }
    }

    async fn address(&mut self) -> SocketAddr {
        self.line("listening on ").await.parse().unwrap()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().unwrap().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    async fn end(mut self) -> (String, ExitStatus) {
        let mut text = String::new();
        while let Some(line) = self.lines.next_line().await.unwrap() {
            text.push_str(&line);
            text.push('\n');
        }
        (text, self.child.wait().await.unwrap())
    }
}

#[derive(Default)]
struct Tally {
    answered: AtomicU64,
    failed: AtomicU64,
}

/// A client with a keep-alive connection, which leaves when it is asked to, as a load balancer's
/// does: what it has sent, it wants answered.
async fn client(address: SocketAddr, tally: Arc<Tally>) {
    while let Ok(mut connection) = Connection::open(address).await {
        loop {
            match connection.get("/work").await {
                Ok(answer) if answer.status == 200 && answer.body == "done" => {
                    tally.answered.fetch_add(1, Ordering::Relaxed);
                    if answer.closes {
                        break;
                    }
                }
                _ => {
                    tally.failed.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        }
        // A load balancer asks whether the target is ready before it goes on with it.
        let Ok(mut check) = Connection::open(address).await else { return };
        if !check.get("/ready").await.is_ok_and(|answer| answer.status == 200) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_fails_no_request() {
    let mut process = Process::start("load");
    let address = process.address().await;
    let tally = Arc::new(Tally::default());
    let clients: Vec<_> =
        (0..32).map(|_| tokio::spawn(client(address, Arc::clone(&tally)))).collect();
    let mut half = Connection::open(address).await.unwrap();
    half.send("GET /work HT").await.unwrap();
    while tally.answered.load(Ordering::Relaxed) < 500 {
        tokio::task::yield_now().await;
    }
    process.signal(Signal::TERM);
    for client in clients {
        client.await.unwrap();
    }
    let (text, status) = process.end().await;
    assert_eq!(tally.failed.load(Ordering::Relaxed), 0, "{text}");
    assert!(text.contains("shutdown complete") && text.contains("(SIGTERM)"), "{text}");
    assert_eq!(status.code(), Some(0), "{text}");
}

#[tokio::test]
async fn readiness_goes_at_once_while_requests_are_still_taken() {
    let mut process = Process::start("load");
    let address = process.address().await;
    process.signal(Signal::INT);
    let mut status = 200;
    while status == 200 {
        let mut connection = Connection::open(address).await.unwrap();
        status = connection.get("/ready").await.unwrap().status;
    }
    assert_eq!(status, 503);
    let mut connection = Connection::open(address).await.unwrap();
    let answer = connection.get("/work").await.unwrap();
    assert_eq!((answer.status, answer.closes), (200, true));
    let (text, status) = process.end().await;
    assert!(text.contains("(SIGINT)"), "{text}");
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    let mut process = Process::start("blocked");
    process.address().await;
    process.signal(Signal::TERM);
    process.line("blocking").await;
    process.signal(Signal::TERM);
    let (text, status) = process.end().await;
    assert!(text.contains("shutdown forced"), "{text}");
    assert!(text.contains("driver blocked abandoned"), "{text}");
    assert_eq!(status.code(), Some(3));
}

#[tokio::test]
async fn a_panicking_driver_ends_the_process_and_is_named() {
    let (text, status) = Process::start("panic").end().await;
    assert!(text.contains("driver orders panicked: no such handler"), "{text}");
    assert_eq!(status.code(), Some(1));
}
