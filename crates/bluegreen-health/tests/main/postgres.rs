use bluegreen_core::Stop;
use bluegreen_health::{ExpectedRole, Fault, FaultKind, Health, PostgresProbe, Probe};
use bluegreen_local::postgres::Postgres;
use deadpool_postgres::{Pool, PoolError};
use tokio_postgres::NoTls;

use crate::scene::identity;

fn pool(url: &str, size: usize) -> Pool {
    let manager = deadpool_postgres::Manager::new(url.parse().unwrap(), NoTls);
    let pool = Pool::builder(manager).max_size(size);
    let pool = pool.runtime(deadpool_postgres::Runtime::Tokio1);
    pool.wait_timeout(Some(std::time::Duration::from_millis(20))).build().unwrap()
}

fn probe(pool: &Pool) -> PostgresProbe {
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

/// The class of a probe's first result, and its message; `None` for a pass.
async fn ask(probe: impl Into<Probe>) -> Option<(FaultKind, String)> {
    let builder = Health::builder(&identity()).probe("db", probe);
    let (health, refresher) = builder.build().unwrap();
    let running = tokio::spawn(refresher.run(Stop::never()));
    let message = || health.snapshot().checks[0].message.clone().unwrap_or_default();
    crate::scene::until(|| message() != "not checked yet").await;
    running.abort();
    let check = health.snapshot().checks[0].clone();
    check.kind.map(|kind| (kind, message().into_owned()))
}

#[tokio::test]
async fn a_real_server_is_asked_for_its_role() {
    let server = Postgres::from_env_or_start().await.unwrap();
    let pool = pool(&server.url("postgres"), 1);
    assert_eq!(ask(probe(&pool)).await, None);
    assert_eq!(ask(probe(&pool).expecting(ExpectedRole::Any)).await, None);
    let (kind, message) = ask(probe(&pool).expecting(ExpectedRole::Reader)).await.unwrap();
    assert_eq!(kind, FaultKind::WrongRole);
    assert_eq!(message, "the writer answers where a reader is expected");

    // A writer that was made read-only still answers `SELECT 1`.
    let connection = pool.get().await.unwrap();
    connection.batch_execute("SET default_transaction_read_only = on").await.unwrap();
    drop(connection);
    let (kind, message) = ask(probe(&pool)).await.unwrap();
    assert_eq!((kind, message.as_str()), (FaultKind::WrongRole, "the writer is read-only"));
    server.stop().await;
}

#[tokio::test]
async fn a_full_pool_is_saturated_and_a_server_that_is_gone_unreachable() {
    let server = Postgres::from_env_or_start().await.unwrap();
    let url = server.url("postgres");
    let full = pool(&url, 1);
    let taken = full.get().await.unwrap();
    assert_eq!(ask(probe(&full)).await.unwrap().0, FaultKind::Saturated);
    drop(taken);
    assert_eq!(ask(probe(&full)).await, None);

    let missing = pool(&server.url("no_such_database"), 1);
    assert_eq!(ask(probe(&missing)).await.unwrap().0, FaultKind::Misconfigured);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = pool(&format!("postgres://postgres@{nobody}/postgres"), 1);
    let (kind, message) = ask(probe(&gone)).await.unwrap();
    assert_eq!((kind, message.as_str()), (FaultKind::Unreachable, "cannot be reached"));
    server.stop().await;
}

#[tokio::test]
async fn a_plain_client_fits_without_a_pool() {
    let server = Postgres::from_env_or_start().await.unwrap();
    let url = server.url("postgres");
    let connect = move || {
        let url = url.clone();
        async move {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
            tokio::spawn(connection);
            Ok::<_, tokio_postgres::Error>(client)
        }
    };
    assert_eq!(ask(PostgresProbe::new(connect, |client| client)).await, None);
    server.stop().await;
}
