//! A real server each. Real sockets and processes: no paused clock here.

use std::path::Path;

use bluegreen_local::postgres::Postgres;
use tokio_postgres::{Client, NoTls};

async fn connect(postgres: &Postgres) -> Client {
    let (client, connection) =
        tokio_postgres::connect(&postgres.url("postgres"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn setting(client: &Client, name: &str) -> String {
    client.query_one(&format!("SHOW {name}"), &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_started_server_answers_and_its_data_is_its_own() {
    let (one, other) = tokio::join!(Postgres::start(), Postgres::start());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_ne!(one.port(), other.port());
    let client = connect(&one).await;
    client
        .batch_execute("CREATE TABLE orders (id int); INSERT INTO orders VALUES (7)")
        .await
        .unwrap();
    let id: i32 = client.query_one("SELECT id FROM orders", &[]).await.unwrap().get(0);
    assert_eq!(id, 7);
    let seen = connect(&other).await.query("SELECT id FROM orders", &[]).await;
    assert!(seen.is_err(), "the other server has the table too");
}

#[tokio::test]
async fn it_listens_on_loopback_only_takes_many_connections_and_speaks_utf8() {
    let postgres = Postgres::start().await.unwrap();
    let client = connect(&postgres).await;
    assert_eq!(setting(&client, "listen_addresses").await, "127.0.0.1");
    assert_eq!(setting(&client, "unix_socket_directories").await, "");
    assert_eq!(setting(&client, "max_connections").await, "200");
    assert_eq!(setting(&client, "server_encoding").await, "UTF8");
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(connect(&postgres).await);
    }
    postgres.stop().await;
}

#[tokio::test]
async fn stopping_ends_the_server_and_removes_its_folder() {
    let postgres = Postgres::start().await.unwrap();
    let client = connect(&postgres).await;
    let data = setting(&client, "data_directory").await;
    let url = postgres.url("postgres");
    postgres.stop().await;
    assert!(tokio_postgres::connect(&url, NoTls).await.is_err());
    assert!(!Path::new(&data).exists());
}

#[tokio::test]
async fn dropping_ends_the_server_and_removes_its_folder() {
    let postgres = Postgres::start().await.unwrap();
    let client = connect(&postgres).await;
    let data = setting(&client, "data_directory").await;
    let url = postgres.url("postgres");
    drop(postgres);
    assert!(tokio_postgres::connect(&url, NoTls).await.is_err());
    assert!(!Path::new(&data).exists());
}

#[tokio::test]
async fn it_never_runs_as_root() {
    let postgres = Postgres::start().await.unwrap();
    let client = connect(&postgres).await;
    let data = setting(&client, "data_directory").await;
    let owner = std::os::unix::fs::MetadataExt::uid(&Path::new(&data).metadata().unwrap());
    assert_ne!(owner, 0);
}
