use std::fmt;

/// A number however it is written: 1, 1.0 and 10E-1 are the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number {
    is_negative: bool,
    digits: String,
    exponent: i64,
}

impl Number {
    pub(crate) fn read(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i64 = exponent.parse().unwrap_or_default();
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
