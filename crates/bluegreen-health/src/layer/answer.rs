use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, VARY};
use http::{Method, Request, Response, StatusCode};

use super::Pages;
use crate::RequestHead;
use crate::answers::{Body, code};
use crate::board::Board;
use crate::paths::Page;
use crate::render::{Format, choose};

/// The answer to a request for one of the health paths; nothing for any other.
pub(super) fn to<B>(board: &Board, pages: Pages, request: &Request<B>) -> Option<Response<Bytes>> {
    let page = board.page(request.uri().path())?;
    if pages == Pages::Short && shows_checks(page) {
        return None;
    }
    let method = request.method();
    if method != Method::GET && method != Method::HEAD {
        return Some(refuse());
    }
    let accepts = request.headers().get_all(ACCEPT).iter();
    let format = choose(accepts.map(HeaderValue::as_bytes));
    let mut response = if shows_checks(page) && board.authorizes(&RequestHead::of(request)) {
        let (status, bytes) = board.detailed(page, format);
        respond(code(status), format, &Body::new(bytes))
    } else {
        board.read(page, |answer| respond(answer.code, format, answer.body(format)))
    };
    if method == Method::HEAD {
        *response.body_mut() = Bytes::new();
    }
    Some(response)
}

const fn shows_checks(page: Page) -> bool {
    matches!(page, Page::All | Page::Group(_))
}

fn respond(code: StatusCode, format: Format, body: &Body) -> Response<Bytes> {
    let mut response = Response::new(body.bytes.clone());
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(CONTENT_LENGTH, body.length.clone());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    response
}

fn refuse() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
