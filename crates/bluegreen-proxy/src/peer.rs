use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;

/// Who sent a request, for `X-Forwarded-For`.
///
/// The proxy's own server knows it. Another server that calls the proxy as a tower service puts it
/// into the request's extensions; without it no `X-Forwarded-For` is added.
#[derive(Clone, Debug)]
pub struct Peer {
    address: IpAddr,
    // Made once a connection, as every request of it needs the same.
    written: HeaderValue,
}

impl Peer {
    /// The peer at the other end of a connection.
    #[must_use]
    pub fn new(peer: SocketAddr) -> Self {
        let address = peer.ip().to_canonical();
        let written = HeaderValue::try_from(address.to_string());
        Self { address, written: written.unwrap_or(HeaderValue::from_static("unknown")) }
    }

    /// The address, an IPv4 one also where it came mapped into IPv6.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    pub(crate) const fn written(&self) -> &HeaderValue {
        &self.written
    }
}
