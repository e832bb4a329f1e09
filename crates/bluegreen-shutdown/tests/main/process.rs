//! A process of its own, which gets real signals: this test binary, started once more.

use std::error::Error;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::routing::get;
use bluegreen_shutdown::{Level, Lifecycle, LifecycleConfig};
use futures_util::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio_tungstenite::tungstenite::Message;

use crate::http1::Connection;
use crate::running::{Client, http2, http2_get, routes, websocket};

const SCENE: &str = "BLUEGREEN_SHUTDOWN_SCENE";
const ADDRESS: &str = "BLUEGREEN_SHUTDOWN_ADDRESS";

/// What ECS gives a process by default.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Not a test of its own: the process that the tests below start.
#[test]
fn child() {
    let Ok(scene) = std::env::var(SCENE) else { return };
    let address = std::env::var(ADDRESS).unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(serve(&scene, &address));
}

async fn serve(scene: &str, address: &str) {
    let second = Duration::from_secs(1);
    let mut config = LifecycleConfig::default().with_drain_delay(second);
    match scene {
        "cut" => config = config.with_requests(second),
        // For what a test does during it on a busy machine.
        "long delay" => config = config.with_drain_delay(6 * second),
        _ => {}
    }
    let mut lifecycle = Lifecycle::new(config).unwrap();
    let listener = TcpListener::bind(address).await.unwrap();
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
    let router = routes(&lifecycle.stop(Level::Requests), Arc::default());
    let router = router.route("/ready", get(ready)).route("/work", get(work));
    lifecycle.serve("http", listener, router);
    match scene {
        "blocked" | "blocked by itself" => {
            if scene != "blocked" {
                lifecycle.trigger().shut_down();
            }
            lifecycle.spawn(Level::Readiness, "blocked", |stop| async move {
                stop.requested().await;
                println!("blocking");
                std::future::pending::<Result<(), String>>().await
            });
            lifecycle.hook("audit log", async { Ok::<_, String>(()) });
        }
        "panic" => lifecycle.spawn(Level::Consumers, "orders", |_| async move {
            if true {
                panic!("no such handler");
            }
            Ok::<_, String>(())
        }),
        "spawn_blocking" => {
            tokio::task::spawn_blocking(|| {
                println!("a thread is blocked");
                loop {
                    std::thread::park();
                }
            });
        }
        "early" => kill_process(rustix::process::getpid(), Signal::TERM).unwrap(),
        _ => {}
    }
    let report = lifecycle.run().await;
    println!("{report}");
    report.exit()
}

pub(crate) struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) fn start(scene: &str) -> Self {
        Self::start_at("127.0.0.1:0", scene)
    }

    fn start_at(address: &str, scene: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process::child", "--nocapture"])
            .env(SCENE, scene)
            .env(ADDRESS, address)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    pub(crate) async fn line(&mut self, beginning: &str) -> String {
        loop {
            let line = self.lines.next_line().await.unwrap();
            let line = line.unwrap_or_else(|| panic!("ended before it said {beginning:?}"));
            if let Some(rest) = line.strip_prefix(beginning) {
                return rest.to_owned();
            }
        }
    }

    pub(crate) async fn address(&mut self) -> SocketAddr {
        self.line("listening on ").await.parse().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().unwrap().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// What it says from now on, and how it ends: before the time at which it would be killed.
    pub(crate) async fn end(mut self) -> (String, ExitStatus) {
        let end = async {
            let mut text = String::new();
            while let Some(line) = self.lines.next_line().await.unwrap() {
                text.push_str(&line);
                text.push('\n');
            }
            (text, self.child.wait().await.unwrap())
        };
        tokio::time::timeout(STOP_TIMEOUT, end).await.expect("it ends before it would be killed")
    }
}

#[derive(Default)]
struct Tally {
    answered: AtomicU64,
    failed: AtomicU64,
}

impl Tally {
    async fn reaches(&self, answers: u64) {
        while self.answered.load(Ordering::Relaxed) < answers {
            tokio::task::yield_now().await;
        }
    }

    fn count(&self, good: bool) {
        let count = if good { &self.answered } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// A client with a keep-alive connection, which leaves when it is asked to, as a load balancer's
/// does: what it has sent, it wants answered.
async fn client(address: SocketAddr, tally: Arc<Tally>) {
    while let Ok(mut connection) = Connection::open(address).await {
        loop {
            let answer = connection.get("/work").await;
            let good = answer.as_ref().is_ok_and(|a| a.status == 200 && a.body == "done");
            tally.count(good);
            if !good {
                return;
            }
            if answer.is_ok_and(|answer| answer.closes) {
                break;
            }
        }
        // A load balancer asks whether the target is ready before it goes on with it.
        let Ok(mut check) = Connection::open(address).await else { return };
        if !check.get("/ready").await.is_ok_and(|answer| answer.status == 200) {
            return;
        }
    }
}

/// An HTTP/2 client with requests side by side on one connection until a GOAWAY.
async fn client_http2(address: SocketAddr, tally: Arc<Tally>) {
    let (client, connection) = http2(address).await;
    let streams = (0..8).map(|_| {
        let (mut client, tally) = (client.clone(), Arc::clone(&tally));
        tokio::spawn(async move {
            // After the GOAWAY it is not ready any more.
            while client.ready().await.is_ok() {
                match client.send_request(http2_get("/work")).await {
                    Ok(response) => {
                        let body = response.into_body().collect().await;
                        tally.count(body.is_ok_and(|body| body.to_bytes() == "done"));
                    }
                    // It was not sent: the GOAWAY came in between.
                    Err(error) if error.is_canceled() || may_be_sent_again(&error) => return,
                    Err(_) => tally.count(false),
                }
            }
        })
    });
    for stream in streams.collect::<Vec<_>>() {
        stream.await.unwrap();
    }
    connection.await.unwrap().unwrap();
}

/// Whether the GOAWAY crossed the request, which is beyond the last stream that it names: the
/// protocol says that it was not processed.
fn may_be_sent_again(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| {
        cause.is_go_away() && cause.is_remote() && cause.reason() == Some(h2::Reason::NO_ERROR)
    })
}

/// Talks over a websocket until the server says goodbye.
async fn chat(mut socket: Client, tally: Arc<Tally>) {
    loop {
        let sent = socket.send(Message::text("hello")).await.is_ok();
        match socket.next().await {
            Some(Ok(Message::Text(text))) => tally.count(sent && text == "hello"),
            Some(Ok(Message::Close(Some(frame)))) => {
                assert_eq!(frame.reason, "going away");
                return;
            }
            other => panic!("no goodbye: {other:?}"),
        }
    }
}

/// Reads events until their end, which must be a complete one.
async fn listen(mut events: Connection) {
    let text = String::from_utf8(events.closed().await).unwrap();
    assert!(text.contains("data: goodbye") && text.ends_with("0\r\n\r\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_of_every_kind_fails_no_request() {
    let mut process = Process::start("load");
    let address = process.address().await;
    let (http1, http2, chats) = (Arc::default(), Arc::default(), Arc::default());
    let mut clients: Vec<_> = (0..32)
        .map(|_| tokio::spawn(client(address, Arc::clone(&http1))))
        .chain((0..2).map(|_| tokio::spawn(client_http2(address, Arc::clone(&http2)))))
        .collect();
    for _ in 0..4 {
        let socket = websocket(address, "/socket").await;
        clients.push(tokio::spawn(chat(socket, Arc::clone(&chats))));
        let mut events = Connection::open(address).await.unwrap();
        events.send("GET /events HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
        clients.push(tokio::spawn(listen(events)));
    }
    let mut half = Connection::open(address).await.unwrap();
    half.send("GET /work HT").await.unwrap();
    let mut silent = Connection::open(address).await.unwrap();
    for tally in [&http1, &http2, &chats] {
        tally.reaches(500).await;
    }
    process.signal(Signal::TERM);
    let (text, status) = process.end().await;
    for client in clients {
        client.await.unwrap();
    }
    for tally in [http1, http2, chats] {
        assert_eq!(tally.failed.load(Ordering::Relaxed), 0, "{text}");
    }
    assert!(half.closed().await.is_empty() && silent.closed().await.is_empty());
    assert!(text.contains("shutdown complete") && text.contains("(SIGTERM)"), "{text}");
    assert!(text.contains("driver http finished in"), "{text}");
    assert_eq!(status.code(), Some(0), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_end_by_the_deadline_is_cut_and_named_and_the_rest_is_answered() {
    let mut process = Process::start("cut");
    let address = process.address().await;
    let tally = Arc::new(Tally::default());
    let clients: Vec<_> =
        (0..8).map(|_| tokio::spawn(client(address, Arc::clone(&tally)))).collect();
    let mut endless = Connection::open(address).await.unwrap();
    endless.send("GET /endless?token=secret HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    endless.head().await.unwrap();
    let mut mute = websocket(address, "/mute?token=secret").await;
    tally.reaches(100).await;
    process.signal(Signal::TERM);
    let (text, status) = process.end().await;
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(tally.failed.load(Ordering::Relaxed), 0, "{text}");
    endless.closed().await;
    assert!(!matches!(mute.next().await, Some(Ok(_))));
    for line in [
        "shutdown incomplete",
        "driver http finished in",
        "1 request abandoned on 1 connection",
        "1 upgraded connection cut",
        "request GET /endless cut after",
        "upgraded connection GET /mute cut after",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("secret"), "{text}");
    assert_eq!(status.code(), Some(2), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_during_the_drain_leaves_nobody_hanging_and_the_port_free() {
    let mut process = Process::start("long delay");
    let address = process.address().await;
    let tally = Arc::new(Tally::default());
    let clients: Vec<_> =
        (0..8).map(|_| tokio::spawn(client(address, Arc::clone(&tally)))).collect();
    let mut mute = websocket(address, "/mute").await;
    let mut endless = Connection::open(address).await.unwrap();
    endless.send("GET /endless HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    endless.head().await.unwrap();
    tally.reaches(100).await;
    process.signal(Signal::TERM);
    let mut ready = true;
    while ready {
        let mut check = Connection::open(address).await.unwrap();
        ready = check.get("/ready").await.unwrap().status == 200;
    }
    process.signal(Signal::KILL);
    let (_, status) = process.end().await;
    assert_eq!(status.signal(), Some(9));
    for client in clients {
        client.await.unwrap();
    }
    endless.closed().await;
    assert!(!matches!(mute.next().await, Some(Ok(_))));

    let mut next = Process::start_at(&address.to_string(), "load");
    assert_eq!(next.address().await, address);
    let mut connection = Connection::open(address).await.unwrap();
    assert_eq!(connection.get("/work").await.unwrap().body, "done");
}

#[tokio::test]
async fn a_panicking_driver_ends_the_process_and_is_named() {
    let (text, status) = Process::start("panic").end().await;
    assert!(text.contains("driver orders panicked: no such handler"), "{text}");
    assert_eq!(status.code(), Some(1));
}

#[tokio::test]
async fn a_signal_during_the_start_is_kept_for_the_end() {
    let (text, status) = Process::start("early").end().await;
    assert!(text.contains("shutdown complete") && text.contains("(SIGTERM)"), "{text}");
    assert_eq!(status.code(), Some(0));
}
