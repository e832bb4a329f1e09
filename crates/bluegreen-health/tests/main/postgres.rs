use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bluegreen_core::Stop;
use bluegreen_health::{
    ExpectedRole, Fault, FaultKind, Health, HealthConfig, PoolState, PostgresProbe, Probe, Status,
};
use bluegreen_local::postgres::Postgres;
use bluegreen_local::tcp_fault::{self, TcpFault};
use deadpool_postgres::{Pool, PoolError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_postgres::{Config, NoTls};

use crate::scene::{first_result, identity, nobody, run, until};

fn pool(url: &str, size: usize) -> Pool {
    let manager = deadpool_postgres::Manager::new(url.parse().unwrap(), NoTls);
    let pool = Pool::builder(manager).max_size(size);
    let pool = pool.runtime(deadpool_postgres::Runtime::Tokio1);
    pool.wait_timeout(Some(Duration::from_millis(20))).build().unwrap()
}

fn pooled(pool: &Pool) -> PostgresProbe {
    let pool = pool.clone();
    let connect = move || {
        let pool = pool.clone();
        async move {
            pool.get().await.map_err(|error| match error {
                PoolError::Timeout(_) => Fault::new(FaultKind::Saturated).caused_by(error),
                error => error.into(),
            })
        }
    };
    PostgresProbe::new(connect, |client| client)
}

fn own(url: &str) -> PostgresProbe {
    let config: Config = url.parse().unwrap();
    PostgresProbe::own(move || {
        let config = config.clone();
        async move { config.connect(NoTls).await }
    })
}

/// The class of a probe's first result, and its message; `None` for a pass.
async fn ask(probe: impl Into<Probe>) -> Option<(FaultKind, String)> {
    let check = first_result(probe).await;
    check.kind.map(|kind| (kind, check.message.unwrap_or_default().into_owned()))
}

/// A health that asks often.
fn hasty(probe: impl Into<Probe>) -> (Health, tokio::task::JoinHandle<()>) {
    let config = HealthConfig::default()
        .with_interval(Duration::from_millis(20))
        .with_staleness(Duration::from_secs(60));
    run(Health::builder(&identity()).config(config).probe("db", probe))
}

fn kind(health: &Health) -> Option<FaultKind> {
    health.snapshot().checks[0].kind
}

#[tokio::test]
async fn a_real_server_is_asked_for_its_role() {
    let server = Postgres::from_env_or_start().await.unwrap();
    let pool = pool(&server.url("postgres"), 1);
    assert_eq!(ask(pooled(&pool)).await, None);
    assert_eq!(ask(pooled(&pool).expecting(ExpectedRole::Any)).await, None);
    let (kind, message) = ask(pooled(&pool).expecting(ExpectedRole::Reader)).await.unwrap();
    assert_eq!(kind, FaultKind::WrongRole);
    assert_eq!(message, "the writer answers where a reader is expected");

    // A writer that was made read-only still answers `SELECT 1`.
    let connection = pool.get().await.unwrap();
    connection.batch_execute("SET default_transaction_read_only = on").await.unwrap();
    drop(connection);
    let (kind, message) = ask(pooled(&pool)).await.unwrap();
    assert_eq!((kind, message.as_str()), (FaultKind::WrongRole, "the writer is read-only"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_is_demoted_takes_the_process_out_and_promoted_back_in() {
    // A server of its own: a given one is not to be demoted.
    let server = Postgres::start().await.unwrap();
    let url = server.url("postgres");
    let (writer, _one) = hasty(own(&url));
    let (reader, _two) = hasty(own(&url).expecting(ExpectedRole::Reader));
    until(|| writer.status() == Status::Healthy).await;
    until(|| kind(&reader) == Some(FaultKind::WrongRole)).await;

    let server = server.demoted().await.unwrap();
    // It answers `SELECT 1`, and yet this process must not take writes.
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.simple_query("SELECT 1").await.unwrap();
    until(|| kind(&writer) == Some(FaultKind::WrongRole)).await;
    until(|| writer.status() == Status::Unhealthy).await;
    until(|| reader.status() == Status::Healthy).await;

    server.promote().await.unwrap();
    until(|| writer.status() == Status::Healthy).await;
    until(|| kind(&reader) == Some(FaultKind::WrongRole)).await;
    server.stop().await;
}

#[tokio::test]
async fn a_full_pool_is_saturated_and_a_server_that_is_gone_unreachable() {
    let server = Postgres::from_env_or_start().await.unwrap();
    let url = server.url("postgres");
    let full = pool(&url, 1);
    let taken = full.get().await.unwrap();
    assert_eq!(ask(pooled(&full)).await.unwrap().0, FaultKind::Saturated);
    drop(taken);
    assert_eq!(ask(pooled(&full)).await, None);

    let missing = pool(&server.url("no_such_database"), 1);
    assert_eq!(ask(pooled(&missing)).await.unwrap().0, FaultKind::Misconfigured);
    let (_deaf, nobody) = nobody();
    let gone = pool(&format!("postgres://postgres@{nobody}/postgres"), 1);
    let (kind, message) = ask(pooled(&gone)).await.unwrap();
    assert_eq!((kind, message.as_str()), (FaultKind::Unreachable, "cannot be reached"));
    server.stop().await;
}

/// Without a time-out of its own a pool lets everybody wait for ever.
#[tokio::test]
async fn a_pool_that_only_lets_wait_is_saturated_when_its_numbers_say_so() {
    let server = Postgres::from_env_or_start().await.unwrap();
    let manager = deadpool_postgres::Manager::new(server.url("postgres").parse().unwrap(), NoTls);
    let patient = Pool::builder(manager).max_size(1).build().unwrap();
    let state = {
        let patient = patient.clone();
        move || {
            let status = patient.status();
            PoolState::new(status.max_size, status.size, status.available).waiting(status.waiting)
        }
    };
    let _taken = patient.get().await.unwrap();
    let soon = || pooled(&patient).connect_within(Duration::from_millis(50));
    assert_eq!(ask(soon().pool(state)).await.unwrap().0, FaultKind::Saturated);
    // Nobody can know it without the numbers.
    assert_eq!(ask(soon()).await.unwrap().0, FaultKind::Unreachable);
    server.stop().await;
}

#[tokio::test]
async fn beside_a_full_pool_the_probe_of_its_own_connection_still_sees_the_server() {
    let server = Postgres::from_env_or_start().await.unwrap();
    let url = server.url("postgres");
    let full = pool(&url, 1);
    let state = {
        let full = full.clone();
        move || {
            let status = full.status();
            PoolState::new(status.max_size, status.size, status.available).waiting(1)
        }
    };
    let taken = full.get().await.unwrap();
    let (kind, message) = ask(own(&url).pool(state.clone())).await.unwrap();
    assert_eq!(kind, FaultKind::Saturated);
    assert_eq!(message, "no free connection: all 1 are in use, 1 wait");
    // What is worse than a full pool is told first.
    let reader = own(&url).expecting(ExpectedRole::Reader).pool(state.clone());
    assert_eq!(ask(reader).await.unwrap().0, FaultKind::WrongRole);
    drop(taken);
    let check = first_result(own(&url).pool(state)).await;
    let numbers: Vec<_> = check.observed.iter().map(|o| (&*o.name, o.value)).collect();
    let expected = [("connections", 1), ("free_connections", 1), ("max_connections", 1)];
    assert_eq!((check.kind, numbers), (None, expected.to_vec()));
    server.stop().await;
}

#[tokio::test]
async fn the_own_connection_is_one_and_is_kept_while_all_is_well() {
    let server = Postgres::from_env_or_start().await.unwrap();
    let url = server.url("postgres");
    let (health, task) = hasty(own(&format!("{url}?application_name=health_probe")));
    let runs = || health.snapshot().checks[0].last_run;
    until(|| runs().is_some()).await;
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let next_run = async || {
        let before = runs();
        until(|| runs() != before).await;
    };
    let backends = async || {
        next_run().await;
        const ASK: &str =
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'health_probe'";
        let rows = client.query(ASK, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>()
    };
    let first = backends().await;
    assert_eq!(first.len(), 1);
    for _ in 0..5 {
        assert_eq!(backends().await, first);
    }
    // Closed by somebody else, as servers and proxies do with idle ones, it is replaced unnoticed.
    let mut events = health.events();
    client.execute("SELECT pg_terminate_backend($1)", &[&first[0]]).await.unwrap();
    const IS_THERE: &str = "SELECT 1 FROM pg_stat_activity WHERE pid = $1";
    while !client.query(IS_THERE, &[&first[0]]).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    next_run().await;
    let second = backends().await;
    assert!(second.len() == 1 && second != first, "{first:?} {second:?}");
    task.abort();
    drop(task.await);
    drop(health);
    assert_eq!(events.next().await, None);
    server.stop().await;
}

/// The name may lead elsewhere by the next run.
#[tokio::test]
async fn a_connection_to_a_server_in_another_role_is_opened_anew() {
    let server = Postgres::from_env_or_start().await.unwrap();
    let config: Config = server.url("postgres").parse().unwrap();
    let opened = Arc::new(AtomicUsize::new(0));
    let probe = {
        let opened = Arc::clone(&opened);
        PostgresProbe::own(move || {
            opened.fetch_add(1, Ordering::SeqCst);
            let config = config.clone();
            async move { config.connect(NoTls).await }
        })
    };
    let (health, task) = hasty(probe.expecting(ExpectedRole::Reader));
    until(|| opened.load(Ordering::SeqCst) >= 3).await;
    assert_eq!(kind(&health), Some(FaultKind::WrongRole));
    task.abort();
    server.stop().await;
}

/// A server that lets everybody in and answers no question; counts who is connected.
async fn mute_server() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x01\0\0\0\x02Z\0\0\0\x05I";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connected = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connected);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                count.fetch_add(1, Ordering::SeqCst);
                let mut bytes = vec![0; 4096];
                if stream.read(&mut bytes).await.is_ok() {
                    stream.write_all(WELCOME).await.ok();
                    while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
                }
                count.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (address, connected)
}

#[tokio::test]
async fn a_server_that_hangs_in_mid_query_keeps_one_connection_at_most() {
    let (address, connected) = mute_server().await;
    let probe = own(&format!("postgres://u@{address}/d?sslmode=disable"));
    let (health, task) = hasty(Probe::from(probe).with_timeout(Duration::from_millis(50)));
    let runs = || health.snapshot().checks[0].last_run;
    for _ in 0..15 {
        let before = runs();
        until(|| runs() != before).await;
        assert_eq!(kind(&health), Some(FaultKind::TimedOut));
        // The one of the run under way, and the one before it for as long as the news take.
        until(|| connected.load(Ordering::SeqCst) <= 1).await;
    }
    task.abort();
    until(|| connected.load(Ordering::SeqCst) == 0).await;
}

/// Known from windmill and others: a silent peer is never noticed without `tcp_user_timeout`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_gone_silent_is_a_failure_in_time_and_is_replaced() {
    let server = Postgres::from_env_or_start().await.unwrap();
    let upstream = ([127, 0, 0, 1], server.port()).into();
    let (fault, proxy) = TcpFault::start(upstream).unwrap();
    let proxy = tokio::spawn(proxy.run(Stop::never()));
    let url = server
        .url("postgres")
        .replace(&server.port().to_string(), &fault.addr().port().to_string());
    // Each result stands for long enough to be seen on a busy machine.
    let probe = Probe::from(own(&url).connect_within(Duration::from_secs(1)));
    let (health, task) = hasty(probe.with_timeout(Duration::from_secs(2)));
    until(|| health.status() == Status::Healthy).await;
    fault.set(tcp_fault::Fault::HalfOpen);
    // First the kept connection does not answer, then no new one comes about.
    until(|| kind(&health) == Some(FaultKind::TimedOut)).await;
    until(|| kind(&health) == Some(FaultKind::Unreachable)).await;
    let message = health.snapshot().checks[0].message.clone().unwrap();
    assert_eq!(message, "no connection within 1s");
    fault.clear();
    until(|| health.status() == Status::Healthy).await;
    task.abort();
    proxy.abort();
    server.stop().await;
}

#[tokio::test]
async fn a_plain_client_fits_without_a_pool() {
    let server = Postgres::from_env_or_start().await.unwrap();
    assert_eq!(ask(own(&server.url("postgres"))).await, None);
    server.stop().await;
}
