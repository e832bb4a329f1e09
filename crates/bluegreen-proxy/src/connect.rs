//! Connections to targets, and the bodies that are sent over them.

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Sender = SendRequest<SentBody>;

/// Connects. The task that carries the connection ends with the sender, or with the target.
pub(crate) async fn connect(address: SocketAddr, limit: Duration) -> Result<Sender, ConnectError> {
    let connecting = timeout(limit, TcpStream::connect(address)).await;
    let stream = connecting.map_err(|_| ConnectError::TimedOut)?.map_err(ConnectError::Io)?;
    stream.set_nodelay(true).map_err(ConnectError::Io)?;
    let shaken = Builder::new().handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(ConnectError::Http)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%address, error = &error as &dyn std::error::Error, "connection ended");
        }
    });
    Ok(sender)
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("connecting took too long")]
    TimedOut,
    #[error("connecting failed")]
    Io(#[source] io::Error),
    #[error("the connection could not be used")]
    Http(#[source] hyper::Error),
}

/// The body of a request on its way to a target. Only one that does not come from hyper's own
/// server and is not empty costs an allocation.
pub(crate) enum SentBody {
    Empty,
    Incoming(Incoming),
    Boxed(UnsyncBoxBody<Bytes, BoxError>),
}

impl SentBody {
    pub(crate) fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return Self::Empty;
        }
        let mut body = Some(body);
        if let Some(incoming) = (&mut body as &mut dyn Any).downcast_mut::<Option<Incoming>>()
            && let Some(incoming) = incoming.take()
        {
            return Self::Incoming(incoming);
        }
        body.map_or(Self::Empty, |body| Self::Boxed(body.map_err(Into::into).boxed_unsync()))
    }
}

impl Body for SentBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Incoming(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|f| f.map_err(Into::into)))
            }
            Self::Boxed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Incoming(body) => body.is_end_stream(),
            Self::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Incoming(body) => body.size_hint(),
            Self::Boxed(body) => body.size_hint(),
        }
    }
}
