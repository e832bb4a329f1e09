use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use bluegreen_core::{Color, Revision};

use super::*;

const ARTICLE: &str = r#"{"version":"1.0","type":"OrderPlaced","payload":{"n":1},"timestamp":"2026-11-22T10:00:00.5Z"}"#;

#[test]
fn the_articles_four_fields_are_read_and_written_as_they_are() {
    let envelope: Envelope = ARTICLE.parse().unwrap();
    assert_eq!(envelope.version(), ContractVersion::new(1, 0));
    assert_eq!((envelope.id(), envelope.color(), envelope.revision()), (None, None, None));
    assert_eq!(envelope.to_string(), ARTICLE);
}

#[test]
fn fields_not_known_survive_digit_by_digit() {
    let text = ARTICLE.replace("1}", "12345678901234567890.123456789012345678}");
    let head = text.strip_suffix('}').unwrap();
    let text = format!(r#"{head},"big":1e999,"trace":{{"a":[1, 2]}}}}"#);
    let envelope: Envelope = text.parse().unwrap();
    assert_eq!(envelope.other("big"), Some("1e999"));
    assert_eq!(envelope.other("trace"), Some(r#"{"a":[1, 2]}"#));
    assert_eq!(envelope.to_string(), text);
}

#[test]
fn a_foreign_id_stays_what_it_is() {
    let text = format!(r#"{},"color":"purple","id":17}}"#, &ARTICLE[..ARTICLE.len() - 1]);
    let envelope: Envelope = text.parse().unwrap();
    assert_eq!((envelope.id(), envelope.other("id")), (None, Some("17")));
    assert_eq!(envelope.color(), None);
    assert_eq!(envelope.to_string(), text);
    let ours = envelope.with_id("a").with_color(Color::Green);
    assert_eq!(ours.to_string().parse::<Envelope>().unwrap(), ours);
}

#[test]
fn what_is_not_an_envelope_says_why() {
    let table = [
        ("", "not an object of JSON in which each field appears once"),
        ("[]", "not an object of JSON in which each field appears once"),
        ("{\"version\":\"1.0\",\"version\":\"2.0\"}", "not an object of JSON in which each field"),
        ("{}", "the field \"version\" is missing"),
        ("{\"version\":1}", "the field \"version\" does not fit"),
        ("{\"version\":\"one\"}", "the field \"version\" does not fit"),
        ("{\"version\":\"1.0\",\"type\":\"A\"}", "the field \"payload\" is missing"),
        (
            "{\"version\":\"1.0\",\"type\":\"A\",\"payload\":1,\"timestamp\":\"yesterday\"}",
            "the field \"timestamp\" does not fit",
        ),
    ];
    for (text, expected) in table {
        let error = text.parse::<Envelope>().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

#[test]
fn no_depth_makes_it_panic() {
    let deep = |open: &str, close: &str| open.repeat(200_000) + "1" + &close.repeat(200_000);
    for payload in [deep("[", "]"), deep("{\"a\":", "}"), "[".repeat(200_000)] {
        let text = ARTICLE.replace("{\"n\":1}", &payload);
        if let Ok(envelope) = text.parse::<Envelope>() {
            assert_eq!(envelope.payload(), payload);
        }
        drop(payload.parse::<Envelope>());
    }
}

#[test]
fn only_what_we_write_is_a_claim_or_a_marker_and_both_survive() {
    let with = |more: &str| format!("{},{more}}}", &ARTICLE[..ARTICLE.len() - 1]);
    let key = "0123456789abcdef0123456789abcdef";
    for foreign in ["7", r#""""#, r#""7""#, r#""+7:key""#, r#""7:key""#, &format!("\"07:{key}\"")] {
        let text = with(&format!(r#""bluegreen-claim":{foreign}"#));
        let envelope: Envelope = text.parse().unwrap();
        assert_eq!((envelope.claim(), envelope.other("bluegreen-claim")), (None, Some(foreign)));
        assert_eq!(envelope.to_string(), text);
    }
    let claim: Claim = format!("7:{key}").parse().unwrap();
    let envelope: Envelope = with(r#""bluegreen-after":7"#).parse().unwrap();
    assert_eq!((envelope.after(), envelope.other("bluegreen-after")), (None, Some("7")));
    let ours = envelope.with_after("m\"1").with_claim(claim.clone()).with_id("i");
    for ours in [ours.clone(), ours.into_cloud_event("/shop").unwrap()] {
        let bodies = crate::Bodies::default();
        let read = bodies.read(&ours.to_string(), UNIX_EPOCH).unwrap();
        assert_eq!((&read, read.after(), read.claim()), (&ours, Some("m\"1"), Some(&claim)));
        let whole = read.with_payload("[1]").unwrap();
        assert_eq!((whole.payload(), whole.claim()), ("[1]", None));
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".*", bytes: Vec<u8>) {
        drop(text.parse::<Envelope>());
        drop(String::from_utf8_lossy(&bytes).parse::<Envelope>());
    }

    #[test]
    fn no_broken_envelope_makes_it_panic(at in 0..ARTICLE.len(), cut in 0..40usize, put in ".{0,6}") {
        let end = (at + cut).min(ARTICLE.len());
        let text = format!("{}{put}{}", &ARTICLE[..at], &ARTICLE[end..]);
        if let Ok(envelope) = text.parse::<Envelope>() {
            prop_assert_eq!(envelope.to_string().parse::<Envelope>().unwrap(), envelope);
        }
    }

    #[test]
    fn what_is_written_reads_back_equal(
        kind in ".*", major: u16, minor: u16, text in ".*", id in proptest::option::of(".*"),
        revision in proptest::option::of(0u64..), millis in 0u64..1 << 42, other in ".*",
    ) {
        let payload = serde_json::to_string(&text).unwrap();
        let at = UNIX_EPOCH + Duration::from_millis(millis);
        let version = ContractVersion::new(major, minor);
        let mut envelope = Envelope::from_json(&kind, version, &payload, at).unwrap();
        if let Some(id) = id {
            envelope = envelope.with_id(id).with_color(Color::Blue);
        }
        if let Some(revision) = revision {
            envelope = envelope.with_revision(Revision::new(revision));
        }
        if !["version", "type", "payload", "timestamp", "id", "color", "revision", "traceparent", "tracestate"].contains(&&*other) {
            envelope.others.put(&other, serde_json::from_str("[1e400]").unwrap());
        }
        let read: Envelope = envelope.to_string().parse().unwrap();
        prop_assert_eq!(read.timestamp(), at);
        prop_assert_eq!(read, envelope);
    }
}
