//! On the wire, served by hyper.

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tower::Layer;

use crate::scene::healthy;

async fn connect() -> DuplexStream {
    let service = healthy("db").await.layer().layer(Router::new());
    let (client, server) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let service = TowerToHyperService::new(service);
        let served = auto::Builder::new(TokioExecutor::new());
        served.serve_connection(TokioIo::new(server), service).await.unwrap();
    });
    client
}

/// A load balancer that asks by `HEAD` must not take the next answer for a body.
#[tokio::test]
async fn head_sends_a_length_and_no_body_and_the_connection_goes_on() {
    let mut client = connect().await;
    let requests = "HEAD /health HTTP/1.1\r\nhost: a\r\n\r\n\
                    GET /health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    client.write_all(requests.as_bytes()).await.unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    let answers: Vec<_> = text.split("HTTP/1.1 200 OK\r\n").skip(1).collect();
    let [head, get] = answers[..] else { panic!("{text}") };
    assert!(head.contains("content-length: ") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(get.ends_with("\r\n\r\n{\"status\":\"healthy\",\"environment\":\"blue\"}"), "{get}");
}

#[tokio::test]
async fn a_request_in_absolute_form_finds_its_page_and_a_strange_one_passes_through() {
    for (target, expected) in
        [("http://orders.internal/health/ready", "200 OK"), ("/health%2Fready", "404 Not Found")]
    {
        let mut client = connect().await;
        let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {expected}")), "{text}");
    }
}
