use std::num::NonZeroUsize;
use std::time::Duration;

use crate::ServerError;

/// What a [`Server`](crate::Server) puts up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// How long the head of a request may take from its first byte to its last. It does not hold
    /// for a head that was begun, pipelined, while the request before was under way, nor after a
    /// request with a body, the rest of which cannot be told from a head: there
    /// [`idle_timeout`](Self::idle_timeout) holds. Default: 10 s.
    pub header_timeout: Duration,
    /// How long a connection stays open without a request, or while its client takes nothing of an
    /// answer that is complete. It must be longer than the idle timeout
    /// of the load balancer in front (60 s by default on an ALB): else the server now and then
    /// closes a connection on which a request is on its way, and the client sees a 502. Default:
    /// 75 s.
    pub idle_timeout: Duration,
    /// How many connections may be open at once, websockets among them; further ones wait
    /// unaccepted, and are taken beyond the limit when the listener closes. Default: no limit.
    pub max_connections: Option<NonZeroUsize>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            max_connections: None,
        }
    }
}

impl ServerConfig {
    /// The same with another [`header_timeout`](Self::header_timeout).
    #[must_use]
    pub const fn with_header_timeout(mut self, header_timeout: Duration) -> Self {
        self.header_timeout = header_timeout;
        self
    }

    /// The same with another [`idle_timeout`](Self::idle_timeout).
    #[must_use]
    pub const fn with_idle_timeout(mut self, idle_timeout: Duration) -> Self {
        self.idle_timeout = idle_timeout;
        self
    }

    /// The same with a limit of connections.
    #[must_use]
    pub const fn with_max_connections(mut self, max_connections: NonZeroUsize) -> Self {
        self.max_connections = Some(max_connections);
        self
    }

    pub(crate) fn check(&self) -> Result<(), ServerError> {
        let fields = [("header_timeout", self.header_timeout), ("idle_timeout", self.idle_timeout)];
        for (field, value) in fields {
            if value.is_zero() {
                return Err(ServerError { field, value, bound: "above zero" });
            }
        }
        Ok(())
    }
}
