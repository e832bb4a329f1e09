//! Which format a request wants, by its `Accept` (RFC 9110, section 12.5.1). Pure, and without an
//! allocation: it runs at every answer.

use super::Format;

/// How well a format fits: its weight first, then how exactly it was named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    /// In thousandths.
    weight: u16,
    exactness: u8,
}

/// The format by the values of `Accept`. A health check is never refused for what it accepts: one
/// that wants nothing of ours gets the articles' JSON.
pub(crate) fn choose<'a>(accepts: impl Iterator<Item = &'a [u8]>) -> Format {
    let mut fits = Format::ALL.map(|_| None::<Fit>);
    for range in accepts.flat_map(|accept| accept.split(|byte| *byte == b',')) {
        let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let media_type = parts.next().unwrap_or_default();
        let Some(weight) = weight(parts) else { continue };
        for (format, fit) in Format::ALL.into_iter().zip(&mut fits) {
            let exactness = exactness(media_type, format);
            // The most exact range that fits decides, whatever its weight.
            if exactness > 0 && fit.is_none_or(|known| exactness > known.exactness) {
                *fit = Some(Fit { weight, exactness });
            }
        }
    }
    let mut chosen = (Format::Articles, Fit::default());
    for (format, fit) in Format::ALL.into_iter().zip(fits) {
        let fit = fit.unwrap_or_default();
        if fit.weight > 0 && fit > chosen.1 {
            chosen = (format, fit);
        }
    }
    chosen.0
}

/// 3 for the type itself, 2 for `application/*`, 1 for `*/*`, 0 for another.
fn exactness(range: &[u8], format: Format) -> u8 {
    let own: &[u8] = match format {
        Format::Articles => b"application/json",
        Format::Ietf => b"application/health+json",
        Format::Text => b"text/plain",
    };
    let main = |whole: &[u8]| whole.iter().position(|byte| *byte == b'/').unwrap_or(whole.len());
    if range.eq_ignore_ascii_case(own) {
        3
    } else if range == b"*/*" {
        1
    } else {
        match (range.split_at_checked(main(range)), own.split_at_checked(main(own))) {
            (Some((range, b"/*")), Some((own, _))) if range.eq_ignore_ascii_case(own) => 2,
            _ => 0,
        }
    }
}

/// The weight among a range's parameters, 1 by default; nothing where it is none.
fn weight<'a>(mut parameters: impl Iterator<Item = &'a [u8]>) -> Option<u16> {
    let text = parameters.find_map(|parameter| match parameter {
        [b'q' | b'Q', b'=', text @ ..] => Some(text),
        _ => None,
    });
    text.map_or(Some(1_000), thousandths)
}

/// `0.85` as 850: one digit, a point and up to three more.
fn thousandths(text: &[u8]) -> Option<u16> {
    let (whole, decimals) = match text {
        [whole] | [whole, b'.'] => (whole, &[][..]),
        [whole, b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
        _ => return None,
    };
    let mut value = digit(*whole)?;
    for at in 0..3 {
        value = value * 10 + decimals.get(at).map_or(Some(0), |byte| digit(*byte))?;
    }
    (value <= 1_000).then_some(value)
}

fn digit(byte: u8) -> Option<u16> {
    byte.is_ascii_digit().then(|| u16::from(byte - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(accept: &str) -> Format {
        choose(std::iter::once(accept.as_bytes()))
    }

    #[test]
    fn a_request_gets_what_it_wants_most() {
        let cases = [
            ("", Format::Articles),
            ("*/*", Format::Articles),
            ("application/json", Format::Articles),
            ("application/health+json", Format::Ietf),
            ("text/plain", Format::Text),
            ("TEXT/Plain; charset=utf-8", Format::Text),
            ("text/*", Format::Text),
            ("application/*", Format::Articles),
            // A browser.
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Articles),
            // Named beats covered at the same weight, and a higher weight beats both.
            ("application/health+json, */*", Format::Ietf),
            ("text/plain;q=0.5, application/json;q=0.4", Format::Text),
            ("text/plain;q=0.5, */*", Format::Articles),
            ("application/json;q=0, */*", Format::Ietf),
            ("*/*;q=0.1, text/plain;q=0", Format::Articles),
            // Nothing of ours, or nonsense.
            ("image/png", Format::Articles),
            ("text/plain;q=0", Format::Articles),
            ("text/plain;q=2, application/health+json;q=0.001", Format::Ietf),
            ("text/plain;q=0.1234, application/health+json;q=.5", Format::Articles),
            (",;,/,*,text/,;q=1", Format::Articles),
        ];
        for (accept, expected) in cases {
            assert_eq!(of(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn several_headers_are_one_list() {
        let accepts = [&b"application/json;q=0.5"[..], b"text/plain"];
        assert_eq!(choose(accepts.into_iter()), Format::Text);
        assert_eq!(choose(std::iter::empty()), Format::Articles);
    }

    #[test]
    fn weights_are_thousandths() {
        let cases = [
            ("1", Some(1_000)),
            ("1.000", Some(1_000)),
            ("0.", Some(0)),
            ("0.05", Some(50)),
            ("0.857", Some(857)),
            ("1.001", None),
            ("0.0001", None),
            ("-1", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(thousandths(text.as_bytes()), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(accept: Vec<u8>) {
            choose(std::iter::once(&accept[..]));
        }

        #[test]
        fn a_type_alone_with_any_weight_above_zero_is_chosen(weight in 1u16..=1000) {
            let weight = f64::from(weight) / 1_000.0;
            prop_assert_eq!(of(&format!("image/png, text/plain ; q={weight}")), Format::Text);
        }
    }
}
