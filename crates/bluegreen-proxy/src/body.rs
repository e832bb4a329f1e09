use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bluegreen_core::InFlightGuard;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::pool::Leased;

/// The body of a response: the target's, passed on as it comes, or a line of the proxy's own.
///
/// The request counts as in flight until this body has ended or is dropped.
#[derive(Debug)]
pub struct ProxyBody(Kind);

enum Kind {
    Relayed { body: Incoming, until_end: Option<UntilEnd> },
    Text(Option<Bytes>),
}

/// What a response holds until its body has ended.
struct UntilEnd {
    connection: Leased,
    _in_flight: InFlightGuard,
}

impl ProxyBody {
    pub(crate) fn relayed(body: Incoming, connection: Leased, in_flight: InFlightGuard) -> Self {
        let until_end = UntilEnd { connection, _in_flight: in_flight };
        Self(Kind::Relayed { body, until_end: Some(until_end) })
    }

    pub(crate) const fn text(text: &'static str) -> Self {
        Self(Kind::Text(Some(Bytes::from_static(text.as_bytes()))))
    }
}

impl Body for ProxyBody {
    type Data = Bytes;
    type Error = ProxyBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ProxyBodyError>>> {
        match &mut self.0 {
            Kind::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Kind::Relayed { body, until_end } => {
                let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
                let broken = matches!(frame, Some(Err(_)));
                if !broken && (frame.is_none() || body.is_end_stream()) {
                    end_whole(until_end);
                }
                Poll::Ready(frame.map(|frame| frame.map_err(ProxyBodyError)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Relayed { body, .. } => body.is_end_stream(),
            Kind::Text(text) => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Relayed { body, .. } => body.size_hint(),
            Kind::Text(text) => SizeHint::with_exact(
                text.as_ref().map_or(0, |text| u64::try_from(text.len()).unwrap_or(u64::MAX)),
            ),
        }
    }
}

impl Drop for ProxyBody {
    fn drop(&mut self) {
        // A server does not poll a body that says it is at its end: HEAD, 204, an empty one.
        if let Kind::Relayed { body, until_end } = &mut self.0
            && body.is_end_stream()
        {
            end_whole(until_end);
        }
    }
}

/// The connection has given all it had to: it can carry the next request.
fn end_whole(until_end: &mut Option<UntilEnd>) {
    if let Some(UntilEnd { connection, _in_flight }) = until_end.take() {
        connection.give_back();
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Relayed { .. } => "Relayed",
            Self::Text(_) => "Text",
        })
    }
}

/// The target broke off within the body of its response.
#[derive(Debug, thiserror::Error)]
#[error("the target broke off within the body of its response")]
pub struct ProxyBodyError(#[source] hyper::Error);
