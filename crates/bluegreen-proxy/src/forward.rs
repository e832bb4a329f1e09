//! One request through the proxy: choose a color, try its targets until one has taken the request,
//! pass the response on.

use std::sync::Arc;

use bluegreen_core::{ByColor, Color};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::answer::{self, Failure};
use crate::connect::{BoxError, Sender, SentBody, connect};
use crate::pool::Leased;
use crate::proxy::Shared;
use crate::target::Target;
use crate::upstream_form::upstream_form;
use crate::{Peer, ProxyBody, headers};

const SHOWN: HeaderName = HeaderName::from_static("x-bluegreen-color");
const COLORS: ByColor<HeaderValue> =
    ByColor { blue: HeaderValue::from_static("blue"), green: HeaderValue::from_static("green") };

/// What a try came to that gave no response.
enum Missed {
    /// Nothing of the request was sent: it may go to another target, whatever its method.
    NotSent(Box<Request<SentBody>>),
    /// It was sent, and must not be sent again.
    Failed(Failure),
}

impl Shared {
    pub(crate) async fn forward<B>(
        &self,
        request: Request<B>,
        peer: Option<&Peer>,
    ) -> Response<ProxyBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let request = match upstream_form(request, peer, self.config.trust_forwarded) {
            Ok(request) => request,
            Err(refusal) => {
                self.counts.refused();
                return answer::refused(refusal);
            }
        };
        let Some((color, in_flight)) = self.lanes.enter() else {
            self.counts.unrouted();
            return answer::unrouted();
        };
        self.counts.request(color);
        let mut response = match self.send(color, request).await {
            Ok((response, connection)) => {
                passed_on(response).map(|body| ProxyBody::relayed(body, connection, in_flight))
            }
            Err(failure) => {
                self.counts.failed(color, failure);
                answer::failed(failure)
            }
        };
        if self.config.show_color {
            response.headers_mut().insert(SHOWN, COLORS.get(color).clone());
        }
        response
    }

    /// Tries the color's targets in turn until one has taken the request.
    async fn send(
        &self,
        color: Color,
        mut request: Request<SentBody>,
    ) -> Result<(Response<Incoming>, Leased), Failure> {
        let mut failure = Failure::NoTarget;

        for target in self.targets.in_turn(color) {
            match self.try_target(target, request).await {
                Ok(response) => return Ok(response),
                Err(Missed::Failed(failure)) => return Err(failure),
                Err(Missed::NotSent(returned)) => {
                    self.counts.not_sent(color);
                    failure = Failure::Unreachable;
                    request = *returned;
                }
            }
        }
        Err(failure)
    }

    async fn try_target(
        &self,
        target: Arc<Target>,
        mut request: Request<SentBody>,
    ) -> Result<(Response<Incoming>, Leased), Missed> {
        // A kept connection that the target has just closed gives the request back unsent.
        while let Some(sender) = target.pool().take() {
            match self.try_connection(&target, sender, request).await {
                Err(Missed::NotSent(returned)) => request = *returned,
                answer => return answer,
            }
        }
        match connect(target.address(), self.config.connect_timeout).await {
            Ok(sender) => self.try_connection(&target, sender, request).await,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(address = %target.address(), error, "a target takes no connection");
                Err(Missed::NotSent(Box::new(request)))
            }
        }
    }

    async fn try_connection(
        &self,
        target: &Arc<Target>,
        mut sender: Sender,
        request: Request<SentBody>,
    ) -> Result<(Response<Incoming>, Leased), Missed> {
        let sent = sender.try_send_request(request);
        let Ok(answered) = timeout(self.config.response_timeout, sent).await else {
            return Err(Missed::Failed(Failure::TimedOut));
        };
        match answered {
            // Nothing asked for another protocol, and nobody here speaks one.
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                Err(Missed::Failed(Failure::Broken))
            }
            Ok(response) => Ok((response, Leased { target: Arc::clone(target), sender })),
            Err(mut error) => match error.take_message() {
                Some(request) => Err(Missed::NotSent(Box::new(request))),
                None => Err(Missed::Failed(broken(target, &error.into_error()))),
            },
        }
    }
}

/// Whose fault it is that a request, once begun, got no response.
fn broken(target: &Target, error: &hyper::Error) -> Failure {
    let cause = error as &dyn std::error::Error;
    if error.is_user() {
        tracing::debug!(error = cause, "the body of a request is broken");
        return Failure::BadBody;
    }
    tracing::warn!(address = %target.address(), error = cause, "a target broke off");
    Failure::Broken
}

fn passed_on(mut response: Response<Incoming>) -> Response<Incoming> {
    headers::to_client(response.headers_mut());
    *response.version_mut() = Version::HTTP_11;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use bluegreen_core::{Deployment, Following, Release, ServiceKey};
    use hyper_util::rt::TokioIo;

    use crate::{Proxy, ProxyConfig};

    #[tokio::test]
    async fn a_request_that_a_closing_connection_never_took_comes_back_whole() {
        let (key, release) = (ServiceKey::new("orders").unwrap(), Release::new("1").unwrap());
        let following = Following::fixed(Deployment::first(key, Color::Blue, release));
        let (proxy, _driver) = Proxy::new(following, ProxyConfig::default()).unwrap();
        proxy.set_targets(Color::Blue, ["127.0.0.1:1".parse().unwrap()]);
        let target = proxy.shared.targets.in_turn(Color::Blue).next().unwrap();
        let (near, far) = tokio::io::duplex(1024);
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(near)).await.unwrap();
        // Closed before the connection's task has looked: as a kept one whose target just ended.
        drop(far);
        tokio::spawn(connection);
        let mut request = Request::new(SentBody::Empty);
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = "/order".parse().unwrap();
        let missed = proxy.shared.try_connection(&target, sender, request).await;
        let Err(Missed::NotSent(request)) = missed else { panic!("it must come back") };
        assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/order"));
    }
}
