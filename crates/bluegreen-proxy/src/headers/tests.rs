use proptest::prelude::*;

use super::*;

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn sent(lines: &[(&str, &str)], trusted: bool) -> HeaderMap {
    let mut headers = headers(lines);
    let peer = Peer::new("192.0.2.7:80".parse().unwrap());
    let (host, http) = (HeaderValue::from_static("shop"), HeaderValue::from_static("http"));
    to_target(&mut headers, host, http, Some(&peer), trusted);
    headers
}

fn all(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().map(|v| v.to_str().unwrap().to_owned()).collect()
}

#[test]
fn headers_of_one_connection_stay_on_it() {
    let sent = sent(
        &[
            ("connection", "keep-alive, X-Secret"),
            ("Connection", "x-other"),
            ("x-secret", "1"),
            ("x-other", "2"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic xyz"),
            ("proxy-connection", "keep-alive"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
            ("trailer", "x-sum"),
            ("accept", "text/html"),
        ],
        false,
    );
    let mut names: Vec<_> = sent.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let kept = ["accept", "host", "trailer", "x-forwarded-for", "x-forwarded-host"];
    assert_eq!(names, [&kept[..], &["x-forwarded-proto"]].concat());
}

#[test]
fn only_trailers_are_asked_of_the_target() {
    for (te, expected) in [
        ("trailers", Some("trailers")),
        ("gzip, Trailers;q=1", Some("trailers")),
        ("gzip", None),
        ("trailersx", None),
    ] {
        let sent = sent(&[("te", te), ("connection", "te")], false);
        assert_eq!(all(&sent, "te"), expected.into_iter().collect::<Vec<_>>(), "{te}");
        assert_eq!(sent.contains_key(CONNECTION), expected.is_some());
    }
}

#[test]
fn what_a_client_says_about_itself_is_dropped_unless_it_is_trusted() {
    let lines = [
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-for", "10.0.0.2"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "bank"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-prefix", "/admin"),
        ("forwarded", "for=10.0.0.1"),
    ];
    let strange = sent(&lines, false);
    assert_eq!(all(&strange, "x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(all(&strange, "x-forwarded-proto"), ["http"]);
    assert_eq!(all(&strange, "x-forwarded-host"), ["shop"]);
    for name in ["forwarded", "x-forwarded-port", "x-forwarded-prefix"] {
        assert!(!strange.contains_key(name), "{name}");
    }
    let trusted = sent(&lines, true);
    assert_eq!(all(&trusted, "x-forwarded-for"), ["10.0.0.1, 10.0.0.2, 192.0.2.7"]);
    assert_eq!(all(&trusted, "x-forwarded-proto"), ["https"]);
    assert_eq!(all(&trusted, "x-forwarded-host"), ["bank"]);
    assert_eq!(all(&trusted, "forwarded"), ["for=10.0.0.1"]);
    assert_eq!(all(&trusted, "x-forwarded-prefix"), ["/admin"]);
}

#[test]
fn a_client_cannot_have_taken_out_what_a_trusted_proxy_said_of_it() {
    let lines = [
        ("x-forwarded-for", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("connection", "X-Forwarded-For, forwarded, x-secret"),
        ("x-secret", "1"),
    ];
    let sent = sent(&lines, true);
    assert_eq!(all(&sent, "x-forwarded-for"), ["10.0.0.1, 192.0.2.7"]);
    assert_eq!(all(&sent, "forwarded"), ["for=10.0.0.1"]);
    assert!(!sent.contains_key("x-secret"));
}

proptest! {
    #[test]
    fn no_header_named_in_connection_gets_through_and_all_others_do(
        named in proptest::collection::btree_set("x-[a-z]{1,4}", 0..6),
        others in proptest::collection::btree_set("y-[a-z]{1,4}", 0..6),
        junk in "[ ,;a-zA-Z]{0,12}",
    ) {
        let mut map = HeaderMap::new();
        for name in named.iter().chain(&others) {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.insert(name, HeaderValue::from_static("1"));
        }
        let list = named.iter().cloned().collect::<Vec<_>>().join(" ,\t");
        map.append(CONNECTION, HeaderValue::from_str(&list).unwrap());
        map.append(CONNECTION, HeaderValue::from_str(&junk).unwrap());
        to_client(&mut map);
        prop_assert!(!map.contains_key(CONNECTION));
        for name in &named {
            prop_assert!(!map.contains_key(name.as_str()));
        }
        for name in &others {
            prop_assert!(map.contains_key(name.as_str()));
        }
    }
}
