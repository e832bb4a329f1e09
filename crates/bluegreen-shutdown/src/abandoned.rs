use std::fmt;
use std::time::Duration;

use http::Method;
use http::uri::PathAndQuery;

/// How many abandoned requests a report names; the rest is counted.
pub(crate) const NAMED: usize = 20;

/// How much of a path or method a report shows: a log event is no place for 64 KiB of it.
const SHOWN_BYTES: usize = 200;

/// A request that was cut off before its client had the whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AbandonedRequest {
    /// Its method; shortened when it is very long.
    pub method: Method,
    /// Its path, never the query, which may hold secrets; shortened when it is very long.
    pub path: String,
    /// How long ago its head was complete.
    pub age: Duration,
    /// Whether it had upgraded its connection (to a websocket, say), which was cut with it.
    pub upgraded: bool,
}

impl AbandonedRequest {
    pub(crate) fn new(
        method: Method,
        target: Option<&PathAndQuery>,
        age: Duration,
        upgraded: bool,
    ) -> Self {
        // Only `CONNECT host:port` has no path.
        let path = target.map_or("", PathAndQuery::path);
        Self { method: shortened_method(method), path: shortened(path), age, upgraded }
    }
}

impl fmt::Display for AbandonedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, age, upgraded } = self;
        let what = if *upgraded { "upgraded connection" } else { "request" };
        write!(f, "{what} {method} {path} cut after {age:.1?}")
    }
}

/// Keeps the oldest of them, in order of age.
pub(crate) fn keep_oldest(requests: &mut Vec<AbandonedRequest>) {
    requests.sort_by_key(|request| std::cmp::Reverse(request.age));
    requests.truncate(NAMED);
}

fn shortened_method(method: Method) -> Method {
    let shown = method.as_str().as_bytes().get(..SHOWN_BYTES);
    match shown.filter(|shown| shown.len() < method.as_str().len()) {
        // Dots may be part of a method, an ellipsis may not.
        Some(shown) => Method::from_bytes(&[shown, b"..."].concat()).unwrap_or_default(),
        None => method,
    }
}

fn shortened(path: &str) -> String {
    if path.len() <= SHOWN_BYTES {
        return path.to_owned();
    }
    let end = (0..=SHOWN_BYTES).rev().find(|end| path.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", path.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, age: u64) -> AbandonedRequest {
        let target = target.parse().unwrap();
        AbandonedRequest::new(Method::GET, Some(&target), Duration::from_secs(age), false)
    }

    #[test]
    fn a_request_is_named_without_its_query() {
        let text = request("/orders/17?token=secret", 3).to_string();
        assert_eq!(text, "request GET /orders/17 cut after 3.0s");
    }

    #[test]
    fn a_very_long_path_is_shortened_between_two_characters() {
        let long = format!("/{}", "ä".repeat(300));
        let path = shortened(&long);
        assert_eq!(path, format!("/{}…", "ä".repeat(99)));
        assert_eq!(shortened(&long[..199]).len(), 199);
    }

    #[test]
    fn a_very_long_method_is_shortened_as_well() {
        let long = Method::from_bytes("M".repeat(100_000).as_bytes()).unwrap();
        let request = AbandonedRequest::new(long, None, Duration::ZERO, false);
        assert_eq!(request.method.as_str(), format!("{}...", "M".repeat(200)));
        let known = Method::from_bytes("M".repeat(200).as_bytes()).unwrap();
        let request = AbandonedRequest::new(known.clone(), None, Duration::ZERO, false);
        assert_eq!(request.method, known);
    }

    #[test]
    fn the_oldest_are_kept_in_order_of_age() {
        let mut requests: Vec<_> = (0..30).map(|age| request("/", age)).collect();
        keep_oldest(&mut requests);
        let ages: Vec<_> = requests.iter().map(|request| request.age.as_secs()).collect();
        assert_eq!(ages, (10..30).rev().collect::<Vec<_>>());
    }
}
