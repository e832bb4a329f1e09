use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use tower_service::Service;

use crate::fault::{has_system_error, kind_of};
use crate::{Fault, FaultKind, Pass, Probe};

type BoxError = Box<dyn Error + Send + Sync>;
type Asked = Pin<Box<dyn Future<Output = Result<StatusCode, Fault>> + Send>>;

/// Asks another service by HTTP, with any client that is a tower service: hyper-util's, or your
/// own with its TLS, its retries off and its headers on.
///
/// A status of 2xx is a pass. 429 is throttled; 401 and 403 are denied; any other 3xx or 4xx is
/// misconfigured, any other 5xx failed. Ask a path that does not look at *its* dependencies
/// (`/health/live` here), or one outage takes down everything above it.
///
/// ```
/// # use bluegreen_health::{HttpProbe, Probe};
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
///
/// let client = Client::builder(TokioExecutor::new()).build_http::<String>();
/// let uri = http::Uri::from_static("http://inventory.internal:8080/health/live");
/// let inventory = Probe::from(HttpProbe::new(client, uri)).degrading();
/// ```
#[derive(Clone)]
#[must_use = "a probe asks nothing before a health runs it"]
pub struct HttpProbe {
    ask: Arc<dyn Fn(Request<()>) -> Asked + Send + Sync>,
    uri: Uri,
    headers: HeaderMap,
    expected: Arc<dyn Fn(StatusCode) -> bool + Send + Sync>,
}

impl HttpProbe {
    /// A probe that gets this URI.
    pub fn new<C, B, R>(client: C, uri: Uri) -> Self
    where
        C: Service<Request<B>, Response = Response<R>> + Clone + Send + Sync + 'static,
        C::Future: Send,
        C::Error: Into<BoxError>,
        B: Default + Send + 'static,
        R: Send + 'static,
    {
        let ask = move |request: Request<()>| -> Asked {
            Box::pin(ask(client.clone(), request.map(|()| B::default())))
        };
        let expected = Arc::new(|status: StatusCode| status.is_success());
        Self { ask: Arc::new(ask), uri, headers: HeaderMap::new(), expected }
    }

    /// The same with a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The same with other statuses as a pass.
    pub fn expecting(
        mut self,
        expected: impl Fn(StatusCode) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.expected = Arc::new(expected);
        self
    }

    fn run(&self) -> impl Future<Output = Result<Pass, Fault>> + Send + use<> {
        let mut request = Request::new(());
        request.uri_mut().clone_from(&self.uri);
        request.headers_mut().clone_from(&self.headers);
        let (asked, expected) = ((self.ask)(request), Arc::clone(&self.expected));
        async move { judge(asked.await?, &*expected) }
    }
}

impl From<HttpProbe> for Probe {
    fn from(probe: HttpProbe) -> Self {
        Self::new(move || probe.run())
    }
}

impl fmt::Debug for HttpProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the whole: it may hold credentials.
        let (host, path) = (self.uri.host(), self.uri.path());
        f.debug_struct("HttpProbe")
            .field("host", &host)
            .field("path", &path)
            .finish_non_exhaustive()
    }
}

async fn ask<C, B, R>(mut client: C, request: Request<B>) -> Result<StatusCode, Fault>
where
    C: Service<Request<B>, Response = Response<R>>,
    C::Error: Into<BoxError>,
{
    poll_fn(|cx| client.poll_ready(cx)).await.map_err(|error| unanswered(error.into()))?;
    let response = client.call(request).await.map_err(|error| unanswered(error.into()))?;
    // The status is the answer. Of the body nothing is read: it may have no end.
    Ok(response.status())
}

fn unanswered(error: BoxError) -> Fault {
    let kind = kind_of(error.as_ref()).unwrap_or_else(|| {
        // Names that are not found and certificates that do not fit come as errors of the system
        // without a kind; a connection that ends in mid-answer is the client's own finding.
        let connecting = has_system_error(error.as_ref());
        if connecting { FaultKind::Unreachable } else { FaultKind::Disconnected }
    });
    Fault::new(kind).caused_by(error)
}

fn judge(status: StatusCode, expected: &dyn Fn(StatusCode) -> bool) -> Result<Pass, Fault> {
    if expected(status) {
        return Ok(Pass::new());
    }
    let kind = match status.as_u16() {
        429 => FaultKind::Throttled,
        401 | 403 | 407 => FaultKind::Denied,
        300..=499 => FaultKind::Misconfigured,
        _ => FaultKind::Failed,
    };
    Err(Fault::new(kind).with_message(format!("answered {}", status.as_u16())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_name_that_is_not_found_is_unreachable_and_an_answer_that_ends_early_disconnected() {
        let cases: [(BoxError, FaultKind); 3] = [
            (io::Error::other("failed to look up address").into(), FaultKind::Unreachable),
            (io::Error::from(io::ErrorKind::ConnectionReset).into(), FaultKind::Disconnected),
            ("connection closed before message completed".into(), FaultKind::Disconnected),
        ];
        for (error, expected) in cases {
            assert_eq!(unanswered(error).kind(), expected);
        }
    }

    #[test]
    fn a_status_that_is_not_expected_has_its_kind() {
        let cases = [
            (204, None),
            (301, Some(FaultKind::Misconfigured)),
            (401, Some(FaultKind::Denied)),
            (404, Some(FaultKind::Misconfigured)),
            (429, Some(FaultKind::Throttled)),
            (503, Some(FaultKind::Failed)),
            (999, Some(FaultKind::Failed)),
        ];
        for (code, expected) in cases {
            let status = StatusCode::from_u16(code).unwrap();
            let fault = judge(status, &|status| status.is_success()).err();
            assert_eq!(fault.as_ref().map(Fault::kind), expected, "{code}");
            assert!(fault.is_none_or(|fault| fault.message == format!("answered {code}")));
        }
        assert!(judge(StatusCode::NOT_FOUND, &|status| status == 404).is_ok());
    }
}
