use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bluegreen_core::{Color, Following};
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::lanes::Lanes;
use crate::stats::Counts;
use crate::target::Targets;
use crate::{
    CheckError, DrainError, Peer, ProxyBody, ProxyConfig, ProxyDriver, ProxyError, Stats, check,
};

/// A reverse proxy that sends each request to a color by the deployment's phase.
///
/// Cloning is cheap; all clones are one proxy. It is a tower service for any HTTP server; its
/// [`ProxyDriver`] has a server of its own, and checks the targets' health.
#[derive(Clone)]
pub struct Proxy {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) config: ProxyConfig,
    pub(crate) check_path: PathAndQuery,
    pub(crate) lanes: Lanes,
    pub(crate) targets: Targets,
    pub(crate) counts: Counts,
}

impl Proxy {
    /// A proxy that follows a deployment, and the driver that must run for its health checks.
    ///
    /// # Errors
    /// When a field of the configuration cannot be used.
    pub fn new(
        following: Following,
        config: ProxyConfig,
    ) -> Result<(Self, ProxyDriver), ProxyError> {
        let shared = Arc::new(Shared {
            check_path: config.checked()?,
            config,
            lanes: Lanes::new(following),
            targets: Targets::default(),
            counts: Counts::default(),
        });
        let proxy = Self { shared };
        Ok((proxy.clone(), ProxyDriver::new(proxy)))
    }

    /// Replaces the targets of a color, and has new ones checked at once. One that stays keeps
    /// its health and its connections; one that goes ends what it has begun.
    pub fn set_targets(&self, color: Color, addresses: impl AsRef<[SocketAddr]>) {
        self.shared.targets.set(color, addresses.as_ref(), &self.shared.config);
    }

    /// The targets of a color.
    #[must_use]
    pub fn targets(&self, color: Color) -> Vec<SocketAddr> {
        self.shared.targets.of(color).iter().map(|target| target.address()).collect()
    }

    /// Checks all targets of a color now: what to ask before it gets its first share. The results
    /// also count towards the targets' health, and once this has answered without an error all of
    /// them get requests. Cancel safe.
    ///
    /// # Errors
    /// When the color has no targets, or any of them fails the check or has not passed enough of
    /// them in a row yet; ask again then.
    pub async fn check(&self, color: Color) -> Result<(), CheckError> {
        check::color(&self.shared, color).await
    }

    /// How many requests of a color are under way: sent, or about to be, and their responses not
    /// yet passed on whole.
    #[must_use]
    pub fn in_flight(&self, color: Color) -> u64 {
        self.shared.lanes.count(color)
    }

    /// Closes a color that gets no requests any more and waits until the last one is over. Once
    /// this has answered, none follows before the phase gives the color a share again: its
    /// processes may stop. There is no time limit in here. Cancel safe; the color then stays
    /// closed as long as it has no share.
    ///
    /// # Errors
    /// When the color has a share, or gets one while it drains.
    pub async fn drain(&self, color: Color) -> Result<(), DrainError> {
        self.shared.lanes.drain(color).await
    }

    /// What the proxy has done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.counts.read()
    }
}

impl<B> Service<Request<B>> for Proxy
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<ProxyBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<ProxyBody>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        let peer = request.extensions_mut().remove::<Peer>();
        Box::pin(async move { Ok(shared.forward(request, peer.as_ref()).await) })
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
