//! The answers that the proxy gives by itself. They name the class of what went wrong and never an
//! address or an error's text: those are for the log.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};

use crate::ProxyBody;

/// Why a request that had a color got no response from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    NoTarget,
    Unreachable,
    Broken,
    TimedOut,
    BadBody,
}

/// Why a request is not passed on, whatever the color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No host, two of them, or one that is not text.
    Host,
    /// CONNECT asks for a tunnel.
    Connect,
    /// A path that cannot be asked of a target.
    Path,
}

pub(crate) fn failed(failure: Failure) -> Response<ProxyBody> {
    match failure {
        Failure::NoTarget => text(StatusCode::SERVICE_UNAVAILABLE, "no healthy target\n"),
        Failure::Unreachable => text(StatusCode::BAD_GATEWAY, "no target took the request\n"),
        Failure::Broken => text(StatusCode::BAD_GATEWAY, "the target broke off\n"),
        Failure::TimedOut => {
            text(StatusCode::GATEWAY_TIMEOUT, "the target did not answer in time\n")
        }
        Failure::BadBody => text(StatusCode::BAD_REQUEST, "the request's body is broken\n"),
    }
}

pub(crate) fn refused(refusal: Refusal) -> Response<ProxyBody> {
    match refusal {
        Refusal::Host => text(StatusCode::BAD_REQUEST, "a request needs exactly one host\n"),
        Refusal::Path => text(StatusCode::BAD_REQUEST, "the request's target is not a path\n"),
        Refusal::Connect => text(StatusCode::NOT_IMPLEMENTED, "no tunnels here\n"),
    }
}

pub(crate) fn unrouted() -> Response<ProxyBody> {
    text(StatusCode::SERVICE_UNAVAILABLE, "no deployment is known\n")
}

fn text(status: StatusCode, text: &'static str) -> Response<ProxyBody> {
    let mut response = Response::new(ProxyBody::text(text));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
