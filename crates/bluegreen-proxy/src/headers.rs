//! What a proxy must take out of a message's headers, and put in. Pure.

use http::HeaderMap;
use http::header::{
    CONNECTION, CONTENT_LENGTH, FORWARDED, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};

use crate::Peer;

/// Meant for one connection, not for the next (RFC 9110, 7.6.1). `Trailer` is no such header:
/// without it hyper sends no trailers on.
const HOP_BY_HOP: [HeaderName; 6] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TRANSFER_ENCODING,
    UPGRADE,
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Prepares a client's headers for a target. `host` is what the request asked for.
pub(crate) fn to_target(
    headers: &mut HeaderMap,
    host: HeaderValue,
    scheme: HeaderValue,
    peer: Option<&Peer>,
    trusted: bool,
) {
    let trailers = accepts_trailers(headers);
    remove_hop_by_hop(headers);
    headers.remove(TE);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    if !trusted {
        remove_forwarded(headers);
    }
    if let Some(peer) = peer {
        add_peer(headers, peer);
    }
    headers.entry(FORWARDED_PROTO).or_insert(scheme);
    headers.entry(FORWARDED_HOST).or_insert_with(|| host.clone());
    headers.insert(HOST, host);
}

/// Prepares a target's headers for the client.
pub(crate) fn to_client(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    headers.remove(TE);
}

/// Whether a header says where a request came from. A proxy of ours wrote it, or nobody did.
fn is_forwarded(name: &HeaderName) -> bool {
    *name == FORWARDED || name.as_str().starts_with("x-forwarded-")
}

fn remove_forwarded(headers: &mut HeaderMap) {
    let names: Vec<_> = headers.keys().filter(|name| is_forwarded(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    // A length beside a transfer coding is a lie to somebody: the coding has framed the body.
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    if headers.contains_key(CONNECTION) {
        remove_named(headers);
        headers.remove(CONNECTION);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Removes the headers that `Connection` names, but for those that say where a request came from:
/// else a client could have a trusted proxy's words about it taken out.
fn remove_named(headers: &mut HeaderMap) {
    let usual = |value: &HeaderValue| {
        value.as_bytes().eq_ignore_ascii_case(b"keep-alive")
            || value.as_bytes().eq_ignore_ascii_case(b"close")
    };
    let lists = headers.get_all(CONNECTION).iter().filter(|value| !usual(value));
    let lists: Vec<HeaderValue> = lists.cloned().collect();
    for list in &lists {
        for name in list.as_bytes().split(|byte| *byte == b',') {
            let name = HeaderName::from_bytes(name.trim_ascii());
            if let Some(name) = name.ok().filter(|name| !is_forwarded(name)) {
                headers.remove(name);
            }
        }
    }
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(TE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).any(
        |coding| {
            let coding = coding.split(|byte| *byte == b';').next().unwrap_or_default();
            coding.trim_ascii().eq_ignore_ascii_case(b"trailers")
        },
    )
}

/// Adds the peer to those that a trusted proxy has named.
fn add_peer(headers: &mut HeaderMap, peer: &Peer) {
    let Some(_) = headers.get(FORWARDED_FOR) else {
        headers.insert(FORWARDED_FOR, peer.written().clone());
        return;
    };
    let mut all = Vec::new();
    for value in headers.get_all(FORWARDED_FOR) {
        all.extend_from_slice(value.as_bytes());
        all.extend_from_slice(b", ");
    }
    all.extend_from_slice(peer.written().as_bytes());
    if let Ok(all) = HeaderValue::from_bytes(&all) {
        headers.insert(FORWARDED_FOR, all);
    }
}

#[cfg(test)]
mod tests;
