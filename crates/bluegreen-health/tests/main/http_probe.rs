use std::convert::Infallible;

use axum::Router;
use axum::routing::get;
use bluegreen_health::{FaultKind, HttpProbe, Probe};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::StreamBody;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::scene::{first_result, nobody};

fn probe(uri: &str) -> HttpProbe {
    let client = Client::builder(TokioExecutor::new()).build_http::<String>();
    HttpProbe::new(client, uri.parse::<Uri>().unwrap())
}

async fn kind(probe: impl Into<Probe>) -> Option<FaultKind> {
    first_result(probe).await.kind
}

#[tokio::test]
async fn another_service_is_asked_over_a_real_socket() {
    let router = Router::new()
        .route("/health/live", get(|| async { "x".repeat(100_000) }))
        .route("/busy", get(|| async { StatusCode::TOO_MANY_REQUESTS }))
        .route(
            "/secret",
            get(|headers: http::HeaderMap| async move {
                if headers.contains_key("x-token") { StatusCode::OK } else { StatusCode::FORBIDDEN }
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(axum::serve(listener, router).into_future());
    let uri = |path: &str| format!("{base}{path}");
    assert_eq!(kind(probe(&uri("/health/live"))).await, None);
    assert_eq!(kind(probe(&uri("/busy"))).await, Some(FaultKind::Throttled));
    assert_eq!(kind(probe(&uri("/nowhere"))).await, Some(FaultKind::Misconfigured));
    let expected = probe(&uri("/nowhere")).expecting(|status| status == 404);
    assert_eq!(kind(expected).await, None);
    assert_eq!(kind(probe(&uri("/secret"))).await, Some(FaultKind::Denied));
    let name = HeaderName::from_static("x-token");
    let with_token = probe(&uri("/secret")).header(name, HeaderValue::from_static("t"));
    assert_eq!(kind(with_token).await, None);
    server.abort();
}

#[tokio::test]
async fn failing_to_connect_and_failing_to_answer_are_two_kinds() {
    let (_deaf, nobody) = nobody();
    assert_eq!(kind(probe(&format!("http://{nobody}/"))).await, Some(FaultKind::Unreachable));

    // One that takes the request and breaks off, before the head and within it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        for answer in ["", "HTTP/1.1 200 OK\r\ncontent-le"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 1024];
            assert!(stream.read(&mut head).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    for _ in 0..2 {
        let broken = kind(probe(&format!("http://{address}/"))).await;
        assert_eq!(broken, Some(FaultKind::Disconnected));
    }
    server.await.unwrap();
}

#[tokio::test]
async fn any_tower_service_is_a_client() {
    let client = tower::service_fn(|request: Request<String>| async move {
        assert_eq!(request.uri().path(), "/live");
        Ok::<_, Infallible>(Response::new(String::from("fine")))
    });
    assert_eq!(kind(HttpProbe::new(client, Uri::from_static("http://x/live"))).await, None);
}

#[tokio::test(start_paused = true)]
async fn the_status_is_the_answer_though_the_body_has_no_end() {
    for (code, expected) in [(503, Some("answered 503")), (200, None)] {
        let client = tower::service_fn(move |_: Request<String>| async move {
            type Frame = Result<http_body::Frame<bytes::Bytes>, Infallible>;
            let endless = StreamBody::new(futures_util::stream::pending::<Frame>());
            Ok::<_, Infallible>(Response::builder().status(code).body(endless).unwrap())
        });
        let check = first_result(HttpProbe::new(client, Uri::from_static("http://x/"))).await;
        assert_eq!(check.message.as_deref(), expected);
    }
}

#[test]
fn its_debug_form_keeps_the_credentials_of_its_uri() {
    let client =
        tower::service_fn(|_: Request<String>| async { Ok::<_, Infallible>(Response::new(())) });
    let uri = Uri::from_static("http://admin:secret@inventory/live?token=secret");
    let text = format!("{:?}", HttpProbe::new(client, uri));
    assert!(text.contains("inventory") && !text.contains("secret"), "{text}");
}
