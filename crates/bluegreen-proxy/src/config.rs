use std::num::NonZeroU32;
use std::time::Duration;

use http::uri::PathAndQuery;

use crate::ProxyError;

/// hyper adds the head's time-out to the present, which `Duration::MAX` would overflow.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// How a [`Proxy`](crate::Proxy) works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProxyConfig {
    /// What is asked of a target to see whether it is healthy: any 2xx is. Default:
    /// `/health/ready`.
    pub check_path: String,
    /// The time between two checks of a target; the first one comes at once. Default: 5 s.
    pub check_interval: Duration,
    /// How long a check may take, connecting included. Default: 2 s.
    pub check_timeout: Duration,
    /// How many good checks in a row an unhealthy target needs to be healthy again; its very
    /// first check decides alone. Default: 2.
    pub rise: NonZeroU32,
    /// How many bad checks in a row make a healthy target unhealthy. Default: 3, so that one slow
    /// answer takes no target away.
    pub fall: NonZeroU32,
    /// How long connecting to a target may take. Default: 2 s.
    pub connect_timeout: Duration,
    /// How long a target may take from the start of a request, its body included, to the head of
    /// its response. Default: 60 s, as an ALB's idle time-out.
    pub response_timeout: Duration,
    /// How long a client may take to send a request's head; a kept connection may be idle as
    /// long. Behind an ALB choose more than its idle time-out (60 s), so that the ALB is the one
    /// that closes. Default: 30 s. At most a year.
    pub head_timeout: Duration,
    /// How many idle connections are kept for each target. Default: 256; two, as some clients
    /// have it, open a connection for almost every request under load.
    pub idle_per_target: usize,
    /// How long an idle connection is kept; it may be one `check_interval` more. Choose less than
    /// the targets' own limit, so that the proxy is the one that closes. Default: 30 s.
    pub idle_timeout: Duration,
    /// Whether the client is a proxy of ours, such as an ALB: then its `Forwarded` and
    /// `X-Forwarded-*` headers are kept, and it is added to `X-Forwarded-For`. Else they are
    /// dropped, as anybody can send them. Default: no.
    pub trust_forwarded: bool,
    /// Whether responses carry `x-bluegreen-color` with the color that answered. Default: yes.
    pub show_color: bool,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            check_path: "/health/ready".to_owned(),
            check_interval: Duration::from_secs(5),
            check_timeout: Duration::from_secs(2),
            rise: NonZeroU32::MIN.saturating_add(1),
            fall: NonZeroU32::MIN.saturating_add(2),
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(60),
            head_timeout: Duration::from_secs(30),
            idle_per_target: 256,
            idle_timeout: Duration::from_secs(30),
            trust_forwarded: false,
            show_color: true,
        }
    }
}

macro_rules! with {
    ($($(#[$doc:meta])* $name:ident $field:ident: $type:ty;)*) => {
        impl ProxyConfig {
            $($(#[$doc])*
            #[must_use]
            pub const fn $name(mut self, $field: $type) -> Self {
                self.$field = $field;
                self
            })*
        }
    };
}

with! {
    /// The same with another [`check_interval`](Self::check_interval).
    with_check_interval check_interval: Duration;
    /// The same with another [`check_timeout`](Self::check_timeout).
    with_check_timeout check_timeout: Duration;
    /// The same with another [`rise`](Self::rise).
    with_rise rise: NonZeroU32;
    /// The same with another [`fall`](Self::fall).
    with_fall fall: NonZeroU32;
    /// The same with another [`connect_timeout`](Self::connect_timeout).
    with_connect_timeout connect_timeout: Duration;
    /// The same with another [`response_timeout`](Self::response_timeout).
    with_response_timeout response_timeout: Duration;
    /// The same with another [`head_timeout`](Self::head_timeout).
    with_head_timeout head_timeout: Duration;
    /// The same with another [`idle_per_target`](Self::idle_per_target).
    with_idle_per_target idle_per_target: usize;
    /// The same with another [`idle_timeout`](Self::idle_timeout).
    with_idle_timeout idle_timeout: Duration;
    /// The same with another [`trust_forwarded`](Self::trust_forwarded).
    with_trust_forwarded trust_forwarded: bool;
    /// The same with another [`show_color`](Self::show_color).
    with_show_color show_color: bool;
}

impl ProxyConfig {
    /// The same with another [`check_path`](Self::check_path).
    #[must_use]
    pub fn with_check_path(mut self, path: impl Into<String>) -> Self {
        self.check_path = path.into();
        self
    }

    /// Checks all fields; the check path in the form that requests need.
    pub(crate) fn checked(&self) -> Result<PathAndQuery, ProxyError> {
        for (field, time) in [
            ("check_interval", self.check_interval),
            ("check_timeout", self.check_timeout),
            ("connect_timeout", self.connect_timeout),
            ("response_timeout", self.response_timeout),
            ("head_timeout", self.head_timeout),
        ] {
            if time.is_zero() {
                return Err(ProxyError::config(field, "0 s", "more than zero"));
            }
        }
        if self.head_timeout > YEAR {
            let found = format!("{:?}", self.head_timeout);
            return Err(ProxyError::config("head_timeout", &found, "at most a year"));
        }
        let path = self.check_path.parse::<PathAndQuery>().ok();
        path.filter(|_| self.check_path.starts_with('/')).ok_or_else(|| {
            ProxyError::config("check_path", &self.check_path, "a path such as \"/health/ready\"")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_field_is_named_with_its_value() {
        let config = ProxyConfig::default().with_head_timeout(Duration::ZERO);
        let error = config.checked().unwrap_err().to_string();
        assert_eq!(error, "head_timeout is 0 s: allowed is more than zero");
        let config = ProxyConfig::default().with_head_timeout(Duration::MAX);
        let error = config.checked().unwrap_err().to_string();
        assert!(error.ends_with("allowed is at most a year"), "{error}");
        for path in ["", "ready", "/a b", "http://a/b"] {
            let error = ProxyConfig::default().with_check_path(path).checked().unwrap_err();
            assert!(error.to_string().starts_with(&format!("check_path is {path}: ")), "{error}");
        }
        assert!(ProxyConfig::default().checked().is_ok());
    }
}
