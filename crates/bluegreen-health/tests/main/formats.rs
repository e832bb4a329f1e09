use bluegreen_health::Health;
use http::header::ACCEPT;
use http::{Method, Request};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::scene::{healthy, identity};

/// Code, content type and body of an answer.
async fn ask(health: &Health, method: Method, accept: Option<&str>) -> (u16, String, String) {
    let mut request = Request::builder().method(method).uri("/health");
    if let Some(accept) = accept {
        request = request.header(ACCEPT, accept);
    }
    let response = health.service().oneshot(request.body(String::new()).unwrap()).await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["vary"], "accept");
    let code = response.status().as_u16();
    let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.is_empty() || body.len() == length);
    (code, content_type, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn one_path_answers_in_three_formats() {
    let health = healthy("db").await;
    let cases = [
        (None, "application/json", "{\"status\":\"healthy\",\"environment\":\"blue\""),
        (Some("*/*"), "application/json", "{\"status\":\"healthy\""),
        (
            Some("application/health+json"),
            "application/health+json",
            "{\"status\":\"pass\",\"releaseId\":\"1\",\"serviceId\":\"orders\"",
        ),
        (Some("text/plain"), "text/plain; charset=utf-8", "healthy\ndb: healthy\n"),
        (Some("image/png"), "application/json", "{\"status\":\"healthy\""),
    ];
    for (accept, content_type, beginning) in cases {
        let (code, found, body) = ask(&health, Method::GET, accept).await;
        assert_eq!((code, found.as_str()), (200, content_type), "{accept:?}");
        assert!(body.starts_with(beginning), "{accept:?}: {body}");
        let head = ask(&health, Method::HEAD, accept).await;
        assert_eq!(head, (200, content_type.to_owned(), String::new()));
    }
}

#[tokio::test]
async fn a_process_that_has_not_started_says_so_in_every_format() {
    let probe = bluegreen_health::Probe::new(|| async { Ok::<_, bluegreen_health::Fault>(()) });
    let (health, _refresher) = Health::builder(&identity()).probe("db", probe).build().unwrap();
    for accept in ["application/json", "application/health+json", "text/plain"] {
        let (code, _, body) = ask(&health, Method::GET, Some(accept)).await;
        assert_eq!(code, 503);
        assert!(body.contains("not every critical check has passed yet"), "{body}");
    }
}
