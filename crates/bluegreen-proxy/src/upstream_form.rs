//! Turns a client's request into the one that a target gets. Pure.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use http_body::Body;

use crate::answer::Refusal;
use crate::connect::{BoxError, SentBody};
use crate::{Peer, headers};

/// The request for a target: path only, HTTP/1.1, one host, nothing of the client's connection.
pub(crate) fn upstream_form<B>(
    request: Request<B>,
    peer: Option<&Peer>,
    trusted: bool,
) -> Result<Request<SentBody>, Refusal>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (mut head, body) = request.into_parts();
    if head.method == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    let host = host(&head.uri, &head.headers)?;
    let scheme = scheme(&head.uri);
    headers::to_target(&mut head.headers, host, scheme, peer, trusted);
    head.uri = path_only(head.uri)?;
    head.version = Version::HTTP_11;
    let body = SentBody::new(body);
    frame(&mut head.headers, &body);
    Ok(Request::from_parts(head, body))
}

/// Announces the body by what it is, not by what was said of it: a length that is not the body's
/// would have the target take the next request of its connection for the rest of this one.
fn frame(headers: &mut HeaderMap, body: &SentBody) {
    let announced = headers.remove(CONTENT_LENGTH).is_some();
    match body.size_hint().exact() {
        Some(0) if announced => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        // The length of any other one hyper's client writes itself.
        Some(_) => {}
        // A body of unknown length it would leave out of a GET, unless told.
        None => {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
}

/// The host that is asked for: the one in the URI wins over the header (RFC 9112, 3.2.2).
fn host(uri: &Uri, headers: &HeaderMap) -> Result<HeaderValue, Refusal> {
    let mut named = headers.get_all(HOST).iter();
    let (first, second) = (named.next(), named.next());
    if second.is_some() {
        return Err(Refusal::Host);
    }
    match (uri.authority(), first) {
        (Some(authority), _) => written(authority),
        (None, Some(host)) if host.as_bytes().iter().all(|byte| is_of_host(*byte)) => {
            Ok(host.clone())
        }
        (None, _) => Err(Refusal::Host),
    }
}

/// Whether a host and its port may be written with this (RFC 3986, 3.2.2), but for the comma, which
/// would make one header of two.
const fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%' | b':' | b'[' | b']')
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=')
}

fn written(authority: &Authority) -> Result<HeaderValue, Refusal> {
    // What stands before an @ is for the one that makes the request, not for a header.
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    HeaderValue::from_str(host).map_err(|_| Refusal::Host)
}

fn scheme(uri: &Uri) -> HeaderValue {
    HeaderValue::from_static(match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => "https",
        Some(_) | None => "http",
    })
}

fn path_only(uri: Uri) -> Result<Uri, Refusal> {
    if uri.authority().is_none() && uri.scheme().is_none() {
        return Ok(uri);
    }
    let path = uri.into_parts().path_and_query;
    let path = path.filter(|path| !path.as_str().is_empty());
    let mut parts = Parts::default();
    parts.path_and_query = Some(path.unwrap_or(PathAndQuery::from_static("/")));
    Uri::from_parts(parts).map_err(|_| Refusal::Path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{Empty, Full};

    fn form(request: http::request::Builder) -> Result<(String, String), Refusal> {
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let formed = upstream_form(request, None, false)?;
        let hosts: Vec<_> = formed.headers().get_all(HOST).iter().collect();
        assert_eq!(hosts.len(), 1);
        assert_eq!(formed.version(), Version::HTTP_11);
        Ok((hosts[0].to_str().unwrap().to_owned(), formed.uri().to_string()))
    }

    #[test]
    fn exactly_one_host_is_sent_on_and_the_uri_wins() {
        let get = || Request::get("/a?b=c");
        let shop = |path: &str| Ok(("shop".to_owned(), path.to_owned()));
        assert_eq!(form(get().header("host", "shop")), shop("/a?b=c"));
        assert_eq!(form(get().version(Version::HTTP_10).header("host", "shop")), shop("/a?b=c"));
        assert_eq!(form(Request::get("http://shop/a").header("host", "bank")), shop("/a"));
        assert_eq!(form(Request::get("http://me:secret@shop")), shop("/"));
        assert_eq!(form(Request::options("*").header("host", "shop")), shop("*"));
        assert_eq!(form(get()), Err(Refusal::Host));
        assert_eq!(form(get().header("host", "a").header("host", "a")), Err(Refusal::Host));
        for fine in ["shop:8080", "[::1]:80", "a-b_c.d~e", "%41"] {
            assert_eq!(form(get().header("host", fine)).unwrap().0, fine);
        }
        for wrong in ["a,b", "me@shop", "a b", "a\tb", "a/b", "a?b", "a#b", "a\\b", "\u{e4}"] {
            assert_eq!(form(get().header("host", wrong)), Err(Refusal::Host), "{wrong}");
        }
        assert_eq!(form(Request::connect("shop:443")), Err(Refusal::Connect));
    }

    #[test]
    fn a_body_is_framed_by_what_it_is_and_not_by_what_is_said_of_it() {
        let framing = |declared: Option<&str>, body: &'static [u8]| {
            let mut request = Request::post("/").header("host", "a");
            if let Some(declared) = declared {
                request = request.header("content-length", declared);
            }
            let request = request.body(Full::new(Bytes::from_static(body))).unwrap();
            let formed = upstream_form(request, None, false).unwrap();
            let length = formed.headers().get("content-length");
            length.map(|length| length.to_str().unwrap().to_owned())
        };
        assert_eq!(framing(None, b""), None);
        assert_eq!(framing(Some("0"), b"").as_deref(), Some("0"));
        // Else the target would take the next request of its connection for the missing bytes.
        assert_eq!(framing(Some("10"), b"").as_deref(), Some("0"));
        // hyper's client writes the length that the body has.
        assert_eq!(framing(Some("10"), b"order"), None);
    }
}
