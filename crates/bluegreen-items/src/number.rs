use std::fmt;

/// A number however it is written: 1, 1.0 and 10E-1 are the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number {
    is_negative: bool,
    digits: String,
    exponent: i64,
}

impl Number {
    /// The number that a text is; nothing where it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let unsigned = |text: &str| text.strip_prefix(['-', '+']).unwrap_or(text).to_owned();
        let (mantissa, exponent) = (unsigned(mantissa), unsigned(exponent));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((&mantissa, ""));
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_number = are_digits(whole)
            && are_digits(fraction)
            && are_digits(&exponent)
            && !(whole.is_empty() && fraction.is_empty())
            && !exponent.is_empty();
        is_number.then(|| Self::read(text))
    }

    pub(crate) fn significant_digits(&self) -> usize {
        self.digits.len()
    }

    /// The power of ten of its first digit; nothing for zero.
    pub(crate) fn magnitude(&self) -> Option<i64> {
        let digits = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        (digits > 0).then(|| self.exponent.saturating_add(digits - 1))
    }

    pub(crate) fn read(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        // One that no integer holds is out of every range.
        let far = if exponent.starts_with('-') { i64::MIN } else { i64::MAX };
        let exponent: i64 = exponent.parse().unwrap_or(far);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = [whole.trim_start_matches(['-', '+']), fraction].concat();
        let digits = digits.trim_start_matches('0');
        let significant = digits.trim_end_matches('0');
        let count = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
        if significant.is_empty() {
            return Self { is_negative: false, digits: String::new(), exponent: 0 };
        }
        let trailing = count(digits) - count(significant);
        Self {
            is_negative: mantissa.starts_with('-'),
            digits: significant.to_owned(),
            exponent: exponent.saturating_sub(count(fraction)).saturating_add(trailing),
        }
    }
}

impl fmt::Display for Number {
    /// One way to write it: the significant digits and a power of ten.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative { "-" } else { "" };
        let digits = if self.digits.is_empty() { "0" } else { &self.digits };
        write!(f, "{sign}{digits}E{}", self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_the_same_are_written_alike() {
        for same in
            [["1", "1.0"], ["100", "1E+2"], ["-0.0", "0"], ["15e-1", "1.50"], ["0012", "12"]]
        {
            let [one, other] = same.map(|text| Number::read(text).to_string());
            assert_eq!(one, other);
        }
        assert_ne!(Number::read("1"), Number::read("-1"));
        assert_ne!(Number::read("1"), Number::read("10"));
    }
}
