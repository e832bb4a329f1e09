use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};

use crate::answers::Answer;
use crate::board::Board;

/// The answer to a request for one of the health paths; nothing for any other.
pub(super) fn to(board: &Board, method: &Method, path: &str) -> Option<Response<Bytes>> {
    let paths = &board.paths;
    if path == paths.all {
        Some(board.read(|now, condition| respond(method, now.answers.all.get(condition))))
    } else if path == paths.ready {
        Some(board.read(|now, condition| respond(method, now.answers.ready.get(condition))))
    } else if path == paths.live {
        Some(board.read(|now, _| respond(method, &now.answers.live)))
    } else if path == paths.startup {
        Some(board.read(|now, _| respond(method, &now.answers.startup)))
    } else {
        None
    }
}

fn respond(method: &Method, answer: &Answer) -> Response<Bytes> {
    let body = match *method {
        Method::GET => answer.body.clone(),
        Method::HEAD => Bytes::new(),
        _ => return refuse(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_LENGTH, answer.length.clone());
    response
}

fn refuse() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}
