use bluegreen::Share;

/// Reads a share as people write it: `0`, `12.5`, `100`, with a percent sign or without.
pub(crate) fn share(text: &str) -> Result<Share, PercentError> {
    let text = text.strip_suffix('%').unwrap_or(text);
    let (whole, tenth) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str, longest: usize| {
        let fits = (1..=longest).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| part.parse::<u16>().ok()).flatten()
    };
    digits(whole, 3)
        .zip(digits(tenth, 1))
        .and_then(|(whole, tenth)| Share::per_mille(whole * 10 + tenth).ok())
        .ok_or(PercentError)
}

/// The text is no share.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a share is 0 to 100, with one decimal at most")]
pub(crate) struct PercentError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_as_people_write_it() {
        for (text, per_mille) in
            [("0", 0), ("0.5", 5), ("12.5", 125), ("25%", 250), ("12.5%", 125), ("100.0", 1000)]
        {
            assert_eq!(share(text), Ok(Share::per_mille(per_mille).unwrap()), "{text}");
        }
        for text in
            ["", "%", "-1", "+1", "101", "100.1", "1.25", "1.", ".5", "1e1", "9999", "1,5", "25%%"]
        {
            assert_eq!(share(text), Err(PercentError), "{text}");
        }
    }
}
