use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::roster::Place;

/// A socket that tells of the bytes that arrive and leave, and that can be cut after its handler
/// took it over by an upgrade.
pub(super) struct Watched {
    stream: TcpStream,
    place: Place,
    reading: UntilCut,
    writing: UntilCut,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, place: Place) -> Self {
        let (reading, writing) = (UntilCut::default(), UntilCut::default());
        Self { stream, place, reading, writing }
    }

    fn written(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let activity = self.place.activity();
        if activity.is_upgraded() {
            return self.writing.or_cut(self.place.cut(), cx, written);
        }
        match &written {
            Poll::Ready(Ok(_)) => activity.sent(Instant::now()),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => activity.blocked(),
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        let activity = this.place.activity();
        if activity.is_upgraded() {
            return this.reading.or_cut(this.place.cut(), cx, read);
        }
        ready!(read)?;
        if let Some(bytes) = buf.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
            activity.received(bytes, Instant::now);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// What wakes one direction of an upgraded socket when the server cuts it. It is made when that
/// direction first waits, so that ordinary connections pay nothing for it.
#[derive(Default)]
struct UntilCut {
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl UntilCut {
    fn or_cut<T>(
        &mut self,
        cut: &watch::Receiver<()>,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        // A socket that always has something to do is cut as well.
        let is_cut = cut.has_changed().is_err();
        if is_cut || (outcome.is_pending() && self.waiting(cut).poll(cx).is_ready()) {
            let text = "the server is shutting down and has cut this connection";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, text)));
        }
        outcome
    }

    fn waiting(&mut self, cut: &watch::Receiver<()>) -> Pin<&mut (dyn Future<Output = ()> + Send)> {
        let waiting = self.waiting.get_or_insert_with(|| {
            let mut cut = cut.clone();
            // Nothing is ever sent; it ends when the other side is dropped.
            Box::pin(async move { while cut.changed().await.is_ok() {} })
        });
        waiting.as_mut()
    }
}
